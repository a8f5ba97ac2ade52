"""Writes an estimator as a skops file, for the client and the workers. Needs skops, which a client may lack."""

import io
import json
import zipfile
from collections.abc import KeysView
from typing import Any

from queuecast.savable_parts import savable


class _Archive(zipfile.ZipFile):
    """skops asks before each array whether its name is taken; a list of 22,000 names is slow to search."""

    def namelist(self) -> KeysView[str]:  # type: ignore[override] # skops only asks `name in archive.namelist()`
        return self.NameToInfo.keys()


def skops_bytes(estimator: Any) -> bytes:
    """The estimator as `skops.io.dumps` writes it, with savable parts. Raises whatever skops and the estimator raise.

    A boosting of 5,500 trees takes seconds with `skops.io.dumps`, most of them for names and indented JSON.
    """
    import skops.io  # noqa: PLC0415 - a client can do without it, except for a push

    try:
        from skops.io._utils import SaveContext, get_state  # noqa: PLC0415 - skops has no public way to these
    except ImportError:
        data: bytes = skops.io.dumps(savable(estimator))
        return data
    buffer = io.BytesIO()
    with _Archive(buffer, "w") as archive:
        context = SaveContext(zip_file=archive)
        state = get_state(savable(estimator), context)
        state |= {"protocol": context.protocol, "_skops_version": skops.__version__}
        archive.writestr("schema.json", json.dumps(state))
    return buffer.getvalue()
