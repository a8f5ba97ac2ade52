"""Reads a training file into features and target with the champion's types, or reports the cells that do not fit.

Reads one range at a time (`worker.tables.reader`), so memory holds the needed columns, typed, and one range of text.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from queuecast.domain.errors import Finding, InvalidInputError, mismatch, shortened
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.model import Manifest
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import TrainingWork
from worker.models.columns.typed_columns import ARROW_TYPES, arrow_values, python_objects
from worker.models.columns.widening import widened_values
from worker.tables.checked_columns import build_column, empty_cell
from worker.tables.faults import CellFaults, FaultSample, cell_faults
from worker.tables.ndjson_reader import json_as_text
from worker.tables.reader import read_rows
from worker.tables.splitting import split_file
from worker.tables.text_cells import parse_cells, read_words

RANGE_ROWS = 2**16
_TYPES = {bool: ColumnType.BOOLEAN, int: ColumnType.INTEGER, float: ColumnType.NUMBER}


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """features: a DataFrame or array of shape (n_rows, n_columns); target: array (n_rows,) or (n_rows, n_targets)."""

    features: Any
    target: Any

    def take_features(self, positions: list[int]) -> Any:
        """The features of some rows, in the order of `positions`."""
        return self.features.iloc[positions] if hasattr(self.features, "iloc") else self.features[positions]


def read_training_rows(
    path: Path,
    champion: Manifest,
    work: TrainingWork,
    fmt: FileFormat = FileFormat.CSV,
    *,
    needs_numbers: bool = False,
    is_table: bool = False,
) -> TrainingRows:
    """needs_numbers: whether every target must be a number, as for a regressor.

    is_table: a single target gets the shape (n_rows, 1), as a `y` that is a table of one column.

    Raises InvalidInputError naming row and column: row 1 is the first line after the header.
    """
    signature = _without_categories(champion.signature)
    features: list[list[Any]] = [[] for _ in signature.columns]
    targets: list[list[Any]] = [[] for _ in work.target]
    sample = FaultSample()
    for file_range in split_file(path, fmt, RANGE_ROWS, 8 * 2**20):
        rows = read_rows(path, fmt, signature, file_range, work.target, work.extra_columns)
        texts = [
            _target_text(rows.extra[name], fmt, name, _classes(champion, index))
            for index, name in enumerate(work.target)
        ]
        by_name = dict(zip(work.target, texts, strict=True))
        sample.add(rows, [*cell_faults(rows), *_target_faults(by_name, needs_numbers=needs_numbers)])
        if sample.total:
            continue  # later findings are useful, later values are not
        for chunks, checked_column in zip(features, rows.columns, strict=True):
            chunks.append(_compact(checked_column.column, checked_column.values))
        for chunks, text in zip(targets, texts, strict=True):
            chunks.append(text)
    if sample.total:
        raise sample.findings().refusal("the file does not fit: ")
    parts = [_target_column(chunks, _classes(champion, index)) for index, chunks in enumerate(targets)]
    target = parts[0] if len(parts) == 1 and not is_table else np.column_stack(parts)
    return TrainingRows(_features(champion.signature, features), target)


def _without_categories(signature: Signature) -> Signature:
    """New categories are welcome in training."""
    columns = [
        replace(column, categories=None, words=tuple(word for word in column.known_words if isinstance(word, str)))
        for column in signature.columns
    ]
    return replace(signature, columns=tuple(columns))


def _compact(column: Column, values: Any) -> Any:
    """The values in the type that takes the least memory until the whole file is read."""
    values = pc.cast(values, ARROW_TYPES[column.type])
    return values.dictionary_encode() if column.dtype == "category" and column.type is ColumnType.STRING else values


def _features(signature: Signature, features: list[list[Any]]) -> Any:
    """features: the chunks of each column. Empties the lists, so that memory holds one column twice at most."""
    columns: dict[str, Any] = {}
    is_wide = False
    for column, chunks in zip(signature.columns, features, strict=True):
        values = pa.chunked_array(chunks).unify_dictionaries().combine_chunks()
        is_wide |= column.widens and values.null_count > 0
        chunks.clear()
        columns[column.name] = _with_new_categories(column, values)
        del values
        pa.default_memory_pool().release_unused()  # peak of 684 MB instead of 780 for a file of 289 MB
    if signature.layout is Layout.FRAME:
        return pd.DataFrame(columns, columns=[column.name for column in signature.columns], copy=False)
    dtype = "float64" if is_wide else signature.columns[0].dtype
    array = np.empty((len(next(iter(columns.values()))), len(columns)), dtype=dtype)
    for index, name in enumerate(list(columns)):
        array[:, index] = columns.pop(name)
    return array


def _with_new_categories(column: Column, values: Any) -> Any:
    """A category column gets the new categories after the known ones, and one with missing values is widened."""
    if column.dtype != "category":
        built = build_column(column, values)
        return widened_values(column, built) if column.widens and values.null_count else built
    is_coded = pa.types.is_dictionary(values.type)
    present = (values.dictionary if is_coded else values.unique()).to_pylist()
    known = set(arrow_values(column, list(column.categories or ())).to_pylist())
    new = sorted({value for value in present if value is not None} - known)
    if column.texts is not None and column.texts.moments is not None:
        new = list(map(column.texts.moments.text, new))
    values = pc.cast(values, values.type.value_type) if is_coded else values
    return build_column(replace(column, categories=(*(column.categories or ()), *new)), values)


def _target_faults(targets: dict[str, Any], *, needs_numbers: bool) -> list[CellFaults]:
    """targets: name -> the cells as text."""
    faults = []
    for name, text in targets.items():
        if text.null_count:
            empty = empty_cell("is empty; every row needs a target", "a target in every row", name)
            faults.append(
                CellFaults(name, "null", text.is_null().to_numpy(zero_copy_only=False), partial(_same, empty))
            )
        is_wrong = _not_numbers(text) if needs_numbers else None
        if is_wrong is not None and is_wrong.any():
            faults.append(CellFaults(name, "wrong_type", is_wrong, partial(_not_a_number, name, text)))
    return faults


def _same(fault: Finding, _at: int) -> Finding:
    return fault


def _not_a_number(name: str, text: Any, at: int) -> Finding:
    return mismatch("", "wrong_type", shortened(repr(text[at].as_py())), "a number", name)


def _not_numbers(text: Any) -> Any:
    """A mask of the targets that are no numbers. The word "NA" of a Parquet file is one of them."""
    values, _ = parse_cells(ColumnType.NUMBER, text)
    return pc.and_(values.is_null(), text.is_valid()).to_numpy(zero_copy_only=False)


def _target_text(values: Any, fmt: FileFormat, name: str, classes: list[Any]) -> Any:
    """A target as text like in a CSV file, null if missing; its type follows from the whole column.

    In CSV, a word such as "NA" is a label if the champion has it as one. A new label can be sent as Parquet or NDJSON.
    """
    if fmt is FileFormat.CSV:
        return read_words(values, classes, may_be_missing=True)
    values = json_as_text(values)
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    try:
        return pc.cast(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InvalidInputError(
            f"the target {name!r} holds {values.type}, expected numbers, text or booleans"
        ) from None


def _classes(champion: Manifest, index: int) -> list[Any]:
    classes = champion.classes or []
    return list(classes[index]) if classes and isinstance(classes[0], list) else list(classes)


def _target_column(chunks: list[Any], classes: list[Any]) -> Any:
    """The target in the type of the champion's labels, or as numbers if it has none. If a cell does not have that
    type, the whole target stays text."""
    label_type = type(classes[0]) if classes else None
    candidates = [] if label_type is str else [ColumnType.INTEGER, ColumnType.NUMBER]
    if label_type in _TYPES:
        candidates.insert(0, _TYPES[label_type])
    for candidate in candidates:
        values = _parse_all(chunks, candidate)
        if values is not None:
            return values
    return _with_same_spelling(np.concatenate([python_objects(chunk) for chunk in chunks]), classes)


def _with_same_spelling(labels: Any, classes: list[Any]) -> Any:
    """Spells booleans like the champion, or like Python: pandas writes True in CSV, and JSON has true."""
    present = set(labels.tolist())
    if not {label.lower() for label in present} <= {"true", "false"}:
        return labels
    known = {label.lower(): label for label in classes if isinstance(label, str)}
    spelled = {label: known.get(label.lower(), label.capitalize()) for label in present}
    return np.array([spelled[label] for label in labels], dtype=object)


def _parse_all(chunks: list[Any], kind: ColumnType) -> Any:
    parts = []
    for chunk in chunks:
        values, _ = parse_cells(kind, chunk)
        if values.null_count:
            return None
        parts.append(values.to_numpy(zero_copy_only=False))
    return np.concatenate(parts)
