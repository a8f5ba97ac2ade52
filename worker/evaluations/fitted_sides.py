"""Which rows of a file a version may have been fitted on, so that no one takes a score on them for one on new rows."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from queuecast.domain.columns.roles import ColumnRoles
from queuecast.domain.errors import QueuecastError
from queuecast.domain.findings.bounds import list_names
from queuecast.domain.findings.data_findings import DataFinding, Severity
from queuecast.domain.holdout import HoldoutRule, rule_for
from queuecast.domain.model import Manifest
from queuecast.domain.trainings.fit_mode import FitMode
from queuecast.plurals import counted
from queuecast.ports.models import ModelRegistry
from worker.data_checks.repeated_rows import row_hashes
from worker.labelled.fitted_rows import first_fitted_rows, fitted_rows
from worker.labelled.role_cells import Times
from worker.labelled.row_split import sides_of
from worker.labelled.training_rows import TrainingRows
from worker.models.frames import frame_of


@dataclass(frozen=True, slots=True)
class FittedSide:
    """is_fitted: (n_rows,) bool, the rows on the side of the fit by the version's holdout rule; None if it is unknown.

    unknown: why. is_known_file: whether the version was fitted on one of the files. kept_rows: how many rows are kept
    of those that the version was fitted on. known_rows: how many of them the file has.
    """

    is_fitted: Any = None
    unknown: str = ""
    is_known_file: bool = False
    known_rows: int = 0
    kept_rows: int = 0


def fitted_side(
    models: ModelRegistry, manifest: Manifest, rows: TrainingRows, file_hashes: Collection[str], unreadable: str = ""
) -> FittedSide:
    """file_hashes: the sha256 of each file. unreadable: why the file cannot be split by the version's rule."""
    kept = fitted_rows(models, manifest)
    found = _known_rows(kept, manifest, rows)
    is_known_file = not _files_of(models, manifest).isdisjoint(file_hashes)
    is_fitted, unknown = (None, unreadable) if unreadable else _side(models, manifest, rows)
    return FittedSide(is_fitted, unknown, is_known_file, found, len(kept))


def _side(models: ModelRegistry, manifest: Manifest, rows: TrainingRows) -> tuple[Any, str]:
    rule, version = manifest.holdout, manifest.version
    if rule is None:
        return None, f"the rows that version {version} was fitted on are unknown"
    if rows.times is not None:
        return _before_cutoff(rows.times, rule, version)
    if rows.lacking:
        return None, f"the file lacks {list_names(rows.lacking)}, by which the rows of version {version} were split"
    try:
        split = sides_of(rows, manifest, rule_for(rule, ColumnRoles()), first_fitted_rows(models, manifest))
    except QueuecastError as error:
        return None, error.detail
    is_fitted = np.zeros(rows.n_rows, dtype=bool)
    is_fitted[split.train] = True
    return is_fitted, ""


def _before_cutoff(times: Times, rule: HoldoutRule, version: int) -> tuple[Any, str]:
    cutoff = times.value(rule.cutoff)
    if cutoff is None:
        return None, f"version {version} was fitted on rows before {rule.cutoff}; the file has times of another kind"
    return times.values < cutoff, ""


def _known_rows(kept: list[Any], manifest: Manifest, rows: TrainingRows) -> int:
    """A single one may be another row that looks alike by chance, so it counts as none."""
    if not kept:
        return 0
    known, features = frame_of(manifest.signature, kept), rows.features
    if hasattr(known, "columns"):
        features = features[list(known.columns)]
    found = int(np.isin(row_hashes(known), row_hashes(features)).sum())
    return found if found > 1 else 0


def _files_of(models: ModelRegistry, manifest: Manifest) -> set[str]:
    """The sha256 of the files that the version was fitted on. An update goes on learning after its parent's fit."""
    hashes: set[str] = set()
    while manifest.lineage is not None:
        hashes |= {manifest.lineage.file_sha256, *manifest.lineage.more_files_sha256}
        if manifest.lineage.mode is not FitMode.UPDATE:
            break
        try:
            manifest = models.manifest(manifest.model, manifest.lineage.parent_version)
        except QueuecastError:  # it was deleted
            break
    return hashes


def side_findings(version: int, side: FittedSide, scored: Any) -> Iterator[DataFinding]:
    """scored: the positions of the rows that were scored, among those of the side."""
    split = ""
    if side.is_fitted is not None:
        n_fitted = int(side.is_fitted[scored].sum())
        split = (
            f"its holdout rule puts {n_fitted:,} of the {len(scored):,} rows on the side of the fit and "
            f"{len(scored) - n_fitted:,} on the held-out side"
        )
    if side.is_known_file:
        detail = f"version {version} was trained on this file, so its score is too good for new rows"
        yield _finding("fitted_on_file", Severity.ERROR, detail, split)
    elif 2 * side.known_rows >= max(side.kept_rows, 1):
        detail = (
            f"the file has {side.known_rows} of the {counted(side.kept_rows, 'row')} that version {version} is known "
            "to be fitted on, so its score is too good for new rows"
        )
        yield _finding("fitted_rows_found", Severity.WARNING, detail, split)
    elif split:
        detail = f"version {version} may have been fitted on rows of this file, if they are not new"
        yield _finding("may_be_fitted", Severity.INFO, detail, split)
    else:
        detail = f"it is not known whether version {version} was fitted on rows of this file"
        yield _finding("unknown_fit", Severity.INFO, detail, side.unknown)


def _finding(code: str, severity: Severity, detail: str, more: str) -> DataFinding:
    return DataFinding(code, severity, f"{detail}: {more}" if more else detail)


def shown_side(side: FittedSide, scored: Any) -> dict[str, Any]:
    """For the result of the job."""
    n_fitted = None if side.is_fitted is None else int(side.is_fitted[scored].sum())
    return {
        "trained_on_file": side.is_known_file,
        "known_rows": side.known_rows,
        "fit_side": n_fitted,
        "held_out_side": None if n_fitted is None else len(scored) - n_fitted,
        "unknown": side.unknown,
    }
