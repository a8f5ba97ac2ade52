"""All checks of a training's rows, in bounded time: samples of rows, and the first columns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from queuecast.domain.findings.data_findings import DataFinding, Severity
from queuecast.domain.model import Manifest
from queuecast.domain.trainings.reference import Reference
from worker.data_checks.check_bounds import BOUNDS
from worker.data_checks.column_findings import column_findings
from worker.data_checks.feature_columns import columns_of, n_columns, sample_positions
from worker.data_checks.leaks import leak_findings
from worker.data_checks.target_findings import class_findings, moved_targets, row_findings


@dataclass(frozen=True, slots=True)
class CheckedRows:
    """The rows of a file.

    features: a DataFrame with text names, an array, a sparse matrix, texts or dicts. names: of the columns that count.
    target: array (n_rows,) or (n_rows, n_targets), or None. target_names: one for each. n_rows: their number.
    train: the positions of the rows that are fitted on. repeated: the shares of `repeated_rows`.
    answers: the champion's `predict` of the rows at some positions.
    """

    features: Any
    names: Sequence[str]
    target: Any
    target_names: Sequence[str]
    n_rows: int
    train: Sequence[int]
    repeated: tuple[float, float]
    answers: Callable[[Any], Any]


def check_rows(
    rows: CheckedRows, champion: Manifest, reference: Reference | None, *, are_classes: bool, keeps_classes: bool
) -> Iterator[DataFinding]:
    """reference: of the champion. are_classes: whether the target has labels. keeps_classes: see `class_findings`."""
    version = champion.version
    yield from row_findings(len(rows.train), rows.repeated, reference)
    if are_classes:
        fitted = rows.target[np.asarray(rows.train)]
        yield from class_findings(fitted, rows.target_names, champion.classes, keeps_classes=keeps_classes)
    at = sample_positions(rows.n_rows)
    if rows.target is not None:
        yield from moved_targets(rows.target[at], rows.target_names, reference, version)
    yield from column_findings(dict(columns_of(rows.features, rows.names, at)), reference, version)
    if rows.target is not None:
        yield from _leaks(rows, are_classes=are_classes)
    n_all = n_columns(rows.features, rows.names)
    if n_all > BOUNDS.columns:
        detail = f"the first {BOUNDS.columns} of {n_all:,} columns were checked"
        yield DataFinding("unchecked_columns", Severity.INFO, detail, None, str(n_all), str(BOUNDS.columns))


def _leaks(rows: CheckedRows, *, are_classes: bool) -> Iterator[DataFinding]:
    at = sample_positions(rows.n_rows, BOUNDS.leak_rows)
    columns = dict(columns_of(rows.features, rows.names, at))
    return leak_findings(
        columns, rows.target[at], rows.target_names, lambda places: rows.answers(at[places]), are_classes=are_classes
    )
