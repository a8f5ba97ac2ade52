"""The compared servers, each with a Redis of its own: how to start them, and their processes.

All run at the same time and are measured in turn. A server that is busy while idle is paused.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from honcho.environ import parse_procfile

from bench.known_answers import Known
from bench.processes import ROOT, Memory, Processes, cpu_times_s, memory_of
from bench.protocols import MODEL
from deploy.embedded.redis_server import RedisServer, free_port

START_WAIT_S = 90.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
LITSERVE_PYTHON = ROOT / ".venv" / "litserve" / "bin" / "python"


class Stack:
    """A server with its Redis, if it has one. `name` is its dialect too."""

    name: str

    def __init__(self, folder: Path, known: Known, workers: int = 2) -> None:
        self.folder = folder / self.name
        self.folder.mkdir()
        self.known = known
        self.workers = workers
        self.port = free_port()
        self.redis: RedisServer | None = None
        self.processes = Processes(self.folder)

    def start(self) -> None:
        """Returns when it answers."""
        raise NotImplementedError

    def stop(self) -> None:
        self.processes.stop()
        if self.redis is not None:
            self.redis.stop()

    def pause(self) -> None:
        """Called before another server is measured."""

    def go_on(self) -> None:
        """Called before this server is measured."""

    def cpu_s(self) -> dict[str, float]:
        """Seconds since its start, by process; the ones that start and check a container are not among them."""
        seconds = self.processes.cpu_s()
        if self.redis is not None:
            seconds["redis"] = sum(cpu_times_s(self.redis.pid))
        return seconds

    def memory(self) -> dict[str, Memory]:
        found = self.processes.memory()
        if self.redis is not None:
            found["redis"] = memory_of([self.redis.pid])
        return found

    def get(self, path: str) -> tuple[int, bytes]:
        """One request, not measured; status 0 without an answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException):
            return 0, b""
        finally:
            connection.close()

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Raises OSError if a process ends, TimeoutError if it takes too long."""
        deadline = time.monotonic() + START_WAIT_S
        while not condition():
            self.processes.require_running()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name}: {what} did not come within {START_WAIT_S:g} s; see {self.folder}")
            time.sleep(0.1)

    def environ(self, own: Mapping[str, str]) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return {**os.environ, **ONE_THREAD, "PATH": path, "PYTHONPATH": str(ROOT), **own}


class QueuecastStack(Stack):
    """As the Procfile starts it: the gateway under granian, workers of one process each, the reaper. No Flower.

    The trainer imports the model and is stopped then: nothing is trained here.
    """

    name = "queuecast"

    def start(self) -> None:
        self.redis = RedisServer(self.folder / "redis")
        self.redis.start()
        for name in ("api", "reaper", "trainer"):
            self._start(name, name)
        self.scale(self.workers)
        self.wait_for(lambda: self.get("/livez")[0] == 200, "the gateway")
        self.wait_for(lambda: self._ready(1), "the workers and the trainer")
        self._push()
        self.processes.stop("trainer")

    def scale(self, workers: int) -> None:
        """Starts or stops workers until there are so many, and waits for them."""
        present = [name for name in self.processes.names() if name.startswith("worker")]
        self.processes.stop(*present[workers:]) if len(present) > workers else None
        for number in range(len(present) + 1, workers + 1):
            self._start("worker", f"worker{number}")
        self.workers = workers
        if self.get("/livez")[0]:
            self.wait_for(lambda: self._ready(0), f"{workers} workers")

    def _ready(self, trainers: int) -> bool:
        body = self.get("/readyz")[1]
        return f'"predict":{self.workers}'.encode() in body and (not trainers or b'"train":1' in body)

    def _start(self, line: str, name: str) -> None:
        procfile = parse_procfile((ROOT / "Procfile").read_text())
        environ = {
            "QUEUECAST_REDIS_URL": self.redis.url if self.redis else "",
            "CELERY_BROKER_URL": self.redis.url if self.redis else "",
            "QUEUECAST_DATA_DIR": str(self.folder / "data"),
            "QUEUECAST_API_HOST": "127.0.0.1",
            "QUEUECAST_API_PORT": str(self.port),
            "QUEUECAST_API_THREADS": "576",
            "QUEUECAST_WORKER_CONCURRENCY": "1",
            "QUEUECAST_LOG_LEVEL": "WARNING",
            "HONCHO_PROCESS_NAME": name,
        }
        self.processes.start(name, ["/bin/sh", "-c", procfile.processes[line]], self.environ(environ))

    def _push(self) -> None:
        from examples.titanic.train import COLUMNS, TARGET, passengers  # noqa: PLC0415 - loads scikit-learn
        from queuecast import Client  # noqa: PLC0415

        table = passengers()
        with Client(f"http://127.0.0.1:{self.port}") as client:
            job = client.push(MODEL, self.known.estimator, table[COLUMNS], table[TARGET])
            job.result(timeout_s=START_WAIT_S)


class TutorialStack(Stack):
    """Flask under gunicorn, and one Celery worker with its defaults and as many processes as queuecast has workers."""

    name = "tutorial"
    gunicorn = ("--workers", "2", "--threads", "4")

    def start(self) -> None:
        self.redis = RedisServer(self.folder / "redis")
        self.redis.start()
        own = {"TUTORIAL_REDIS_URL": self.redis.url, "TUTORIAL_MODEL": str(self.known.joblib_file)}
        celery = ["-A", "bench.tutorial.tasks", "worker", "--concurrency", str(self.workers), "-l", "WARNING"]
        self.processes.start("worker", [sys.executable, "-m", "celery", *celery], self.environ(own))
        address = f"127.0.0.1:{self.port}"
        gunicorn = [*self.gunicorn, "--bind", address, "--log-level", "warning", "bench.tutorial.app:app"]
        self.processes.start("api", [sys.executable, "-m", "gunicorn", *gunicorn], self.environ(own))
        self.wait_for(lambda: self.get("/result/none")[0] == 202, "the gateway")
        environ = self.environ({**own, "CELERY_BROKER_URL": self.redis.url})
        ping = [sys.executable, "-m", "celery", "-b", self.redis.url, "inspect", "ping", "-t", "1"]
        self.wait_for(lambda: _succeeds(ping, environ), "the worker")


class LitServeStack(Stack):
    """A synchronous server that batches, in an environment of its own."""

    name = "litserve"

    @staticmethod
    def is_there() -> bool:
        return LITSERVE_PYTHON.exists()

    def start(self) -> None:
        own = {"LITSERVE_MODEL": str(self.known.joblib_file), "LITSERVE_PORT": str(self.port)}
        own["LITSERVE_WORKERS"] = str(self.workers)
        program = [str(LITSERVE_PYTHON), str(ROOT / "bench" / "litserve_server.py")]
        self.processes.start("server", program, self.environ(own))
        self.wait_for(lambda: self.get("/health")[0] == 200, "the server")

    def stop(self) -> None:
        self.go_on()  # or it could not end
        super().stop()

    def pause(self) -> None:
        """LitServe polls for work all the time: idle, it takes a quarter of a core (0.2.19, two workers)."""
        self.processes.signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        self.processes.signal_all(signal.SIGCONT)


def _succeeds(command: list[str], environ: dict[str, str]) -> bool:
    return subprocess.run(command, env=environ, capture_output=True, timeout=30, check=False).returncode == 0
