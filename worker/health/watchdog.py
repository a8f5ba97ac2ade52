"""Ends a worker whose main loop hangs, so that its supervisor restarts it. An outage of Redis alone never ends it.

It is a thread, because a hanging loop cannot check itself. The main loop forks, so the thread must hold no lock that a
child could inherit: it sleeps and reads two numbers. Only when the loop has been silent for a while, and so forks
nothing, does it take the lock of its own connection, which no child uses. It takes the log's lock, which all threads
share, only as its last act.
"""

import os
import time
from collections.abc import Callable
from threading import Thread
from typing import Any

from queuecast.domain.errors import UnavailableError
from queuecast.logs import get_logger
from queuecast.ports.clock import Clock

log = get_logger()
QUIET_AFTER_S = 15.0  # seven heartbeats


def end_process(event: str, **fields: Any) -> None:
    """Logs and ends the process, whatever its main thread does.

    It uses `os._exit`, because any gentler way needs the main loop, or waits for running jobs, threads or Redis. The
    kernel ends the pool's children with their parent (PR_SET_PDEATHSIG); their leases run out and other workers run the
    jobs. The log gets a few seconds only: a log pipe that is full may be the reason why the main loop hangs.
    """
    writing = Thread(target=log.error, args=(event,), kwargs=fields, daemon=True)
    try:
        writing.start()
        writing.join(5.0)
    finally:
        os._exit(os.EX_SOFTWARE)


class Watchdog:
    """ping: raises UnavailableError when Redis does not respond. end: takes the log event and its fields.

    clock: monotonic seconds.
    """

    def __init__(self, ping: Callable[[], object], end: Callable[..., None], clock: Clock) -> None:
        self._ping = ping
        self._end = end
        self._clock = clock
        self._is_running: Callable[[], bool] = lambda: True
        self._beat_at = self._last_outage_at = self._checked_at = clock()

    def start(self, is_running: Callable[[], bool]) -> None:
        """is_running: False once the worker shuts down; then the loop may be silent until the last job has ended."""
        self._is_running = is_running
        Thread(target=self._watch, name="watchdog", daemon=True).start()

    def beat(self) -> None:
        """Notes that the main loop runs."""
        self._beat_at = self._clock()

    def check(self) -> None:
        """Ends the process if the main loop has been silent for long although Redis responded all that time."""
        now = self._clock()
        if now - self._checked_at > QUIET_AFTER_S:  # this thread did not run either: the whole process was paused
            self._last_outage_at = now
        if now - self._beat_at > QUIET_AFTER_S:
            self._end_if_hung()
        self._checked_at = self._clock()

    def _end_if_hung(self) -> None:
        try:
            self._ping()
        except UnavailableError:
            self._last_outage_at = self._clock()
            return
        silent_s = self._clock() - max(self._beat_at, self._last_outage_at)
        hung_after_s = 60.0  # Celery waits up to 30 s to connect again, and notices a dead connection within 50 s
        if silent_s > hung_after_s and self._is_running():
            self._end("worker_hung", silent_s=round(silent_s))

    def _watch(self) -> None:
        while True:
            time.sleep(5.0)
            self.check()
