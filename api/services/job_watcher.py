"""Waiting for a job to change without asking again and again: one subscription a process wakes whoever waits.

Its listener reads the jobs that have ended, all of one message together, and hands each to those who wait for its end.
Where it cannot, and for any other change, it only wakes them, and they look by themselves.

A waiter holds a thread, so they are counted: when too many wait, a further one is told so at once and polls instead.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

from api.services.concurrency import FairLimiter
from queuecast.domain.errors import WaitersFullError
from queuecast.domain.job import Job
from queuecast.logs import get_logger
from queuecast.ports.jobs import Change, JobStore

log = get_logger()

LOOK_EVERY_S = 10.0  # a message may be missed: by a subscription that broke, or before the listener has noticed that


def next_look_s() -> float:
    """How long to wait for word before looking all the same: not the same for all, or hundreds would look at once."""
    return random.uniform(LOOK_EVERY_S / 2, LOOK_EVERY_S)  # noqa: S311 - nothing secret


class _Flag:
    """An event for one waiter, taken down as he hears of it: a lock that is held until then.

    One of the standard library takes 4 us more of every request that waits.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:  # it is set already
            return

    def clear(self) -> None:
        self._lock.acquire(blocking=False)

    def wait(self, timeout_s: float) -> bool:
        return self._lock.acquire(timeout=max(0.0, timeout_s))


class Watch:
    """One waiter's place. Close it, or use it as a context: it is counted until then."""

    def __init__(self, waiting: "JobWatcher", job_id: str, *, hears_ends_only: bool) -> None:
        self.hears_ends_only = hears_ends_only
        self._waiting: JobWatcher | None = waiting
        self._jobs = waiting.jobs
        self._turnstile = waiting.turnstile
        self.job_id = job_id
        self._changed = _Flag()
        self._heard: tuple[Job, bytes | None] | None = None

    def tell(self, heard: tuple[Job, bytes | None] | None = None) -> None:
        """The job has changed. heard: as it was read since then, with its result, by whoever tells of it."""
        self._heard = heard
        self._changed.set()

    def look(self) -> tuple[Job, bytes | None]:
        """The job as it is now or was when its end was heard of, with its result.

        Raises UnknownJobError, GoneJobError or UnavailableError.
        """
        self._changed.clear()  # before the read: a change after it must wake us
        heard, self._heard = self._heard, None
        return heard or self._jobs.read_with_result(self.job_id)

    def wait(self, timeout_s: float) -> bool:
        """Until the job may have changed since the last look (True), or the time is up."""
        with self._turnstile.outside():
            return self._changed.wait(timeout_s)

    def close(self) -> None:
        """Safe to call twice."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.leave(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class JobWatcher:
    def __init__(self, jobs: JobStore, max_waiters: int, turnstile: FairLimiter) -> None:
        self.jobs = jobs
        self.turnstile = turnstile
        self._max_waiters = max_waiters
        self._lock = threading.Lock()
        # Tuples that are replaced and never changed: the listener reads them without the lock.
        self._watches: dict[str, tuple[Watch, ...]] = {}
        self._count = 0
        self._is_listening = False

    @property
    def count(self) -> int:
        """How many wait now."""
        return self._count

    def until_final(self, job_id: str, timeout_s: float) -> tuple[Job, bytes | None]:
        """The job as it is when it has ended, or when the time is up.

        Raises WaitersFullError when too many wait already, UnknownJobError when there is no such job.
        """
        with self.watch(job_id, hears_ends_only=True) as watch:
            return _awaited(watch, lambda job: job.is_final, timeout_s)

    def until(self, job_id: str, is_awaited: Callable[[Job], bool], timeout_s: float) -> tuple[Job, bytes | None]:
        """The job as it is when `is_awaited`, or when the time is up. Raises as `until_final`."""
        with self.watch(job_id) as watch:
            return _awaited(watch, is_awaited, timeout_s)

    def end_of(self, watch: Watch, timeout_s: float) -> tuple[Job, bytes | None]:
        """The same as `until_final`, for a place that was taken before the job was there: nothing was missed."""
        began = time.monotonic()
        watch.wait(min(timeout_s, next_look_s()))
        return _awaited(watch, lambda job: job.is_final, timeout_s - (time.monotonic() - began))

    def place_for(self, job_id: str, wait_s: float | None) -> AbstractContextManager[Watch | None]:
        """A place for the end of a job that is not there yet; None for who does not wait, or when too many do."""
        if wait_s is None:
            return nullcontext()
        try:
            return self.watch(job_id, hears_ends_only=True)
        except WaitersFullError:
            return nullcontext()

    def watch(self, job_id: str, *, hears_ends_only: bool = False) -> Watch:
        """A place among the waiters. Raises WaitersFullError when too many wait already."""
        watch = Watch(self, job_id, hears_ends_only=hears_ends_only)
        with self._lock:
            if self._count >= self._max_waiters:
                raise WaitersFullError(f"{self._count} requests wait already, which is the most; poll the job instead")
            if not self._is_listening:
                self._listen_beside()
            self._count += 1
            self._watches[job_id] = (*self._watches.get(job_id, ()), watch)
        return watch

    def _listen_beside(self) -> None:
        self._is_listening = True
        try:
            threading.Thread(target=self._listen, name="job-changes", daemon=True).start()
        except RuntimeError:  # no more threads for now; the next waiter tries again
            self._is_listening = False
            raise

    def leave(self, watch: Watch) -> None:
        with self._lock:
            self._count -= 1
            left = tuple(each for each in self._watches[watch.job_id] if each is not watch)
            if left:
                self._watches[watch.job_id] = left
            else:
                del self._watches[watch.job_id]

    def _listen(self) -> None:
        try:
            for changes in self.jobs.changes():
                self._tell(changes)
        except Exception:
            log.exception("changes_unheard")
        finally:
            self._is_listening = False  # the next waiter starts another; those who wait look by themselves

    def _tell(self, changes: list[Change]) -> None:
        """Every change of every job comes through here, so a job that nobody waits for costs one look-up.

        Results are held no longer than the call takes: it may be long until the next message.
        """
        ended: dict[str, list[Watch]] = {}
        for job_id, is_end in changes:
            if not job_id:
                self._wake_everybody()
            for watch in self._watches.get(job_id, ()):
                if not watch.hears_ends_only:
                    watch.tell()
                elif is_end:
                    ended.setdefault(job_id, []).append(watch)
        if ended:
            for watches, heard in zip(ended.values(), self._read(list(ended)), strict=True):
                for watch in watches:
                    watch.tell(heard)

    def _read(self, job_ids: list[str]) -> Sequence[tuple[Job, bytes | None] | None]:
        """In one round trip what each waiter would read in its own; None where it must look by itself."""
        try:
            return self.jobs.read_many_with_results(job_ids)
        except Exception:  # one record that cannot be read must not keep the others waiting
            log.exception("ends_unread")
            return [None] * len(job_ids)

    def _wake_everybody(self) -> None:
        """The connection is new and changes may have been missed, so everybody looks again."""
        with self._lock:
            watches = [watch for each in self._watches.values() for watch in each]
        for watch in watches:
            watch.tell()


def _awaited(watch: Watch, is_awaited: Callable[[Job], bool], timeout_s: float) -> tuple[Job, bytes | None]:
    deadline = time.monotonic() + timeout_s
    while True:
        job, result = watch.look()
        left_s = deadline - time.monotonic()
        if is_awaited(job) or left_s <= 0:
            return job, result
        watch.wait(min(left_s, next_look_s()))
