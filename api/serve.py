"""The gateway as granian serves it: `granian --interface wsgi --factory api.serve:gateway` (deploy/serve_api.sh).

`api.main:app` is the same application, for a process that must not be pinned or frozen, such as a test's.
"""

from typing import TYPE_CHECKING

from queuecast.process_tuning import (
    collect_rarely,
    freeze_inherited,
    freeze_objects,
    pin_to_one_core,
    return_freed_pages,
)

if TYPE_CHECKING:  # Flask must not be imported before the first freeze
    from flask import Flask


def gateway() -> "Flask":
    """Call it once, before there are threads."""
    freeze_inherited()  # before the imports below trigger a collection
    from api.main import app  # noqa: PLC0415 - see above

    pin_to_one_core("queuecast")
    freeze_objects()
    collect_rarely()
    return_freed_pages()
    return app
