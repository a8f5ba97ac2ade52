"""What a cell of text means, to whoever reads it: a worker a column of a file, the client a row before it is sent."""

import math
from collections.abc import Sequence
from decimal import Decimal

from queuecast.domain.errors import shortened

# pandas.read_csv's documentation, `na_values` (pandas 3.1). The empty cell is missing too.
MISSING_WORDS = (
    *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
_TRUTHS = {"true": True, "false": False, "1": True, "0": False}


def number_in(cell: str) -> float | None:
    """As Python's `float` reads it, finite. None: it is no number."""
    try:
        number = float(_plain(cell))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def whole_number_in(cell: str) -> int | None:
    """Exact, also where it is written with a point: a float holds whole numbers up to 2**53 only. With an exponent it
    is a float that was written down, and means what that held."""
    number = number_in(cell)
    if number is None:
        return None
    exact = Decimal(number) if "e" in cell.lower() else Decimal(cell.strip())
    return int(exact) if exact == exact.to_integral_value() else None


def truth_in(cell: str) -> bool | None:
    return _TRUTHS.get(cell.strip().lower())


def _plain(cell: str) -> str:
    """Python reads `1_000` as a number and no other program does."""
    return "" if "_" in cell else cell


def doubled(names: Sequence[str]) -> str | None:
    """Says which column would hide another one's values."""
    if len(set(names)) == len(names):
        return None
    name = min(name for name in names if names.count(name) > 1)
    return f"the column {shortened(repr(name))} is in the file more than once"


def other_separator(names: Sequence[str]) -> str | None:
    """What a table with other separators than commas has in the name of its only column."""
    return next((each for each in (";", "\t") if len(names) == 1 and each in names[0]), None)
