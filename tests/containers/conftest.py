"""The whole stack in containers, once a test session, under a project name and on ports of its own."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pandas as pd
import pytest
import skops.io
from sklearn.pipeline import Pipeline

import queuecast
from deploy.embedded.redis_server import free_port
from examples.titanic.train import COLUMNS, TARGET, logistic, passengers
from tests.conftest import require_service

DEADLINE_S = 60.0
IMAGES = ("api", "flower", "worker")
VERSION = "test"  # tags of their own: a developer's images stay as they are


class Stack:
    """`docker compose` on one project, and what runs in it."""

    def __init__(self, repository: Path, project: str, **settings: object) -> None:
        """settings: those of queuecast that the compose file passes on."""
        self._repository = repository
        self._project = project
        self._ports = {"QUEUECAST_API_PORT": str(free_port()), "QUEUECAST_FLOWER_PORT": str(free_port())}
        self._settings = {f"QUEUECAST_{name.upper()}": str(value) for name, value in settings.items()}
        self.api_url = f"http://127.0.0.1:{self._ports['QUEUECAST_API_PORT']}"
        self.flower_url = f"http://127.0.0.1:{self._ports['QUEUECAST_FLOWER_PORT']}"

    def compose(self, *arguments: str, check: bool = True) -> str:
        """What it printed on stdout. Settings of the shell and of a `.env` file do not reach it."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("QUEUECAST_", "COMPOSE_"))}
        found = subprocess.run(
            ["docker", "compose", "--env-file", os.devnull, "-p", self._project, *arguments],
            check=False,
            cwd=self._repository,
            env=plain | self._ports | self._settings | {"QUEUECAST_VERSION": VERSION},
            capture_output=True,
            text=True,
            timeout=900,
        )
        if check and found.returncode != 0:
            pytest.fail(f"docker compose {' '.join(arguments)} ended with {found.returncode}:\n{found.stderr[-4000:]}")
        return found.stdout

    def up(self, workers: int = 3) -> None:
        self.compose("up", "-d", "--build", "--wait", "--scale", f"worker={workers}")

    def scale_workers(self, number: int) -> None:
        """Returns when those that had to go have gone."""
        self.compose("up", "-d", "--no-recreate", "--scale", f"worker={number}")

    def run_in(self, service: str, *command: str, check: bool = True) -> str:
        return self.compose("exec", "-T", service, *command, check=check)

    def secret(self, name: str) -> str:
        return self.run_in("flower", "cat", f"/run/queuecast/{name}").strip()

    def containers(self, service: str) -> list[dict[str, Any]]:
        """What `docker inspect` says of each container of a service that runs."""
        ids = self.compose("ps", "-q", service).split()
        return json.loads(docker("inspect", *ids)) if ids else []

    def network(self, name: str) -> str:
        return f"{self._project}_{name}"

    @staticmethod
    def kill_inside(container_id: str) -> None:
        """SIGKILL to the service's main process, as the kernel would send it when memory runs out.

        It is the child of the init process, which takes no signal from inside.
        """
        found = docker("exec", container_id, "sh", "-c", "grep -lP '^PPid:\\t1$' /proc/[0-9]*/status")
        kill = ["docker", "exec", container_id, "sh", "-c", f"kill -9 {found.split('/')[2]}"]
        # The container may end before the shell that killed it does: 137 is then a success too.
        ended = subprocess.run(kill, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode in (0, 137), ended.stderr

    @staticmethod
    def has_restarted(before: dict[str, Any]) -> bool:
        """Whether a container that was inspected before runs and is healthy, and has ended in between."""
        state = json.loads(docker("inspect", before["Id"]))[0]["State"]
        return bool(state["Health"]["Status"] == "healthy" and state["StartedAt"] != before["State"]["StartedAt"])

    def remove(self) -> None:
        self.compose("down", "-v", "--timeout", "20", check=False)
        for image in IMAGES:  # of one that another stack still uses, nothing is removed
            tag = f"queuecast-{image}:{VERSION}"
            subprocess.run(["docker", "image", "rm", tag], check=False, capture_output=True, timeout=60)


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120, check=True).stdout


def wait_until(what: str, is_so: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    deadline = time.monotonic() + deadline_s
    while not is_so():
        assert time.monotonic() < deadline, f"{what}: not within {deadline_s:g} s"
        time.sleep(0.1)


def engine_answers() -> bool:
    try:
        docker("compose", "version")
        docker("version")
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def pushed(gateway: httpx2.Client, model: str, rows: pd.DataFrame, estimator: Pipeline | None = None) -> Pipeline:
    """Fits on the rows, pushes, and waits until the version is there."""
    estimator = (estimator or logistic()).fit(rows[COLUMNS], rows[TARGET])
    metadata = {"target": [TARGET], "holdout": {"fraction": 0.2}}
    answer = gateway.post(
        f"/v1/models/{model}/versions",
        files={
            "model": ("model.skops", skops.io.dumps(estimator), "application/octet-stream"),
            "example": ("rows.csv", rows.to_csv(index=False).encode(), "text/csv"),
        },
        data={"metadata": json.dumps(metadata)},
    )
    assert answer.status_code == 202, answer.text
    succeeded(gateway, answer.json()["id"])
    return estimator


def succeeded(gateway: httpx2.Client, job_id: str) -> dict[str, Any]:
    """The job once it has ended well."""
    ended: list[dict[str, Any]] = []

    def has_ended() -> bool:
        job = gateway.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=30"}).json()
        if job["finished_at"]:
            ended.append(job)
        return bool(ended)

    wait_until(f"the end of {job_id}", has_ended, 120)
    assert ended[0]["state"] == "succeeded", ended[0]
    return ended[0]


def training_rows() -> pd.DataFrame:
    rows = passengers()
    return rows.iloc[queuecast.holdout(rows[COLUMNS]).train]


@pytest.fixture(scope="session")
def stack(repository: Path) -> Iterator[Stack]:
    require_service(engine_answers(), "a Docker engine with compose")
    # Processes of pytest-xdist have a stack each.
    stack = Stack(repository, "queuecast-test" + os.environ.get("PYTEST_XDIST_WORKER", ""))
    stack.remove()  # what a run that was killed has left
    try:
        stack.up()
        yield stack
    finally:
        stack.remove()


@pytest.fixture(scope="session")
def gateway(stack: Stack) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=stack.api_url, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def flower(stack: Stack) -> Iterator[httpx2.Client]:
    with httpx2.Client(
        base_url=stack.flower_url, timeout=60, auth=("flower", stack.secret("flower_password"))
    ) as client:
        yield client
