"""Sends the events of jobs to Flower and to every other tool that understands Celery's monitoring protocol.

A thread gathers the events of a tenth of a second and sends them in one message. So a job never waits for one, whatever
Redis does. Events are lost when the process is killed or Redis is away for longer than the buffer lasts.
"""

import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from queuecast.adapters.celery.doorbell import create_producer
from queuecast.adapters.celery.job_sample import JobSample, Moment, Sight, moment_of
from queuecast.adapters.celery.task_events import events_of
from queuecast.domain.job import Job
from queuecast.logs import get_logger

log = get_logger()


class CeleryMonitor:
    """A `JobMonitor`; safe to share between threads. Make it after a fork: its thread does not survive one."""

    def __init__(self, redis_url: str, node: str, *, is_worker: bool) -> None:
        """node: the name under which Flower lists the process, as Celery names nodes: `worker.1@host`.

        is_worker: it runs jobs. Flower takes every sender of a job's events for a worker, so another process reports
        itself as offline after them.
        """
        self._app = create_producer(redis_url)
        self._node = node
        self._is_worker = is_worker
        self._sample = JobSample()
        self._changed = threading.Condition()
        self._waiting: deque[Sight] = deque(maxlen=10_000)  # of more, the oldest are dropped
        self._is_urgent = False
        self._is_sending = False
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._connection: Any = None
        self._dispatcher: Any = None

    def show(self, written: Sequence[Job]) -> None:
        if all(moment_of(job) is None for job in written):  # such as a prediction that a gateway accepts
            return
        with self._changed:
            sights = [sight for job in written if (sight := self._sample.sight_of(job)) is not None]
            if not sights:
                return
            self._waiting.extend(sights)
            # Another process may run the job at once, and the events of that run must come later.
            self._is_urgent |= any(sight.moment in (Moment.ACCEPTED, Moment.RETRIED) for sight in sights)
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep_sending, name="monitor", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self) -> None:
        """Sends the waiting events now, and returns when they are sent, or after a second."""
        patience_s = 1.0
        with self._changed:
            self._is_urgent = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting and not self._is_sending, patience_s)

    def close(self) -> None:
        """Flushes, and ends the thread."""
        self.flush()
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _keep_sending(self) -> None:
        while sights := self._next_sights():
            self._send(sights)
            with self._changed:
                self._is_sending = False
                self._changed.notify_all()
        self._disconnect()

    def _next_sights(self) -> list[Sight]:
        """Waits for events, and a little for more. Empty when the monitor is closed."""
        gather_s = 0.1
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            self._changed.wait_for(lambda: self._is_urgent or self._is_closed, gather_s)
            sights = list(self._waiting)
            self._waiting.clear()
            self._is_urgent = False
            self._is_sending = bool(sights)
        return sights

    def _send(self, sights: list[Sight]) -> None:
        for is_last in (False, True):  # the second time on a new connection: the first one may be stale
            try:
                self._publish(sights)
            except Exception as error:  # a job has ended all the same, and the thread must go on
                self._disconnect()
                if is_last:
                    log.warning("job_events_lost", count=len(sights), reason=str(error))
            else:
                return

    def _publish(self, sights: list[Sight]) -> None:
        if self._dispatcher is None:
            self._connection = self._app.connection_for_write()
            self._dispatcher = self._app.events.Dispatcher(
                self._connection, hostname=self._node, buffer_group=frozenset({"task"}), buffer_while_offline=False
            )
        for sight in sights:
            for kind, fields in events_of(sight):
                self._dispatcher.send(kind, **fields)
        self._dispatcher.flush(errors=False)
        if not self._is_worker:
            self._dispatcher.send("worker-offline")

    def _disconnect(self) -> None:
        with suppress(Exception):  # a broken connection may fail once more
            if self._connection is not None:
                self._connection.release()
        self._connection = self._dispatcher = None
