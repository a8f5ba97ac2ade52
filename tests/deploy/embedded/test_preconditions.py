"""`make run` checks its preconditions before it starts anything."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.embedded.redis_server import free_port
from tests.deploy.embedded.redis_folders import folder_written_by
from tests.redis_of_version import RedisOfVersion, info_of


def refusal(repository: Path, folder: Path, workers: int = 1, **variables: str) -> str:
    """The error message of a run that is refused."""
    command = [sys.executable, "-m", "deploy.embedded", "--workers", str(workers)]
    environ = os.environ | {"QUEUECAST_DATA_DIR": str(folder)} | variables
    completed = subprocess.run(
        command, cwd=repository, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert (completed.returncode, completed.stdout) == (1, "")
    return completed.stderr


@pytest.mark.parametrize("name", ["QUEUECAST_API_PORT", "QUEUECAST_FLOWER_PORT"])
def test_a_port_out_of_range_is_refused_with_its_variable(repository: Path, tmp_path: Path, name: str) -> None:
    message = refusal(repository, tmp_path, **{name: "65536"})

    assert message == f"queuecast cannot start: {name} is 65536, expected at most 65535\n"


def test_the_same_port_for_gateway_and_flower_is_refused(repository: Path, tmp_path: Path) -> None:
    port = str(free_port())

    message = refusal(repository, tmp_path, QUEUECAST_API_PORT=port, QUEUECAST_FLOWER_PORT=port)

    assert f"QUEUECAST_API_PORT and QUEUECAST_FLOWER_PORT are both {port}; set one to another port" in message


def test_a_port_in_use_is_refused_with_its_variable(repository: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        message = refusal(repository, tmp_path, QUEUECAST_API_PORT=port)

    assert f"port {port} on 127.0.0.1 cannot be used" in message
    assert "set QUEUECAST_API_PORT to another port" in message


def test_a_run_without_workers_is_refused(repository: Path, tmp_path: Path) -> None:
    assert refusal(repository, tmp_path, workers=0) == "queuecast cannot start: WORKERS is 0, expected at least 1\n"


def test_an_external_redis_that_is_too_old_is_refused(repository: Path, tmp_path: Path) -> None:
    with RedisOfVersion(info_of("6.2.5")) as old:
        message = refusal(repository, tmp_path, QUEUECAST_REDIS_URL=old.url, **free_ports())

    assert message == (
        f"queuecast cannot start: QUEUECAST_REDIS_URL: found Redis 6.2.5 at 127.0.0.1:{old.port}, "
        "expected Redis 7.0 or later, or Valkey\n"
    )


def test_a_redis_server_setting_that_names_no_program_is_refused(repository: Path, tmp_path: Path) -> None:
    message = refusal(repository, tmp_path, QUEUECAST_REDIS_SERVER="no-such-server", **free_ports())

    assert message.startswith(
        "queuecast cannot start: QUEUECAST_REDIS_SERVER is 'no-such-server', which is not a program"
    )


def test_a_folder_that_the_server_cannot_read_is_refused(repository: Path, tmp_path: Path) -> None:
    folder_written_by(tmp_path / "redis", b"REDIS0012", b"redis-ver", b"8.0.2")

    message = refusal(repository, tmp_path, **free_ports())

    assert message.startswith(f"queuecast cannot start: Redis 8.0.2 wrote {tmp_path}/redis, and Valkey ")
    assert message.count("\n") == 1


def free_ports() -> dict[str, str]:
    return {"QUEUECAST_API_PORT": str(free_port()), "QUEUECAST_FLOWER_PORT": str(free_port())}
