"""Conditional reads, waits for a change, and event streams."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.routes import job_events
from api.services import job_watcher
from api.services.concurrency import FairLimiter
from queuecast.adapters.memory.jobs import MemoryJobs
from queuecast.domain.errors import GoneJobError, QueuecastError, UnavailableError
from queuecast.domain.job import Job, Progress
from queuecast.ports.jobs import Change
from tests.api.conftest import PREDICTIONS, ROW, Gateway
from tests.api.job_states import claimed, ended, submitted
from tests.queuecast.adapters.waits import until


@dataclass(frozen=True)
class SentEvent:
    name: str
    id: str | None
    body: dict[str, Any]


def next_event(chunks: Iterator[bytes]) -> SentEvent:
    """The next event of a stream; comments and hints are skipped."""
    for chunk in chunks:
        lines = dict(line.split(": ", 1) for line in chunk.decode().splitlines() if not line.startswith(":") and line)
        if "event" in lines:
            return SentEvent(lines["event"], lines.get("id"), json.loads(lines["data"]))
    raise AssertionError("the stream has ended")


def follow(http: FlaskClient, job_id: str, seen: str | None = None) -> Iterator[bytes]:
    headers = {} if seen is None else {"Last-Event-ID": seen}
    answer = http.get(f"/v1/jobs/{job_id}/events", headers=headers, buffered=False)
    assert (answer.status_code, answer.mimetype) == (200, "text/event-stream")
    return iter(answer.response)  # type: ignore[arg-type]


def progressed(gateway: Gateway, job: Job, done: int) -> Job:
    job = job.progressed(Progress(done, 10, "rows"))
    gateway.jobs.replace(job)
    return job


# Conditional reads


def test_every_response_with_a_job_has_its_revision_as_etag(gateway: Gateway, http: FlaskClient) -> None:
    accepted = http.post(PREDICTIONS, json={"inputs": [ROW]})
    job_id = accepted.json["id"]
    claimed(gateway, job_id)

    assert accepted.headers["ETag"] == 'W/"1"'
    assert http.get(f"/v1/jobs/{job_id}").headers["ETag"] == 'W/"2"'


@pytest.mark.parametrize(
    ("known", "status"), [('W/"1"', 304), ('"1"', 304), ('W/"7", W/"1"', 304), ("*", 304), ('W/"2"', 200), ("x", 200)]
)
def test_a_known_revision_is_not_sent_again(gateway: Gateway, http: FlaskClient, known: str, status: int) -> None:
    answer = http.get(f"/v1/jobs/{submitted(http)}", headers={"If-None-Match": known})

    assert (answer.status_code, answer.headers["ETag"]) == (status, 'W/"1"')
    assert bool(answer.data) == (status == 200)


def test_a_wait_for_a_change_ends_with_the_next_revision(gateway: Gateway) -> None:
    app, answers = gateway.app(), []
    job_id = submitted(app.test_client())
    headers = {"Prefer": "wait=20", "If-None-Match": 'W/"1"'}
    waiter = threading.Thread(
        target=lambda: answers.append(app.test_client().get(f"/v1/jobs/{job_id}", headers=headers))
    )
    waiter.start()
    claimed(gateway, job_id)
    waiter.join(30)

    assert (answers[0].status_code, answers[0].json["state"]) == (200, "running")
    assert answers[0].headers["Preference-Applied"] == "wait=20"


def test_a_wait_for_a_change_that_does_not_happen_gets_304(gateway: Gateway, http: FlaskClient) -> None:
    job_id = submitted(http)

    answer = http.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=0", "If-None-Match": 'W/"1"'})

    assert (answer.status_code, answer.headers["Preference-Applied"]) == (304, "wait=0")


def test_a_wait_for_a_change_of_an_ended_job_returns_at_once(gateway: Gateway, http: FlaskClient) -> None:
    job_id = submitted(http)
    ended(gateway, job_id)

    answer = http.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=20", "If-None-Match": 'W/"3"'})

    assert answer.status_code == 304


def test_a_wait_without_a_known_revision_lasts_until_the_job_ends(gateway: Gateway) -> None:
    app, answers = gateway.app(), []
    job_id = submitted(app.test_client())
    waiter = threading.Thread(
        target=lambda: answers.append(app.test_client().get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=20"}))
    )
    waiter.start()
    ended(gateway, job_id)
    waiter.join(30)

    assert answers[0].json["state"] == "succeeded"


# Waiters


class SilentJobs(MemoryJobs):
    """A store that loses every message of a change."""

    def changes(self) -> Iterator[list[Change]]:
        yield [Change("", is_end=True)]
        threading.Event().wait()


class BrokenJobs(MemoryJobs):
    """A store whose listener ends with an unexpected error."""

    def changes(self) -> Iterator[list[Change]]:
        raise ValueError("no")
        yield []


@pytest.mark.parametrize("kind", [SilentJobs, BrokenJobs])
def test_a_change_whose_message_was_lost_is_seen_at_the_next_poll(
    gateway: Gateway, kind: type[MemoryJobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_watcher, "MAX_POLL_S", 0.05)
    gateway.jobs = kind()
    app, answers = gateway.app(), []
    job_id = submitted(app.test_client())
    waiter = threading.Thread(
        target=lambda: answers.append(app.test_client().get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=20"}))
    )
    waiter.start()
    ended(gateway, job_id)
    waiter.join(10)

    assert [answer.json["state"] for answer in answers] == ["succeeded"]


def test_all_waiters_for_one_job_are_woken_and_none_is_counted_afterwards(gateway: Gateway) -> None:
    watcher = job_watcher.JobWatcher(gateway.jobs, 40, FairLimiter(2))
    job_id = submitted(gateway.app().test_client())
    found: list[tuple[Job, bytes | None]] = []
    waiters = [threading.Thread(target=lambda: found.append(watcher.wait_until_final(job_id, 20))) for _ in range(40)]
    for waiter in waiters:
        waiter.start()
    until(lambda: watcher.count == 40)
    ended(gateway, job_id)
    for waiter in waiters:
        waiter.join(10)

    assert [(job.state, result) for job, result in found] == [("succeeded", b'{"predictions":[0]}')] * 40
    assert watcher.count == 0


class ListenerOnlyJobs(MemoryJobs):
    """A store that answers its listener and the test, but no waiter."""

    def read_with_result(self, job_id: str) -> tuple[Job, bytes | None]:
        if threading.current_thread().name == "waiter":
            raise UnavailableError("only the listener is answered")
        return super().read_with_result(job_id)


class WaiterOnlyJobs(MemoryJobs):
    """A store that answers every waiter, but not its listener."""

    def read_many_with_results(self, job_ids: list[str]) -> list[tuple[Job, bytes | None] | None]:
        raise UnavailableError("the listener is not answered")


class UnexpectedErrorJobs(MemoryJobs):
    """A store that raises an unexpected error in its listener."""

    def read_many_with_results(self, job_ids: list[str]) -> list[tuple[Job, bytes | None] | None]:
        raise ValueError("no")


class PurgedJobs(MemoryJobs):
    """A store in which a job is deleted after its end, before the listener reads it."""

    def read_many_with_results(self, job_ids: list[str]) -> list[tuple[Job, bytes | None] | None]:
        for job_id in job_ids:
            self.delete(job_id)
        return super().read_many_with_results(job_ids)


class JobsWithDelayedListener(MemoryJobs):
    """A store whose listener starts when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.may_listen = threading.Event()

    def changes(self) -> Iterator[list[Change]]:
        self.may_listen.wait()
        yield from super().changes()


