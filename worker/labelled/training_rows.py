"""Reads a training file into features and target with the champion's types, or reports the cells that do not fit.

Reads one range at a time (`worker.tables.reader`), so memory holds the needed columns, typed, and one range of text.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csc_matrix, issparse

from queuecast.domain.chunking import FileRange
from queuecast.domain.columns.labels import FrameLabels
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.model import BadCell, Manifest
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import TrainingWork
from worker.labelled.left_out_rows import LeftOutRows, left_out_rows
from worker.labelled.targets import kinds_of_target, labels_of, target_column, target_faults, target_text
from worker.models.columns.typed_columns import ARROW_TYPES, arrow_values
from worker.models.columns.widening import widened_values
from worker.models.frames import as_fitted, neutral_column, texts_of
from worker.tables.checked_columns import build_column
from worker.tables.faults import CellFaults, FaultSample, bad_rows, bad_rows_mask, cell_faults
from worker.tables.file_columns import comparable_columns
from worker.tables.ndjson_reader import json_as_text
from worker.tables.reader import read_rows
from worker.tables.rows import Rows
from worker.tables.splitting import split_file

RANGE_ROWS = 2**16


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """features: a DataFrame with text names, an array or a sparse matrix of shape (n_rows, n_columns), or texts.

    target: array (n_rows,) or (n_rows, n_targets).
    bad_rows: the number of rows that were left out. bad_cells: the first of their cells that do not fit.
    A column that no step reads is neutral in the features. unread: the values that the file has of such columns, if the
    split needs them. lacking: those that the split needs and the file does not have.
    labels: those of the champion's signature.
    """

    features: Any
    target: Any
    bad_rows: int = 0
    bad_cells: tuple[BadCell, ...] = ()
    unread: dict[str, list[Any]] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    labels: FrameLabels | None = None

    def take_as_fitted(self, positions: list[int]) -> Any:
        """The features of some rows as an estimator takes them."""
        return as_fitted("", self.take_features(positions), self.labels)

    def take_features(self, positions: list[int]) -> Any:
        """The features of some rows, in the order of `positions`."""
        if isinstance(self.features, list):
            return [self.features[at] for at in positions]
        if issparse(self.features):
            return self.features.tocsr()[positions].asformat(self.features.format)
        return self.features.iloc[positions] if hasattr(self.features, "iloc") else self.features[positions]

    def split_features(self) -> Any:
        """The features with the values that the file has, by which the rows are split."""
        values = {name: pd.Series(cells, dtype=object) for name, cells in self.unread.items()}
        return self.features.assign(**values) if values else self.features


def read_training_rows(
    path: Path,
    champion: Manifest,
    work: TrainingWork,
    fmt: FileFormat = FileFormat.CSV,
    *,
    needs_numbers: bool = False,
    is_table: bool = False,
    left_out: Path | None = None,
) -> TrainingRows:
    """needs_numbers: whether every target must be a number, as for a regressor.

    is_table: a single target gets the shape (n_rows, 1), as a `y` that is a table of one column.
    left_out: the file to which rows that do not fit are written; None if they are not left out.

    Raises InvalidInputError naming row and column: row 1 is the first line after the header.
    """
    deciding = _unread_columns_that_split(champion)
    unread = comparable_columns(path, fmt, deciding)
    lacking = tuple(name for name in deciding if name not in unread)
    reader = _Reader(champion, work, fmt, unread, needs_numbers=needs_numbers, leaves_out=left_out is not None)
    ranges = split_file(path, fmt, RANGE_ROWS, 8 * 2**20)
    if left_out is None:
        reader.read_all(path, ranges)
        return replace(reader.rows(is_table=is_table), lacking=lacking)
    with left_out_rows(left_out) as bad:
        reader.read_good(path, ranges, bad)
    bad.require_most_good()
    rows = reader.rows(is_table=is_table)
    return replace(rows, lacking=lacking, bad_rows=bad.bad_rows, bad_cells=bad.bad_cells)


def _unread_columns_that_split(champion: Manifest) -> list[str]:
    unread = [column.name for column in champion.signature.columns if not column.read]
    names = () if champion.holdout is None else champion.holdout.columns
    return [name for name in unread if name in names] if names else unread


class _Reader:
    """Collects the features, the targets and the columns `unread`, range by range."""

    def __init__(
        self,
        champion: Manifest,
        work: TrainingWork,
        fmt: FileFormat,
        unread: Sequence[str],
        *,
        needs_numbers: bool,
        leaves_out: bool,
    ) -> None:
        self._work, self._fmt = work, fmt
        self._signature = champion.signature
        self._read_signature = _without_categories(champion.signature)
        self._features: list[list[Any]] = [[] for _ in self._signature.read_columns]
        self._targets: list[list[Any]] = [[] for _ in work.target]
        self._unread: dict[str, list[Any]] = {name: [] for name in unread}
        self._labels = [labels_of(champion, index) for index in range(len(work.target))]
        self._kinds = [
            kinds_of_target(labels, needs_numbers=needs_numbers, leaves_out=leaves_out) for labels in self._labels
        ]

    def read_all(self, path: Path, ranges: Iterable[FileRange]) -> None:
        """Raises InvalidInputError if a row does not fit."""
        sample = FaultSample()
        for file_range in ranges:
            rows, others, faults = self._read(path, file_range)
            sample.add(rows, faults)
            if not sample.total:  # later findings are useful, later values are not
                self._add([column.values for column in rows.columns], others)
        if sample.total:
            raise sample.findings().refusal("the file does not fit: ")

    def read_good(self, path: Path, ranges: Iterable[FileRange], left_out: LeftOutRows) -> None:
        for file_range in ranges:
            rows, others, faults = self._read(path, file_range)
            left_out.add(bad_rows(rows, faults), file_range.n_rows)
            arrays = [column.values for column in rows.columns]
            is_bad = bad_rows_mask(faults)
            if is_bad is not None:
                is_good = pa.array(~is_bad)
                arrays, others = ([each.filter(is_good) for each in found] for found in (arrays, others))
            self._add(arrays, others)

    def rows(self, *, is_table: bool) -> TrainingRows:
        parts = list(map(target_column, self._targets, self._labels))
        target = parts[0] if len(parts) == 1 and not is_table else np.column_stack(parts)
        unread = {
            name: [cell for chunk in chunks for cell in chunk.to_pylist()] for name, chunks in self._unread.items()
        }
        features = _features(self._signature, self._features, len(target))
        return TrainingRows(features, target, unread=unread, labels=self._signature.labels)

    def _read(self, path: Path, file_range: FileRange) -> tuple[Rows, list[Any], list[CellFaults]]:
        """The rows of a range, their targets as text with the unread columns, and the faults."""
        names = self._work.target
        extra = list(dict.fromkeys([*names, *self._unread]))
        rows = read_rows(path, self._fmt, self._read_signature, file_range, extra, self._work.extra_columns)
        texts = [
            target_text(rows.extra[name], self._fmt, name, labels)
            for name, labels in zip(names, self._labels, strict=True)
        ]
        of_targets = map(target_faults, names, texts, self._kinds)
        unread = [json_as_text(rows.extra[name]) for name in self._unread]
        return rows, [*texts, *unread], [*cell_faults(rows), *chain.from_iterable(of_targets)]

    def _add(self, arrays: list[Any], others: list[Any]) -> None:
        for column, chunks, values in zip(self._signature.read_columns, self._features, arrays, strict=True):
            chunks.append(_compact(column, values))
        for chunks, values in zip([*self._targets, *self._unread.values()], others, strict=True):
            chunks.append(values)


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


def _features(signature: Signature, features: list[list[Any]], n_rows: int) -> Any:
    """features: the chunks of each column. Empties the lists, so that memory holds one column twice at most."""
    if signature.layout is Layout.TEXT:
        return texts_of(signature.columns[0], pa.chunked_array(features[0]).to_pylist())
    if signature.layout is Layout.OBJECT:
        return list(map(msgspec.json.decode, pa.chunked_array(features[0]).to_pylist()))
    columns: dict[str, Any] = {}
    is_wide = False
    for column, chunks in zip(signature.read_columns, features, strict=True):
        values = pa.chunked_array(chunks).unify_dictionaries().combine_chunks()
        is_wide |= column.widens and values.null_count > 0
        chunks.clear()
        columns[column.name] = _with_new_categories(column, values)
        del values
        pa.default_memory_pool().release_unused()  # peak of 684 MB instead of 780 for a file of 289 MB
    if signature.layout is Layout.FRAME:
        columns |= {column.name: neutral_column(column, n_rows) for column in signature.columns if not column.read}
        return pd.DataFrame(columns, columns=[column.name for column in signature.columns], copy=False)
    dtype = "float64" if is_wide else signature.columns[0].dtype
    if signature.sparse:
        return as_fitted(signature.sparse, _sparse(dtype, columns))
    array = np.empty((len(next(iter(columns.values()))), len(columns)), dtype=dtype)
    for index, name in enumerate(list(columns)):
        array[:, index] = columns.pop(name)
    return array


def _sparse(dtype: str, columns: dict[str, Any]) -> Any:
    """Column by column, because a dense array of them all may not fit in memory. Empties the columns.

    A matrix, because scipy's arrays would keep indices of 64 bits, which scikit-learn's compiled code refuses.
    """
    shape = len(next(iter(columns.values()))), len(columns)
    indices, data = [], []
    for name in list(columns):
        values = np.asarray(columns.pop(name)).astype(dtype)
        indices.append(np.flatnonzero(values))
        data.append(values[indices[-1]])
    starts = np.cumsum([0, *map(len, indices)])
    return csc_matrix((np.concatenate(data), np.concatenate(indices), starts), shape=shape)


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
