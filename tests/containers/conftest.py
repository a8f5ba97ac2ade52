"""The whole stack in containers, once a test session, under a project name and on ports of its own."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.embedded.redis_server import free_port
from tests.conftest import require_service

DEADLINE_S = 60.0
IMAGES = ("api", "flower", "worker")
VERSION = "test"  # tags of their own: a developer's images stay as they are


class Stack:
    """`docker compose` on one project, and what runs in it."""

    def __init__(self, repository: Path, project: str) -> None:
        self._repository = repository
        self._project = project
        self._ports = {"QUEUECAST_API_PORT": str(free_port()), "QUEUECAST_FLOWER_PORT": str(free_port())}
        self.api_url = f"http://127.0.0.1:{self._ports['QUEUECAST_API_PORT']}"
        self.flower_url = f"http://127.0.0.1:{self._ports['QUEUECAST_FLOWER_PORT']}"

    def compose(self, *arguments: str, check: bool = True) -> str:
        """What it printed on stdout. Settings of the shell and of a `.env` file do not reach it."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("QUEUECAST_", "COMPOSE_"))}
        found = subprocess.run(
            ["docker", "compose", "--env-file", os.devnull, "-p", self._project, *arguments],
            check=False,
            cwd=self._repository,
            env=plain | self._ports | {"QUEUECAST_VERSION": VERSION},
            capture_output=True,
            text=True,
            timeout=900,
        )
        if check and found.returncode != 0:
            pytest.fail(f"docker compose {' '.join(arguments)} ended with {found.returncode}:\n{found.stderr[-4000:]}")
        return found.stdout

    def up(self) -> None:
        self.compose("up", "-d", "--build", "--wait", "--scale", "worker=3")

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

    def remove(self) -> None:
        self.compose("down", "-v", "--timeout", "20", check=False)


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
        for image in IMAGES:
            tag = f"queuecast-{image}:{VERSION}"
            subprocess.run(["docker", "image", "rm", tag], check=False, capture_output=True, timeout=60)


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
