"""Findings about the rows of an evaluation: too few, repeated, or different from the rows of the fit."""

from collections.abc import Iterator, Sequence

from queuecast.domain.findings.data_findings import DataFinding, Severity
from queuecast.domain.model import Manifest
from queuecast.plurals import counted
from queuecast.ports.models import ModelRegistry
from worker.data_checks.check_bounds import BOUNDS
from worker.data_checks.column_findings import column_findings
from worker.data_checks.feature_columns import columns_of, sample_positions
from worker.data_checks.references import counted_names, read_reference
from worker.data_checks.repeated_rows import repeated_rows
from worker.data_checks.target_findings import moved_targets, repeated_findings
from worker.labelled.training_rows import TrainingRows


def file_findings(
    models: ModelRegistry, manifest: Manifest, rows: TrainingRows, target_names: Sequence[str]
) -> Iterator[DataFinding]:
    """manifest: of the version with whose reference the rows are compared."""
    version, reference = manifest.version, read_reference(models, manifest)
    if rows.n_rows < BOUNDS.few_rows:
        detail = f"the versions are scored on {counted(rows.n_rows, 'row')}, so the intervals are wide"
        yield DataFinding("few_rows", Severity.WARNING, detail, None, str(rows.n_rows), f"{BOUNDS.few_rows} or more")
    repeated = repeated_rows(rows.features, rows.target, are_classes=bool(manifest.classes))
    yield from repeated_findings(repeated, reference, f"the file of version {version}")
    at = sample_positions(rows.n_rows)
    yield from moved_targets(rows.target[at], target_names, reference, version)
    names = counted_names(manifest.signature)
    yield from column_findings(dict(columns_of(rows.features, names, at)), reference, version)
