"""Job records in Redis: one hash for each job, one index of ids, one channel of changes.

The scripts compare and write in one step; the rules are in `queuecast.domain.job`, the keys in `keys`.
"""

from collections.abc import Iterator
from typing import Any

import redis

from queuecast.adapters.job_codec import decode_job, decode_work, encode, gone_job, unknown_job
from queuecast.adapters.redis import keys
from queuecast.adapters.redis.command_batcher import CommandBatcher
from queuecast.adapters.redis.connection import call
from queuecast.adapters.redis.job_changes import ChangeListener
from queuecast.adapters.redis.script_loader import Script, word_list
from queuecast.domain.deletion import gone_version
from queuecast.domain.errors import (
    AliasMovedError,
    ConflictError,
    IllegalMoveError,
    JobStoppedError,
    KeyReusedError,
    LaneFullError,
    StaleWriteError,
    UnavailableError,
)
from queuecast.domain.job import FINAL_STATES, Job, JobType
from queuecast.domain.work import Work, rows_of
from queuecast.ports.jobs import Accepted, Change, IdempotencyKey, JobFilter, JobPage, Write
from queuecast.ports.monitor import JobMonitor

MAX_PAGE_BYTES = 256 * 1024
"""Of the records of a page: about 200 plain ones. Decoded, large metadata take twenty times their bytes."""


