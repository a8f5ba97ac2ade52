"""Errors on one line, retries that are safe, and the addresses that the client accepts."""

import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import stamina
from sklearn.linear_model import LogisticRegression
from stamina.instrumentation import RetryDetails, get_on_retry_hooks, set_on_retry_hooks

from queuecast.client import ApiError, Client, GatewayUnreachable
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job, parts_of, problem

PREDICT = "POST /v1/models/titanic/predictions"
JOB = "GET /v1/jobs/job_1"
PUSH = "POST /v1/models/titanic/versions"
TRAIN = "POST /v1/models/titanic/trainings"


def test_an_error_is_one_line_with_the_first_findings() -> None:
    errors = [{"pointer": f"/inputs/{row}/age", "detail": "expected number, found 'x'"} for row in range(6)]

    line = str(ApiError(422, {"title": "invalid input", "detail": "many things", "errors": errors[:1]}))
    more = str(ApiError(422, {"title": "invalid input", "errors": errors}))

    assert line == "422 invalid input: /inputs/0/age: expected number, found 'x'"
    assert more.endswith("/inputs/2/age: expected number, found 'x', and 3 more")


def test_an_error_carries_status_and_problem(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models/x", problem(404, "No such model", detail="no model\nx", code="unknown_model"))

    with pytest.raises(ApiError) as refused:
        client.model("x")

    assert str(refused.value) == "404 No such model: no model x"
    assert (refused.value.status, refused.value.problem["code"]) == (404, "unknown_model")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(b"<h1>Bad gateway</h1>", 502), "502 Bad Gateway: .*is not a queuecast gateway"),
        (Answer(b"", 301, {"Location": "https://other/"}), "301 Moved Permanently: .*moved to https://other/"),
        (Answer(b"<h1>It works</h1>"), "200 OK: .*the answer is not JSON"),
    ],
    ids=["proxy", "redirect", "another server"],
)
def test_another_server_at_the_address_is_named(
    client: Client, gateway: ScriptedGateway, answer: Answer, words: str
) -> None:
    gateway.on("GET /v1/models/x", answer)

    with pytest.raises(ApiError, match=words):
        client.model("x")


@pytest.mark.parametrize("status", [429, 503])
def test_a_submit_that_was_refused_with_429_or_503_is_retried(
    client: Client, gateway: ScriptedGateway, status: int
) -> None:
    busy = problem(status, "later")
    busy.headers["Retry-After"] = "0"
    gateway.on(PREDICT, busy, busy, Answer(job(), 202))

    assert client.predict("titanic", [[1]]).state == "queued"
    assert len(gateway.requests) == 3


def test_a_retry_waits_for_retry_after(client: Client, gateway: ScriptedGateway) -> None:
    busy = problem(503, "later")
    busy.headers["Retry-After"] = "1"
    gateway.on("GET /v1/models", busy, {"data": [], "next_cursor": None})
    began = time.monotonic()

    with stamina.set_testing(False):
        client.models()

    assert time.monotonic() - began >= 1


@pytest.fixture
def _default_retry_hooks() -> Iterator[None]:
    hooks = get_on_retry_hooks()
    set_on_retry_hooks(None)
    yield
    set_on_retry_hooks(hooks)


@pytest.mark.usefixtures("_default_retry_hooks")
def test_a_retry_prints_nothing(gateway: ScriptedGateway, capfd: pytest.CaptureFixture[str]) -> None:
    busy = problem(503, "later")
    busy.headers["Retry-After"] = "0"
    gateway.on("GET /v1/models", busy, {"data": [], "next_cursor": None})

    with Client(gateway.url) as client:
        client.models()

    assert len(gateway.requests) == 2
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("_default_retry_hooks")
def test_the_retries_of_other_code_are_still_logged(
    gateway: ScriptedGateway, capfd: pytest.CaptureFixture[str]
) -> None:
    failures = iter([OSError("first"), None])

    def fail_once() -> None:
        if (error := next(failures)) is not None:
            raise error

    with Client(gateway.url):
        stamina.RetryingCaller(attempts=2)(OSError, fail_once)

    assert "stamina.retry_scheduled" in "".join(capfd.readouterr())


@pytest.mark.usefixtures("_default_retry_hooks")
def test_the_retry_hooks_of_the_user_are_called_for_the_client(gateway: ScriptedGateway) -> None:
    seen: list[RetryDetails] = []
    set_on_retry_hooks([seen.append])
    busy = problem(503, "later")
    busy.headers["Retry-After"] = "0"
    gateway.on("GET /v1/models", busy, {"data": [], "next_cursor": None})

    with Client(gateway.url) as client:
        client.models()

    assert len(seen) == 1


def test_a_long_retry_after_is_an_error_at_once(client: Client, gateway: ScriptedGateway) -> None:
    busy = problem(429, "Too many requests")
    busy.headers["Retry-After"] = "3600"
    gateway.on("GET /v1/models", busy)

    with pytest.raises(ApiError, match=r"429 Too many requests \(retry in 3600 s\)") as refused:
        client.models()

    assert refused.value.retry_after_s == 3600
    assert len(gateway.requests) == 1


