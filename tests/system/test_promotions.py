"""Promotions and rollbacks in the running service: under load, and of a version that is broken."""

import threading
import time

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from queuecast.client import ApiError, Client, JobFailed, JobHandle
from tests.system.conftest import Stack, wait_for

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("stack")]
X = np.arange(60.0).reshape(20, 3)
ROWS = [[1.0, 2.0, 3.0]]
MOVES = 50
JOBS_PER_MOVE = 10


def push(client: Client, model: str, versions: int) -> None:
    """Version n answers n."""
    for version in range(1, versions + 1):
        estimator = LinearRegression().fit(X, np.full(20, float(version)))
        assert client.push(model, estimator, X).result(60)["version"] == version


def damage(stack: Stack, model: str, version: int) -> None:
    path = stack.folder / "data/models" / model / str(version) / "model.skops"
    path.write_bytes(path.read_bytes()[:-10])


def test_every_job_is_answered_by_the_version_it_was_accepted_for(stack: Stack, client: Client) -> None:
    push(client, "moving", 3)
    jobs: list[JobHandle] = []
    is_over = threading.Event()

    def submit() -> None:
        with Client(stack.url) as own:
            while not is_over.is_set():
                jobs.append(own.predict("moving", ROWS))

    threads = [threading.Thread(target=submit) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for move in range(MOVES):
            wait_for(lambda: len(jobs) >= move * JOBS_PER_MOVE, "the jobs between two moves", 60.0)  # noqa: B023
            if move % 3 == 2:
                client.rollback("moving")
            else:
                client.promote("moving", client.model("moving")["champion"] % 3 + 1)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()

    answered = [(job.body["model"]["version"], client.job(job.id).result(60)["predictions"][0]) for job in jobs]
    assert len(jobs) >= (MOVES - 1) * JOBS_PER_MOVE
    assert {version for version, _ in answered} == {1, 2, 3}
    assert [answer for _, answer in answered] == pytest.approx([float(version) for version, _ in answered])


def test_the_workers_that_serve_a_model_load_its_new_champion_before_a_job_asks(stack: Stack, client: Client) -> None:
    push(client, "followed", 2)
    client.predict("followed", ROWS).result(60)

    client.promote("followed", 2)

    generation = client.model("followed")["generation"]

    def has_followed() -> bool:
        workers = client.model("followed")["workers"]
        return 0 < workers["total"] == workers["on_champion"] and workers["generation"] == generation

    wait_for(has_followed, "the workers with the champion")


@pytest.mark.parametrize("is_served", [False, True], ids=["without a job", "in use"])
def test_a_broken_version_that_a_person_promotes_is_rolled_back(
    stack: Stack, client: Client, is_served: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    model = f"broken-{is_served}".lower()
    push(client, model, 2)
    if is_served:
        client.predict(model, ROWS).result(60)
    damage(stack, model, 2)

    began = time.monotonic()
    client.promote(model, 2)
    wait_for(lambda: client.model(model)["champion"] == 1, "the rollback", 10.0)
    with capsys.disabled():
        print(f"\nrolled back {time.monotonic() - began:.2f} s after the request of the promotion")

    last = client.history(model)[-1]
    assert (last["action"], last["version"], last["previous"]) == ("rollback", 1, 2)
    assert "could not serve version 2: model " in last["reason"]
    assert client.predict(model, ROWS).result(60)["predictions"] == [pytest.approx(1.0)]


def test_a_job_of_a_broken_version_gets_no_answer_of_another_one(stack: Stack, client: Client) -> None:
    push(client, "broken-for-jobs", 2)
    damage(stack, "broken-for-jobs", 2)

    with pytest.raises((JobFailed, ApiError)) as failed:
        client.predict("broken-for-jobs", ROWS, version=2).result(60)

    assert "sha256" in str(failed.value)
    assert client.model("broken-for-jobs")["champion"] == 1
