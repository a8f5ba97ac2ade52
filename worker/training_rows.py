"""A training file -> features and target of the kinds that the champion was fitted on, or the cells that are not."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from queuecast.domain.errors import Finding, InvalidInputError
from queuecast.domain.model import Manifest
from queuecast.domain.signature import MAX_FINDINGS, Column, ColumnType, Layout
from queuecast.domain.work import TrainingWork

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
    text = _read_csv(path, [*names, *work.target])
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


def _read_csv(path: Path, wanted: list[str]) -> Any:
    """All cells as text, so that each column is read by the signature and not by what pandas makes of it.

    What counts as missing is pandas's own list ("", "NA", "nan", "null" ...), as in the notebook before.
    """
    try:
        text = pd.read_csv(path, dtype="str", encoding="utf-8-sig")
    except (ValueError, pd.errors.ParserError) as error:  # UnicodeDecodeError is a ValueError
        raise InvalidInputError(f"the file cannot be read as CSV: {error}") from None
    missing = [name for name in wanted if name not in text.columns]
    if missing:
        raise InvalidInputError(f"the file lacks the column {missing[0]!r}; it has {', '.join(text.columns)}")
    return text[wanted]


def _feature(column: Column, text: Any, findings: list[Finding]) -> Any:
    is_missing = text.isna()
    if not column.nullable and is_missing.any():
        findings.append(_finding(text, is_missing, "null", f"is empty, expected a {column.type} in every row"))
    if column.dtype == "category":
        return _category(column, text, findings)
    if column.type is ColumnType.STRING:
        return text.astype(object).where(~is_missing, np.nan) if column.dtype == "object" else text.astype(column.dtype)
    numbers = _truths(text) if column.type is ColumnType.BOOLEAN else pd.to_numeric(text, errors="coerce")
    is_wrong = numbers.isna() & ~is_missing | ~np.isfinite(numbers.fillna(0).astype(float))
    if column.type is ColumnType.INTEGER:
        is_wrong |= numbers.notna() & (numbers % 1 != 0)
    if is_wrong.any():
        findings.append(_finding(text, is_wrong, "wrong_type", f"expected a {column.type}"))
    return numbers if findings else numbers.astype(column.dtype)


def _category(column: Column, text: Any, findings: list[Finding]) -> Any:
    """New categories are welcome in training: they are added behind the known ones."""
    values = text if column.type is ColumnType.STRING else pd.to_numeric(text, errors="coerce")
    if (values.isna() & ~text.isna()).any():
        findings.append(_finding(text, values.isna() & ~text.isna(), "wrong_type", f"expected a {column.type}"))
    known = list(column.categories or ())
    new = sorted(set(values.dropna().unique()) - set(known))
    return pd.Categorical(values, categories=known + new)


def _truths(text: Any) -> Any:
    return text.str.lower().map(_TRUTH)


def _target(text: Any, champion: Manifest, findings: list[Finding]) -> Any:
    """The target with the kind of value that the champion answers, numbers where nothing else is known."""
    for name in text.columns:
        if text[name].isna().any():
            findings.append(_finding(text[name], text[name].isna(), "null", "is empty; every row needs a target"))
    if findings:
        return None
    parts = [_target_column(text[name], _class_kind(champion, index)) for index, name in enumerate(text.columns)]
    return parts[0] if len(parts) == 1 else np.column_stack(parts)


def _class_kind(champion: Manifest, index: int) -> type | None:
    classes = champion.classes
    if classes and isinstance(classes[0], list):
        classes = classes[index]
    return type(classes[0]) if classes else None


def _target_column(text: Any, kind: type | None) -> Any:
    if kind is str:
        return text.to_numpy(dtype=object)
    if kind is bool and _truths(text).notna().all():
        return _truths(text).to_numpy(dtype=bool)
    numbers = pd.to_numeric(text, errors="coerce")
    if numbers.isna().any():
        return text.to_numpy(dtype=object)
    return numbers.to_numpy()


def _finding(text: Any, is_wrong: Any, code: str, expected: str) -> Finding:
    position = int(np.flatnonzero(is_wrong.to_numpy())[0])
    shown = "" if pd.isna(text.iloc[position]) else f"found {text.iloc[position]!r}, "
    return Finding(f"row {position + 1}, column {text.name}", code, f"{shown}{expected}")
