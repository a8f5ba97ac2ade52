"""`/v1/jobs/{id}/events`: a job's changes as server-sent events (the WHATWG HTML standard, section 9.2).

A stream holds a thread and a waiter's place for as long as it lasts. The server closes it when its client has gone,
which it notices by the next write: at a change, or at the comment that is sent when there was none.
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


def event_stream(waiting: JobWatcher, positions: QueuePositions, job_id: str, last_event_id: str) -> Response:
    """200 with the stream, or 204 when the client has seen the end: a browser asks again until it hears that.

    Raises WaitersFullError, UnknownJobError, GoneJobError or UnavailableError.
    """
    watch = waiting.watch(job_id)
    try:
        job, _ = watch.read()
    except BaseException:
        watch.close()
        raise
    is_seen = last_event_id == str(job.revision)
    if job.is_final and is_seen:
        watch.close()
        return empty_response(204)
    stream = _Stream(watch, waiting.limiter, positions, job, is_seen=is_seen)
    return Response(stream, mimetype="text/event-stream", headers=HEADERS)


class _Stream:
    """The bytes of a stream. A generator alone would keep its place if it was closed before it was begun."""

    def __init__(
        self, watch: Watch, limiter: FairLimiter, positions: QueuePositions, job: Job, *, is_seen: bool
    ) -> None:
        self._watch = watch
        self._limiter = limiter
        self._positions = positions
        self._chunks = self._events(job, is_seen=is_seen)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._limiter.slot():
            return next(self._chunks)

    def close(self) -> None:
        self._watch.close()

    def _events(self, job: Job, *, is_seen: bool) -> Iterator[bytes]:
        told = job if is_seen else None
        yield RECONNECT
        try:
            while True:
                if told is None or job.revision != told.revision:
                    yield self._event(job, told)
                    told = job
                if job.is_final:
                    return
                if not self._watch.wait(next_poll_s()):
                    yield HEARTBEAT
                job, _ = self._watch.read()
        except QueuecastError as error:
            yield _encoded("error", None, error_problem(error))

    def _event(self, job: Job, told: Job | None) -> bytes:
        return _encoded(_name(job, told), job.revision, job_body(job, position=self._positions.of(job)))


def _name(job: Job, told: Job | None) -> str:
    if job.is_final:
        return "completed"
    is_same_run = told is not None and (told.state, told.attempt) == (job.state, job.attempt)
    return "progress" if is_same_run else "status"


def _encoded(name: str, revision: int | None, body: msgspec.Struct) -> bytes:
    of_revision = b"" if revision is None else b"id: %d\n" % revision
    return b"event: %s\n%sdata: %s\n\n" % (name.encode(), of_revision, msgspec.json.encode(body))
