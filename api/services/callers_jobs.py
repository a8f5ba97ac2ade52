"""Which jobs a caller may see and change: every job except a chunk and a shadow's job. Names no framework.

A chunk is a part of a batch, and its id can be guessed from the batch's.
"""

from queuecast.domain.errors import UnknownJobError
from queuecast.domain.job import Job, JobType


def is_callers_job(job: Job) -> bool:
    return job.parent is None and job.type is not JobType.CHUNK  # an earlier version made chunks without a parent


def require_callers_job(job: Job) -> Job:
    """Returns the job. Raises UnknownJobError for any other; call it before anything is done to the job."""
    if not is_callers_job(job):
        raise UnknownJobError(f"no job {job.id[:80]!r}; it is a part of another job")
    return job
