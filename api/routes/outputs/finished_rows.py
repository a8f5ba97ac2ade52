"""`/v1/jobs/{id}/finished-rows`: the rows of a batch's finished chunks, also if the batch failed."""

from collections.abc import Iterator
from pathlib import Path

from flask import Response

from api.dependencies import Dependencies
from api.http.decoding import read_query
from api.openapi import error_groups, response_parts
from api.openapi.operations import Answer, operation
from api.routes.outputs.batch_results import FILE_CONTENT, MEDIA_TYPES, BatchResults, file_pieces
from api.schemas.requests import PartQuery
from api.services.callers_jobs import require_callers_job
from queuecast.domain.errors import ConflictError, InvalidInputError, NotAcceptableError, UnknownFileError
from queuecast.domain.file_formats import OutputFormat
from queuecast.domain.job import JobType
from queuecast.domain.work import BatchWork


class FinishedRowRoutes:
    """Read what a batch has done so far."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._jobs = dependencies.jobs
        self._batches = dependencies.batches
        self._results = BatchResults(dependencies.batches)

    @operation(
        "GET",
        "/v1/jobs/<job_id>/finished-rows",
        "jobs_finished_rows",
        parameters=(PartQuery,),
        answers={200: Answer("The finished rows.", FILE_CONTENT, (response_parts.CONTENT_DISPOSITION,))},
        refusals=(*error_groups.FINDING_A_JOB, InvalidInputError, ConflictError, NotAcceptableError, UnknownFileError),
    )
    def read(self, job_id: str) -> Response:
        """Read the rows that a batch has finished

        For a batch that failed, was canceled or still runs: the rows of its finished chunks, in the order of the input
        and in its `output_format`. `part` selects the rows of one chunk; a batch in Parquet needs it, because each part
        is a file of its own. A batch that succeeded has its result.
        """
        query = read_query(PartQuery)
        job, result = self._jobs.read_with_result(job_id)
        if require_callers_job(job).type is JobType.BATCH and result is not None:
            return self._results.file(job, result)
        work = self._jobs.read_work(job_id)[0] if job.type is JobType.BATCH else None
        if not isinstance(work, BatchWork):
            raise ConflictError(f"job {job_id} is a {job.type}, not a batch")
        parts = self._parts(job_id)
        if query.part is not None:
            if query.part >= len(parts):
                raise UnknownFileError(f"job {job_id} has {len(parts)} finished parts, counted from 0")
            parts = [parts[query.part]]
        elif work.output_format is OutputFormat.PARQUET:
            raise NotAcceptableError(
                f"the rows are in {len(parts)} Parquet files; send ?part=0 for the first one, or retry the batch: it "
                "takes over its finished chunks"
            )
        response = Response(_joined(parts, work.output_format), mimetype=MEDIA_TYPES[work.output_format])
        name = f"{job_id}-finished.{work.output_format}"
        response.headers["Content-Disposition"] = f"attachment; filename={name}"
        return response

    def _parts(self, job_id: str) -> list[Path]:
        """The files of the finished chunks; a part has its name only when it is complete."""
        plan = self._batches.plan(job_id)
        if plan is None:
            return []
        parts = (self._batches.part(job_id, plan.number, each.index) for each in plan.ranges)
        return [part for part in parts if part.exists()]


def _joined(parts: list[Path], output_format: OutputFormat) -> Iterator[bytes]:
    """As a worker joins them (`worker/batches/part_files.py`). A part without rows may be empty."""
    filled = [part for part in parts if part.stat().st_size]
    if output_format is OutputFormat.JSON:
        yield b"[\n" if filled else b"["
    for at, part in enumerate(filled):
        if at and output_format is OutputFormat.JSON:
            yield b",\n"
        yield from file_pieces(part, _header_size(part) if at and output_format is OutputFormat.CSV else 0)
    if output_format is OutputFormat.JSON:
        yield b"\n]\n" if filled else b"]\n"


def _header_size(part: Path) -> int:
    """The bytes of a CSV file's first line. A line break in quotes belongs to a name."""
    with part.open("rb") as file:
        size = quotes = 0
        for line in file:
            size += len(line)
            quotes += line.count(b'"')
            if quotes % 2 == 0:
                break
        return size
