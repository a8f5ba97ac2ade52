"""Containers are killed, paused and cut off while jobs are submitted; every accepted job is answered exactly once."""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock
from typing import Any

import httpx2
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from examples.titanic.train import COLUMNS, logistic, passengers
from tests.conftest import require_service
from tests.containers.conftest import ComposeStack, docker, engine_answers, pushed, training_rows, wait_until

pytestmark = pytest.mark.docker

JOBS = 500
TREES = 600
CLIENTS = 4
WORKERS = 4
LEASE_S = 6
SUBMIT_INTERVAL_S = 0.4  # per client, so that the submits last as long as the faults
END_S = 120.0
FINAL = {"succeeded", "failed", "canceled", "expired"}


@pytest.fixture
def own_stack(repository: Path) -> Iterator[ComposeStack]:
    """A separate stack, because the test breaks it."""
    require_service(engine_answers(), "a Docker engine with compose")
    name = "queuecast-chaos" + os.environ.get("PYTEST_XDIST_WORKER", "")
    # A job may be hit by several faults, and would rightly fail with the default of three attempts.
    stack = ComposeStack(repository, name, lease_s=LEASE_S, max_attempts=10)
    stack.remove()
    try:
        stack.up(WORKERS)
        yield stack
    finally:
        stack.remove()


class RowSubmitter:
    """Clients that submit one row at a time despite all faults, and remember the accepted jobs."""

    def __init__(self, url: str, rows: list[dict[str, Any]]) -> None:
        self._url = url
        self._rows = rows
        self._pending = list(range(JOBS))
        self._lock = Lock()
        self.enough = Event()
        self.accepted: dict[str, int] = {}  # job id -> index of its row
        self.refused: Counter[str] = Counter()

    def submit_all(self) -> None:
        with httpx2.Client(base_url=self._url, timeout=15) as gateway:
            while not self.enough.is_set():
                with self._lock:
                    if not self._pending:
                        return
                    number = self._pending.pop()
                self._submit(gateway, number)
                self.enough.wait(SUBMIT_INTERVAL_S)

    def _submit(self, gateway: httpx2.Client, number: int) -> None:
        body = {"inputs": [self._rows[number % len(self._rows)]], "method": "predict_proba"}
        # With a key, a submit without an answer can be sent again without creating a second job.
        headers = {"Idempotency-Key": f"chaos-{number}"}
        while not self.enough.is_set():
            try:
                answer = gateway.post("/v1/models/titanic/predictions", json=body, headers=headers)
            except httpx2.HTTPError as error:
                self.refused[type(error).__name__] += 1
            else:
                if answer.status_code == 202:
                    with self._lock:
                        self.accepted[answer.json()["id"]] = number % len(self._rows)
                    return
                assert answer.status_code == 503, answer.text
                self.refused["503"] += 1
            self.enough.wait(0.5)


def break_everything(stack: ComposeStack, log: Callable[[str], None]) -> None:
    """Injects one fault after another, without waiting for recovery."""
    first, second, third, fourth = (container["Id"] for container in stack.containers("worker"))

    log("docker kill and start of two workers")
    docker("kill", first, second)
    time.sleep(2)
    assert {json.loads(docker("inspect", container_id))[0]["State"]["Status"] for container_id in (first, second)} == {
        "exited"
    }
    docker("start", first, second)  # after `docker kill` the engine does not restart a container

    log("a worker's process dies")
    stack.kill_inside(third)

    log("the reaper's process dies")
    stack.kill_inside(stack.containers("reaper")[0]["Id"])

    log("a worker is paused for longer than its lease")
    docker("pause", fourth)
    time.sleep(2 * LEASE_S)
    docker("unpause", fourth)

    log("Redis is restarted")
    stack.compose("restart", "redis")

    log("a worker loses its network for longer than its lease")
    docker("network", "disconnect", stack.network("data"), first)
    time.sleep(2 * LEASE_S)
    docker("network", "connect", stack.network("data"), first)

    log("the gateway's process dies")
    stack.kill_inside(stack.containers("api")[0]["Id"])

    log("docker kill and start of the reaper and the gateway")
    stack.compose("kill", "reaper", "api")
    time.sleep(2)
    stack.compose("start", "reaper", "api")


