"""`/v1/queues` and `/v1/dead-letters`: how the lanes and limits stand, and the jobs that nobody could run."""

from collections.abc import Callable

from flask import Blueprint, request
from msgspec.structs import replace

from api.documents import Documents
from api.http.decoding import decode_query
from api.http.json_response import JsonResponse
from api.http.rendering import accepted, job_body, json_response
from api.schemas.requests import LetterQuery
from api.schemas.responses import JobBody, JobList, LaneBody, LimitBody, Problem, QueuesBody
from api.services.submission import MAX_MEMORY_USE, Submission
from queuecast.domain.lane import Lane
from queuecast.ports.clock import Clock
from queuecast.ports.files import FileStore
from queuecast.ports.jobs import JobStore
from queuecast.ports.lanes import Lanes


def queues_blueprint(
    jobs: JobStore,
    lanes: Lanes,
    files: FileStore,
    submission: Submission,
    clock: Clock,
    documents: Documents,
    limits: dict[str, LimitBody],
    max_lane_jobs: int,
    waiters: Callable[[], int],
) -> Blueprint:
    """limits: those that are known beforehand, and how much of each is taken where that is not asked for.

    waiters: how many requests wait in this process now.
    """
    blueprint = Blueprint("queues", __name__, url_prefix="/v1")

    @blueprint.get("/queues")
    @documents.route(tag="queues", answers={200: QueuesBody, 503: Problem})
    def read() -> JsonResponse:
        """Read the lanes and the limits

        A lane without jobs is not listed. Every limit names the code of the error that it answers with.
        """
        now = clock()
        found = [
            LaneBody(
                each.lane,
                Lane.parse(each.lane).type,
                each.waiting,
                each.reserved,
                None if each.oldest_at is None else round(max(now - each.oldest_at, 0.0), 3),
                max_lane_jobs,
            )
            for each in lanes.stats()
        ]
        used, most = jobs.memory()
        longest = max((each.waiting + each.reserved for each in found), default=0)
        standing = limits | {
            "lane_jobs": LimitBody(longest, max_lane_jobs, "jobs", "lane_full"),
            "redis_memory": LimitBody(used, int(most * MAX_MEMORY_USE), "bytes", "store_full"),
            "waiters": replace(limits["waiters"], used=waiters()),
            "files": replace(limits["files"], used=files.size_bytes()),
        }
        return json_response(QueuesBody(found, standing, jobs.count_dead_letters(now)))

    @blueprint.get("/dead-letters")
    @documents.route(tag="queues", query=LetterQuery, answers={200: JobList, 422: Problem, 503: Problem})
    def letters() -> JsonResponse:
        """List the dead letters

        Jobs that failed because their attempts were used up, newest first: each may have ended its worker. They are
        kept seven times as long as other ended jobs.
        """
        query = decode_query(LetterQuery, request.args.to_dict())
        page = jobs.dead_letters(query.cursor, query.limit)
        return json_response(JobList([job_body(job) for job in page.jobs], page.next_cursor))

    @blueprint.post("/dead-letters/<job_id>/replay")
    @documents.route(tag="queues", answers={202: JobBody, 404: Problem, 409: Problem, 410: Problem, 503: Problem})
    def replay(job_id: str) -> JsonResponse:
        """Run a dead letter again

        A new job, as by retry; the letter is taken off the list, so of two that replay it at once one does (409).
        """
        return accepted(submission.retry(job_id, is_dead_letter=True))

    return blueprint
