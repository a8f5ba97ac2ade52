"""`make run` as its user sees it: an answer on the screen, Ctrl-C, and the same models and jobs at the next start."""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

import httpx2
import pytest
import redis

from deploy.embedded.demo import PASSENGER
from deploy.embedded.redis_server import free_port
from queuecast.adapters.disk.audit import AuditFiles
from queuecast.adapters.disk.embedded_redis import published_url
from queuecast.adapters.disk.models import ModelFiles
from tests.queuecast.domain.records import a_manifest, a_move
from tests.redis_servers import VARIABLE as TEST_SERVER
from tests.system.conftest import wait_for

pytestmark = pytest.mark.xdist_group("embedded")
RUN = [sys.executable, "-m", "deploy.embedded", "--workers", "1"]


class EmbeddedRun:
    """One `make run` in its own session, as a terminal starts it."""

    def __init__(self, repository: Path, folder: Path, environ: dict[str, str]) -> None:
        self.output = folder / "screen.txt"
        with self.output.open("wb") as screen:
            self.process = subprocess.Popen(
                RUN, cwd=repository, env={**os.environ, **environ}, stdout=screen, stderr=screen, start_new_session=True
            )

    def screen(self) -> str:
        return self.output.read_text(errors="replace")

    def press_ctrl_c(self) -> int:
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(90)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Stops the run if a test fails halfway."""
        if self.process.poll() is None:
            self.press_ctrl_c()


def processes_with(text: str) -> list[str]:
    """Command lines and environments of live processes that contain `text`."""
    matches = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            about = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if text.encode() in about and int(folder.name) != os.getpid():
            matches.append(f"{folder.name} {about[-200:]!r}")
    return matches


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    ports = {"QUEUECAST_API_PORT": str(free_port()), "QUEUECAST_FLOWER_PORT": str(free_port())}
    server = {"QUEUECAST_REDIS_SERVER": os.environ.get(TEST_SERVER, "")}
    return {"QUEUECAST_DATA_DIR": str(tmp_path / "data"), **ports, **server}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_run_predicts_stops_cleanly_and_keeps_models_and_jobs(
    repository: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    url = f"http://127.0.0.1:{environ['QUEUECAST_API_PORT']}"
    with EmbeddedRun(repository, tmp_path, environ) as first:
        wait_for(lambda: "Ctrl-C stops everything" in first.screen(), "the demo", 120)
        jobs = json.loads(queuecast("jobs", "--json", url=url))
        first_code, first_screen = first.press_ctrl_c(), first.screen()
    leftovers = processes_with(str(tmp_path / "data"))
    files = {path.name for path in (tmp_path / "data").rglob("*") if path.is_file()}

    with EmbeddedRun(repository, tmp_path, environ) as second:
        wait_for(lambda: "Ctrl-C stops everything" in second.screen(), "the second demo", 120)
        jobs_again = json.loads(queuecast("jobs", "--json", url=url))
        models = json.loads(queuecast("models", "--json", url=url))

    assert "survives with probability 0.9" in first_screen
    assert f"export QUEUECAST_URL={url}\n" in first_screen
    assert first_code == 0
    assert leftovers == []
    assert not {name for name in files if name.endswith((".pid", ".lock", ".sock", ".conf")) or "incoming" in name}
    assert "url" not in files  # it contains a password
    assert "no model" not in second.screen()
    assert {job["id"] for job in jobs} < {job["id"] for job in jobs_again}
    assert [model["versions"] for model in models] == [1]


def queuecast(*arguments: str, url: str) -> str:
    command = [sys.executable, "-c", "from queuecast.cli.main import main; main()", "--url", url, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_a_run_that_lost_its_redis_data_stays_up_while_its_aliases_are_rebuilt(
    repository: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    folder = tmp_path / "data" / "models"
    for number in range(2):
        ModelFiles(folder).publish(a_manifest("titanic", job_id=f"job_{number}"), {})
    with AuditFiles(folder).locked("titanic") as trail:
        trail.append([a_move(1, 1), a_move(2, 2, previous=1)])

    with EmbeddedRun(repository, tmp_path, environ) as run:
        wait_for(lambda: "queuecast admin rebuild-aliases" in run.screen(), "the advice", 120)
        command = [sys.executable, "-m", "queuecast.cli.admin", "rebuild-aliases"]
        rebuilt = subprocess.run(
            command,
            cwd=repository,
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        models = json.loads(queuecast("models", "--json", url=f"http://127.0.0.1:{environ['QUEUECAST_API_PORT']}"))
        code = run.press_ctrl_c()

    assert rebuilt.stdout == "titanic: 2 moves restored, generation 2: champion is version 2\n", rebuilt.stderr
    assert [(model["champion"], model["generation"]) for model in models] == [(2, 2)]
    assert code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_run_whose_output_pipe_closes_still_stops_all_its_processes(
    repository: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    """As in `make run | grep ...`, where Ctrl-C ends the reader first."""
    piped = subprocess.Popen(
        RUN, cwd=repository, env={**os.environ, **environ}, stdout=subprocess.PIPE, start_new_session=True
    )
    assert piped.stdout is not None
    while b"started" not in piped.stdout.readline():
        pass
    piped.stdout.close()
    wait_for(lambda: len(processes_with(str(tmp_path / "data"))) >= 5, "the processes", 60)

    os.killpg(piped.pid, signal.SIGINT)
    code = piped.wait(90)

    assert code == 0
    assert processes_with(str(tmp_path / "data")) == []


PROCESSES = ("api.1", "worker.1", "trainer.1", "reaper.1", "flower.1")


def redis_of(data: Path) -> tuple[int, int]:
    """Port and pid of the server that runs on this folder, from Redis itself: it overwrites its title in /proc."""
    with redis.Redis.from_url(published_url(data / "redis") or "") as client:
        return client.connection_pool.connection_kwargs["port"], int(client.info("server")["process_id"])


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_every_killed_process_is_restarted_and_the_service_answers_again(
    repository: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    url = f"http://127.0.0.1:{environ['QUEUECAST_API_PORT']}"
    with EmbeddedRun(repository, tmp_path, environ) as run:
        wait_for(lambda: "demo.1 exited with code 0" in run.screen(), "the demo", 120)
        port, pid = redis_of(tmp_path / "data")
        os.kill(pid, signal.SIGKILL)
        for name in PROCESSES:
            os.kill(int(re.findall(rf"{name} started \(pid=(\d+)\)", run.screen())[-1]), signal.SIGKILL)

        for name in PROCESSES:
            wait_for(lambda name=name: run.screen().count(f"{name} started") == 2, f"{name} again", 30)
        wait_for(lambda: ready(url), "all workers", 60)
        answer = queuecast("predict", "titanic", "--row", json.dumps(PASSENGER), url=url)
        code = run.press_ctrl_c()

    assert "redis was killed by SIGKILL; restarting in 1 s" in run.screen()
    assert run.screen().count("demo.1 started") == 1
    assert "1" in answer
    assert code == 0
    assert processes_with(str(tmp_path / "data")) == []
    assert not is_listening(port)


def ready(url: str) -> bool:
    try:
        body = httpx2.get(f"{url}/readyz", timeout=2).json()
    except httpx2.HTTPError:
        return False
    return body.get("workers") == {"predict": 1, "train": 1}


def test_a_process_that_never_starts_stops_the_run_and_is_named(
    repository: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    environ["QUEUECAST_LOG_LEVEL"] = "LOUD"  # every process reads it, and none accepts it
    with EmbeddedRun(repository, tmp_path, environ) as run:
        code = run.process.wait(120)

    assert code == 1
    assert re.search(
        r"queuecast has stopped: \S+ exited with code \d+, 5 times in a row right after its start", run.screen()
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_redis_starts_stops_everything(
    repository: Path, tmp_path: Path, environ: dict[str, str], number: signal.Signals
) -> None:
    with EmbeddedRun(repository, tmp_path, environ) as run:
        wait_for((tmp_path / "data/redis/url").exists, "the start of Redis", 30)
        run.process.send_signal(number)
        code = run.process.wait(90)

    assert code == 0
    assert processes_with(str(tmp_path / "data")) == []


@pytest.mark.parametrize("setting", ["QUEUECAST_API_PORT", "QUEUECAST_FLOWER_PORT"])
def test_the_error_for_a_port_in_use_names_the_setting_that_changes_it(
    repository: Path, environ: dict[str, str], setting: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        environ[setting] = str(taken.getsockname()[1])
        ended = subprocess.run(
            RUN, cwd=repository, env={**os.environ, **environ}, capture_output=True, text=True, timeout=60, check=False
        )

    assert ended.returncode == 1
    assert f"port {environ[setting]} on 127.0.0.1 cannot be used" in ended.stderr
    assert f"set {setting} to another port" in ended.stderr


def test_a_second_run_on_one_folder_is_refused(repository: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "data").mkdir()
    folder = os.open(tmp_path / "data", os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)

    ended = subprocess.run(
        RUN, cwd=repository, env={**os.environ, **environ}, capture_output=True, text=True, timeout=60, check=False
    )
    os.close(folder)

    assert ended.returncode == 1
    assert "in use by another run; set QUEUECAST_DATA_DIR" in ended.stderr
