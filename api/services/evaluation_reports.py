"""Puts the report of an evaluation together: from the job's result and from the facts that its worker kept."""

import msgspec

from queuecast.domain.errors import ConflictError
from queuecast.domain.job import Job
from queuecast.domain.reports import EvaluationFacts, EvaluationOutcome, EvaluationReport
from queuecast.ports.batches import BatchFiles


class EvaluationReports:
    def __init__(self, files: BatchFiles) -> None:
        self._files = files

    def of(self, job: Job, result: bytes | None) -> EvaluationReport:
        """result: the job's, as JSON. Without facts, the report of an evaluation before evaluations had reports.

        Raises ConflictError for a job that has no result yet.
        """
        if result is None:
            raise ConflictError(f"job {job.id} is {job.state}; an evaluation has a report once it has succeeded")
        outcome = msgspec.json.decode(result, type=EvaluationOutcome)
        return EvaluationReport(job.id, job.finished_at or job.created_at, outcome, self._facts(job))

    def _facts(self, job: Job) -> EvaluationFacts:
        try:
            content = self._files.report(job.id).read_bytes()
        except FileNotFoundError:
            return EvaluationFacts()
        return msgspec.json.decode(content, type=EvaluationFacts)
