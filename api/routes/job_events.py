"""`/v1/jobs/{id}/events`: a job's changes as server-sent events (the WHATWG HTML standard, section 9.2).

A stream holds a thread and counts as a waiter until it ends. The gateway notices that the client is gone when it writes
next: at a change of the job, or at the comment that is sent when there was none.
"""

from collections.abc import Iterator

import msgspec
from flask import Response

from api.http.errors import error_problem
from api.http.rendering import empty_response, job_body
from api.services.concurrency import FairLimiter
from api.services.job_watcher import JobWatcher, Watch, next_poll_s
from api.services.queue_position import QueuePositions
from queuecast.domain.errors import QueuecastError
from queuecast.domain.job import Job

HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back until its buffer is full
}
RECONNECT = b"retry: 1000\n\n"  # ms; the default of browsers is several seconds
HEARTBEAT = b":\n\n"


def event_stream(watcher: JobWatcher, positions: QueuePositions, job_id: str, last_event_id: str) -> Response:
    """200 with the stream, or 204 if the client has received the last event: browsers reconnect until they get 204.

    Raises WaitersFullError, UnknownJobError, GoneJobError or UnavailableError.
    """
    watch = watcher.watch(job_id)
    try:
        job, _ = watch.read()
    except BaseException:
        watch.close()
        raise
    is_received = last_event_id == str(job.revision)
    if job.is_final and is_received:
        watch.close()
        return empty_response(204)
    stream = _Stream(watch, watcher.limiter, positions, job, is_received=is_received)
    return Response(stream, mimetype="text/event-stream", headers=HEADERS)


class _Stream:
    """The bytes of a stream. A plain generator that is closed before its first step would never close the watch."""

    def __init__(
        self, watch: Watch, limiter: FairLimiter, positions: QueuePositions, job: Job, *, is_received: bool
    ) -> None:
        self._watch = watch
        self._limiter = limiter
        self._positions = positions
        self._chunks = self._events(job, is_received=is_received)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._limiter.slot():
            return next(self._chunks)

    def close(self) -> None:
        self._watch.close()

    def _events(self, job: Job, *, is_received: bool) -> Iterator[bytes]:
        sent = job if is_received else None
        yield RECONNECT
        try:
            while True:
                if sent is None or job.revision != sent.revision:
                    yield self._event(job, sent)
                    sent = job
                if job.is_final:
                    return
                if not self._watch.wait(next_poll_s()):
                    yield HEARTBEAT
                job, _ = self._watch.read()
        except QueuecastError as error:
            yield _encoded("error", None, error_problem(error))

    def _event(self, job: Job, previous: Job | None) -> bytes:
        return _encoded(_name(job, previous), job.revision, job_body(job, position=self._positions.of(job)))


def _name(job: Job, previous: Job | None) -> str:
    if job.is_final:
        return "completed"
    is_same_run = previous is not None and (previous.state, previous.attempt) == (job.state, job.attempt)
    return "progress" if is_same_run else "status"


def _encoded(name: str, revision: int | None, body: msgspec.Struct) -> bytes:
    id_line = b"" if revision is None else b"id: %d\n" % revision
    return b"event: %s\n%sdata: %s\n\n" % (name.encode(), id_line, msgspec.json.encode(body))
