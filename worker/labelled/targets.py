"""The targets of a training file: their cells as text, the faults of these cells, and the column of labels or numbers.

A target has no type of its own in the signature. It gets the type of the champion's labels, from the whole column.
"""

from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from queuecast.domain.errors import Finding, InvalidInputError, mismatch, short_name, shortened
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.model import Manifest
from queuecast.domain.signature import ColumnType
from worker.models.columns.typed_columns import python_objects
from worker.tables.checked_columns import empty_cell
from worker.tables.faults import CellFaults
from worker.tables.ndjson_reader import json_as_text
from worker.tables.text_cells import parse_cells, read_words

_TYPES = {bool: ColumnType.BOOLEAN, int: ColumnType.INTEGER, float: ColumnType.NUMBER}
_NUMBERS = (ColumnType.NUMBER,)


def labels_of(champion: Manifest, index: int) -> list[Any]:
    """The labels of one target; empty if it has none."""
    classes = champion.classes or []
    return list(classes[index]) if classes and isinstance(classes[0], list) else list(classes)


def target_text(values: Any, fmt: FileFormat, name: str, labels: list[Any]) -> Any:
    """A target as text like in a CSV file, null if missing; its type follows from the whole column.

    In CSV, a word such as "NA" is a label if the champion has it as one. A new label can be sent as Parquet or NDJSON.
    """
    if fmt is FileFormat.CSV:
        return read_words(values, labels, may_be_missing=True)
    values = json_as_text(values)
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    try:
        return pc.cast(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InvalidInputError(
            f"the target {short_name(name)!r} holds {shortened(str(values.type))}, expected numbers, text or booleans"
        ) from None


def kinds_of_target(labels: list[Any], *, needs_numbers: bool, leaves_out: bool) -> tuple[ColumnType, ...]:
    """The types that a cell of a target may have; empty if it may be any text.

    leaves_out: whether bad rows are left out. If they are not, one text among numbers makes labels of them all.
    """
    label_type = type(labels[0]) if labels else None
    if needs_numbers:
        return _NUMBERS
    if not leaves_out or label_type not in _TYPES:
        return ()
    return (ColumnType.BOOLEAN, *_NUMBERS) if label_type is bool else _NUMBERS


def target_faults(name: str, text: Any, kinds: tuple[ColumnType, ...]) -> list[CellFaults]:
    """The cells that are empty, or have none of the types."""
    faults = []
    if text.null_count:
        empty = empty_cell("is empty; every row needs a target", "a target in every row", short_name(name))
        is_empty = text.is_null().to_numpy(zero_copy_only=False)
        faults.append(CellFaults(name, "null", is_empty, partial(_same, empty)))
    is_wrong = _wrong_mask(text, kinds) if kinds else None
    if is_wrong is not None and is_wrong.any():
        expected = "a boolean or a number" if ColumnType.BOOLEAN in kinds else "a number"
        faults.append(CellFaults(name, "wrong_type", is_wrong, partial(_mismatch, name, text, expected)))
    return faults


def _wrong_mask(text: Any, kinds: tuple[ColumnType, ...]) -> Any:
    """The word "NA" of a Parquet file is no number."""
    masks = []
    for kind in kinds:
        values, _ = parse_cells(kind, text)
        masks.append(pc.and_(values.is_null(), text.is_valid()).to_numpy(zero_copy_only=False))
    return np.logical_and.reduce(masks)


def _same(fault: Finding, _at: int) -> Finding:
    return fault


def _mismatch(name: str, text: Any, expected: str, at: int) -> Finding:
    return mismatch("", "wrong_type", shortened(repr(text[at].as_py())), expected, short_name(name))


def target_column(chunks: list[Any], labels: list[Any]) -> Any:
    """The target in the type of the champion's labels, or as numbers if it has none. If a cell does not have that
    type, the whole target stays text."""
    label_type = type(labels[0]) if labels else None
    candidates = [] if label_type is str else [ColumnType.INTEGER, ColumnType.NUMBER]
    if label_type in _TYPES:
        candidates.insert(0, _TYPES[label_type])
    for candidate in candidates:
        values = _parse_all(chunks, candidate)
        if values is not None:
            return values
    return _with_same_spelling(np.concatenate([python_objects(chunk) for chunk in chunks]), labels)


def _with_same_spelling(found: Any, labels: list[Any]) -> Any:
    """Spells booleans like the champion, or like Python: pandas writes True in CSV, and JSON has true."""
    present = set(found.tolist())
    if not {label.lower() for label in present} <= {"true", "false"}:
        return found
    known = {label.lower(): label for label in labels if isinstance(label, str)}
    spelled = {label: known.get(label.lower(), label.capitalize()) for label in present}
    return np.array([spelled[label] for label in found], dtype=object)


def _parse_all(chunks: list[Any], kind: ColumnType) -> Any:
    parts = []
    for chunk in chunks:
        values, _ = parse_cells(kind, chunk)
        if values.null_count:
            return None
        parts.append(values.to_numpy(zero_copy_only=False))
    return np.concatenate(parts)


def label_mismatch(champion: Manifest, target: Any, who: str) -> str:
    """Names both sets of labels if those of the file are text and the version's are not. who: the version in words."""
    classes = champion.classes or []
    if not classes or isinstance(classes[0], (list, str)) or target.dtype != object:
        return ""
    labels = sorted(set(target.ravel()))
    return f"the file has the labels {enumerate_labels(labels)} where {who} predicts {enumerate_labels(classes)}"


def enumerate_labels(labels: list[Any]) -> str:
    """`'a', 'b' and 'c'`, at most five of them."""
    shown = [shortened(repr(label)) for label in labels[:5]]
    last = f"{len(labels) - 5} more" if len(labels) > 5 else shown.pop()
    return f"{', '.join(shown)} and {last}" if shown else last
