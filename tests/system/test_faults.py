"""How the service responds when a component is down. The stack is separate, because the tests break it."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from queuecast import Client
from tests.system.conftest import Stack, wait_for

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("faults")]
ROW = {"pclass": 1, "sex": "female", "age": 29, "sibsp": 0, "parch": 0, "fare": 211.3, "embarked": "S"}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Stack]:
    """A gateway and a trainer with the Titanic model; each test starts the prediction worker that it needs."""
    running = Stack(tmp_path_factory.mktemp("faults"), repository)
    running.redis.start()
    try:
        running.start_api()
        running.start_worker("trainer", "train")
        running.push_titanic()
        running.push_titanic("--name", "hist", "--model", "hist")
        yield running
    finally:
        running.stop()
        running.redis.stop()


@pytest.fixture
def client(broken: Stack) -> Iterator[Client]:
    with Client(broken.url) as connected:
        yield connected


def submit(stack: Stack) -> httpx2.Response:
    return httpx2.post(f"{stack.url}/v1/models/titanic/predictions", json={"inputs": [ROW]}, timeout=30)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_job_canceled_while_no_worker_runs_never_runs(broken: Stack, client: Client) -> None:
    canceled = client.predict("titanic", [ROW]).cancel()
    other = client.predict("titanic", [ROW])

    broken.start_worker("late")
    other.wait(60)
    broken.stop("late")

    assert client.job(canceled.id).body["attempt"] == 0
    assert client.job(canceled.id).state == "canceled"
    assert other.state == "succeeded"


def test_a_job_past_its_deadline_expires_instead_of_running(broken: Stack, client: Client) -> None:
    body = {"inputs": [ROW], "expires_in_s": 0.05}
    late = httpx2.post(f"{broken.url}/v1/models/titanic/predictions", json=body).json()
    deadline = time.time() + 0.1

    wait_for(lambda: time.time() > deadline, "the deadline")
    broken.start_worker("late")
    job = client.job(late["id"]).wait(60)
    broken.stop("late")

    assert (job.state, job.body["attempt"]) == ("expired", 0)


def test_without_redis_submits_get_503_and_they_work_again_when_redis_returns(broken: Stack) -> None:
    broken.redis.kill()
    refused = submit(broken)
    ready = httpx2.get(f"{broken.url}/readyz", timeout=30)
    broken.redis.start()
    wait_for(lambda: httpx2.get(f"{broken.url}/readyz", timeout=30).status_code == 200, "readiness")
    accepted = submit(broken)

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert (ready.status_code, ready.json()["code"]) == (503, "unavailable")
    assert accepted.status_code == 202


def test_a_worker_resumes_when_redis_comes_back(broken: Stack, client: Client) -> None:
    """Redis may remember that the worker attends the lane, which it left with the connection: then the reaper rings."""
    broken.start_reaper()
    broken.start_worker("steady")
    client.predict("titanic", [ROW]).wait(60)
    broken.redis.kill()
    broken.redis.start()

    job = client.predict("titanic", [ROW]).wait(90)
    broken.stop("steady")
    broken.stop("reaper")

    assert job.state == "succeeded"
