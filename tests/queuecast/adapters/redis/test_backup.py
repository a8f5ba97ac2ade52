"""A backup and its restore keep every type, every byte and every expiry."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from deploy.embedded.redis_server import RedisServer
from queuecast.adapters.backup_records import Record
from queuecast.adapters.disk.backup_format import backup_records, checked_backup, write_backup
from queuecast.adapters.redis.backup import Dump, Restored, require_empty, restore
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.job_maintenance import RedisJobMaintenance
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.domain.errors import ConflictError, DamagedFileError, UnavailableError
from queuecast.domain.job import JobType, State
from tests.queuecast.domain.records import RETENTION_S, a_job, work_of

pytestmark = pytest.mark.redis
BYTES = bytes(range(256))


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url) as connected:
        yield connected


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup.jsonl"


def backed_up(client: redis.Redis, file: Path) -> Dump:
    dump = Dump(client)
    write_backup(file, 1_763_700_000.0, dump, dump.counts)
    return dump


def restored(client: redis.Redis, file: Path) -> Restored:
    checked_backup(file)
    return restore(client, backup_records(file))


def contents(client: redis.Redis) -> dict[bytes, Any]:
    """Every key in Redis with its content and expiry."""
    read: dict[bytes, Any] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
    }
    return {key: (read[client.type(key)](key), client.pexpiretime(key)) for key in client.scan_iter()}


def fill(client: redis.Redis) -> None:
    client.set("qc:training:titanic", "job_1")
    client.set("qc:empty", "")
    client.set(b"qc:bytes:" + BYTES, BYTES)
    client.hset("qc:job:job_1", mapping={"state": "running", "record": '{"a": "Zoë\\n"}', "rows": BYTES, b"\xff": "1"})
    client.rpush("qc:alias-history:titanic", *[f"move {number}" for number in range(2_345)], BYTES)
    client.hset("qc:aliases:titanic", mapping={"generation": 2, "alias:champion": 1, "deleted:2": 1})
    client.sadd("qc:audit", "titanic", BYTES, *[f"model-{number}" for number in range(3_000)])
    client.zadd("qc:jobs", {f"job_{number:05}": 0 for number in range(5_000)})
    client.zadd("qc:scores", {"third": 1 / 3, "inf": float("inf"), "-inf": float("-inf"), "big": 1e300, BYTES: -0.5})
    client.hset("qc:large", mapping={f"field-{number}": "x" * 10 for number in range(3_001)})
    client.set("qc:with-end", "soon", pxat=4_000_000_000_123)
    client.hset("qc:job:job_2", "state", "succeeded")
    client.expireat("qc:job:job_2", 4_000_000_000)
    client.zadd("qc:set-with-end", {"a": 1})
    client.expireat("qc:set-with-end", 4_000_000_001)


def test_every_type_comes_back_byte_for_byte_with_its_expiry(client: redis.Redis, file: Path) -> None:
    fill(client)
    before = contents(client)
    dump = backed_up(client, file)
    client.flushall()

    done = restored(client, file)

    assert contents(client) == before
    assert dump.counts == {"jobs": 2, "models": 1, "keys": 13}
    assert (done.jobs, done.present, done.expired) == (2, 0, 0)


def test_every_line_is_readable_json_except_for_binary_values(client: redis.Redis, file: Path) -> None:
    client.hset("qc:aliases:titanic", mapping={"generation": 2})
    client.set("qc:bytes", b"\xff")
    backed_up(client, file)

    lines = [json.loads(line) for line in file.read_text().splitlines()]

    assert lines[0] == {"format": "queuecast-backup", "version": 1, "at": 1_763_700_000.0}
    assert sorted(lines[1:-1], key=lambda line: line["key"]) == [
        {"key": "qc:aliases:titanic", "type": "hash", "values": ["generation", "2"]},
        {"key": "qc:bytes", "type": "string", "values": [{"base64": "/w=="}]},
    ]
    assert lines[-1]["counts"] == {"jobs": 0, "models": 1, "keys": 2}


def test_derived_keys_and_foreign_keys_are_skipped(client: redis.Redis, file: Path) -> None:
    client.xadd("qc:lane:titanic", {"job": "job_1"})
    for key in ("qc:lanes", "qc:delayed", "qc:reaper", "qc:workers", "qc:bells", "predict", "other:qc:job:1"):
        client.set(key, "x")
    client.set("qc:lane-of-mine", "kept")

    backed_up(client, file)

    assert [record.key for record in backup_records(file)] == ["qc:lane-of-mine"]


def test_an_unsupported_type_is_reported(client: redis.Redis, file: Path) -> None:
    client.xadd("qc:stream", {"a": "b"})

    assert backed_up(client, file).unsupported == ["qc:stream (stream)"]


def test_indexes_are_read_after_the_records(client: redis.Redis, file: Path) -> None:
    fill(client)
    backed_up(client, file)

    kinds = [record.type for record in backup_records(file)]

    is_index = [kind in ("set", "zset") for kind in kinds]
    assert is_index == sorted(is_index)


def test_records_of_many_megabytes_are_restored(client: redis.Redis, file: Path) -> None:
    for number in range(5):
        client.hset(f"qc:job:job_{number}", "rows", os.urandom(3 * 2**20))
    before = contents(client)
    backed_up(client, file)
    client.flushall()

    assert restored(client, file).jobs == 5
    assert contents(client) == before


def test_expired_records_are_not_restored(client: redis.Redis, file: Path) -> None:
    records = [
        Record("qc:job:old", "hash", ["state", "failed"], expires_ms=int(time.time() * 1000) - 1),
        Record("qc:job:new", "hash", ["state", "failed"], expires_ms=4_000_000_000_000),
    ]
    write_backup(file, 1.0, records, {})

    done = restored(client, file)

    assert client.keys() == [b"qc:job:new"]
    assert (done.added, done.expired) == (1, 1)


def test_a_redis_with_jobs_or_aliases_is_not_empty(client: redis.Redis) -> None:
    client.set("predict", "somebody else's")
    client.set("qc:workers", "x")
    require_empty(client)

    for key in ("qc:job:job_1", "qc:aliases:titanic"):
        client.hset(key, "generation", 1)
        with pytest.raises(ConflictError, match=key):
            require_empty(client)
        client.delete(key)


def test_existing_keys_stay_and_indexes_are_merged(client: redis.Redis, file: Path) -> None:
    client.hset("qc:job:job_1", mapping={"state": "running", "entry": "1-1"})
    client.hset("qc:job:job_2", "state", "queued")
    client.rpush("qc:alias-history:titanic", "move 1")
    client.zadd("qc:jobs", {"job_1": 0, "job_2": 0})
    backed_up(client, file)
    client.flushall()
    client.hset("qc:job:job_1", "state", "succeeded")
    client.expireat("qc:job:job_1", 4_000_000_000)
    client.rpush("qc:alias-history:titanic", "another move 1")
    client.zadd("qc:jobs", {"job_1": 7, "job_3": 0})

    done = restored(client, file)

    assert contents(client) == {
        b"qc:job:job_1": ({b"state": b"succeeded"}, 4_000_000_000_000),
        b"qc:job:job_2": ({b"state": b"queued"}, -1),
        b"qc:alias-history:titanic": ([b"another move 1"], -1),
        b"qc:jobs": ([(b"job_2", 0), (b"job_3", 0), (b"job_1", 7)], -1),
    }
    assert (done.added, done.present, done.jobs) == (2, 2, 1)


def test_an_interrupted_restore_can_be_repeated(client: redis.Redis, file: Path) -> None:
    fill(client)
    before = contents(client)
    backed_up(client, file)
    client.flushall()
    some = list(backup_records(file))[:7]

    restore(client, some)
    restored(client, file)

    assert contents(client) == before


def test_jobs_that_have_not_ended_are_requeued_and_counted(client: redis.Redis, file: Path) -> None:
    jobs = RedisJobs(client)
    made = [a_job() for _ in range(3)]
    for job in made:
        jobs.create(job, work_of(JobType.PREDICTION), b"[]")
    jobs.replace(made[0].cancel_requested(made[0].created_at, 3600.0))
    before = {job.id: jobs.read(job.id) for job in made}
    backed_up(client, file)
    client.flushall()

    restored(client, file)

    assert {job.id: jobs.read(job.id) for job in made} == before
    assert RedisJobMaintenance(client).requeue_all(time.time(), RETENTION_S) == 2
    RedisJobMaintenance(client).requeue_all(time.time(), RETENTION_S)
    assert [jobs.read(job.id).state for job in made] == [State.CANCELED, State.QUEUED, State.QUEUED]


@pytest.mark.parametrize(("state", "stays"), [("running", True), ("queued", True), ("failed", False), (None, False)])
def test_a_training_that_ended_during_the_backup_leaves_no_lock(
    client: redis.Redis, file: Path, state: str | None, *, stays: bool
) -> None:
    """With a lock that was read before the job ended, the model could never be trained again."""
    records = [Record("qc:training:titanic", "string", ["job_1"])]
    if state is not None:
        records.append(Record("qc:job:job_1", "hash", ["state", state]))
    write_backup(file, 1.0, records, {})

    restored(client, file)

    assert bool(client.exists("qc:training:titanic")) is stays


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda whole: b"", id="empty"),
        pytest.param(lambda whole: b"\n", id="blank"),
        pytest.param(lambda whole: BYTES * 100, id="bytes"),
        pytest.param(lambda whole: whole[: len(whole) // 2], id="cut"),
        pytest.param(lambda whole: whole[:-1], id="last-byte-missing"),
        pytest.param(lambda whole: b"".join(whole.splitlines(keepends=True)[:-1]), id="trailer-missing"),
        pytest.param(lambda whole: b"".join(whole.splitlines(keepends=True)[:1]), id="header-only"),
        pytest.param(lambda whole: whole.replace(b"move 7", b"move 8"), id="edited"),
        pytest.param(lambda whole: whole + whole.splitlines(keepends=True)[1], id="line-added"),
        pytest.param(lambda whole: whole + whole.splitlines(keepends=True)[-1], id="trailer-doubled"),
        pytest.param(lambda whole: whole.replace(b'"version":1', b'"version":2', 1), id="other-version"),
        pytest.param(lambda whole: b'{"openapi": "3.1"}\n' + whole, id="another-file"),
    ],
)
def test_a_damaged_file_is_refused(client: redis.Redis, file: Path, damage: Any) -> None:
    fill(client)
    backed_up(client, file)
    file.write_bytes(damage(file.read_bytes()))

    with pytest.raises(DamagedFileError, match=str(file)):
        checked_backup(file)


def test_a_failed_backup_leaves_only_the_older_one(client: redis.Redis, file: Path, own_server: RedisServer) -> None:
    client.set("qc:a", "1")
    backed_up(client, file)
    older = file.read_bytes()
    with connect(own_server.url) as doomed:
        doomed.set("qc:job:1", "x")
        own_server.kill()
        with pytest.raises(UnavailableError):
            backed_up(doomed, file)

    assert file.read_bytes() == older
    assert [path.name for path in file.parent.iterdir() if path.is_file()] == [file.name]


def test_only_its_owner_can_read_a_backup(client: redis.Redis, file: Path) -> None:
    backed_up(client, file)

    assert file.stat().st_mode & 0o777 == 0o600


def test_a_backup_needs_no_dangerous_commands(client: redis.Redis, file: Path) -> None:
    """With the rights from deploy/compose/make_secrets.py."""
    fill(client)
    before = contents(client)
    client.acl_setuser(
        "operator", enabled=True, passwords=["+secret"], keys=["*"], categories=["+@all", "-@admin", "-@dangerous"]
    )
    where = client.connection_pool.connection_kwargs
    with connect(f"redis://operator:secret@{where['host']}:{where['port']}/0") as operator:
        backed_up(operator, file)
        client.flushall()
        require_empty(operator)
        restored(operator, file)

    client.acl_deluser("operator")
    assert contents(client) == before
