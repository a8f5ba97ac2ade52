"""`/v1/queues` and `/v1/dead-letters`: the lanes, the limits, and the jobs that used up their attempts."""

from api.dependencies import Dependencies
from api.http.decoding import MAX_OBJECT_BYTES, read_query
from api.http.json_response import JsonResponse
from api.http.rendering import job_list, json_response
from api.http.request_headers import require_revision
from api.openapi import error_groups
from api.openapi.operations import json_answer, operation, submit_answers
from api.routes.submit_answers import answer_submit
from api.schemas.headers import RunAgainHeaders
from api.schemas.jobs import Job, JobList
from api.schemas.requests import DeadLetterQuery, LaneQuery
from api.schemas.responses import LaneStatus, LimitStatus, Queues
from api.services.submission import MAX_MEMORY_USE
from api.services.submit_options import Submitted
from queuecast.domain.errors import InvalidInputError, UnavailableError
from queuecast.domain.lane import Lane
from queuecast.logs import get_logger
from queuecast.ports.lanes import LaneStats

log = get_logger()


class QueueRoutes:
    """See the lanes and the limits, and run dead letters again."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._jobs = dependencies.jobs
        self._lanes = dependencies.lanes
        self._files = dependencies.files
        self._submission = dependencies.submission
        self._watcher = dependencies.watcher
        self._clock = dependencies.clock
        self._limits = dependencies.limits

    @operation(
        "GET",
        "/v1/queues",
        "queues_read",
        parameters=(LaneQuery,),
        answers={200: json_answer("The lanes and the limits.", Queues)},
        refusals=(InvalidInputError, UnavailableError),
    )
    def read(self) -> JsonResponse:
        """Read the lanes and the limits

        The lanes by name, without empty ones; every page has the limits. Each limit names the code of the error that a
        request gets once it is reached.
        """
        query = read_query(LaneQuery)
        now = self._clock()
        statuses = [self._lane_status(stats, now) for stats in self._lanes.stats()]
        lanes = [status for status in statuses if status is not None]
        longest = max((lane.waiting + lane.reserved for lane in lanes), default=0)
        rest = [lane for lane in lanes if query.cursor is None or lane.lane > query.cursor]
        page = rest[: query.limit]
        cursor = page[-1].lane if len(rest) > len(page) else None
        return json_response(Queues(page, self._limit_statuses(longest), self._jobs.count_dead_letters(now), cursor))

    @operation(
        "GET",
        "/v1/dead-letters",
        "queues_letters",
        parameters=(DeadLetterQuery,),
        answers={200: json_answer("A page of jobs.", JobList)},
        refusals=(InvalidInputError, UnavailableError),
    )
    def dead_letters(self) -> JsonResponse:
        """List the dead letters

        Jobs that failed because their attempts were used up, newest first; each of them may have ended its worker. They
        are kept seven times as long as other ended jobs.
        """
        query = read_query(DeadLetterQuery)
        page = self._jobs.dead_letters(query.cursor, query.limit)
        return job_list(page)

    @operation(
        "POST",
        "/v1/dead-letters/<job_id>/replay",
        "queues_replay",
        parameters=(RunAgainHeaders,),
        answers=submit_answers(Job, takes_key=False),
        refusals=error_groups.RUNNING_AGAIN,
    )
    def replay(self, job_id: str) -> JsonResponse:
        """Run a dead letter again

        Creates a new job, as a retry does, and takes the dead letter off the list. If two requests replay it at the
        same time, one of them gets 409.
        """
        return answer_submit(
            Submitted(self._submission.retry(job_id, require_revision, is_dead_letter=True)), self._watcher
        )

    def _lane_status(self, stats: LaneStats, now: float) -> LaneStatus | None:
        """None for the lane of a later version whose type of job this version does not know."""
        try:
            job_type = Lane.of_name(stats.lane).type
        except ValueError as error:
            log.warning("lane_left_out", lane=stats.lane, reason=str(error))
            return None
        oldest_wait_s = None if stats.oldest_at is None else round(max(now - stats.oldest_at, 0.0), 3)
        max_jobs = self._limits.max_lane_jobs
        return LaneStatus(stats.lane, job_type, stats.waiting, stats.reserved, oldest_wait_s, max_jobs)

    def _limit_statuses(self, longest_lane: int) -> dict[str, LimitStatus]:
        """`used` is None for the limits of a single request or result."""
        limits = self._limits
        redis_used, redis_memory = self._jobs.memory()
        return {
            "body": LimitStatus(None, limits.max_body_bytes, "bytes", "too_large"),
            "upload": LimitStatus(None, limits.max_upload_bytes, "bytes", "too_large"),
            "metadata": LimitStatus(None, MAX_OBJECT_BYTES, "bytes", "invalid_input"),
            "params": LimitStatus(None, MAX_OBJECT_BYTES, "bytes", "invalid_input"),
            "rows": LimitStatus(None, limits.max_rows, "rows", "invalid_input"),
            "result": LimitStatus(None, limits.max_result_bytes, "bytes", "result_too_large"),
            "waiters": LimitStatus(self._watcher.count, limits.max_waiters, "requests", "too_many_waiters"),
            "files": LimitStatus(self._files.size_bytes(), limits.max_files_bytes, "bytes", "files_full"),
            "lane_jobs": LimitStatus(longest_lane, limits.max_lane_jobs, "jobs", "lane_full"),
            "redis_memory": LimitStatus(redis_used, int(redis_memory * MAX_MEMORY_USE), "bytes", "store_full"),
        }
