"""The complete service in real processes: Redis, the gateway under granian, Celery workers, Flower."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from deploy.embedded.redis_server import free_port
from queuecast import Client
from tests.conftest import require_service
from tests.redis_servers import redis_server_in

START_WAIT_S = 60.0
STOP_WAIT_S = 60.0


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 30.0) -> None:
    """Returns when `condition` holds. If it does not hold in time, fails the test with a message that names `what`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s"
        time.sleep(0.05)


class Stack:
    """The processes of one test session. They are stopped by pid."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self.folder = folder
        self.redis = redis_server_in(folder / "redis")
        self.api_port = free_port()
        self.url = f"http://127.0.0.1:{self.api_port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: dict[str, Path] = {}
        self._repository = repository

    def environ(self, python_path: object = None, **settings: object) -> dict[str, str]:
        own = {
            "QUEUECAST_REDIS_URL": self.redis.url,
            "QUEUECAST_DATA_DIR": str(self.folder / "data"),
            "QUEUECAST_URL": self.url,
            "CELERY_BROKER_URL": str(settings.get("redis_url", self.redis.url)),  # has precedence in Celery
            "PYTHONPATH": os.pathsep.join(str(path) for path in (python_path, self._repository) if path),
        }
        return {**os.environ, **own, **{f"QUEUECAST_{name.upper()}": str(value) for name, value in settings.items()}}

    def start(self, name: str, *command: str, under: str = "", **settings: object) -> None:
        """Starts `python -m command`, logging to a file in the folder. under: a shell command to run first."""
        program = [sys.executable, "-m", *command]
        if under:
            program = ["bash", "-c", f'{under} && exec "$@"', "bash", *program]
        self._logs[name] = self.folder / f"{name}.log"
        with self._logs[name].open("ab") as log:
            self.processes[name] = subprocess.Popen(
                program,
                cwd=self._repository,
                env=self.environ(**settings),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_api(self, **settings: object) -> None:
        address = ["--host", "127.0.0.1", "--port", str(self.api_port), "--blocking-threads", "32"]
        self.start("api", "granian", "--interface", "wsgi", *address, "--factory", "api.serve:gateway", **settings)
        wait_for(self.is_live, "the gateway", START_WAIT_S)

    def start_worker(self, name: str, queue: str = "predict", processes: int = 1, **settings: object) -> None:
        options = [
            "-Q",
            queue,
            "-n",
            f"{name}@%h",
            "-c",
            str(processes),
            "--without-gossip",
            "--without-mingle",
            "-E",
            "-l",
            "INFO",
        ]
        self.start(name, "celery", "-A", "worker.main", "worker", *options, **settings)

    def start_reaper(self, name: str = "reaper", **settings: object) -> None:
        self.start(name, "worker.reaper", **settings)

    def kill(self, name: str) -> None:
        """Sends SIGKILL to a process and its children; returns when the process is gone."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    @contextmanager
    def frozen(self, *names: str) -> Iterator[None]:
        """Suspends the processes for the time of the block."""
        groups = [self.processes[name].pid for name in names]
        try:
            for group in groups:
                os.killpg(group, signal.SIGSTOP)
            yield
        finally:
            for group in groups:
                os.killpg(group, signal.SIGCONT)

    def push_titanic(self, *options: str) -> None:
        """Runs examples/titanic/train.py against this gateway."""
        script = str(self._repository / "examples/titanic/train.py")
        subprocess.run(
            [sys.executable, script, *options], env=self.environ(), check=True, timeout=120, capture_output=True
        )

    def is_live(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/livez", timeout=2).status_code == 200
        except httpx2.HTTPError:
            return False

    def workers(self) -> dict[str, int]:
        workers: dict[str, int] = httpx2.get(f"{self.url}/readyz", timeout=5).json().get("workers", {})
        return workers

    def log(self, name: str) -> str:
        return self._logs.get(name, self.folder / f"{name}.log").read_text(errors="replace")

    def rename(self, name: str, new_name: str) -> None:
        """Gives a process the name of one that has ended. Its log goes with it."""
        self.processes[new_name] = self.processes.pop(name)
        self._logs[new_name] = self._logs.pop(name)

    def stop(self, *names: str) -> None:
        """Sends SIGTERM to the named processes (default: all) and waits until they exit."""
        chosen = {name: self.processes.pop(name) for name in names or list(self.processes)}
        for process in chosen.values():
            process.send_signal(signal.SIGTERM)
        for process in chosen.values():
            try:
                process.wait(STOP_WAIT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Stack]:
    """Redis, the gateway, two prediction workers and a trainer, with the Titanic model pushed as version 1."""
    running = Stack(tmp_path_factory.mktemp("stack"), repository)
    running.redis.start()
    try:
        running.start_api()
        for name in ("worker1", "worker2"):
            running.start_worker(name)
        running.start_worker("trainer", "train", processes=2)
        running.start_reaper()
        wait_for(lambda: running.workers() == {"predict": 2, "train": 1}, "two workers and a trainer", START_WAIT_S)
        running.push_titanic()
        yield running
    finally:
        running.stop()
        running.redis.stop()


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.url) as connected:
        yield connected


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the system's Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    require_service(path is not None, "Chromium")
    return str(path)
