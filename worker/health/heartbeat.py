"""A worker reports itself, checks that it consumes messages, and ends itself when it no longer does.

A worker that is up and consumes nothing is the classic fault of a queue. So the main process checks at each heartbeat
whether messages wait while it is idle. While none do, it touches its health file, whose age is the container's health
check. Once they have waited for half a minute it exits, because Docker restarts a container that exits and not one that
is unhealthy. A main loop that hangs cannot check itself; the watchdog does.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from celery import bootsteps, signals
from celery.worker import state

from queuecast.domain.errors import UnavailableError
from queuecast.logs import get_logger
from queuecast.ports.clock import Clock
from queuecast.ports.workers import WorkerList
from worker.health.watchdog import Watchdog, end_process

log = get_logger()


class WorkerHeartbeat:
    """Runs in the worker's main process, on Celery's signals."""

    def __init__(
        self,
        workers: WorkerList,
        lists_of: Callable[[str], Sequence[str]],
        health_file: str,
        ping: Callable[[], object],
        end: Callable[..., None] = end_process,
        clock: Clock = time.monotonic,
    ) -> None:
        """lists_of: the Redis lists of a queue. A message waits in the list of its urgency.

        ping: pings Redis for the watchdog, on a connection of its own.
        """
        self._workers = workers
        self._lists_of = lists_of
        self._health_file = Path(health_file) if health_file else None
        self._end = end
        self._clock = clock
        self._name = ""
        self._queues: tuple[str, ...] = ()
        self._lists: list[str] = []
        self._processes = 1
        self._is_running: Callable[[], bool] = lambda: True
        self._last_sign_at = self._beat_at = clock()
        self._watchdog = Watchdog(ping, end, clock)

    def connect(self) -> None:
        """Connects to Celery's signals. Call it before Celery starts."""
        signals.worker_ready.connect(self._on_ready, weak=False)
        signals.task_received.connect(self._on_taken, weak=False)
        signals.heartbeat_sent.connect(self._on_heartbeat, weak=False)
        signals.worker_shutdown.connect(self._on_shutdown, weak=False)

    def _on_ready(self, sender: Any = None, **_: Any) -> None:
        worker = sender.controller
        self._name = worker.hostname
        self._queues = tuple(worker.app.amqp.queues.consume_from)
        self._lists = [name for queue in self._queues for name in self._lists_of(queue)]
        self._processes = worker.concurrency
        self._is_running = lambda: bool(worker.blueprint.state == bootsteps.RUN)  # type: ignore[attr-defined] # no stub
        self._on_heartbeat()
        self._watchdog.start(self._is_running)

    def _on_taken(self, **_: Any) -> None:
        self._last_sign_at = self._clock()

    def _on_heartbeat(self, **_: Any) -> None:
        if not self._name:
            return
        self._watchdog.beat()
        now = self._clock()
        if now - self._beat_at > 10.0:  # five heartbeats
            # Redis was away, or the process was paused. The waiting messages are no sign that the loop is stuck.
            self._last_sign_at = now
        self._beat_at = now
        try:
            self._workers.report(self._name, self._queues)
            if self._is_busy() or not any(self._workers.queue_lengths(self._lists)):
                self._last_sign_at = self._clock()
        except UnavailableError as error:  # the next heartbeat tries again; until then the health file ages
            log.warning("heartbeat_failed", reason=error.detail)
            self._last_sign_at = self._clock()
            return
        stalled_s = self._clock() - self._last_sign_at
        if stalled_s > 30.0:
            self._end("worker_stalled", queues=self._queues, stalled_s=round(stalled_s))
        elif self._health_file is not None:
            self._health_file.touch()

    def _is_busy(self) -> bool:
        """A worker that shuts down takes no more messages, and is busy until its last job has ended."""
        return len(state.reserved_requests) >= self._processes or not self._is_running()

    def _on_shutdown(self, **_: Any) -> None:
        try:
            self._workers.forget(self._name)
        except UnavailableError:
            log.warning("worker_not_deregistered")
