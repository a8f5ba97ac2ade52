"""What a table's header shows to be wrong, in the same words whoever reads it: the client, the gateway or a worker."""

from collections.abc import Sequence

from queuecast.domain.errors import shortened


def doubled(names: Sequence[str]) -> str | None:
    """Says which column would hide another one's values."""
    if len(set(names)) == len(names):
        return None
    name = min(name for name in names if names.count(name) > 1)
    return f"the column {shortened(repr(name))} is in the file more than once"


def other_separator(names: Sequence[str]) -> str | None:
    """What a table with other separators than commas has in the name of its only column."""
    return next((each for each in (";", "\t") if len(names) == 1 and each in names[0]), None)
