"""The one loop that changes a job's record: read it, decide on the next revision, write that, retry if it is stale."""

from collections.abc import Callable

from queuecast.domain.errors import JobStoppedError, StaleWriteError, UnknownJobError
from queuecast.domain.job import Job, State
from queuecast.ports.doorbell import Doorbell
from queuecast.ports.jobs import JobStore

Decide = Callable[[Job], Job | None]
"""Takes the job as it is stored; returns its next revision, or None to leave it unchanged."""


def update_job(
    jobs: JobStore,
    doorbell: Doorbell,
    job_id: str,
    decide: Decide,
    *,
    entry: str | None = None,
    result: bytes | None = None,
) -> Job | None:
    """The revision that was written, and a ring for its lane if the lane needs one.

    None when nothing was written: `decide` returned None, the record is gone, or the job is no longer in its lane under
    `entry`. `result` is stored if the job succeeded. Raises UnavailableError, and whatever `decide` raises.
    """
    while True:
        try:
            updated = decide(jobs.read(job_id))
            if updated is not None and jobs.replace(updated, result_of(updated, result), entry=entry):
                doorbell.ring(updated.lane)
        except StaleWriteError:
            continue
        except (UnknownJobError, JobStoppedError):
            return None
        return updated


def result_of(job: Job, result: bytes | None) -> bytes | None:
    """The result to store with that revision: a job that did not succeed has none."""
    return result if job.state is State.SUCCEEDED else None
