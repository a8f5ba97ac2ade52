"""Compares the answers of the notebook with those of the service. Shares no code with the product."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

EXACT, SINGLE = 1e-9, 1e-5  # relative to the largest number of a column of answers


def call(estimator: Any, method: str, rows: Any) -> list[Any]:
    """One list of plain cells for each row. Errors of the estimator pass through."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        output = getattr(estimator, method)(rows)
    return rows_of(output)


def rows_of(output: Any) -> list[Any]:
    if isinstance(output, list) and output and np.ndim(output[0]) > 0:  # probabilities of several targets
        return [_flat(row) for row in zip(*map(rows_of, output), strict=True)]
    for convert in ("toarray", "to_numpy"):
        output = getattr(output, convert)() if hasattr(output, convert) else output
    return [_flat(row) for row in np.asarray(output).tolist()]


def flat_rows(answers: Sequence[Any]) -> list[list[Any]]:
    """Answers of the service in the same form."""
    return [_flat(row) for row in answers]


def _flat(row: Any) -> list[Any]:
    if isinstance(row, list | tuple):
        return [cell for each in row for cell in _flat(each)]
    return [_plain(row)]


def _plain(value: Any) -> Any:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    value = value.item() if hasattr(value, "item") else value
    # JSON has no number that is not finite.
    return None if isinstance(value, float) and not math.isfinite(value) else value


def different_rows(found: list[list[Any]], expected: list[list[Any]], tolerance: float) -> list[int]:
    """Positions of the rows whose answers differ; all of them if there are more or fewer."""
    return _different(found, expected, tolerance, _is_same)


def _different(
    found: list[list[Any]], expected: list[list[Any]], tolerance: float, is_same: Callable[[Any, Any, float], bool]
) -> list[int]:
    if len(found) != len(expected):
        return list(range(max(1, len(expected))))
    tolerances = [tolerance * _scale(column) for column in zip(*expected, strict=True)]
    return [
        at
        for at, (left, right) in enumerate(zip(found, expected, strict=True))
        if len(left) != len(right) or not all(map(is_same, left, right, tolerances))
    ]


def _scale(column: Sequence[Any]) -> float:
    return max((abs(float(cell)) for cell in column if isinstance(cell, int | float)), default=0.0)


def _is_same(found: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(found, str) or isinstance(expected, str) or found is None or expected is None:
        return type(found) is type(expected) and found == expected
    if isinstance(found, bool) is not isinstance(expected, bool):
        return False
    if isinstance(found, float) or isinstance(expected, float):
        return abs(float(found) - float(expected)) <= max(tolerance, 1e-12)
    return bool(found == expected)


def same_text(cell: str, expected: Any, tolerance: float) -> bool:
    """Whether the cell of a CSV file means the expected value."""
    if expected is None:
        return cell in ("", "nan", "inf", "-inf")
    if isinstance(expected, bool):
        return cell == str(expected).lower()
    if isinstance(expected, str):
        return cell in (expected, f"'{expected}")  # a word that begins like a formula
    try:
        return _is_same(float(cell), float(expected), tolerance)
    except ValueError:
        return False


def different_texts(found: list[list[str]], expected: list[list[Any]], tolerance: float) -> list[int]:
    """As `different_rows`, for the text of a CSV file."""
    return _different(found, expected, tolerance, same_text)
