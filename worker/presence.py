"""A worker says that it is there, and proves that it consumes.

A worker that is up and takes nothing is the classic fault of queues. So its main process watches whether messages
wait while it is free, and touches its health file only as long as they do not: the container's health check is the
age of that file.
"""

import time
from pathlib import Path
from typing import Any

from celery import signals
from celery.worker import state

from queuecast.domain.errors import UnavailableError
from queuecast.logs import get_logger
from queuecast.ports import WorkerList

log = get_logger()
STALLED_AFTER_S = 30.0


class Presence:
    """Lives in the worker's main process and is told by Celery's signals what happens there."""

    def __init__(self, workers: WorkerList, health_file: str) -> None:
        self._workers = workers
        self._health_file = Path(health_file) if health_file else None
        self._name = ""
        self._queues: tuple[str, ...] = ()
        self._processes = 1
        self._well_at = time.monotonic()

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
        self._on_heartbeat()

    def _on_taken(self, **_: Any) -> None:
        self._well_at = time.monotonic()

    def _on_heartbeat(self, **_: Any) -> None:
        if not self._name:
            return
        try:
            self._workers.report(self._name, self._queues)
            is_busy = len(state.reserved_requests) >= self._processes
            if is_busy or self._workers.waiting(self._queues) == 0:
                self._well_at = time.monotonic()
        except UnavailableError as error:  # the next heartbeat tries again, and the health file grows old
            log.warning("presence_not_reported", reason=error.detail)
            return
        if time.monotonic() - self._well_at > STALLED_AFTER_S:
            log.error("worker_stalled", queues=self._queues)
        elif self._health_file is not None:
            self._health_file.touch()

    def _on_shutdown(self, **_: Any) -> None:
        try:
            self._workers.forget(self._name)
        except UnavailableError:
            log.warning("presence_not_withdrawn")
