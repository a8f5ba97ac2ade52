"""Work on all jobs at once: the reaper prunes the index, and an operator's restore fills the lanes."""

import redis

from queuecast.adapters.job_codec import decode_job
from queuecast.adapters.redis import keys
from queuecast.adapters.redis.connection import call
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.adapters.redis.script_loader import Script
from queuecast.domain.job import State


class RedisJobMaintenance:
    IDS_PER_STEP = 2_000
    """About 1 ms of Redis."""
    STEPS = 5
    """For each call, that is once a minute; more while a step finds something to remove."""
    MAX_STEPS = 50
    """With them a call removes up to 1,700 ids a second, more than Redis accepts in new jobs."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._jobs = RedisJobs(client)
        self._prune_index = Script(client, "prune_index")
        self._requeue = Script(client, "requeue_restored_job")
        self._next_id = "-"

    def drop_past_retention(self, now: float) -> None:
        """Removes the ids of jobs past their retention from the index. Continues where the last call stopped.

        Each submit removes up to two, but only from the front, where a long-lived job can hold up all the others.
        """
        call(self._redis.zremrangebyscore, keys.DEAD, "-inf", now)
        for step in range(1, self.MAX_STEPS + 1):
            last, removed = call(self._prune_index, first=self._next_id, limit=self.IDS_PER_STEP)
            self._next_id = f"({last.decode()}" if last else "-"
            if not last or (step >= self.STEPS and not removed):
                return

    def requeue_all(self, now: float, retention_s: float) -> int:
        """Puts every job that has not ended back into its lane, running ones included. Safe to call twice.

        Returns how many it put there. The reaper rings for the lanes.
        """
        count = 0
        for raw_id in call(self._redis.zrangebylex, keys.JOBS, "-", "+"):
            job_id = raw_id.decode()
            record = call(self._redis.hget, f"{keys.JOB}{job_id}", "record")
            job = None if record is None else decode_job(record)
            if job is None or job.is_fanned_out:  # the reaper makes the chunks of a fanned-out job again
                continue
            if job.state in (State.RUNNING, State.CANCELING):
                self._jobs.replace(job.handed_back(now, retention_s))
                count += job.state is State.RUNNING
            else:
                count += call(self._requeue, id=job_id)
        return count
