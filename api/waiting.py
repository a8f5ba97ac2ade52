"""Waiting for a job to end without asking again and again: one subscription a process wakes whoever waits.

A waiter holds a thread, so they are counted: when too many wait, a further one is told so at once and polls instead.
"""

import threading
import time
from collections import defaultdict

from queuecast.domain.errors import WaitersFullError
from queuecast.domain.job import Job
from queuecast.ports import JobStore


class Waiting:
    def __init__(self, jobs: JobStore, max_waiters: int) -> None:
        self._jobs = jobs
        self._max_waiters = max_waiters
        self._lock = threading.Lock()
        self._waiters: defaultdict[str, set[threading.Event]] = defaultdict(set)
        self._count = 0
        self._is_listening = False

    def until_final(self, job_id: str, timeout_s: float) -> tuple[Job, bytes | None]:
        """The job as it is when it has ended, or when the time is up.

        Raises WaitersFullError when too many wait already, UnknownJobError when there is no such job.
        """
        deadline = time.monotonic() + timeout_s
        changed = self._enter(job_id)
        try:
            while True:
                changed.clear()  # before the read: a change after it must wake us
                job, result = self._jobs.read_with_result(job_id)
                left_s = deadline - time.monotonic()
                if job.is_final or left_s <= 0:
                    return job, result
                changed.wait(left_s)
        finally:
            self._leave(job_id, changed)

    def _enter(self, job_id: str) -> threading.Event:
        changed = threading.Event()
        with self._lock:
            if self._count >= self._max_waiters:
                raise WaitersFullError(f"{self._count} requests wait already, which is the most; poll the job instead")
            self._count += 1
            self._waiters[job_id].add(changed)
            if not self._is_listening:
                self._is_listening = True
                threading.Thread(target=self._listen, name="job-changes", daemon=True).start()
        return changed

    def _leave(self, job_id: str, changed: threading.Event) -> None:
        with self._lock:
            self._count -= 1
            self._waiters[job_id].discard(changed)
            if not self._waiters[job_id]:
                del self._waiters[job_id]

    def _listen(self) -> None:
        for job_id in self._jobs.changes():
            with self._lock:
                # An empty id: the connection is new and changes may have been missed, so everybody looks again.
                woken = self._waiters.get(job_id, set()) if job_id else set().union(*self._waiters.values())
                for event in woken:
                    event.set()
