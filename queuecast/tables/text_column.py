"""Which column of a table has the texts, for a model whose rows are texts."""

import re
from collections.abc import Collection, Sequence

from queuecast.domain.errors import Finding, shortened

_INDEX = re.compile(r"Unnamed: 0|__index_level_\d+__")


def text_column(names: Sequence[str], wanted: str, extra: Collection[str] = ()) -> str | None:
    """The column with the name of the fit, or else the only one; None if there are several others.

    extra: columns that have no texts, such as an id or a target. The index of a frame has none either.
    """
    if wanted in names:
        return wanted
    others = [name for name in names if name not in extra and not is_index(name)]
    return others[0] if len(others) == 1 else None


def is_index(name: str) -> bool:
    """Whether pandas names the index of a frame so."""
    return _INDEX.fullmatch(name) is not None


def lacks_text_column(wanted: str) -> Finding:
    name = shortened(repr(wanted))
    detail = f"the file has no column {name}; the texts are expected in it, or in the only column"
    return Finding("", "missing_column", detail, column=wanted)
