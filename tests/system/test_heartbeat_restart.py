"""A worker that is up and consumes nothing ends itself, and its keeper starts it again. Each is broken for real."""

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
def lonely(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Stack]:
    """Everything but a prediction worker; each test keeps its own."""
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
def client(lonely: Stack) -> Iterator[Client]:
    with Client(lonely.url) as connected:
        yield connected


class KeptWorker:
    """A prediction worker and its supervisor."""

    def __init__(self, stack: Stack, repository: Path, output: Callable[[], int], **settings: object) -> None:
        """output: where the next start writes to; it is closed here."""
        self.runs: list[subprocess.Popen[bytes]] = []
        self._stack = stack
        self._repository = repository
        self._output = output
        self._settings = settings
        self._keeper = ProcessSupervisor("kept", self._launch, Console(["kept"]), pytest.fail)

    def _launch(self) -> subprocess.Popen[bytes]:
        options = ["-Q", "predict", "-n", "kept@%h", "-c", "1", "--without-gossip", "--without-mingle", "-E"]
        environ = self._stack.environ(**self._settings)
        output = self._output()
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "worker.main", "worker", *options, "-l", "INFO"],
            cwd=self._repository,
            env=environ | {"CELERY_BROKER_URL": environ["QUEUECAST_REDIS_URL"]},  # to Celery it goes before any setting
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        os.close(output)
        self.runs.append(process)
        return process

    def __enter__(self) -> "KeptWorker":
        self._keeper.start()
        wait_for(lambda: self._stack.workers().get("predict"), "the worker", 60)
        return self

    def __exit__(self, *_: object) -> None:
        self._keeper.ask_to_stop()
        self._keeper.wait(time.monotonic() + 60)


def to_log(stack: Stack, name: str) -> Callable[[], int]:
    return lambda: os.open(stack.folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def is_answered(client: Client, within_s: float) -> bool:
    try:
        return client.predict("titanic", [ROW]).wait(within_s).state == "succeeded"
    except TimeoutError:
        return False


def test_a_worker_that_stopped_consuming_ends_and_the_next_one_does_the_job(
    lonely: Stack, client: Client, repository: Path
) -> None:
    with KeptWorker(lonely, repository, to_log(lonely, "deaf")) as worker:
        with Celery(broker=lonely.redis.url, set_as_current=False) as operator:
            # It answers, beats and looks healthy to Celery, and takes nothing more from its queue.
            replies = operator.control.cancel_consumer(
                "predict", destination=[f"kept@{socket.gethostname()}"], reply=True, timeout=10, limit=1
            )
        assert len(replies) == 1

        job = client.predict("titanic", [ROW]).wait(90)

        assert job.state == "succeeded"
        assert [run.returncode for run in worker.runs] == [EXIT_CODE, None]
        assert '"event": "worker_stalled"' in lonely.log("deaf")


def test_a_worker_whose_main_loop_hangs_is_ended_by_its_watchdog(
    lonely: Stack, client: Client, repository: Path
) -> None:
    """Whoever reads its log has stopped reading: the main loop blocks for ever in a write, and no log gets out."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    outputs = [writing]
    log = to_log(lonely, "unread")

    with KeptWorker(lonely, repository, lambda: outputs.pop() if outputs else log()) as worker:
        with Celery(broker=lonely.redis.url, set_as_current=False) as stranger:
            for _ in range(50):  # the main process complains about each in a kilobyte or more
                stranger.send_task("a task that nobody knows", queue=Queue("predict", Exchange("predict"), "predict"))
        hung_at = time.monotonic()

        job = client.predict("titanic", [ROW]).wait(120)

        print(f"hung for {time.monotonic() - hung_at:.0f} s")
        assert job.state == "succeeded"
        assert [run.returncode for run in worker.runs] == [EXIT_CODE, None]
    os.close(reading)


def test_a_worker_whose_connections_went_dead_consumes_again(lonely: Stack, client: Client, repository: Path) -> None:
    proxy = Proxy(lonely.redis.port)
    url = lonely.redis.url.replace(f":{lonely.redis.port}/", f":{proxy.port}/")
    with KeptWorker(lonely, repository, to_log(lonely, "dead"), redis_url=url) as worker:
        assert is_answered(client, 30)
        swallowed = proxy.swallow()
        dead_at = time.monotonic()

        # Celery may lose the first messages into dead connections; what counts here is that it takes new ones.
        while not is_answered(client, 5):
            assert time.monotonic() < dead_at + 150

        print(f"{swallowed} dead connections, answered after {time.monotonic() - dead_at:.0f} s")
        print(f"started {len(worker.runs)} times")
        assert swallowed >= 3
    proxy.close()
