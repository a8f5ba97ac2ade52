"""Which servers queuecast uses, and that it writes nothing to any other."""

import pytest
import redis

from deploy.embedded.redis_server import RedisServer, free_port
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.adapters.redis.server_check import (
    REDIS,
    VALKEY,
    ServerVersion,
    UnsuitableServerError,
    check_server,
    version_in_info,
    version_refusal,
)
from queuecast.domain.errors import UnavailableError
from queuecast.domain.job import JobType
from tests.conftest import require_fsync
from tests.queuecast.domain.records import a_job, work_of
from tests.redis_of_version import RedisOfVersion, info_of

WRITES = {"EVAL", "EVALSHA", "SCRIPT", "HSET", "XADD"}


@pytest.mark.parametrize(
    ("info", "version"),
    [
        ("# Server\r\nredis_version:7.0.15\r\nredis_git_sha1:0\r\n", ServerVersion(REDIS, (7, 0, 15))),
        (
            "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\nvalkey_release_stage:ga\r\n",
            ServerVersion(VALKEY, (9, 1, 2)),
        ),
        ("redis_version:8.0-rc1\n", ServerVersion(REDIS, (8, 0, 1))),
        ("# Server\r\n", None),
    ],
)
def test_both_products_are_known_by_what_they_report(info: str, version: ServerVersion | None) -> None:
    assert version_in_info(info) == version


@pytest.mark.parametrize(
    ("version", "everysec", "fsync"),
    [
        (ServerVersion(REDIS, (6, 2, 99)), False, False),
        (ServerVersion(REDIS, (7, 0, 0)), True, False),
        (ServerVersion(REDIS, (7, 1, 0)), True, False),
        (ServerVersion(REDIS, (7, 2, 0)), True, True),
        (ServerVersion(REDIS, (8, 0, 2)), True, True),
        (ServerVersion(REDIS, (10, 0)), True, True),
        (ServerVersion(VALKEY, (7, 2, 5)), True, True),
        (ServerVersion(VALKEY, (9, 1, 2)), True, True),
    ],
)
def test_the_least_version_is_that_of_the_commands_that_are_used(
    version: ServerVersion, everysec: bool, fsync: bool
) -> None:
    assert (version_refusal(version, "here", durable=False) is None) is everysec
    assert (version_refusal(version, "here", durable=True) is None) is fsync


def test_the_server_under_test_is_used(redis_server: RedisServer) -> None:
    check_server(redis_server.url, durable=False)


def test_the_server_under_test_is_used_with_fsync(redis_server: RedisServer) -> None:
    require_fsync()

    check_server(redis_server.url, durable=True)


def test_no_server_is_no_wrong_server() -> None:
    check_server(f"redis://127.0.0.1:{free_port()}/0", durable=True)


def test_a_server_that_is_too_old_is_refused_with_what_was_found_and_expected() -> None:
    with RedisOfVersion(info_of("6.2.5")) as old, pytest.raises(UnsuitableServerError) as refused:
        check_server(old.url, durable=False)

    assert str(refused.value) == f"found Redis 6.2.5 at 127.0.0.1:{old.port}, expected Redis 7.0 or later, or Valkey"


def test_fsync_names_the_setting_that_the_server_is_too_old_for() -> None:
    with RedisOfVersion(info_of("7.0.15")) as old, pytest.raises(UnsuitableServerError) as refused:
        check_server(old.url, durable=True)

    assert str(refused.value) == (
        f"QUEUECAST_DURABILITY is fsync; found Redis 7.0.15 at 127.0.0.1:{old.port}, expected Redis 7.2 or later, "
        "or Valkey (with QUEUECAST_DURABILITY=everysec this server can be used)"
    )


@pytest.mark.parametrize("version", ["6.2.5", "7.0.15"])
def test_nothing_is_written_to_a_server_that_is_too_old(version: str) -> None:
    with RedisOfVersion(info_of(version)) as old, connect(old.url, durable=True) as client:
        with pytest.raises(UnavailableError, match=rf"this Redis cannot be used: .*found Redis {version}"):
            RedisJobs(client, durable=True).create(a_job(), work_of(JobType.PREDICTION))

        assert WRITES.isdisjoint(old.commands)


def test_a_server_without_an_append_only_file_is_refused_before_a_durable_job(own_server: RedisServer) -> None:
    require_fsync()
    with redis.Redis.from_url(own_server.url) as client:
        client.config_set("appendonly", "no")

    with pytest.raises(UnsuitableServerError, match=r"found no append-only file at .*, expected `appendonly yes`"):
        check_server(own_server.url, durable=True)
    check_server(own_server.url, durable=False)


def test_a_fork_that_lacks_waitaof_is_refused_in_its_own_words() -> None:
    with (
        RedisOfVersion(info_of("7.4.0")) as fork,
        pytest.raises(UnsuitableServerError, match="refuses WAITAOF: unknown"),
    ):
        check_server(fork.url, durable=True)


def test_a_user_who_may_not_ask_for_the_version_is_let_in(own_server: RedisServer) -> None:
    with redis.Redis.from_url(own_server.url) as client:
        client.acl_setuser("shy", enabled=True, passwords=["+pw"], categories=["+@all"], commands=["-info"], keys=["*"])

    with connect(f"redis://shy:pw@127.0.0.1:{own_server.port}/0") as shy:
        assert shy.ping()


def test_a_server_that_is_replaced_by_an_older_one_is_reported_once_each_time() -> None:
    reports: list[str] = []
    with RedisOfVersion(info_of("7.0.15")) as server, connect(server.url, on_unsuitable=reports.append) as client:
        for version in ("7.0.15", "6.2.5", "6.2.5", "7.2.0", "6.2.5"):
            server.info = info_of(version)
            client.connection_pool.disconnect()
            is_old = version.startswith("6")
            if is_old:
                with pytest.raises(UnsuitableServerError):
                    client.ping()
            else:
                client.ping()

    assert reports == 2 * [f"found Redis 6.2.5 at 127.0.0.1:{server.port}, expected Redis 7.0 or later, or Valkey"]
