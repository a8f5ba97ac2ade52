"""A training file -> features and target of the kinds that the champion was fitted on, or the cells that are not."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from queuecast.domain.errors import Finding, InvalidInputError
from queuecast.domain.model import Manifest
from queuecast.domain.signature import MAX_FINDINGS, Column, ColumnType, Layout
from queuecast.domain.work import TrainingWork
from worker.csv_files import read_csv
from worker.frames import column_of

_TRUTH = {"true": True, "false": False, "1": True, "0": False}


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """features: a DataFrame or array of shape (n_rows, n_columns); target: array (n_rows,) or (n_rows, n_targets)."""

    features: Any
    target: Any

    def taken(self, positions: list[int]) -> Any:
        """The features of some rows, in the order of `positions`."""
        return self.features.iloc[positions] if hasattr(self.features, "iloc") else self.features[positions]


def read_training_rows(path: Path, champion: Manifest, work: TrainingWork) -> TrainingRows:
    """Raises InvalidInputError naming row and column: row 1 is the first line after the header."""
    names = [column.name for column in champion.signature.columns]
    text = _read_text(path, [*names, *work.target])
    if text.empty:
        raise InvalidInputError("the file has a header and no rows")
    findings: list[Finding] = []
    columns = {column.name: _feature(column, text[column.name], findings) for column in champion.signature.columns}
    target = _target(text[list(work.target)], champion, findings)
    if findings:
        first = findings[0]
        raise InvalidInputError(
            f"the file does not fit: {first.pointer}: {first.detail}", tuple(findings[:MAX_FINDINGS])
        )
    features: Any = pd.DataFrame(columns, columns=names)
    if champion.signature.layout is Layout.ARRAY:
        features = features.to_numpy(dtype=champion.signature.columns[0].dtype)
    return TrainingRows(features, target)


def _read_text(path: Path, wanted: list[str]) -> Any:
    """All cells as text, so that each column is read by the signature and not by what pandas makes of it."""
    text = read_csv(path, dtype="str")
    missing = [name for name in wanted if name not in text.columns]
    if missing:
        raise InvalidInputError(f"the file lacks the column {missing[0]!r}; it has {', '.join(text.columns)}")
    return text[wanted]


def _feature(column: Column, text: Any, findings: list[Finding]) -> Any:
    is_missing = text.isna()
    if not column.nullable and is_missing.any():
        findings.append(_finding(text, is_missing, "null", f"is empty, expected a {column.type} in every row"))
    values = [_read_cell(column, cell) for cell in text.astype(object).where(~is_missing, None)]
    is_wrong = np.array([value is None for value in values]) & ~is_missing.to_numpy()
    if is_wrong.any():
        findings.append(_finding(text, is_wrong, "wrong_type", f"expected a {column.type}"))
    if findings:
        return values  # nothing is made of it any more
    return column_of(_with_new_categories(column, values), values)


def _read_cell(column: Column, cell: str | None) -> Any:
    """One cell as the column's kind of value; None for one that is missing, or is of another kind."""
    if cell is None or column.type is ColumnType.STRING:
        return cell
    if column.type is ColumnType.BOOLEAN:
        return _TRUTH.get(cell.strip().lower())
    if column.type is ColumnType.NUMBER:
        return _number(cell)
    whole = _whole_number(cell)
    low, high = _bounds(column.dtype)
    return whole if whole is not None and low <= whole <= high else None


def _number(cell: str) -> float | None:
    try:
        number = float(_plain(cell))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _whole_number(cell: str) -> int | None:
    """Exact where it is written without a point: a float holds whole numbers up to 2**53 only."""
    try:
        return int(_plain(cell))
    except ValueError:
        number = _number(cell)
        return int(number) if number is not None and number.is_integer() else None


def _plain(cell: str) -> str:
    """Python reads `1_000` as a number and no other program does."""
    return "" if "_" in cell else cell


def _bounds(dtype: str) -> tuple[int, int]:
    limits = np.iinfo("int64" if dtype in ("category", "object") else dtype.lower())
    return int(limits.min), int(limits.max)


def _with_new_categories(column: Column, values: list[Any]) -> Column:
    """New categories are welcome in training: they are added behind the known ones."""
    if column.categories is None:
        return column
    new = sorted({value for value in values if value is not None} - set(column.categories))
    return replace(column, categories=(*column.categories, *new))


def _target(text: Any, champion: Manifest, findings: list[Finding]) -> Any:
    """The target with the kind of value that the champion answers, numbers where nothing else is known."""
    for name in text.columns:
        if text[name].isna().any():
            findings.append(_finding(text[name], text[name].isna(), "null", "is empty; every row needs a target"))
    if findings:
        return None
    parts = [_target_column(text[name].tolist(), _class_kind(champion, i)) for i, name in enumerate(text.columns)]
    return parts[0] if len(parts) == 1 else np.column_stack(parts)


def _class_kind(champion: Manifest, index: int) -> type | None:
    classes = champion.classes
    if classes and isinstance(classes[0], list):
        classes = classes[index]
    return type(classes[0]) if classes else None


def _target_column(cells: list[str], kind: type | None) -> Any:
    """Cells that are not of the champion's kind are labels like any other, and stay the words they are."""
    readers: dict[type | None, Callable[[str], Any]] = {
        bool: lambda cell: _TRUTH.get(cell.strip().lower()),
        int: _whole_number,
        float: _number,
    }
    if kind in readers:
        values = [readers[kind](cell) for cell in cells]
        if None not in values:
            return np.array(values)
    if kind is not str:
        for read in (_whole_number, _number):
            values = [read(cell) for cell in cells]
            if None not in values:
                return np.array(values)
    return np.array(cells, dtype=object)


def _finding(text: Any, is_wrong: Any, code: str, expected: str) -> Finding:
    position = int(np.flatnonzero(np.asarray(is_wrong))[0])
    shown = "" if pd.isna(text.iloc[position]) else f"found {text.iloc[position]!r}, "
    return Finding(f"row {position + 1}, column {text.name}", code, f"{shown}{expected}")