def workers_seen(gateway: httpx2.Client) -> int | None:
    """The number of prediction workers; None if the gateway is not ready."""
    try:
        answer = gateway.get("/readyz", timeout=5)
    except httpx2.HTTPError:
        return None
    return answer.json()["workers"].get("predict", 0) if answer.status_code == 200 else None


def ended_jobs(gateway: httpx2.Client, ids: list[str]) -> dict[str, dict[str, Any]]:
    """Polls every job until it is in its final state, and returns them all."""
    ended: dict[str, dict[str, Any]] = {}

    def all_ended() -> bool:
        for job_id in ids:
            if job_id not in ended:
                job = gateway.get(f"/v1/jobs/{job_id}").json()
                if job["state"] not in FINAL:
                    return False
                ended[job_id] = job
        return True

    try:
        wait_until("the end of all jobs", all_ended, END_S)
    except AssertionError:
        states = Counter(gateway.get(f"/v1/jobs/{job_id}").json()["state"] for job_id in ids)
        pytest.fail(f"not all jobs have ended within {END_S:g} s: {dict(states)}")
    return ended


def test_every_accepted_job_is_answered_once_despite_container_faults(own_stack: ComposeStack) -> None:
    rows = passengers()[COLUMNS].head(50)
    inputs = json.loads(rows.to_json(orient="records"))
    with httpx2.Client(base_url=own_stack.api_url, timeout=60) as gateway:
        # A forest is slow enough per row that the faults hit workers with a running job.
        forest = logistic().set_params(model=RandomForestClassifier(TREES, max_depth=6, random_state=0))
        expected = pushed(gateway, "titanic", training_rows(), forest).predict_proba(rows)
    began = time.monotonic()
    submitter = RowSubmitter(own_stack.api_url, inputs)

    with ThreadPoolExecutor(CLIENTS) as clients:
        submitting = [clients.submit(submitter.submit_all) for _ in range(CLIENTS)]
        try:
            break_everything(own_stack, lambda text: print(f"{time.monotonic() - began:5.1f} s  {text}"))
            for future in submitting:
                future.result(timeout=90)
        finally:
            submitter.enough.set()
    print(f"{time.monotonic() - began:5.1f} s  {len(submitter.accepted)} accepted, refusals: {dict(submitter.refused)}")

    with httpx2.Client(base_url=own_stack.api_url, timeout=60) as gateway:
        wait_until("the gateway answers again", lambda: workers_seen(gateway) is not None)
        jobs = ended_jobs(gateway, list(submitter.accepted))
        wait_until("all workers are back", lambda: workers_seen(gateway) == WORKERS)
        again = {job_id: gateway.get(f"/v1/jobs/{job_id}").json() for job_id in submitter.accepted}
    attempts = Counter(job["attempt"] for job in jobs.values())
    print(f"{time.monotonic() - began:5.1f} s  all ended; jobs by number of attempts: {dict(sorted(attempts.items()))}")

    assert len(submitter.accepted) == JOBS
    assert Counter(job["state"] for job in jobs.values()) == {"succeeded": JOBS}
    assert {job_id: job["revision"] for job_id, job in again.items()} == {
        job_id: job["revision"] for job_id, job in jobs.items()
    }
    found = pd.Series({job_id: job["result"]["probabilities"][0] for job_id, job in jobs.items()})
    assert all(
        answer == pytest.approx(list(expected[submitter.accepted[job_id]]), rel=1e-9)
        for job_id, answer in found.items()
    )
    wait_until("the lanes are empty", lambda: lanes_left(own_stack) == "0", 60)


def lanes_left(stack: ComposeStack) -> str:
    """The number of lanes that still have jobs."""
    count = "REDISCLI_AUTH=$(cat /run/queuecast/redis_password) redis-cli scard qc:lanes"
    return stack.run_in("redis", "sh", "-c", count).strip()
