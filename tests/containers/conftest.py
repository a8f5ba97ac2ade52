"""The complete stack in containers, once per test session, with its own project name and ports."""

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
VERSION = "test"  # separate tags, so that the images of a developer stay unchanged


class ComposeStack:
    """`docker compose` for one project, and its containers."""

    def __init__(self, repository: Path, project: str, **settings: object) -> None:
        """settings: settings of queuecast that the compose file passes to the containers."""
        self._repository = repository
        self._project = project
        self._ports = {"QUEUECAST_API_PORT": str(free_port()), "QUEUECAST_FLOWER_PORT": str(free_port())}
        self._settings = {f"QUEUECAST_{name.upper()}": str(value) for name, value in settings.items()}
        self.api_url = f"http://127.0.0.1:{self._ports['QUEUECAST_API_PORT']}"
        self.flower_url = f"http://127.0.0.1:{self._ports['QUEUECAST_FLOWER_PORT']}"

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Runs the command and returns its stdout. It ignores settings of the shell and of a `.env` file."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("QUEUECAST_", "COMPOSE_"))}
        completed = subprocess.run(
            ["docker", "compose", "--env-file", os.devnull, "-p", self._project, *arguments],
            check=False,
            cwd=self._repository,
            env=plain | self._ports | self._settings | {"QUEUECAST_VERSION": VERSION},
            capture_output=True,
            text=True,
            timeout=900,
        )
        if check and completed.returncode != 0:
            command = f"docker compose {' '.join(arguments)}"
            pytest.fail(f"{command} exited with code {completed.returncode}:\n{completed.stderr[-4000:]}")
        return completed.stdout

    def up(self, workers: int = 3) -> None:
        self.compose("up", "-d", "--build", "--wait", "--scale", f"worker={workers}")

    def scale_workers(self, number: int) -> None:
        """Returns once surplus workers have stopped."""
        self.compose("up", "-d", "--no-recreate", "--scale", f"worker={number}")

    def run_in(self, service: str, *command: str, check: bool = True) -> str:
        return self.compose("exec", "-T", service, *command, check=check)

    def secret(self, name: str) -> str:
        return self.run_in("flower", "cat", f"/run/queuecast/{name}").strip()

    def containers(self, service: str) -> list[dict[str, Any]]:
        """The output of `docker inspect` for each running container of a service."""
        ids = self.compose("ps", "-q", service).split()
        return json.loads(docker("inspect", *ids)) if ids else []

    def network(self, name: str) -> str:
        return f"{self._project}_{name}"

    @staticmethod
    def kill_inside(container_id: str) -> None:
        """Sends SIGKILL to the main process of the service, like the kernel's OOM killer.

        The main process is a child of the init process, which ignores signals from inside its container.
        """
        status_file = docker("exec", container_id, "sh", "-c", "grep -lP '^PPid:\\t1$' /proc/[0-9]*/status")
        kill = ["docker", "exec", container_id, "sh", "-c", f"kill -9 {status_file.split('/')[2]}"]
        # The container may stop before the shell that sent the signal; 137 is then a success too.
        completed = subprocess.run(kill, capture_output=True, text=True, timeout=60, check=False)
        assert completed.returncode in (0, 137), completed.stderr

    @staticmethod
    def has_restarted(before: dict[str, Any]) -> bool:
        """Whether the container is healthy again after a restart. before: its inspection from before the restart."""
        state = json.loads(docker("inspect", before["Id"]))[0]["State"]
        return bool(state["Health"]["Status"] == "healthy" and state["StartedAt"] != before["State"]["StartedAt"])

    def remove(self) -> None:
        self.compose("down", "-v", "--timeout", "20", check=False)
        for image in IMAGES:  # fails for an image that another stack uses
            tag = f"queuecast-{image}:{VERSION}"
            subprocess.run(["docker", "image", "rm", tag], check=False, capture_output=True, timeout=60)


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120, check=True).stdout


def wait_until(what: str, condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    deadline = time.monotonic() + deadline_s
    while not condition():
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
    """Fits the estimator on the rows, pushes it, and waits for its version."""
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
    """Waits for the end of the job and returns it. The job must succeed."""
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
def stack(repository: Path) -> Iterator[ComposeStack]:
    require_service(engine_answers(), "a Docker engine with compose")
    # Each process of pytest-xdist has its own stack.
    stack = ComposeStack(repository, "queuecast-test" + os.environ.get("PYTEST_XDIST_WORKER", ""))
    stack.remove()  # leftovers of a killed test run
    try:
        stack.up()
        yield stack
    finally:
        stack.remove()


@pytest.fixture(scope="session")
def gateway(stack: ComposeStack) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=stack.api_url, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def flower(stack: ComposeStack) -> Iterator[httpx2.Client]:
    with httpx2.Client(
        base_url=stack.flower_url, timeout=60, auth=("flower", stack.secret("flower_password"))
    ) as client:
        yield client
