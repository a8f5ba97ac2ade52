"""The steps of a job through a store, as gateway, workers and reaper take them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from queuecast.domain.errors import Failure
from queuecast.domain.job import Job
from queuecast.ports.aliases import AliasStore
from queuecast.ports.jobs import JobFilter, JobStore
from queuecast.ports.lanes import Lanes, Reservation
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job, work_of

WORKER = "host:7"
LANE = a_job().lane
FAILURE = Failure("run_failed", "the estimator raised ValueError")
LOSS = Failure("worker_lost", "worker host:7 was silent for 30 s")
ENDS = ("succeeded", "failed", "canceled", "stopped", "expired", "dead letter")
"""The ways in which a job can end; see `ended`."""


@dataclass(frozen=True)
class Store:
    """Jobs, lanes and aliases of one store."""

    jobs: JobStore
    lanes: Lanes
    aliases: AliasStore


MakeStore = Callable[[int], Store]
"""max_lane_jobs -> an empty store."""


def stored(jobs: JobStore, job: Job | None = None) -> Job:
    job = (job or a_job()).accepted()
    jobs.create(job, work_of(job.type), b"[[1]]")
    return job


def taken(lanes: Lanes, limit: int = 1, worker: str = WORKER, lane: str = LANE) -> list[Reservation]:
    """The reservations of a worker that came because of a bell."""
    return lanes.reserve(lane, worker, limit, clears_bell=True)[0]


def claimed(jobs: JobStore, held: Reservation) -> Job:
    running = jobs.read(held.job_id).claimed(held.worker, NOW)
    jobs.replace(running, entry=held.entry)
    return running


def started(jobs: JobStore, lanes: Lanes, job: Job | None = None) -> tuple[Reservation, Job]:
    """A running job that was alone in its lane."""
    job = stored(jobs, job)
    (held,) = taken(lanes, lane=job.lane)
    return held, claimed(jobs, held)


def ended(jobs: JobStore, lanes: Lanes, end: str, job: Job | None = None) -> Job:
    """An ended job that was alone in its lane."""
    job = job or a_job()
    if end == "canceled":
        last = stored(jobs, job).cancel_requested(NOW, RETENTION_S)
        jobs.replace(last)
        return last
    if end == "expired":
        last = stored(jobs, job).expired(NOW, RETENTION_S)
        jobs.replace(last)
        return last
    held, running = started(jobs, lanes, job)
    if end == "stopped":
        running = running.cancel_requested(NOW, RETENTION_S)
        jobs.replace(running)
    last = {
        "succeeded": lambda: running.succeeded(NOW, RETENTION_S),
        "failed": lambda: running.failed(FAILURE, NOW, RETENTION_S),
        "stopped": lambda: running.stopped(NOW, RETENTION_S),
        "dead letter": lambda: dead(running),
    }[end]()
    jobs.replace(last, b'{"predictions":[1]}' if end == "succeeded" else None, held.entry)
    return last


def dead(running: Job) -> Job:
    """The job after it has lost its last attempt."""
    return replace(running, lost_attempts=running.max_attempts - 1).lost(LOSS, NOW, 0.0, RETENTION_S)


def changed_ids(jobs: JobStore) -> Iterator[str]:
    """The ids from `changes`, one by one."""
    for changes in jobs.changes():
        for change in changes:
            yield change.job_id


def listed_ids(jobs: JobStore, wanted: JobFilter, limit: int) -> list[str]:
    """The ids of all pages, in order."""
    found, cursor = [], None
    for _ in range(100):
        page = jobs.page(wanted, cursor, limit)
        assert len(page.jobs) <= limit
        found += [job.id for job in page.jobs]
        cursor = page.next_cursor
        if cursor is None:
            return found
    raise AssertionError("the pages do not end")
