"""`/v1/jobs/{id}/events`: a job's changes as server-sent events (the WHATWG HTML standard, section 9.2).

A stream holds a thread and counts as a waiter until it ends. The gateway notices that the client is gone when it writes
next: at a change of the job, or at the comment that is sent when there was none.
"""

from collections.abc import Iterator

import msgspec
from flask import Response, request

from api.dependencies import Dependencies
from api.http.errors import error_problem
from api.http.rendering import empty_response, job_body
from api.openapi import error_groups, response_parts
from api.openapi.operations import Answer, operation
from api.schemas.headers import EventHeaders
from api.schemas.jobs import JobEvent
from api.services.concurrency import FairLimiter
from api.services.job_watcher import Watch, next_poll_s
from api.services.queue_position import QueuePositions
from queuecast.domain.errors import QueuecastError, WaitersFullError
from queuecast.domain.job import Job

HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back until its buffer is full
}
RECONNECT = b"retry: 1000\n\n"  # ms; the default of browsers is several seconds
HEARTBEAT = b":\n\n"


class JobEventRoutes:
    """Follow a job's changes."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._watcher = dependencies.watcher
        self._positions = dependencies.positions

    @operation(
        "GET",
        "/v1/jobs/<job_id>/events",
        "jobs_events",
        parameters=(EventHeaders,),
        answers={
            200: Answer(
                "The events. The first block has only `retry`, the time to wait before reconnecting.",
                {"text/event-stream": ({"type": "string", "description": "The stream as text."}, JobEvent)},
                (response_parts.NO_STORE,),
            ),
            204: Answer("The last event was received; there will be no other."),
        },
        refusals=(*error_groups.FINDING_A_JOB, WaitersFullError),
    )
    def events(self, job_id: str) -> Response:
        """Follow a job

        Server-sent events: first the job as it is now (`status`), then one event for each change, until the job has
        ended (`completed`). The `id` of an event is the job's revision. With `Last-Event-ID` only later events are
        sent, and 204 means that there will be no other. `problem` is the last event if the job cannot be read any more.
        """
        return self._stream(job_id, request.headers.get("Last-Event-ID", ""))

    def _stream(self, job_id: str, last_event_id: str) -> Response:
        """200 with the stream, or 204 if the client has received the last event: browsers reconnect until they get 204.

        Raises WaitersFullError, UnknownJobError, GoneJobError or UnavailableError.
        """
        watch = self._watcher.watch(job_id)
        try:
            job, _ = watch.read()
        except BaseException:
            watch.close()
            raise
        is_received = last_event_id == str(job.revision)
        if job.is_final and is_received:
            watch.close()
            return empty_response(204)
        is_start = not last_event_id
        stream = _Stream(watch, self._watcher.limiter, self._positions, job, is_start=is_start, is_received=is_received)
        return Response(stream, mimetype="text/event-stream", headers=HEADERS)


class _Stream:
    """The bytes of a stream. A plain generator that is closed before its first step would never close the watch."""

    def __init__(
        self,
        watch: Watch,
        limiter: FairLimiter,
        positions: QueuePositions,
        job: Job,
        *,
        is_start: bool,
        is_received: bool,
    ) -> None:
        """is_start: the client has not received an event of the job. is_received: it has received the last one."""
        self._watch = watch
        self._limiter = limiter
        self._positions = positions
        self._chunks = self._events(job, is_start=is_start, is_received=is_received)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._limiter.slot():
            return next(self._chunks)

    def close(self) -> None:
        self._watch.close()

    def _events(self, job: Job, *, is_start: bool, is_received: bool) -> Iterator[bytes]:
        sent = job if is_received else None
        yield RECONNECT
        if is_start and job.is_final:
            # Without an id: a client that gets no more than this must not say that it has received the last event.
            yield _encoded("status", None, job_body(job))
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
            yield _encoded("problem", None, error_problem(error))

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
