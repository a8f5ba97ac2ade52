"""Which server `make run` starts: the bundled one, regardless of PATH, unless a setting names another."""

from pathlib import Path

import pytest

from deploy.embedded.preconditions import CannotStartError
from deploy.embedded.server_programs import bundled_server, configured_server, version_of
from queuecast.adapters.redis.server_check import VALKEY
from queuecast.config import Settings


def program(folder: Path, output: str, name: str = "redis-server") -> Path:
    """A program that prints `output`, for example the version line of a server."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{output}'\n")
    path.chmod(0o755)
    return path


def test_the_bundled_server_takes_precedence_over_servers_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("redis-server", "valkey-server"):
        program(tmp_path, "Redis server v=7.0.15 sha=00000000:0", name)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    assert configured_server(Settings()) == bundled_server()
    assert version_of(bundled_server()).product == VALKEY


@pytest.mark.parametrize("is_path", [True, False])
def test_a_setting_selects_a_server_by_path_or_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_path: bool
) -> None:
    path = program(tmp_path, "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    assert configured_server(Settings(redis_server=str(path) if is_path else "redis-server")) == str(path)


@pytest.mark.parametrize(
    ("output", "durability", "refusal"),
    [
        ("Redis server v=6.2.5 sha=0", "everysec", "found Redis 6.2.5 in {path}, expected Redis 7.0 or later, or Valk"),
        ("Redis server v=7.0.15 sha=0", "fsync", "QUEUECAST_DURABILITY is fsync; found Redis 7.0.15 in {path}, expect"),
        (
            "ls (GNU coreutils) 9.1",
            "everysec",
            "{path} is not a Redis or Valkey server that runs on this machine (--version says: 'ls",
        ),
        ("", "everysec", "{path} is not a Redis or Valkey server that runs on this machine (--version says: '')"),
    ],
)
def test_an_unusable_program_is_refused(tmp_path: Path, output: str, durability: str, refusal: str) -> None:
    path = program(tmp_path, output)

    with pytest.raises(CannotStartError) as refused:
        configured_server(Settings(redis_server=str(path), durability=durability))

    assert str(refused.value).startswith(refusal.format(path=path))
    assert "set QUEUECAST_REDIS_SERVER to" in str(refused.value)


def test_a_missing_program_is_refused() -> None:
    with pytest.raises(CannotStartError, match="QUEUECAST_REDIS_SERVER is 'no-such-server', which is not a program"):
        configured_server(Settings(redis_server="no-such-server"))


def test_on_a_platform_without_the_bundled_server_the_error_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Plan 9")

    with pytest.raises(CannotStartError, match=r"the bundled Valkey is not available .*set QUEUECAST_REDIS_SERVER to"):
        bundled_server()
