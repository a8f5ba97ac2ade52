"""The meaning of a text cell: a worker reads the columns of a file by these rules, the client the rows it sends."""

import math
from collections.abc import Collection
from decimal import Decimal

# pandas.read_csv's documentation, `na_values` (pandas 3.1). The empty cell is missing too.
MISSING_WORDS = (
    *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
BOOLEAN_WORDS = {"true": True, "false": False, "1": True, "0": False}


def words_for_missing(known_words: Collection[object], *, may_be_missing: bool) -> tuple[str, ...]:
    """The words that mean a missing value in a column of words. An empty cell is missing in every column.

    known_words: those that the estimator knows as values, such as the country code "NA".
    """
    return tuple(word for word in MISSING_WORDS if word not in known_words) if may_be_missing else ()


def parse_number(cell: str) -> float | None:
    """The finite number that Python's `float` reads; None for any other cell."""
    if "_" in cell:  # Python reads `1_000` as a number, and no other program does
        return None
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def parse_integer(cell: str) -> int | None:
    """The exact whole number, also of a cell with a decimal point; None for any other cell.

    A float holds every whole number up to 2**53 only. A cell with an exponent was a float when it was written, so it
    means the value of that float.
    """
    number = parse_number(cell)
    if number is None:
        return None
    exact = Decimal(number) if "e" in cell.lower() else Decimal(cell.strip())
    return int(exact) if exact == exact.to_integral_value() else None


def parse_boolean(cell: str) -> bool | None:
    """True and false in any case, and the numbers 1 and 0; None for any other cell."""
    value = BOOLEAN_WORDS.get(cell.strip().lower())
    if value is not None:
        return value
    number = parse_number(cell)
    return bool(number) if number in (0, 1) else None
