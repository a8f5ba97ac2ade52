"""What `make run` refuses before it starts anything."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.embedded.redis_server import free_port
from tests.deploy.embedded.redis_folders import written_by
from tests.redis_of_version import RedisOfVersion, info_of


def refusal(repository: Path, folder: Path, workers: int = 1, **variables: str) -> str:
    """What is on the screen of a run that does not begin."""
    command = [sys.executable, "-m", "deploy.embedded", "--workers", str(workers)]
    environ = os.environ | {"QUEUECAST_DATA_DIR": str(folder)} | variables
    ended = subprocess.run(
        command, cwd=repository, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    return ended.stderr


@pytest.mark.parametrize("name", ["QUEUECAST_API_PORT", "QUEUECAST_FLOWER_PORT"])
def test_a_port_that_there_is_not_is_refused_by_its_variable(repository: Path, tmp_path: Path, name: str) -> None:
    told = refusal(repository, tmp_path, **{name: "65536"})

    assert told == f"queuecast cannot start: {name} is 65536, expected at most 65535\n"


def test_one_port_for_the_gateway_and_flower_is_refused(repository: Path, tmp_path: Path) -> None:
    port = str(free_port())

    told = refusal(repository, tmp_path, QUEUECAST_API_PORT=port, QUEUECAST_FLOWER_PORT=port)

    assert f"QUEUECAST_API_PORT and QUEUECAST_FLOWER_PORT are both {port}; set one to another port" in told


def test_a_port_that_is_taken_is_refused_by_its_variable(repository: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        told = refusal(repository, tmp_path, QUEUECAST_API_PORT=port)

    assert f"port {port} on 127.0.0.1 cannot be used" in told
    assert "set QUEUECAST_API_PORT to another port" in told


def test_a_run_without_workers_is_refused(repository: Path, tmp_path: Path) -> None:
    assert refusal(repository, tmp_path, workers=0) == "queuecast cannot start: WORKERS is 0, expected at least 1\n"


def test_an_external_redis_that_is_too_old_is_refused(repository: Path, tmp_path: Path) -> None:
    with RedisOfVersion(info_of("6.2.5")) as old:
        told = refusal(repository, tmp_path, QUEUECAST_REDIS_URL=old.url, **free_ports())

    assert told == (
        f"queuecast cannot start: QUEUECAST_REDIS_URL: found Redis 6.2.5 at 127.0.0.1:{old.port}, "
        "expected Redis 7.0 or later, or Valkey\n"
    )


def test_a_server_that_is_no_program_is_refused(repository: Path, tmp_path: Path) -> None:
    told = refusal(repository, tmp_path, QUEUECAST_REDIS_SERVER="no-such-server", **free_ports())

    assert told.startswith("queuecast cannot start: QUEUECAST_REDIS_SERVER is 'no-such-server', which is no program")


def test_a_folder_that_the_server_cannot_read_is_refused(repository: Path, tmp_path: Path) -> None:
    written_by(tmp_path / "redis", b"REDIS0012", b"redis-ver", b"8.0.2")

    told = refusal(repository, tmp_path, **free_ports())

    assert told.startswith(f"queuecast cannot start: Redis 8.0.2 wrote {tmp_path}/redis, and Valkey ")
    assert told.count("\n") == 1


def free_ports() -> dict[str, str]:
    return {"QUEUECAST_API_PORT": str(free_port()), "QUEUECAST_FLOWER_PORT": str(free_port())}
