"""Ends a worker whose main loop hangs, so that its supervisor starts it again. It never does because Redis is away.

A thread, because a loop that hangs cannot look at itself. It is safe beside the main loop's forks: it sleeps and
reads two numbers. Only when the loop has been silent for a while, which is when nothing is forked, does it take a lock:
that of its own connection, which no child uses. It writes to the log, whose lock all share, only as the last act.
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
LOOK_EVERY_S = 5.0
QUIET_AFTER_S = 15.0  # seven heartbeats
HUNG_AFTER_S = 60.0  # Celery pauses up to 30 s between its tries to connect, and finds a dead connection within 50 s
LOG_WAIT_S = 5.0
EXIT_CODE = 70  # EX_SOFTWARE


def end_process(event: str, **fields: Any) -> None:
    """Logs and ends the process, whatever its main thread does.

    `os._exit`, because everything gentler asks the main loop, or waits for running jobs, for threads or for Redis. The
    kernel ends the pool's children with their parent (PR_SET_PDEATHSIG); their leases run out and the jobs run
    elsewhere. The log gets a moment only: that nobody reads it may be what the main loop hangs in.
    """
    telling = Thread(target=log.error, args=(event,), kwargs=fields, daemon=True)
    try:
        telling.start()
        telling.join(LOG_WAIT_S)
    finally:
        os._exit(EXIT_CODE)


class Watchdog:
    """ping: raises UnavailableError when Redis does not answer. end: is told the event and its fields.

    clock: monotonic seconds.
    """

    def __init__(self, ping: Callable[[], object], end: Callable[..., None], clock: Clock) -> None:
        self._ping = ping
        self._end = end
        self._clock = clock
        self._is_running: Callable[[], bool] = lambda: True
        self._beat_at = self._excused_at = self._looked_at = clock()

    def start(self, is_running: Callable[[], bool]) -> None:
        """is_running: False once the worker stops; then it may be silent for as long as its last job takes."""
        self._is_running = is_running
        Thread(target=self._watch, name="watchdog", daemon=True).start()

    def beat(self) -> None:
        """The main loop runs."""
        self._beat_at = self._clock()

    def look(self) -> None:
        """Ends the process if the main loop has been silent for long and all that time Redis has answered."""
        now = self._clock()
        if now - self._looked_at > QUIET_AFTER_S:  # this thread slept too: the whole process was paused
            self._excused_at = now
        if now - self._beat_at > QUIET_AFTER_S:
            self._judge()
        self._looked_at = self._clock()

    def _judge(self) -> None:
        try:
            self._ping()
        except UnavailableError:
            self._excused_at = self._clock()
            return
        silent_s = self._clock() - max(self._beat_at, self._excused_at)
        if silent_s > HUNG_AFTER_S and self._is_running():
            self._end("worker_hung", silent_s=round(silent_s))

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_EVERY_S)
            self.look()
