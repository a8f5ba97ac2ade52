"""Reads the files of a training into features and target with the champion's types, or reports cells that do not fit.

Reads one range at a time (`worker.tables.reader`), so memory holds the needed columns, typed, and one range of text.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.sparse import issparse

from queuecast.domain.chunking import FileRange
from queuecast.domain.columns.labels import FrameLabels
from queuecast.domain.columns.outside_columns import columns_outside
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.holdout import HoldoutRule, rule_for
from queuecast.domain.model import BadCell, Manifest
from queuecast.domain.work import TrainingWork
from worker.labelled.collected_features import collected_features, compact, without_categories
from worker.labelled.left_out_rows import LeftOutRows, left_out_rows
from worker.labelled.role_cells import RoleCells, Times
from worker.labelled.targets import kinds_of_target, labels_of, target_column, target_faults, target_text
from worker.labelled.training_files import (
    TrainingFile,
    comparable_in_all,
    lacks_split_column,
    require_comparable,
)
from worker.models.frames import as_fitted
from worker.tables.faults import CellFaults, FaultSample, bad_rows, bad_rows_mask, cell_faults
from worker.tables.ndjson_reader import json_as_text
from worker.tables.reader import read_rows
from worker.tables.rows import Rows
from worker.tables.splitting import split_file

RANGE_ROWS = 2**16


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """features: a DataFrame with text names, an array or a sparse matrix of shape (n_rows, n_columns), or texts.

    target: array (n_rows,) or (n_rows, n_targets); None if the training has none.
    bad_rows: the number of rows that were left out. bad_cells: the first of their cells that do not fit.
    A column that no step reads is neutral in the features. unread: the values that the file has of such columns, if the
    split needs them. lacking: those that the split needs and the file does not have.
    outside: the values of columns that are no features, by which the rows are split.
    labels: those of the champion's signature.
    weights: (n_rows,) float64. groups: (n_rows,) int64. Both are None if the request names no such column.
    times: if the rows are split by their time.
    places: (n_rows,) int64, the place of each row among all rows of the files; None if no row was left out.
    """

    features: Any
    target: Any
    bad_rows: int = 0
    bad_cells: tuple[BadCell, ...] = ()
    unread: dict[str, list[Any]] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    labels: FrameLabels | None = None
    outside: dict[str, list[Any]] = field(default_factory=dict)
    weights: Any = None
    groups: Any = None
    times: Times | None = None
    places: Any = None

    @property
    def n_rows(self) -> int:
        return len(self.features) if isinstance(self.features, list) else int(self.features.shape[0])

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


def taken(values: Any, positions: list[int]) -> Any:
    """Some of the values of each row, such as their weights; None if there are none."""
    return None if values is None else values[positions]


def read_training_rows(
    files: Sequence[TrainingFile],
    champion: Manifest,
    work: TrainingWork,
    *,
    needs_numbers: bool = False,
    is_table: bool = False,
    left_out: Path | None = None,
) -> TrainingRows:
    """files: are read one after the other, as one table.

    needs_numbers: whether every target must be a number, as for a regressor.
    is_table: a single target gets the shape (n_rows, 1), as a `y` that is a table of one column.
    left_out: the file to which rows that do not fit are written; None if they are not left out.

    Raises InvalidInputError naming file, row and column: row 1 is the first line after the header.
    """
    rule = rule_for(champion.holdout, work.roles)
    deciding = [] if rule.is_by_time else _unread_columns_that_split(champion, rule)
    unread = comparable_in_all(files, deciding)
    lacking = tuple(name for name in deciding if name not in unread)
    outside = [] if rule.is_by_time else list(columns_outside(rule.columns, champion.signature))
    require_comparable(files, outside)
    time = rule.columns[0] if rule.is_by_time else None
    reader = _Reader(
        champion,
        work,
        RoleCells(replace(work.roles, time=time)),
        unread,
        outside,
        needs_numbers=needs_numbers,
        leaves_out=left_out is not None,
    )
    if left_out is None:
        reader.read_all(files)
        return replace(reader.rows(is_table=is_table), lacking=lacking)
    with left_out_rows(left_out) as bad:
        reader.read_good(files, bad)
    bad.require_most_good()
    rows = reader.rows(is_table=is_table)
    return replace(rows, lacking=lacking, bad_rows=bad.bad_rows, bad_cells=bad.bad_cells)


def _unread_columns_that_split(champion: Manifest, rule: HoldoutRule) -> list[str]:
    unread = [column.name for column in champion.signature.columns if not column.read]
    return [name for name in unread if name in rule.columns] if rule.columns else unread


class _Reader:
    """Collects the features, the targets, and the columns that have a role, that are `unread` or `outside`, range by
    range."""

    def __init__(
        self,
        champion: Manifest,
        work: TrainingWork,
        roles: RoleCells,
        unread: Sequence[str],
        outside: Sequence[str],
        *,
        needs_numbers: bool,
        leaves_out: bool,
    ) -> None:
        self._work, self._roles = work, roles
        self._signature = champion.signature
        self._read_signature = without_categories(champion.signature)
        self._features: list[list[Any]] = [[] for _ in self._signature.read_columns]
        self._targets: list[list[Any]] = [[] for _ in work.target]
        self._unread: dict[str, list[Any]] = {name: [] for name in unread}
        self._outside: dict[str, list[Any]] = {name: [] for name in outside}
        self._n_rows = self._n_seen = 0
        self._places: list[Any] = []
        self._labels = [labels_of(champion, index) for index in range(len(work.target))]
        self._kinds = [
            kinds_of_target(labels, needs_numbers=needs_numbers, leaves_out=leaves_out) for labels in self._labels
        ]

    def read_all(self, files: Sequence[TrainingFile]) -> None:
        """Raises InvalidInputError if a row does not fit."""
        sample = FaultSample()
        for file, file_range in _ranges(files):
            rows, others, faults = self._read(file, file_range)
            sample.add(rows, faults)
            if not sample.total:  # later findings are useful, later values are not
                self._add([column.values for column in rows.columns], others)
        if sample.total:
            raise sample.findings().refusal("the file does not fit: " if len(files) == 1 else "the files do not fit: ")

    def read_good(self, files: Sequence[TrainingFile], left_out: LeftOutRows) -> None:
        for file, file_range in _ranges(files):
            rows, others, faults = self._read(file, file_range)
            left_out.add(bad_rows(rows, faults), file_range.n_rows)
            arrays = [column.values for column in rows.columns]
            places = rows.row_numbers - file_range.first_row + self._n_seen
            self._n_seen += file_range.n_rows
            is_bad = bad_rows_mask(faults)
            if is_bad is not None:
                is_good = pa.array(~is_bad)
                places = places[~is_bad]
                arrays, others = ([each.filter(is_good) for each in found] for found in (arrays, others))
            self._places.append(places)
            self._add(arrays, others)

    def rows(self, *, is_table: bool) -> TrainingRows:
        parts = list(map(target_column, self._targets, self._labels))
        target = None if not parts else parts[0] if len(parts) == 1 and not is_table else np.column_stack(parts)
        outside = _listed(self._outside)
        for name, cells in outside.items():
            if all(cell is None for cell in cells):  # rows of NDJSON may have different keys
                raise lacks_split_column(name)
        return TrainingRows(
            collected_features(self._signature, self._features, self._n_rows),
            target,
            unread=_listed(self._unread),
            labels=self._signature.labels,
            outside=outside,
            weights=self._roles.weights(),
            groups=self._roles.groups(),
            times=self._roles.times(),
            places=np.concatenate(self._places) if self._n_rows < self._n_seen else None,
        )

    def _read(self, file: TrainingFile, file_range: FileRange) -> tuple[Rows, list[Any], list[CellFaults]]:
        """The rows of a range, their targets as text with the other columns, and the faults."""
        names, split_names = self._work.target, [*self._unread, *self._outside]
        extra = list(dict.fromkeys([*names, *self._work.roles.names, *self._roles.names, *split_names]))
        with _naming(file):
            rows = read_rows(
                file.path, file.format, self._read_signature, file_range, extra, self._work.extra_columns
            ).of_file(file.name)
            texts = [
                target_text(rows.extra[name], file.format, name, labels)
                for name, labels in zip(names, self._labels, strict=True)
            ]
            of_roles = self._roles.texts(rows.extra)
        faults = [
            *cell_faults(rows),
            *chain.from_iterable(map(target_faults, names, texts, self._kinds)),
            *self._roles.faults(of_roles),
        ]
        return rows, [*texts, *of_roles, *(json_as_text(rows.extra[name]) for name in split_names)], faults

    def _add(self, arrays: list[Any], others: list[Any]) -> None:
        for column, chunks, values in zip(self._signature.read_columns, self._features, arrays, strict=True):
            chunks.append(compact(column, values))
        self._n_rows += len(arrays[0]) if arrays else len(others[0])
        collected = [*self._targets, *self._roles.chunks, *self._unread.values(), *self._outside.values()]
        for chunks, values in zip(collected, others, strict=True):
            chunks.append(values)


def _ranges(files: Sequence[TrainingFile]) -> Iterator[tuple[TrainingFile, FileRange]]:
    for file in files:
        with _naming(file):
            ranges = split_file(file.path, file.format, RANGE_ROWS, 8 * 2**20)
            for file_range in ranges:
                yield file, file_range


@contextmanager
def _naming(file: TrainingFile) -> Iterator[None]:
    """An error in the block begins with the name of the file, if it is one of several."""
    try:
        yield
    except InvalidInputError as error:
        if not file.name:
            raise
        raise InvalidInputError(
            f"{file.name}: {error.detail}", error.findings, code=error.code, total=error.total
        ) from None


def _listed(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {name: [cell for chunk in chunks for cell in chunk.to_pylist()] for name, chunks in columns.items()}
