"""Recognizes a DataFrame, and takes some of its rows, or of those of an array, a sparse matrix or a list.

Recognizes the objects of numpy, scipy, pandas and polars by their attributes, so that the client needs none of them.
"""

from random import Random
from typing import Any

from queuecast.client.row_formats.polars_frames import is_polars


def is_frame(x: Any) -> bool:
    if is_polars(x):
        return True
    if not hasattr(x, "columns"):
        return False
    if not hasattr(x, "head") or not hasattr(x, "items"):
        kind = f"{type(x).__module__}.{type(x).__name__}"
        raise ValueError(f"{kind} is not a DataFrame of pandas or polars; call .to_pandas() on it first")
    return True


def length(x: Any) -> int:
    return int(x.shape[0]) if hasattr(x, "shape") else len(x)


def take(rows: Any, positions: list[int]) -> Any:
    """The rows at these positions, of the same kind."""
    if hasattr(rows, "iloc"):
        return rows.iloc[positions]
    if hasattr(rows, "toarray"):
        return rows.tocsr()[positions].asformat(rows.format)
    return rows[positions] if hasattr(rows, "ndim") or is_polars(rows) else [rows[at] for at in positions]


def drawn_positions(n_rows: int, most: int) -> list[int]:
    """Up to `most` of the rows, at random and in their order; the same ones each time."""
    return list(range(n_rows)) if n_rows <= most else sorted(Random(0).sample(range(n_rows), most))  # noqa: S311 - no secret
