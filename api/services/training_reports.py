"""Puts the report of a training together: from the job's result and from the files of the version that it made."""

import msgspec

from queuecast.domain.errors import (
    ConflictError,
    GoneVersionError,
    UnknownReportError,
    UnknownVersionError,
)
from queuecast.domain.gate import EVALUATION_FILE, Evaluation
from queuecast.domain.job import Job
from queuecast.domain.model import Manifest
from queuecast.domain.reports import REPORT_FILE, ReportedVersion, TrainingFacts, TrainingReport
from queuecast.ports.models import ModelRegistry


class _Outcome(msgspec.Struct):
    """The part of a training's result that no file of the version has, because it happened later."""

    version: int
    promoted: bool
    reason: str


class TrainingReports:
    def __init__(self, models: ModelRegistry) -> None:
        self._models = models

    def of(self, job: Job, result: bytes | None) -> TrainingReport:
        """result: the job's, as JSON.

        Raises ConflictError for a job that has no result yet, GoneVersionError if its version was deleted, and
        UnknownReportError if the version was made before trainings had reports.
        """
        if result is None:
            raise ConflictError(f"job {job.id} is {job.state}; a training has a report once it has succeeded")
        outcome = msgspec.json.decode(result, type=_Outcome)
        manifest = self._models.manifest(job.model.name, outcome.version)
        if manifest.lineage is None:
            raise _without_report(manifest)
        return TrainingReport(
            model=manifest.model,
            job_id=job.id,
            created_at=manifest.created_at,
            target=manifest.target,
            versions=(*self._champion(manifest, manifest.lineage.parent_version), _version("challenger", manifest)),
            promoted=outcome.promoted,
            reason=outcome.reason,
            evaluation=msgspec.json.decode(self._read(manifest, EVALUATION_FILE), type=Evaluation),
            facts=msgspec.json.decode(self._read(manifest, REPORT_FILE), type=TrainingFacts),
            lineage=manifest.lineage,
        )

    def _champion(self, challenger: Manifest, version: int) -> tuple[ReportedVersion, ...]:
        """Empty if the champion of that time was deleted."""
        try:
            return (_version("champion", self._models.manifest(challenger.model, version)),)
        except UnknownVersionError:
            return ()

    def _read(self, manifest: Manifest, name: str) -> bytes:
        try:
            return self._models.file(manifest.model, manifest.version, name)
        except GoneVersionError:
            raise
        except UnknownVersionError:
            raise _without_report(manifest) from None


def _version(role: str, manifest: Manifest) -> ReportedVersion:
    return ReportedVersion(
        role,
        manifest.version,
        manifest.estimator,
        manifest.created_at,
        manifest.sha256,
        manifest.environment,
        manifest.description,
    )


def _without_report(manifest: Manifest) -> UnknownReportError:
    return UnknownReportError(
        f"version {manifest.version} of {manifest.model} has no report: it was made before trainings had reports"
    )
