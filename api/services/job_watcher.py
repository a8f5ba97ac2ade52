"""Waits for a job to change without polling: one subscription per process wakes every waiter.

The listener reads all jobs that one message reports as ended in one round trip, and gives each to the waiters for its
end. If that read fails, and for every other change, it only wakes the waiters, and each reads the job itself.

A waiter holds a thread, so waiters are counted. A request over the limit is refused at once, and its caller polls.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

from api.services.callers_jobs import require_callers_job
from api.services.concurrency import FairLimiter
from queuecast.domain.errors import WaitersFullError
from queuecast.domain.job import Job
from queuecast.logs import get_logger
from queuecast.ports.jobs import Change, JobStore

log = get_logger()

MAX_POLL_S = 10.0  # a notification is lost when the subscription breaks

JobAndResult = tuple[Job, bytes | None]


def next_poll_s() -> float:
    """How long a waiter sleeps before it reads the job without a notification.

    The times are random, so that hundreds of waiters do not read at once.
    """
    return random.uniform(MAX_POLL_S / 2, MAX_POLL_S)  # noqa: S311 - nothing secret


class _Flag:
    """A `threading.Event` for one waiter, 4 us cheaper for each request that waits (docs/performance.md)."""

    __slots__ = ("_is_down",)

    def __init__(self) -> None:
        self._is_down = threading.Lock()  # held while the flag is down
        self._is_down.acquire()

    def set(self) -> None:
        try:
            self._is_down.release()
        except RuntimeError:  # it is set already
            return

    def clear(self) -> None:
        self._is_down.acquire(blocking=False)

    def wait(self, timeout_s: float) -> bool:
        """Whether the flag is set within that time. Clears it."""
        return self._is_down.acquire(timeout=max(0.0, timeout_s))


class Watch:
    """One registered waiter. It counts until it is closed; use it as a context manager."""

    def __init__(self, watcher: "JobWatcher", job_id: str, *, final_only: bool) -> None:
        self.final_only = final_only
        self._watcher: JobWatcher | None = watcher
        self._jobs = watcher.jobs
        self._limiter = watcher.limiter
        self.job_id = job_id
        self._changed = _Flag()
        self._latest: JobAndResult | None = None

    def notify(self, latest: JobAndResult | None = None) -> None:
        """Wakes the waiter. latest: the job and its result, where the listener has read them after the change."""
        self._latest = latest
        self._changed.set()

    def read(self) -> JobAndResult:
        """The job and its result: those of the last notification, or else read from the store.

        Raises UnknownJobError, GoneJobError or UnavailableError.
        """
        self._changed.clear()  # before the read: a change after it must wake us
        latest, self._latest = self._latest, None
        job, result = latest or self._jobs.read_with_result(self.job_id)
        return require_callers_job(job), result

    def wait(self, timeout_s: float) -> bool:
        """Blocks until the job may have changed since the last read (True) or the time is up."""
        with self._limiter.released():
            return self._changed.wait(timeout_s)

    def close(self) -> None:
        """Safe to call twice."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class JobWatcher:
    def __init__(self, jobs: JobStore, max_waiters: int, limiter: FairLimiter) -> None:
        self.jobs = jobs
        self.limiter = limiter
        self._max_waiters = max_waiters
        self._lock = threading.Lock()
        # The tuples are replaced and never changed: the listener reads them without the lock.
        self._watches: dict[str, tuple[Watch, ...]] = {}
        self._count = 0
        self._is_listening = False

    @property
    def count(self) -> int:
        """How many requests are waiting now."""
        return self._count

    def wait_until_final(self, job_id: str, timeout_s: float) -> JobAndResult:
        """The job at its end, or as it is when the time is up.

        Raises WaitersFullError when too many requests are waiting, UnknownJobError when there is no such job.
        """
        with self.watch(job_id, final_only=True) as watch:
            return _wait(watch, _is_final, timeout_s)

    def wait_for(self, job_id: str, condition: Callable[[Job], bool], timeout_s: float) -> JobAndResult:
        """The job once `condition` holds, or as it is when the time is up. Raises as `wait_until_final`."""
        with self.watch(job_id) as watch:
            return _wait(watch, condition, timeout_s)

    def wait_from_submit(self, watch: Watch, timeout_s: float) -> JobAndResult:
        """As `wait_until_final`, for a watch from `reserve`: it sleeps first, because the job has just been queued."""
        started = time.monotonic()
        watch.wait(min(timeout_s, next_poll_s()))
        return _wait(watch, _is_final, timeout_s - (time.monotonic() - started))

    def reserve(self, job_id: str, wait_s: float | None) -> AbstractContextManager[Watch | None]:
        """A watch for a job that is not created yet, so that its end cannot be missed.

        The context is None if the caller does not wait or too many requests are waiting.
        """
        if wait_s is None:
            return nullcontext()
        try:
            return self.watch(job_id, final_only=True)
        except WaitersFullError:
            return nullcontext()

    def watch(self, job_id: str, *, final_only: bool = False) -> Watch:
        """Registers a waiter. Raises WaitersFullError when too many requests are waiting."""
        watch = Watch(self, job_id, final_only=final_only)
        with self._lock:
            if self._count >= self._max_waiters:
                raise WaitersFullError(f"{self._count} requests are waiting, which is the limit; poll the job instead")
            if not self._is_listening:
                self._start_listener()
            self._count += 1
            self._watches[job_id] = (*self._watches.get(job_id, ()), watch)
        return watch

    def remove(self, watch: Watch) -> None:
        with self._lock:
            self._count -= 1
            remaining = tuple(other for other in self._watches[watch.job_id] if other is not watch)
            if remaining:
                self._watches[watch.job_id] = remaining
            else:
                del self._watches[watch.job_id]

    def _start_listener(self) -> None:
        self._is_listening = True
        try:
            threading.Thread(target=self._listen, name="job-changes", daemon=True).start()
        except RuntimeError:  # the system has no thread to spare; the next waiter tries again
            self._is_listening = False
            raise

    def _listen(self) -> None:
        try:
            for changes in self.jobs.changes():
                self._notify_waiters(changes)
        except Exception:
            log.exception("change_listener_failed")
        finally:
            self._is_listening = False  # the next waiter starts a listener; the present ones poll

    def _notify_waiters(self, changes: list[Change]) -> None:
        """Sees every change of every job, so a job without waiters costs one dictionary lookup.

        Results are not kept after the call: the next message may be long in coming.
        """
        ended: dict[str, list[Watch]] = {}
        for job_id, is_end in changes:
            if not job_id:
                self._notify_all()
            for watch in self._watches.get(job_id, ()):
                if not watch.final_only:
                    watch.notify()
                elif is_end:
                    ended.setdefault(job_id, []).append(watch)
        if ended:
            for watches, latest in zip(ended.values(), self._read_many(list(ended)), strict=True):
                for watch in watches:
                    watch.notify(latest)

    def _read_many(self, job_ids: list[str]) -> Sequence[JobAndResult | None]:
        """Reads in one round trip, instead of one for each waiter; None where the waiter must read itself."""
        try:
            return self.jobs.read_many_with_results(job_ids)
        except Exception:  # one unreadable record must not hold up the waiters for the other jobs
            log.exception("result_prefetch_failed")
            return [None] * len(job_ids)

    def _notify_all(self) -> None:
        """Called after a reconnect: changes may have been missed, so every waiter reads its job again."""
        with self._lock:
            watches = [watch for of_job in self._watches.values() for watch in of_job]
        for watch in watches:
            watch.notify()


def _is_final(job: Job) -> bool:
    return job.is_final


def _wait(watch: Watch, condition: Callable[[Job], bool], timeout_s: float) -> JobAndResult:
    deadline = time.monotonic() + timeout_s
    while True:
        job, result = watch.read()
        remaining_s = deadline - time.monotonic()
        if condition(job) or remaining_s <= 0:
            return job, result
        watch.wait(min(remaining_s, next_poll_s()))
