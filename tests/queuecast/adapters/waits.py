"""Waits for a state with a deadline, and threads that start at the same time."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
DEADLINE_S = 10.0


def until(question: Callable[[], T], deadline_s: float = DEADLINE_S) -> T:
    """Returns the first true answer; fails at the deadline."""
    pause, end = threading.Event(), time.monotonic() + deadline_s
    while time.monotonic() < end:
        if answer := question():
            return answer
        pause.wait(0.01)
    raise AssertionError(f"not within {deadline_s} s")


def at_once(calls: list[Callable[[], T]]) -> list[T | Exception]:
    """Runs the calls in threads that start at the same time. Returns the result or the exception of each."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T | Exception:
        barrier.wait(DEADLINE_S)
        try:
            return call()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


class Listener:
    """Collects the items of an endless iterator in a thread that ends at the first item after `stop`."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self._found: SimpleQueue[Any] = SimpleQueue()
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, args=(iterator,), daemon=True)
        self._thread.start()

    def _listen(self, iterator: Iterator[Any]) -> None:
        for item in iterator:
            if self._is_stopping.is_set():
                return
            self._found.put(item)

    def next(self, deadline_s: float = DEADLINE_S) -> Any:
        """Returns the next item; fails at the deadline."""
        return self._found.get(timeout=deadline_s)

    def stop(self, wake: Callable[[], object]) -> None:
        """wake: must make the iterator yield one more item."""
        self._is_stopping.set()
        wake()
        self._thread.join(DEADLINE_S)
