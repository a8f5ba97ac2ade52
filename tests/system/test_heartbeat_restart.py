"""A worker that is up but no longer consumes exits, and its supervisor restarts it. The failures are real."""

import fcntl
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery
from kombu import Exchange, Queue

from deploy.embedded.console import Console
from deploy.embedded.supervisor import ProcessSupervisor
from queuecast import Client
from tests.system.conftest import Stack, wait_for
from tests.system.proxy import Proxy

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("presence")]
ROW = {"pclass": 1, "sex": "female", "age": 29, "sibsp": 0, "parch": 0, "fare": 211.3, "embarked": "S"}
EXIT_CODE = 70
PIPE_BYTES = 16384


@pytest.fixture(scope="module")
def workerless(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Stack]:
    """Everything except a prediction worker; each test supervises its own."""
    running = Stack(tmp_path_factory.mktemp("presence"), repository)
    running.redis.start()
    try:
        running.start_api()
        running.start("reaper", "worker.reaper")
        running.start_worker("trainer", "train")
        running.push_titanic()
        yield running
    finally:
        running.stop()
        running.redis.stop()


@pytest.fixture
def client(workerless: Stack) -> Iterator[Client]:
    with Client(workerless.url) as connected:
        yield connected


class SupervisedWorker:
    """A prediction worker and its supervisor."""

    def __init__(self, stack: Stack, repository: Path, output: Callable[[], int], **settings: object) -> None:
        """output: opens the file descriptor for the output of the next start; `_launch` closes it."""
        self.runs: list[subprocess.Popen[bytes]] = []
        self._stack = stack
        self._repository = repository
        self._output = output
        self._settings = settings
        self._supervisor = ProcessSupervisor("supervised", self._launch, Console(["supervised"]), pytest.fail)

    def _launch(self) -> subprocess.Popen[bytes]:
        options = ["-Q", "predict", "-n", "supervised@%h", "-c", "1", "--without-gossip", "--without-mingle", "-E"]
        environ = self._stack.environ(**self._settings)
        output = self._output()
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "worker.main", "worker", *options, "-l", "INFO"],
            cwd=self._repository,
            env=environ | {"CELERY_BROKER_URL": environ["QUEUECAST_REDIS_URL"]},  # has precedence in Celery
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        os.close(output)
        self.runs.append(process)
        return process

    def __enter__(self) -> "SupervisedWorker":
        self._supervisor.start()
        wait_for(lambda: self._stack.workers().get("predict"), "the worker", 60)
        return self

    def __exit__(self, *_: object) -> None:
        self._supervisor.request_stop()
        self._supervisor.wait(time.monotonic() + 60)


def to_log(stack: Stack, name: str) -> Callable[[], int]:
    return lambda: os.open(stack.folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def is_answered(client: Client, within_s: float) -> bool:
    try:
        return client.predict("titanic", [ROW]).wait(within_s).state == "succeeded"
    except TimeoutError:
        return False


def test_a_worker_that_stops_consuming_exits_and_its_successor_runs_the_job(
    workerless: Stack, client: Client, repository: Path
) -> None:
    with SupervisedWorker(workerless, repository, to_log(workerless, "not_consuming")) as worker:
        with Celery(broker=workerless.redis.url, set_as_current=False) as operator:
            # The worker still sends heartbeats and looks healthy to Celery, but takes no more messages.
            replies = operator.control.cancel_consumer(
                "predict", destination=[f"supervised@{socket.gethostname()}"], reply=True, timeout=10, limit=1
            )
        assert len(replies) == 1

        job = client.predict("titanic", [ROW]).wait(90)

        assert job.state == "succeeded"
        assert [run.returncode for run in worker.runs] == [EXIT_CODE, None]
        assert '"event": "worker_stalled"' in workerless.log("not_consuming")


def test_the_watchdog_ends_a_worker_whose_main_loop_hangs(workerless: Stack, client: Client, repository: Path) -> None:
    """The log pipe is full because its reader has stopped, so the main loop blocks forever in a write."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    outputs = [writing]
    log = to_log(workerless, "hung")

    with SupervisedWorker(workerless, repository, lambda: outputs.pop() if outputs else log()) as worker:
        with Celery(broker=workerless.redis.url, set_as_current=False) as sender:
            for _ in range(50):  # the main process logs more than a kilobyte about each
                sender.send_task("an unknown task", queue=Queue("predict", Exchange("predict"), "predict"))
        hung_at = time.monotonic()

        job = client.predict("titanic", [ROW]).wait(120)

        print(f"hung for {time.monotonic() - hung_at:.0f} s")
        assert job.state == "succeeded"
        assert [run.returncode for run in worker.runs] == [EXIT_CODE, None]
    os.close(reading)


def test_a_worker_recovers_from_dead_connections(workerless: Stack, client: Client, repository: Path) -> None:
    proxy = Proxy(workerless.redis.port)
    url = workerless.redis.url.replace(f":{workerless.redis.port}/", f":{proxy.port}/")
    with SupervisedWorker(workerless, repository, to_log(workerless, "dead"), redis_url=url) as worker:
        assert is_answered(client, 30)
        dead_connections = proxy.black_hole()
        dead_at = time.monotonic()

        # Celery may lose the first messages on dead connections; the worker must take later ones.
        while not is_answered(client, 5):
            assert time.monotonic() < dead_at + 150

        print(f"{dead_connections} dead connections, answered after {time.monotonic() - dead_at:.0f} s")
        print(f"started {len(worker.runs)} times")
        assert dead_connections >= 3
    proxy.close()
