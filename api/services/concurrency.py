"""Bounds how many requests are worked on at once, first come, first served. Names no framework.

Only one thread holds the GIL, and of hundreds that are ready the interpreter picks any: with 400 connections that
submit, the p99 was 1.1 s instead of 0.35 s (576 threads, two cores, 2026-11-21; 64 threads give 0.35 s too). A
semaphore of the standard library does not help: a newcomer takes the slot of the thread that is being woken.
"""

import threading
from collections import deque
from typing import ClassVar


class FairLimiter:
    """Safe to share between threads. A thread holds one slot at most."""

    MAX_WAIT_S: ClassVar[float] = 1.0
    """Slow bodies or a slow store may hold every slot; after this time a request runs without one."""

    def __init__(self, slots: int) -> None:
        self._lock = threading.Lock()
        self._free = slots
        self._queue: deque[threading.Lock] = deque()
        self._thread = threading.local()
        self._slot = _Slot(self)

    def slot(self) -> "_Slot":
        """Acquires a slot, waiting `MAX_WAIT_S` at most; after that, runs without one."""
        return self._slot

    def released(self) -> "_Released":
        """Releases the slot of this thread, if it has one, and acquires one again at the end."""
        return _Released(self)

    def acquire(self) -> None:
        turn = threading.Lock()
        with self._lock:
            is_free = self._free > 0
            if is_free:
                self._free -= 1
            else:
                turn.acquire()
                self._queue.append(turn)
        self._thread.has_slot = is_free or self._wait_for(turn)

    def _wait_for(self, turn: threading.Lock) -> bool:
        if turn.acquire(timeout=self.MAX_WAIT_S):
            return True
        with self._lock:
            if turn in self._queue:
                self._queue.remove(turn)
                return False
        return True  # the slot was handed over after the timeout

    def release(self) -> bool:
        """Returns whether this thread had a slot."""
        has_slot: bool = getattr(self._thread, "has_slot", False)
        if has_slot:
            self._thread.has_slot = False
            with self._lock:
                if self._queue:
                    self._queue.popleft().release()  # handed over directly, so that no newcomer can take it
                else:
                    self._free += 1
        return has_slot


class _Slot:
    """A class, because every request uses it and a generator-based context costs several times as much."""

    __slots__ = ("_limiter",)

    def __init__(self, limiter: FairLimiter) -> None:
        self._limiter = limiter

    def __enter__(self) -> None:
        self._limiter.acquire()

    def __exit__(self, *_: object) -> None:
        self._limiter.release()


class _Released:
    __slots__ = ("_had_slot", "_limiter")

    def __init__(self, limiter: FairLimiter) -> None:
        self._limiter = limiter

    def __enter__(self) -> None:
        self._had_slot = self._limiter.release()

    def __exit__(self, *_: object) -> None:
        if self._had_slot:
            self._limiter.acquire()