def test_retries_of_a_busy_gateway_are_limited(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models", problem(503, "Not available now"))

    with pytest.raises(ApiError, match="503 Not available now"):
        client.models()

    assert len(gateway.requests) == 5


def test_a_read_over_a_broken_connection_is_retried(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models/titanic", Answer(breaks=True), {"name": "titanic"})

    assert client.model("titanic") == {"name": "titanic"}


def submitted(client: Client, kind: str, folder: Path) -> str:
    """Submits a job of this kind and returns its call."""
    if kind == "prediction":
        client.predict("titanic", [[1]])
        return PREDICT
    if kind == "training":
        client.train("titanic", pd.DataFrame({"age": [1.0], "survived": [1]}), "survived")
        return TRAIN
    if kind == "push":
        client.push("titanic", LogisticRegression().fit([[0.0], [1.0]], [0, 1]), [[0.0], [1.0]])
        return PUSH
    (folder / "m.skops").write_bytes(b"PK\x03\x04 model")
    (folder / "rows.csv").write_bytes(b"age\n29\n")
    client.push_file("titanic", folder / "m.skops", folder / "rows.csv", "survived")
    return PUSH


def script_submits(gateway: ScriptedGateway, *answers: Answer) -> None:
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    for call in (PREDICT, TRAIN, PUSH):
        gateway.on(call, *answers, Answer(job(), 202))


SUBMITS = ["prediction", "training", "push", "push of a file"]


@pytest.mark.parametrize("kind", SUBMITS)
def test_every_submit_carries_its_own_idempotency_key(
    client: Client, gateway: ScriptedGateway, tmp_path: Path, kind: str
) -> None:
    script_submits(gateway)

    submitted(client, kind, tmp_path)
    call = submitted(client, kind, tmp_path)

    keys = [uuid.UUID(request.headers["idempotency-key"]) for request in gateway.requests_to(call)]
    assert (len(set(keys)), {key.version for key in keys}) == (2, {4})


@pytest.mark.parametrize("kind", SUBMITS)
@pytest.mark.parametrize("status", [None, 429, 503], ids=["broken connection", "429", "503"])
def test_a_submit_is_retried_in_full_with_the_same_key(
    client: Client, gateway: ScriptedGateway, tmp_path: Path, kind: str, status: int | None
) -> None:
    trouble = Answer(breaks=True) if status is None else problem(status, "later")
    trouble.headers["Retry-After"] = "0"
    script_submits(gateway, trouble, trouble)

    call = submitted(client, kind, tmp_path)

    requests = gateway.requests_to(call)
    assert (len(requests), len({request.headers["idempotency-key"] for request in requests})) == (3, 1)
    whole = [parts_of(request) if call == PUSH else request.json for request in requests]
    assert whole == [whole[0]] * 3


def test_a_submit_over_a_connection_that_stays_broken_says_that_it_may_have_been_accepted(
    client: Client, gateway: ScriptedGateway
) -> None:
    gateway.on(PREDICT, Answer(breaks=True))

    with pytest.raises(GatewayUnreachable, match=r"broke during POST .*may have been accepted"):
        client.predict("titanic", [[1]])

    assert len(gateway.requests) == 5


@pytest.mark.parametrize(
    "act",
    [
        lambda client: client.job("job_1").retry(),
        lambda client: client.job("job_1").cancel(),
        lambda client: client.replay("job_1"),
        lambda client: client.rollback("titanic"),
    ],
    ids=["retry", "cancel", "replay", "rollback"],
)
def test_a_request_without_a_key_is_not_retried_over_a_broken_connection(
    client: Client, gateway: ScriptedGateway, act: Callable[[Client], object]
) -> None:
    gateway.on(JOB, job("failed"))
    for call in ("jobs/job_1/retry", "jobs/job_1/cancel", "dead-letters/job_1/replay", "models/titanic/rollback"):
        gateway.on(f"POST /v1/{call}", Answer(breaks=True), Answer(job(), 202))

    with pytest.raises(GatewayUnreachable, match="may have been accepted"):
        act(client)

    (posted,) = [request for request in gateway.requests if request.method == "POST"]
    assert "idempotency-key" not in posted.headers


def test_a_refusal_of_the_input_is_not_retried(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(PREDICT, problem(422, "The input does not fit"))

    with pytest.raises(ApiError, match="422"):
        client.predict("titanic", [[1]])

    assert len(gateway.requests) == 1


def test_an_unreachable_gateway_is_named_with_its_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"

    with Client(url) as client, pytest.raises(GatewayUnreachable, match=f"no gateway at {url}.*is it running") as lost:
        client.predict("titanic", [[1]])

    assert lost.value.__suppress_context__  # or a notebook shows 80 lines of httpx2 before the one that helps


def test_a_silent_gateway_times_out() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.1) as client,
        pytest.raises(GatewayUnreachable, match=r"did not answer GET /v1/models/x within 0\.1 s"),
    ):
        client.model("x")


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://"])
def test_a_malformed_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected something like http://"):
        Client(url)


def test_the_default_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUECAST_URL", "http://models.example:8000/")

    with Client() as client:
        assert client.url == "http://models.example:8000/"


def test_no_proxy_is_used_for_the_loopback(gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    gateway.on("GET /v1/models", {"data": [], "next_cursor": None})

    with Client(gateway.url) as client:
        assert client.models() == []


def test_the_client_imports_no_server_and_no_data_library() -> None:
    heavy = "redis celery kombu flask sklearn numpy pandas scipy skops joblib queuecast.config"
    code = f"import sys, queuecast.cli; print([m for m in '{heavy}'.split() if m in sys.modules])"

    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert loaded.strip() == "[]"
