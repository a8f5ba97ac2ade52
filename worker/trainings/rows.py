"""A training file -> features and target of the kinds that the champion was fitted on, or the cells that are not.

The file is read cut by cut (`worker.tables.reader`). What is held is the columns that are wanted, typed, and one cut.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from queuecast.domain.batch import FileFormat
from queuecast.domain.errors import Finding, InvalidInputError, shortened
from queuecast.domain.model import Manifest
from queuecast.domain.signature import MAX_FINDINGS, Column, ColumnType, Layout, Signature
from queuecast.domain.work import TrainingWork
from worker.tables.columns import ARROW_TYPES, build_column, python_objects
from worker.tables.ndjson_reader import json_as_text
from worker.tables.reader import read_rows
from worker.tables.rows import Rows
from worker.tables.splitting import split_file
from worker.tables.text_cells import null_missing_words, parse_cells

CUT_ROWS = 2**16
CUT_BYTES = 2**23
_KINDS = {bool: ColumnType.BOOLEAN, int: ColumnType.INTEGER, float: ColumnType.NUMBER}


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """features: a DataFrame or array of shape (n_rows, n_columns); target: array (n_rows,) or (n_rows, n_targets)."""

    features: Any
    target: Any

    def taken(self, positions: list[int]) -> Any:
        """The features of some rows, in the order of `positions`."""
        return self.features.iloc[positions] if hasattr(self.features, "iloc") else self.features[positions]


def read_training_rows(
    path: Path,
    champion: Manifest,
    work: TrainingWork,
    fmt: FileFormat = FileFormat.CSV,
    *,
    needs_numbers: bool = False,
) -> TrainingRows:
    """needs_numbers: every target must be one, as a regressor's must.

    Raises InvalidInputError naming row and column: row 1 is the first line after the header.
    """
    signature = _without_categories(champion.signature)
    features: list[list[Any]] = [[] for _ in signature.columns]
    targets: list[list[Any]] = [[] for _ in work.target]
    found: dict[tuple[int, str], Finding] = {}
    for cut in split_file(path, fmt, CUT_ROWS, CUT_BYTES):
        rows = read_rows(path, fmt, signature, cut, work.target)
        texts = [_target_text(rows.extra[name], fmt, name) for name in work.target]
        _note(found, rows, dict(zip(work.target, texts, strict=True)), needs_numbers=needs_numbers)
        if found:
            continue  # later findings are useful, later values are not
        for chunks, checked_column in zip(features, rows.columns, strict=True):
            chunks.append(_held(checked_column.column, checked_column.values))
        for chunks, text in zip(targets, texts, strict=True):
            chunks.append(text)
    if found:
        findings = [found[key] for key in sorted(found, key=lambda key: key[0])]
        first = findings[0]
        raise InvalidInputError(
            f"the file does not fit: {first.pointer}: {first.detail}", tuple(findings[:MAX_FINDINGS])
        )
    parts = [_target_column(chunks, _classes(champion, index)) for index, chunks in enumerate(targets)]
    target = parts[0] if len(parts) == 1 else np.column_stack(parts)
    return TrainingRows(_features(champion.signature, features), target)


def _without_categories(signature: Signature) -> Signature:
    """New categories are welcome in training."""
    return replace(signature, columns=tuple(replace(column, categories=None) for column in signature.columns))


def _held(column: Column, values: Any) -> Any:
    """As little as one chunk of a column needs until all are read."""
    values = pc.cast(values, ARROW_TYPES[column.type])
    return values.dictionary_encode() if column.dtype == "category" and column.type is ColumnType.STRING else values


def _features(signature: Signature, features: list[list[Any]]) -> Any:
    """features: the chunks of each column; they are given up one column after the other."""
    made: dict[str, Any] = {}
    for column, chunks in zip(signature.columns, features, strict=True):
        values = pa.chunked_array(chunks).unify_dictionaries().combine_chunks()
        chunks.clear()
        made[column.name] = _with_new_categories(column, values)
        del values
        pa.default_memory_pool().release_unused()  # 684 MB instead of 780 at the peak of a file of 289 MB
    if signature.layout is Layout.FRAME:
        return pd.DataFrame(made, columns=[column.name for column in signature.columns], copy=False)
    array = np.empty((len(next(iter(made.values()))), len(made)), dtype=signature.columns[0].dtype)
    for index, name in enumerate(list(made)):
        array[:, index] = made.pop(name)
    return array


def _with_new_categories(column: Column, values: Any) -> Any:
    """New ones are added behind the known ones."""
    if column.dtype != "category":
        return build_column(column, values)
    is_coded = pa.types.is_dictionary(values.type)
    present = (values.dictionary if is_coded else values.unique()).to_pylist()
    new = sorted({value for value in present if value is not None} - set(column.categories or ()))
    values = pc.cast(values, values.type.value_type) if is_coded else values
    return build_column(replace(column, categories=(*(column.categories or ()), *new)), values)


def _note(found: dict[tuple[int, str], Finding], rows: Rows, targets: dict[str, Any], *, needs_numbers: bool) -> None:
    """The first row of each column and kind of fault, and of the rows that could not be taken apart."""
    for bad in rows.unreadable:
        place = f"row {bad.row}" + (f", column {bad.column}" if bad.column is not None else "")
        found.setdefault((-1, bad.code), Finding(place, bad.code, bad.detail))
    for index, column in enumerate(rows.columns):
        for code, mask in column.faults.items():
            at = int(np.flatnonzero(mask)[0])
            place = f"row {rows.row_numbers[at]}, column {column.column.name}"
            found.setdefault((index, code), Finding(place, code, column.detail(code, at)))
    for index, (name, text) in enumerate(targets.items(), start=len(rows.columns)):
        if text.null_count:
            at = int(np.flatnonzero(text.is_null().to_numpy(zero_copy_only=False))[0])
            place = f"row {rows.row_numbers[at]}, column {name}"
            found.setdefault((index, "null"), Finding(place, "null", "is empty; every row needs a target"))
        is_wrong = parse_cells(ColumnType.NUMBER, text)[1] if needs_numbers else None
        if is_wrong is not None and is_wrong.any():
            at = int(np.flatnonzero(is_wrong)[0])
            place = f"row {rows.row_numbers[at]}, column {name}"
            detail = f"found {shortened(repr(text[at].as_py()))}, expected a number"
            found.setdefault((index, "wrong_type"), Finding(place, "wrong_type", detail))


def _target_text(values: Any, fmt: FileFormat, name: str) -> Any:
    """A target as it would stand in a CSV file, null where missing: what kind it is, the whole column decides."""
    if fmt is FileFormat.CSV:
        return null_missing_words(values)
    values = json_as_text(values)
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    try:
        return pc.cast(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InvalidInputError(f"the target {name!r} holds {values.type}, expected numbers, words or truths") from None


def _classes(champion: Manifest, index: int) -> list[Any]:
    classes = champion.classes or []
    return list(classes[index]) if classes and isinstance(classes[0], list) else list(classes)


def _target_column(chunks: list[Any], classes: list[Any]) -> Any:
    """The kind of value that the champion answers, numbers where nothing else is known. Cells that are not of that
    kind are labels like any other, and stay the words they are."""
    kind = type(classes[0]) if classes else None
    tried = [] if kind is str else [ColumnType.INTEGER, ColumnType.NUMBER]
    if kind in _KINDS:
        tried.insert(0, _KINDS[kind])
    for wanted in tried:
        values = _read_all(chunks, wanted)
        if values is not None:
            return values
    return _spelled_alike(np.concatenate([python_objects(chunk) for chunk in chunks]), classes)


def _spelled_alike(words: Any, classes: list[Any]) -> Any:
    """Truths as the champion spells them, or as Python does: pandas writes True in CSV, and JSON has true."""
    present = set(words.tolist())
    if not {word.lower() for word in present} <= {"true", "false"}:
        return words
    known = {label.lower(): label for label in classes if isinstance(label, str)}
    spelled = {word: known.get(word.lower(), word.capitalize()) for word in present}
    return np.array([spelled[word] for word in words], dtype=object)


def _read_all(chunks: list[Any], kind: ColumnType) -> Any:
    parts = []
    for chunk in chunks:
        values, _ = parse_cells(kind, chunk)
        if values.null_count:
            return None
        parts.append(values.to_numpy(zero_copy_only=False))
    return np.concatenate(parts)
