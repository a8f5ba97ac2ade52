"""A worker says that it is there, proves that it consumes, and ends itself when it no longer does.

A worker that is up and takes nothing is the classic fault of queues. So its main process watches whether messages
wait while it is free. As long as they do not, it touches its health file, whose age is the container's health check.
When they have waited for half a minute it ends: Docker restarts no container for being unhealthy, but one that ends.
A main loop that hangs cannot notice; for that there is the watchdog.
"""

import time
from collections.abc import Callable
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
STALLED_AFTER_S = 30.0
LATE_AFTER_S = 10.0  # five heartbeats


class WorkerHeartbeat:
    """Lives in the worker's main process and is told by Celery's signals what happens there."""

    def __init__(
        self,
        workers: WorkerList,
        health_file: str,
        ping: Callable[[], object] | None = None,
        end: Callable[..., None] = end_process,
        clock: Clock = time.monotonic,
    ) -> None:
        """ping: asks Redis on a connection of its own for the watchdog; without one it asks through `workers`."""
        self._workers = workers
        self._health_file = Path(health_file) if health_file else None
        self._end = end
        self._clock = clock
        self._name = ""
        self._queues: tuple[str, ...] = ()
        self._processes = 1
        self._is_running: Callable[[], bool] = lambda: True
        self._well_at = self._beat_at = clock()
        self._watchdog = Watchdog(ping or (lambda: workers.queue_lengths(self._queues)), end, clock)

    def connect(self) -> None:
        """Listens to the worker that this process is about to become. Call it before Celery starts."""
        signals.worker_ready.connect(self._on_ready, weak=False)
        signals.task_received.connect(self._on_taken, weak=False)
        signals.heartbeat_sent.connect(self._on_heartbeat, weak=False)
        signals.worker_shutdown.connect(self._on_shutdown, weak=False)

    def _on_ready(self, sender: Any = None, **_: Any) -> None:
        worker = sender.controller
        self._name = worker.hostname
        self._queues = tuple(worker.app.amqp.queues.consume_from)
        self._processes = worker.concurrency
        self._is_running = lambda: bool(worker.blueprint.state == bootsteps.RUN)  # type: ignore[attr-defined] # no stub
        self._on_heartbeat()
        self._watchdog.start(self._is_running)

    def _on_taken(self, **_: Any) -> None:
        self._well_at = self._clock()

    def _on_heartbeat(self, **_: Any) -> None:
        if not self._name:
            return
        self._watchdog.beat()
        now = self._clock()
        if now - self._beat_at > LATE_AFTER_S:
            # Redis was away, or the process was paused: what waits now has waited for that, and not for this loop.
            self._well_at = now
        self._beat_at = now
        try:
            self._workers.report(self._name, self._queues)
            if self._is_busy() or not any(self._workers.queue_lengths(self._queues)):
                self._well_at = self._clock()
        except UnavailableError as error:  # the next heartbeat tries again, and the health file grows old
            log.warning("presence_not_reported", reason=error.detail)
            self._well_at = self._clock()
            return
        stalled_s = self._clock() - self._well_at
        if stalled_s > STALLED_AFTER_S:
            self._end("worker_stalled", queues=self._queues, stalled_s=round(stalled_s))
        elif self._health_file is not None:
            self._health_file.touch()

    def _is_busy(self) -> bool:
        """One that stops takes nothing more, and is busy until its last job has ended."""
        return len(state.reserved_requests) >= self._processes or not self._is_running()

    def _on_shutdown(self, **_: Any) -> None:
        try:
            self._workers.forget(self._name)
        except UnavailableError:
            log.warning("presence_not_withdrawn")
