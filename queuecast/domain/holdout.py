"""A split of rows into training and holdout that never changes: a row's side depends on the row alone.

A fresh random split at every retraining would test a champion on rows it was fitted on, and it would look
unbeatable. Hashing each row's feature values always holds out the same rows, in a notebook
on a DataFrame and in a worker on an uploaded file. The idea is the usual one of hashed identifiers
(A. Géron, Hands-On Machine Learning, 3rd ed., ch. 2), with the whole row as the identifier.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

METHOD = "rowhash-v1"
DEFAULT_FRACTION = 0.2  # as in scikit-learn's examples of train_test_split


@dataclass(frozen=True, slots=True)
class HoldoutRule:
    """The parameters that repeat a split. No `columns` means all columns of the signature."""

    fraction: float = DEFAULT_FRACTION
    columns: tuple[str, ...] = ()
    method: str = METHOD


@dataclass(frozen=True, slots=True)
class Split:
    """Row positions of each side, for `X.iloc[split.train]` or `X[split.train]`, and the rule behind them."""

    train: list[int]
    test: list[int]
    rule: HoldoutRule


def holdout(rows: Any, fraction: float = DEFAULT_FRACTION, columns: Sequence[str] | None = None) -> Split:
    """Splits rows as queuecast's retraining will split them.

    rows: a DataFrame, a 2-D array, or a list of dicts or lists; only the features, without the target.
    columns: the columns that decide, by default all of them. Equal rows always land on the same side.
    Raises ValueError when `fraction` is not within (0, 1) or a column is missing.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction}, expected a number between 0 and 1")
    names, values = _table(rows)
    chosen = list(names) if columns is None else list(columns)
    missing = [name for name in chosen if name not in names]
    if missing:
        raise ValueError(f"no column {missing[0]!r} in the rows; they have {', '.join(names)}")
    order = [(name, names.index(name)) for name in sorted(chosen)]
    limit = int(fraction * 2**64)
    split = Split([], [], HoldoutRule(fraction, tuple(chosen)))
    for position, row in enumerate(values):
        side = split.test if _row_hash(row, order) < limit else split.train
        side.append(position)
    return split


def _row_hash(row: Sequence[Any], order: list[tuple[str, int]]) -> int:
    text = "\x1e".join(f"{name}\x1f{_canonical(row[index])}" for name, index in order)
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _canonical(value: Any) -> str:
    """One text a value, whatever library holds it: 1, 1.0 and True agree, and so do None, NaN and NA.

    Twelve significant digits, because CSV parsers differ in the last bit of a float.
    """
    if isinstance(value, str):
        return "s" + value
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return ""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return "s" + str(value)
    return "" if math.isnan(number) else f"n{number + 0.0:.12g}"  # + 0.0 makes -0.0 and 0.0 one


def _table(rows: Any) -> tuple[list[str], Iterable[Sequence[Any]]]:
    if hasattr(rows, "itertuples"):  # a DataFrame
        return [str(name) for name in rows.columns], rows.itertuples(index=False, name=None)
    listed = rows.tolist() if hasattr(rows, "tolist") else list(rows)
    if listed and isinstance(listed[0], dict):
        names = list(listed[0])
        return names, _dict_rows(listed, names)
    width = len(listed[0]) if listed else 0
    return [f"x{index}" for index in range(width)], listed


def _dict_rows(rows: list[dict[str, Any]], names: list[str]) -> Iterator[list[Any]]:
    for position, row in enumerate(rows):
        if row.keys() != set(names):
            raise ValueError(f"row {position} has the columns {', '.join(row)}, expected {', '.join(names)}")
        yield [row[name] for name in names]
