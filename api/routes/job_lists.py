"""`/v1/jobs`: the jobs that fit a query."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from api.dependencies import Dependencies
from api.http.decoding import read_query
from api.http.json_response import JsonResponse
from api.http.rendering import job_list
from api.openapi.operations import json_answer, operation
from api.schemas.jobs import JobList
from api.schemas.requests import JobQuery
from queuecast.domain.errors import InvalidInputError, UnavailableError, mismatch, shortened
from queuecast.ports.jobs import JobFilter


class JobListRoutes:
    """List jobs."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._jobs = dependencies.jobs

    @operation(
        "GET",
        "/v1/jobs",
        "jobs_page",
        parameters=(JobQuery,),
        answers={200: json_answer("A page of jobs.", JobList)},
        refusals=(InvalidInputError, UnavailableError),
    )
    def page(self) -> JsonResponse:
        """List jobs

        Newest first, without results. A page may have fewer jobs than `limit`; there are more as long as it has a
        `next_cursor`.
        """
        query = read_query(JobQuery)
        created_after, metadata = _seconds(query.created_after), _object(query.metadata)
        job_filter = JobFilter(query.type, query.state, query.model, query.version, created_after, metadata)
        page = self._jobs.page(job_filter, query.cursor, query.limit)
        return job_list(page)


def _seconds(time: str | None) -> float | None:
    if time is None:
        return None
    try:
        parsed = datetime.fromisoformat(time)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        expected = "an RFC 3339 time such as 2026-01-31T12:00:00Z"
        finding = mismatch("/created_after", "invalid", repr(time[:40]), expected)
        raise InvalidInputError(finding.detail, (finding,)) from None


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        finding = mismatch("/metadata", "invalid", repr(shortened(text)), 'a JSON object such as {"run": "nightly"}')
        raise InvalidInputError(finding.detail, (finding,)) from None