class RedisJobs:
    FSYNC_TIMEOUT_MS = 4_000
    """Less than the client's socket timeout of 5 s."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        max_lane_jobs: int = 10_000,
        durable: bool = False,
        monitor: JobMonitor | None = None,
    ) -> None:
        """durable: a submit returns when its write is on Redis's disk (WAITAOF, Redis 7.2), not only in the kernel.

        monitor: is shown every revision that this store has written. The chunks of a batch come from elsewhere.
        """
        self._redis = client
        self._batcher = CommandBatcher(client)
        self._max_lane_jobs = max_lane_jobs
        self._durable = durable
        self._monitor = monitor
        self._accept = Script(client, "accept_job")
        self._replace = Script(client, "replace_jobs")
        self._read_results = Script(client, "read_results")
        self._delete = Script(client, "delete_job")

    def create(
        self,
        job: Job,
        work: Work,
        rows: bytes = b"",
        idempotency_key: IdempotencyKey | None = None,
        replayed_dead_letter: str | None = None,
        *,
        checks_alias: bool = False,
    ) -> Accepted:
        args = self._accept.args(
            id=job.id,
            revision=job.revision,
            state=job.state.value,
            record=encode(job),
            work=encode(work),
            rows=rows,
            n_rows=rows_of(work),
            lane=job.lane,
            max_lane_jobs=self._max_lane_jobs,
            training=job.model.name if job.type is JobType.TRAINING else "",
            idempotency_key=idempotency_key.key if idempotency_key else "",
            fingerprint=idempotency_key.fingerprint if idempotency_key else "",
            idempotency_ttl_s=24 * 3600,
            replayed_dead_letter=replayed_dead_letter or "",
            expires_at="" if job.expires_at is None else job.expires_at,
            model=job.model.name,
            checks_alias=int(checks_alias),
            alias=job.model.alias or "",
            version="" if job.model.version is None else job.model.version,
        )
        if self._durable:
            refusal, detail, ring = self._accept_durably(args)
        else:
            refusal, detail, ring = call(self._batcher.run, self._accept, args)
        if refusal == b"training":
            raise ConflictError(f"model {job.model.name} is in training already, in job {detail.decode()}")
        if refusal == b"moved":
            raise AliasMovedError(
                f"alias {job.model.alias} of {job.model.name} names {detail.decode()}, not {job.model.version}"
            )
        if refusal == b"deleted":
            raise gone_version(job.model.name, job.model.pinned_version)
        if refusal == b"full":
            raise LaneFullError(
                f"{detail.decode()} jobs wait in lane {job.lane}, expected fewer than {self._max_lane_jobs}"
            )
        if refusal == b"replayed":
            raise ConflictError(f"job {detail.decode()} is no dead letter; it may have been replayed already")
        if refusal == b"reused":
            raise _reused(detail)
        accepted = Accepted(detail.decode(), ring == 1)
        if self._monitor is not None and accepted.job_id == job.id:
            self._monitor.show([job])
        return accepted

    def _accept_durably(self, args: list[Any]) -> Any:
        """Accepts a job and waits for the disk on the same connection: WAITAOF waits for that connection's writes."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.script_load(self._accept.source)
        pipe.evalsha(self._accept.registered.sha, 0, *args)
        pipe.waitaof(1, 0, self.FSYNC_TIMEOUT_MS)
        _, answer, synced = call(pipe.execute)
        self._require_synced(synced)
        return answer

    def find_repeated(self, idempotency_key: IdempotencyKey) -> str | None:
        key = f"{keys.IDEMPOTENCY}{idempotency_key.key}"
        job_id, fingerprint = call(self._redis.hmget, key, ["job", "fingerprint"])
        if job_id is None:
            return None
        if fingerprint.decode() != idempotency_key.fingerprint:
            raise _reused(job_id)
        if self._durable:  # the first submit may have failed because its write was not on the disk in time
            pipe = self._redis.pipeline(transaction=False)
            pipe.hset(key, "fingerprint", fingerprint)  # WAITAOF does not wait on a connection without a write
            pipe.waitaof(1, 0, self.FSYNC_TIMEOUT_MS)
            self._require_synced(call(pipe.execute)[1])
        return str(job_id.decode())

    def _require_synced(self, synced: list[int]) -> None:
        """The job is accepted and will run, but the caller asked for one that survives a power cut."""
        if synced[0] < 1:
            raise UnavailableError(f"the write was not on Redis's disk within {self.FSYNC_TIMEOUT_MS} ms")

    def read(self, job_id: str) -> Job:
        return self.read_with_result(job_id)[0]

    def read_with_result(self, job_id: str) -> tuple[Job, bytes | None]:
        record, result = call(self._batcher.call, "HMGET", _key(job_id), "record", "result")
        if record is None:
            raise self._missing(job_id)
        return decode_job(record), result

    def read_many_with_results(self, job_ids: list[str]) -> list[tuple[Job, bytes | None] | None]:
        found = call(self._batcher.run, self._read_results, job_ids)
        return [None if record is None else (decode_job(record), result) for record, result in found]

    def read_work(self, job_id: str) -> tuple[Work, bytes]:
        record, work, rows = call(self._redis.hmget, _key(job_id), ["record", "work", "rows"])
        if record is None or work is None:
            raise self._missing(job_id)
        return decode_work(decode_job(record).type, work), rows

    def replace_all(self, writes: list[Write]) -> list[bool | None]:
        must_ring: list[bool | None] = []
        size = 64  # jobs in one call: about 2 ms, in which Redis serves no other client
        for start in range(0, len(writes), size):
            answers = call(self._replace, [_fields(write) for write in writes[start : start + size]])
            must_ring += [None if refusal else ring == 1 for refusal, ring in answers]
        if self._monitor is not None:
            self._monitor.show([each.job for each, ring in zip(writes, must_ring, strict=True) if ring is not None])
        return must_ring

    def replace(self, job: Job, result: bytes | None = None, entry: str | None = None) -> bool:
        ((refusal, ring),) = call(self._replace, [_fields(Write(job, result, entry))])
        if refusal == b"unknown":
            raise self._missing(job.id)
        if refusal == b"taken":
            raise JobStoppedError(f"job {job.id} was taken from this worker")
        if refusal:
            raise StaleWriteError(f"job {job.id} is at revision {refusal.decode()}, not at {job.revision - 1}")
        if self._monitor is not None:
            self._monitor.show([job])
        return bool(ring == 1)

    def delete(self, job_id: str) -> None:
        refusal = call(self._delete, id=job_id, final_states=word_list(FINAL_STATES))
        if refusal == b"unknown":
            raise self._missing(job_id)
        if refusal:
            raise IllegalMoveError(f"job {job_id} is {refusal.decode()} and cannot be deleted; it must have ended")

    def past_start_deadline(self, now: float) -> list[str]:
        return [job_id.decode() for job_id in call(self._redis.zrangebyscore, keys.EXPIRING, "-inf", now, 0, 500)]

    def page(self, wanted: JobFilter, cursor: str | None, limit: int) -> JobPage:
        found: list[Job] = []
        before = f"({cursor}" if cursor else "+"
        read_at_once = 50  # so that a page does not read many more records than it returns
        size = min(limit, read_at_once) if wanted == JobFilter() else read_at_once
        left, left_bytes = 2_000, MAX_PAGE_BYTES  # after so many records the caller continues with a cursor
        while True:
            ids = [raw.decode() for raw in call(self._redis.zrevrangebylex, keys.JOBS, before, "-", 0, size)]
            for record in self._records(ids):
                job = decode_job(record)
                if wanted.accepts(job):
                    found.append(job)
                    left_bytes -= len(record)
                if len(found) == limit or left_bytes <= 0:
                    return JobPage(found, job.id)
            if len(ids) < size:
                return JobPage(found, None)
            before = f"({ids[-1]}"
            left -= size
            size = read_at_once
            if left <= 0:
                return JobPage(found, ids[-1])

    def dead_letters(self, cursor: str | None, limit: int) -> JobPage:
        """cursor: the number of letters on the pages before."""
        start = int(cursor or 0)
        ids = [raw.decode() for raw in call(self._redis.zrevrange, keys.DEAD, start, start + limit)]
        found: list[Job] = []
        n_read, left_bytes = 0, MAX_PAGE_BYTES
        while n_read < min(len(ids), limit) and left_bytes > 0:
            some = ids[n_read : min(n_read + 50, limit)]
            records = self._records(some)
            found += map(decode_job, records)
            left_bytes -= sum(map(len, records))
            n_read += len(some)
        expired = set(ids[:n_read]) - {job.id for job in found}
        if expired:
            call(self._redis.zrem, keys.DEAD, *expired)
        return JobPage(found, str(start + n_read - len(expired)) if len(ids) > n_read else None)

    def count_dead_letters(self, now: float) -> int:
        return int(call(self._redis.zcount, keys.DEAD, f"({now}", "+inf"))

    def changes(self) -> Iterator[list[Change]]:
        return ChangeListener(self._redis).changes()

    def memory(self) -> tuple[int, int]:
        memory = call(self._redis.info, "memory")
        return memory["used_memory"], memory["maxmemory"]

    def ping(self) -> None:
        call(self._redis.ping)

    def _missing(self, job_id: str) -> Exception:
        return gone_job(job_id) if call(self._redis.exists, f"{keys.GONE}{job_id}") else unknown_job(job_id)

    def _records(self, ids: list[str]) -> list[bytes]:
        pipe = self._redis.pipeline(transaction=False)
        for job_id in ids:
            pipe.hget(_key(job_id), "record")
        return [record for record in call(pipe.execute) if record is not None]


def _fields(write: Write) -> tuple[Any, ...]:
    """One job's arguments for `replace_jobs.lua`, in its order."""
    job = write.job
    has_ended = job.delete_at is not None and job.finished_at is not None
    return (
        job.id,
        job.revision,
        job.state.value,
        encode(job),
        write.result or b"",
        job.model.name if job.type is JobType.TRAINING else "",
        "" if job.not_before is None else job.not_before,
        "" if job.delete_at is None else int(job.delete_at),
        # The id is remembered for as long as the record was kept.
        int(2 * job.delete_at - job.finished_at) + 1 if has_ended else "",  # type: ignore[operator]
        int(job.is_dead_letter),
        write.entry or "",
        job.attempt,
        int(job.expires_at is not None),
        int(job.is_fanned_out),
    )


def _reused(job_id: bytes) -> KeyReusedError:
    return KeyReusedError(
        f"this Idempotency-Key was used for another request, which led to job {job_id.decode()}; "
        "a key goes with one request"
    )


def _key(job_id: str) -> str:
    return f"{keys.JOB}{job_id}"