def waited(watcher: job_watcher.JobWatcher, watch: job_watcher.Watch) -> list[Any]:
    """Waits in a thread and returns its result or its error; an empty list if it still waits after 5 s."""
    found: list[Any] = []

    def wait() -> None:
        try:
            found.append(watcher.wait_from_submit(watch, 600))
        except QueuecastError as error:
            found.append(error)

    waiter = threading.Thread(target=wait, name="waiter", daemon=True)
    waiter.start()
    waiter.join(5)
    return found


def wait_for_listener(watch: job_watcher.Watch) -> None:
    """Returns when the listener runs; from then on only a change wakes the watch."""
    assert watch.wait(10)
    watch.read()


def waited_since_before_the_end(gateway: Gateway) -> tuple[str, list[Any]]:
    """The id of a job, and the result of a wait that was reserved before the job ended."""
    watcher = job_watcher.JobWatcher(gateway.jobs, 2, FairLimiter(2))
    job_id = submitted(gateway.app().test_client())
    with watcher.watch(job_id, final_only=True) as watch:
        wait_for_listener(watch)
        ended(gateway, job_id)
        return job_id, waited(watcher, watch)


def test_a_listener_that_could_not_start_is_started_for_the_next_waiter(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher, job_id = job_watcher.JobWatcher(gateway.jobs, 1, FairLimiter(1)), submitted(gateway.app().test_client())
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", lambda thread: raising(RuntimeError("can't start new thread")))
        with pytest.raises(RuntimeError):
            watcher.watch(job_id)

    with watcher.watch(job_id) as watch:
        wait_for_listener(watch)
    assert watcher.count == 0


def raising(error: Exception) -> None:
    raise error


def test_a_waiter_receives_the_ended_job_without_reading_it(gateway: Gateway) -> None:
    gateway.jobs = ListenerOnlyJobs()

    job_id, ((job, result),) = waited_since_before_the_end(gateway)

    assert (job, result) == (gateway.jobs.read(job_id), b'{"predictions":[0]}')


@pytest.mark.parametrize("kind", [WaiterOnlyJobs, UnexpectedErrorJobs])
def test_a_waiter_reads_the_job_itself_when_the_listener_cannot(
    gateway: Gateway, kind: type[MemoryJobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_watcher, "MAX_POLL_S", 1000.0)
    gateway.jobs = kind()
    watcher = job_watcher.JobWatcher(gateway.jobs, 2, FairLimiter(2))
    http = gateway.app().test_client()
    found = []
    for job_id in (submitted(http), submitted(http)):  # the listener outlives the first
        with watcher.watch(job_id, final_only=True) as watch:
            if not found:
                wait_for_listener(watch)
            ended(gateway, job_id)
            found += waited(watcher, watch)

    assert [(job.state, result) for job, result in found] == [("succeeded", b'{"predictions":[0]}')] * 2


def test_a_waiter_gets_an_error_if_its_job_was_deleted_before_the_listener_read_it(gateway: Gateway) -> None:
    gateway.jobs = PurgedJobs()

    _, found = waited_since_before_the_end(gateway)

    assert [type(each) for each in found] == [GoneJobError]


def test_an_end_before_the_listener_started_is_seen_once_it_listens(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_watcher, "MAX_POLL_S", 1000.0)
    gateway.jobs = late = JobsWithDelayedListener()
    watcher = job_watcher.JobWatcher(late, 2, FairLimiter(2))
    job_id = submitted(gateway.app().test_client())
    with watcher.watch(job_id, final_only=True) as watch:
        ended(gateway, job_id)
        late.may_listen.set()

        ((job, _),) = waited(watcher, watch)

    assert job.state == "succeeded"


def test_a_waiter_for_any_change_and_a_waiter_for_the_end_each_get_their_own(gateway: Gateway) -> None:
    gateway.jobs = late = JobsWithDelayedListener()
    watcher = job_watcher.JobWatcher(late, 2, FairLimiter(2))
    job_id = submitted(gateway.app().test_client())
    with watcher.watch(job_id) as every, watcher.watch(job_id, final_only=True) as last:
        late.may_listen.set()  # both are waiting when the listener starts
        wait_for_listener(every)
        wait_for_listener(last)
        running = claimed(gateway, job_id)
        seen = [every.wait(5) and every.read()[0].state]
        is_woken_early = last.wait(0.0)
        gateway.jobs.replace(running.succeeded(gateway.clock(), 60), b"{}")
        seen += [every.wait(5) and every.read()[0].state, last.wait(5) and last.read()[0].state]

    assert seen == ["running", "succeeded", "succeeded"]
    assert not is_woken_early


# Events


def test_a_stream_follows_a_job_from_its_current_state_to_its_end(gateway: Gateway, http: FlaskClient) -> None:
    job_id = submitted(http)
    stream = follow(http, job_id)
    found = [next_event(stream)]
    running = claimed(gateway, job_id)
    found.append(next_event(stream))
    running = progressed(gateway, running, 3)
    found.append(next_event(stream))
    gateway.jobs.replace(running.succeeded(gateway.clock(), 60), b'{"predictions":[0]}')
    found.append(next_event(stream))

    assert [(each.name, each.id, each.body["state"]) for each in found] == [
        ("status", "1", "queued"),
        ("status", "2", "running"),
        ("progress", "3", "running"),
        ("completed", "4", "succeeded"),
    ]
    assert found[0].body["queue"] == {"position": 1, "estimated_start_at": None}
    assert found[2].body["progress"]["done"] == 3
    assert "result" not in found[3].body
    assert list(stream) == []


def test_another_attempt_in_the_same_state_is_a_status_event(gateway: Gateway, http: FlaskClient) -> None:
    job_id = submitted(http)
    running = claimed(gateway, job_id)
    stream = follow(http, job_id)
    next_event(stream)
    gateway.jobs.replace(running.handed_back(gateway.clock(), 60))
    claimed(gateway, job_id)

    assert next_event(stream).name == "status"


def test_a_stream_of_an_ended_job_begins_with_its_status_and_has_only_its_end(
    gateway: Gateway, http: FlaskClient
) -> None:
    job_id = submitted(http)
    ended(gateway, job_id)
    stream = follow(http, job_id)

    found = [next_event(stream), next_event(stream)]

    # Only the end has the id: a client that got no more than the status must not say that it has received everything.
    assert [(each.name, each.id) for each in found] == [("status", None), ("completed", "3")]
    assert [each.body["state"] for each in found] == ["succeeded"] * 2
    assert list(stream) == []


def test_a_client_that_missed_the_end_gets_only_the_end(gateway: Gateway, http: FlaskClient) -> None:
    job_id = submitted(http)
    ended(gateway, job_id)
    stream = follow(http, job_id, seen="2")

    assert next_event(stream).name == "completed"
    assert list(stream) == []


def test_no_event_has_the_name_of_an_event_of_browsers(gateway: Gateway, http: FlaskClient) -> None:
    """An EventSource fires `open`, `message` and `error` itself."""
    names = http.get("/openapi.json").json["components"]["schemas"]["JobEvent"]["properties"]["event"]["enum"]

    assert sorted(names) == ["completed", "problem", "progress", "status"]


def test_a_resumed_stream_sends_only_new_events(gateway: Gateway, http: FlaskClient) -> None:
    job_id = submitted(http)
    running = claimed(gateway, job_id)
    stream = follow(http, job_id, seen="2")
    assert next(stream) == job_events.RECONNECT
    gateway.jobs.replace(running.succeeded(gateway.clock(), 60), b"{}")

    found = next_event(stream)

    assert (found.name, found.id) == ("completed", "3")


def test_a_client_that_has_received_the_end_gets_204(gateway: Gateway, http: FlaskClient) -> None:
    job_id = submitted(http)
    ended(gateway, job_id)

    answer = http.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": "3"})

    assert (answer.status_code, answer.data, "Content-Type" in answer.headers) == (204, b"", False)


@pytest.mark.parametrize("seen", ["1", "9", "x", ""])
def test_a_last_event_id_that_is_not_current_gets_the_current_job(
    gateway: Gateway, http: FlaskClient, seen: str
) -> None:
    job_id = submitted(http)
    claimed(gateway, job_id)

    assert next_event(follow(http, job_id, seen)).id == "2"


def test_proxies_do_not_cache_or_buffer_a_stream(gateway: Gateway, http: FlaskClient) -> None:
    answer = http.get(f"/v1/jobs/{submitted(http)}/events", buffered=False)

    assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-store", "no")


def test_a_comment_is_sent_while_nothing_changes(
    gateway: Gateway, http: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_watcher, "MAX_POLL_S", 0.01)
    stream = follow(http, submitted(http))

    assert next_event(stream).name == "status"
    assert [next(stream), next(stream)] == [b":\n\n", b":\n\n"]


def test_a_stream_ends_with_an_error_when_its_job_is_deleted(gateway: Gateway, http: FlaskClient) -> None:
    job_id = submitted(http)
    stream = follow(http, job_id)
    next_event(stream)
    ended(gateway, job_id)
    gateway.jobs.delete(job_id)

    found = next_event(stream)

    assert (found.name, found.id, found.body["code"], found.body["status"]) == ("problem", None, "job_gone", 410)
    assert list(stream) == []


def test_a_stream_ends_with_an_error_when_redis_stops_answering(gateway: Gateway) -> None:
    class JobsUnreachableLater(MemoryJobs):
        is_unreachable = False

        def read_with_result(self, job_id: str) -> tuple[Job, bytes | None]:
            if self.is_unreachable:
                raise UnavailableError("Redis does not answer")
            return super().read_with_result(job_id)

    gateway.jobs = jobs = JobsUnreachableLater()
    http = gateway.app().test_client()
    job_id = submitted(http)
    stream = follow(http, job_id)
    next_event(stream)
    claimed(gateway, job_id)
    jobs.is_unreachable = True

    found = next_event(stream)

    assert (found.name, found.body["code"], found.body["status"]) == ("problem", "unavailable", 503)
    assert list(stream) == []


def test_streams_and_waits_share_one_limit_and_a_closed_stream_frees_its_place(gateway: Gateway) -> None:
    http = gateway.limited(max_waiters=1).test_client()
    job_id = submitted(http)
    open_stream = http.get(f"/v1/jobs/{job_id}/events", buffered=False)
    refused = [
        http.get(f"/v1/jobs/{job_id}/events"),
        http.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=0"}),
    ]
    open_stream.close()  # before a byte of it was read
    again = http.get(f"/v1/jobs/{job_id}/events", buffered=False)

    assert [(each.status_code, each.json["code"]) for each in refused] == [(503, "too_many_waiters")] * 2
    assert [each.headers["Retry-After"] for each in refused] == ["1", "1"]
    assert again.status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Last-Event-ID": "3"}])
def test_streams_that_never_began_or_have_ended_do_not_count_as_waiters(
    gateway: Gateway, headers: dict[str, str]
) -> None:
    http = gateway.limited(max_waiters=1).test_client()
    job_id = submitted(http)
    ended(gateway, job_id)

    statuses = [http.get("/v1/jobs/job_x/events").status_code for _ in range(3)]
    for _ in range(3):
        http.get(f"/v1/jobs/{job_id}/events", headers=headers, buffered=True)
        http.head(f"/v1/jobs/{job_id}/events", headers=headers, buffered=True)

    assert statuses == [404] * 3
    assert http.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=0"}).status_code == 200
