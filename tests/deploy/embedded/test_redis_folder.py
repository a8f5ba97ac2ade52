"""A data folder of another server is read, or refused with advice."""

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
from tests.deploy.embedded.redis_folders import ONE_SET, folder_written_by

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
def test_a_server_reads_older_folders_of_its_product_and_folders_in_the_shared_format(
    server: str, readable: list[str], unreadable: list[str]
) -> None:
    def parsed(text: str) -> ServerVersion:
        return server_version(*text.split(" "))

    assert [writer for writer in readable if not can_read(parsed(server), parsed(writer))] == []
    assert [writer for writer in unreadable if can_read(parsed(server), parsed(writer))] == []


def test_a_folder_records_which_server_wrote_it(tmp_path: Path) -> None:
    assert value_in(tmp_path) is None

    assert (tmp_path / "written_by").read_text() == f"{BUNDLED}\n"


def test_a_folder_without_a_record_of_its_writer_is_read_and_gets_one(tmp_path: Path) -> None:
    value_in(folder_written_by(tmp_path, b"VALKEY080", b"valkey-ver", b"9.0.0"))

    assert value_in(tmp_path) == b"value"
    assert (tmp_path / "written_by").read_text() == f"{BUNDLED}\n"


@pytest.mark.parametrize("version", [b"7.0.15", b"7.2.4"])
def test_a_folder_that_an_older_redis_wrote_is_read(tmp_path: Path, version: bytes) -> None:
    assert value_in(folder_written_by(tmp_path, b"REDIS0010", b"redis-ver", version)) == b"value"


def test_a_folder_that_a_newer_redis_wrote_is_refused_before_a_server_starts(tmp_path: Path) -> None:
    message = refusal(folder_written_by(tmp_path, b"REDIS0012", b"redis-ver", b"8.0.2"))

    assert message == (
        f"Redis 8.0.2 wrote {tmp_path}, and {BUNDLED} cannot read it. Either run Redis 8.0.2 or a newer release: "
        "QUEUECAST_REDIS_SERVER=redis-server make run; or move the folder away and start without its jobs. "
        'docs/06-operations.md, "Another Redis server", explains how to migrate the jobs.'
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["appendonlydir"]


def test_a_refused_folder_of_the_bundled_server_advises_to_unset_the_setting(tmp_path: Path) -> None:
    value_in(tmp_path)

    with pytest.raises(
        CannotStartError, match="Either unset QUEUECAST_REDIS_SERVER, since the bundled Valkey can read"
    ):
        require_readable(tmp_path, server_version(REDIS, "7.0.15"))


def test_the_recorded_writer_takes_precedence_over_an_older_base_file(tmp_path: Path) -> None:
    folder_written_by(tmp_path, b"REDIS0010", b"redis-ver", b"7.0.15")
    (tmp_path / "written_by").write_text("Redis 8.0.2\n")

    assert refusal(tmp_path).startswith(f"Redis 8.0.2 wrote {tmp_path}, and {BUNDLED} cannot read it. ")


def test_a_recorded_writer_without_data_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "written_by").write_text("Redis 8.0.2\n")

    assert value_in(tmp_path) is None


@pytest.mark.parametrize("magic", [b"REDIS0012", b"NEITHER01"])
def test_a_folder_of_an_unknown_server_that_does_not_load_is_refused_with_the_log_line(
    tmp_path: Path, magic: bytes
) -> None:
    message = refusal(folder_written_by(tmp_path, magic))

    assert f"{BUNDLED} cannot read {tmp_path}: another product or a newer version wrote it, or it is damaged" in message
    assert ("Can't handle RDB format version 12" if magic == b"REDIS0012" else "Bad file format") in message
    assert "Either set QUEUECAST_REDIS_SERVER to the server that wrote it; or move the folder away" in message
    assert not (tmp_path / "written_by").exists()


def test_a_damaged_folder_of_the_same_server_is_reported_as_damaged(tmp_path: Path) -> None:
    value_in(folder_written_by(tmp_path, b"VALKEY080", b"valkey-ver", b"9.0.0"))
    with next((tmp_path / "appendonlydir").glob("*.incr.aof")).open("ab") as log:
        log.write(b"*3\r\nnonsense\r\n" + ONE_SET)

    assert refusal(tmp_path).startswith(
        f"{tmp_path} is damaged, according to the log of {BUNDLED}: Bad file format reading"
    )


def test_log_lines_of_an_earlier_start_are_ignored(tmp_path: Path) -> None:
    refusal(folder_written_by(tmp_path, b"NEITHER01"))
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
