"""A data folder that another server wrote: it is read, or refused with what to do."""

import shutil
from pathlib import Path

import pytest
import redis

from deploy.embedded.preconditions import CannotStartError
from deploy.embedded.redis_folder import can_read, require_readable
from deploy.embedded.redis_server import RedisServer
from deploy.embedded.server_programs import bundled_server, version_of
from queuecast.adapters.redis.server_check import REDIS, ServerVersion, server_version
from tests.conftest import require_service
from tests.deploy.embedded.redis_folders import ONE_SET, written_by

BUNDLED = version_of(bundled_server())


def value_in(folder: Path, program: str | None = None) -> bytes | None:
    server = RedisServer(folder, program=program)
    server.start()
    try:
        with redis.Redis.from_url(server.url) as client:
            return client.get("key")  # type: ignore[return-value]
    finally:
        server.stop()


def refusal(folder: Path) -> str:
    with pytest.raises(CannotStartError) as refused:
        value_in(folder)
    return str(refused.value)


@pytest.mark.parametrize(
    ("server", "readable", "unreadable"),
    [
        ("Redis 7.0.15", ["Redis 7.0.4", "Redis 7.0.20", "Redis 6.2.5"], ["Redis 7.2.0", "Valkey 7.2.5", "Valkey 9.0"]),
        ("Redis 7.2.4", ["Redis 7.0.15", "Valkey 7.2.5", "Valkey 8.1.1"], ["Redis 7.4.0", "Valkey 9.0.0"]),
        ("Redis 8.0.2", ["Redis 7.0.15", "Redis 7.4.1", "Valkey 8.1.1"], ["Redis 8.2.0", "Valkey 9.0.0"]),
        ("Valkey 8.1.1", ["Redis 7.2.4", "Valkey 8.0.0"], ["Redis 7.4.0", "Valkey 9.0.0"]),
        ("Valkey 9.1.2", ["Redis 7.0.15", "Redis 7.2.4", "Valkey 9.0.0"], ["Redis 7.4.0", "Redis 8.0", "Valkey 9.2.0"]),
    ],
)
def test_a_server_reads_older_folders_of_its_own_and_those_of_before_the_two_parted(
    server: str, readable: list[str], unreadable: list[str]
) -> None:
    def parsed(text: str) -> ServerVersion:
        return server_version(*text.split(" "))

    assert [each for each in readable if not can_read(parsed(server), parsed(each))] == []
    assert [each for each in unreadable if can_read(parsed(server), parsed(each))] == []


def test_a_folder_says_which_server_wrote_it(tmp_path: Path) -> None:
    assert value_in(tmp_path) is None

    assert (tmp_path / "written_by").read_text() == f"{BUNDLED}\n"


def test_a_folder_of_before_is_read_and_noted(tmp_path: Path) -> None:
    value_in(written_by(tmp_path, b"VALKEY080", b"valkey-ver", b"9.0.0"))

    assert value_in(tmp_path) == b"value"
    assert (tmp_path / "written_by").read_text() == f"{BUNDLED}\n"


@pytest.mark.parametrize("version", [b"7.0.15", b"7.2.4"])
def test_a_folder_that_an_older_redis_wrote_is_read(tmp_path: Path, version: bytes) -> None:
    assert value_in(written_by(tmp_path, b"REDIS0010", b"redis-ver", version)) == b"value"


def test_a_folder_that_a_newer_redis_wrote_is_refused_before_a_server_starts(tmp_path: Path) -> None:
    told = refusal(written_by(tmp_path, b"REDIS0012", b"redis-ver", b"8.0.2"))

    assert told == (
        f"Redis 8.0.2 wrote {tmp_path}, and {BUNDLED} cannot read it. Either stay with Redis 8.0.2 or a newer one: "
        "QUEUECAST_REDIS_SERVER=redis-server make run; or move the folder away, and start without its jobs. "
        'docs/06-operations.md, "Another Redis server", says how to take the jobs along.'
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["appendonlydir"]


def test_what_the_bundled_server_wrote_is_read_by_it_again(tmp_path: Path) -> None:
    value_in(tmp_path)

    with pytest.raises(CannotStartError, match="Either unset QUEUECAST_REDIS_SERVER, since the bundled Valkey reads"):
        require_readable(tmp_path, server_version(REDIS, "7.0.15"))


def test_what_the_folder_says_counts_where_its_base_file_is_older(tmp_path: Path) -> None:
    written_by(tmp_path, b"REDIS0010", b"redis-ver", b"7.0.15")
    (tmp_path / "written_by").write_text("Redis 8.0.2\n")

    assert refusal(tmp_path).startswith(f"Redis 8.0.2 wrote {tmp_path}, and {BUNDLED} cannot read it. ")


def test_a_note_about_data_that_were_moved_away_is_not_minded(tmp_path: Path) -> None:
    (tmp_path / "written_by").write_text("Redis 8.0.2\n")

    assert value_in(tmp_path) is None


@pytest.mark.parametrize("magic", [b"REDIS0012", b"NEITHER01"])
def test_a_folder_of_no_known_server_that_does_not_load_is_refused_by_the_log(tmp_path: Path, magic: bytes) -> None:
    told = refusal(written_by(tmp_path, magic))

    assert f"{BUNDLED} cannot read {tmp_path}: another product or a newer version wrote it, or it is damaged" in told
    assert ("Can't handle RDB format version 12" if magic == b"REDIS0012" else "Bad file format") in told
    assert "Either set QUEUECAST_REDIS_SERVER to the server that wrote it; or move the folder away" in told
    assert not (tmp_path / "written_by").exists()


def test_a_damaged_folder_of_its_own_is_called_damaged(tmp_path: Path) -> None:
    value_in(written_by(tmp_path, b"VALKEY080", b"valkey-ver", b"9.0.0"))
    with next((tmp_path / "appendonlydir").glob("*.incr.aof")).open("ab") as log:
        log.write(b"*3\r\nnonsense\r\n" + ONE_SET)

    assert refusal(tmp_path).startswith(f"{tmp_path} is damaged, says the log of {BUNDLED}: Bad file format reading")


def test_the_log_of_an_earlier_start_does_not_count(tmp_path: Path) -> None:
    refusal(written_by(tmp_path, b"NEITHER01"))
    shutil.rmtree(tmp_path / "appendonlydir")

    assert value_in(tmp_path) is None


def test_the_bundled_server_reads_the_folder_of_an_installed_redis_or_refuses_it(tmp_path: Path) -> None:
    installed = shutil.which("redis-server")
    require_service(installed is not None, "an installed redis-server")
    server = RedisServer(tmp_path, program=installed)
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
    server.stop()
    (tmp_path / "written_by").unlink()

    if can_read(BUNDLED, version_of(str(installed))):
        assert value_in(tmp_path) == b"value"
    else:
        assert "QUEUECAST_REDIS_SERVER" in refusal(tmp_path)
