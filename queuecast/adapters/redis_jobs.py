"""Job records in Redis: one hash a job, one index of ids, one channel of changes.

Keys: `qc:job:{id}` (fields revision, state, attempt, record, work, rows, n_rows, result, lane,
entry, place), `qc:jobs` (a sorted
set of ids; they are UUIDv7, so their order is that of creation), `qc:training:{model}` (the model's live training),
`qc:expiring` and `qc:delayed` (ids by start deadline, and by the end of a delay), `qc:dead` (dead letters by the time
of their deletion), `qc:gone:{id}` (outlives the record, to tell a past job from none), `qc:idempotency:{digest}`.
The scripts are in `queuecast.adapters.job_scripts`; the rules are in `queuecast.domain.job`.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from queuecast.adapters.job_records import decode_job, decode_work, encode, gone_job, unknown_job
from queuecast.adapters.job_scripts import CREATE, DELETE, READ_RESULTS, REPLACE, REQUEUE, TIDY
from queuecast.adapters.redis_together import RedisTogether
from queuecast.adapters.redis_versions import ConnectionCheck, UnsuitableServerError
from queuecast.domain.errors import (
    AliasMovedError,
    ConflictError,
    IllegalMoveError,
    JobStoppedError,
    KeyReusedError,
    LaneFullError,
    StaleWriteError,
    StoreFullError,
    UnavailableError,
)
from queuecast.domain.job import FINAL_STATES, Job, JobType, State
from queuecast.domain.work import Work, rows_of
from queuecast.ports import Accepted, Change, JobFilter, JobPage, Repeat, Write

CHANNEL = "qc:changes"
INDEX = "qc:jobs"
DEAD = "qc:dead"
SCAN_LIMIT = 2_000  # records one listing call may look at before it answers with a cursor
SCAN_BATCH = 500  # records fetched in one round trip
TIDY_BATCH = 2_000  # ids looked at in one step: about 1 ms of Redis
TIDY_BATCHES = 5  # and so many steps a call, which is called once a minute
MOST_TIDY_BATCHES = 50  # while each finds some that are past: 1,700 ids a second, more than one Redis accepts
REPEATABLE_S = 24 * 3600
OVERDUE_A_LOOK = 500
WRITES_A_CALL = 64  # Redis serves nobody else meanwhile: about 2 ms
SILENCE_S = 4.0  # of the channel of changes, after which its other end is asked whether it is there
FSYNC_WAIT_MS = 4_000  # within the client's own socket timeout of 5 s


def connect(
    url: str,
    max_connections: int = 64,
    *,
    durable: bool = False,
    on_unsuitable: Callable[[str], object] | None = None,
) -> redis.Redis:
    """A client that fails fast instead of retrying by itself: a hidden retry would write twice.

    max_connections: a thread that finds all of them busy waits for one. redis-py would refuse it, and a gateway has
    more threads than connections are of use. durable: the server must have what `RedisJobs(durable=True)` needs.
    on_unsuitable: see `ConnectionCheck`. Every call raises UnsuitableServerError, which is a RedisError, while the
    server is one that queuecast cannot use.
    """
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=5,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=5,
        socket_connect_timeout=3,
        socket_keepalive=True,
        redis_connect_func=ConnectionCheck(durable=durable, report=on_unsuitable),
    )
    return redis.Redis.from_pool(pool)


class RedisJobs:
    """durable: a submit returns when the log of writes is on the disk (WAITAOF, Redis 7.2), not only in the kernel."""

    def __init__(self, client: redis.Redis, *, max_lane_jobs: int = 10_000, durable: bool = False) -> None:
        self._redis = client
        self._together = RedisTogether(client)
        self._max_lane_jobs = max_lane_jobs
        self._durable = durable
        self._tidied_to = "-"
        self._create = client.register_script(CREATE)
        self._replace = client.register_script(REPLACE)
        self._read_results = client.register_script(READ_RESULTS)
        self._delete = client.register_script(DELETE)
        self._requeue = client.register_script(REQUEUE)
        self._tidy = client.register_script(TIDY)

    def create(
        self,
        job: Job,
        work: Work,
        rows: bytes = b"",
        repeat: Repeat | None = None,
        replayed_letter: str | None = None,
        *,
        checks_alias: bool = False,
    ) -> Accepted:
        args = [
            job.id,
            job.revision,
            job.state.value,
            encode(job),
            encode(work),
            rows,
            job.lane,
            self._max_lane_jobs,
            job.model.name if job.type is JobType.TRAINING else "",
            "" if repeat is None else repeat.key,
            "" if repeat is None else repeat.fingerprint,
            REPEATABLE_S,
            replayed_letter or "",
            "" if job.expires_at is None else job.expires_at,
            rows_of(work),
            job.model.name if checks_alias else "",
            job.model.alias or "",
            "" if job.model.version is None else job.model.version,
        ]
        if self._durable:
            answer, detail, ring = self._durably(args)
        else:
            answer, detail, ring = self._call(self._together.script, self._create, args)
        if answer == b"training":
            raise ConflictError(f"model {job.model.name} is in training already, in job {detail.decode()}")
        if answer == b"moved":
            raise AliasMovedError(
                f"alias {job.model.alias} of {job.model.name} names {detail.decode()}, not {job.model.version}"
            )
        if answer == b"full":
            raise LaneFullError(
                f"{detail.decode()} jobs wait in lane {job.lane}, expected fewer than {self._max_lane_jobs}"
            )
        if answer == b"letter":
            raise ConflictError(f"job {detail.decode()} is no dead letter; it may have been replayed already")
        if answer == b"reused":
            raise _reused(detail)
        return Accepted(detail.decode(), ring == 1)

    def _durably(self, args: list[Any]) -> Any:
        """The same on one connection with the wait for the disk behind it."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.script_load(CREATE)
        pipe.evalsha(self._create.sha, 0, *args)
        pipe.waitaof(1, 0, FSYNC_WAIT_MS)
        _, answer, synced = self._call(pipe.execute)
        _require_synced(synced)
        return answer

    def repeated(self, repeat: Repeat) -> str | None:
        key = f"qc:idempotency:{repeat.key}"
        job_id, fingerprint = self._call(self._redis.hmget, key, ["job", "fingerprint"])
        if job_id is None:
            return None
        if fingerprint.decode() != repeat.fingerprint:
            raise _reused(job_id)
        if self._durable:  # the submit before may have gone unanswered because its write was not on the disk
            pipe = self._redis.pipeline(transaction=False)
            pipe.hset(key, "fingerprint", fingerprint)  # a connection without a write does not wait
            pipe.waitaof(1, 0, FSYNC_WAIT_MS)
            _require_synced(self._call(pipe.execute)[1])
        return str(job_id.decode())

    def read(self, job_id: str) -> Job:
        return self.read_with_result(job_id)[0]

    def read_with_result(self, job_id: str) -> tuple[Job, bytes | None]:
        record, result = self._call(self._together.call, "HMGET", _key(job_id), "record", "result")
        if record is None:
            raise self._missing(job_id)
        return decode_job(record), result

    def read_many_with_results(self, job_ids: list[str]) -> list[tuple[Job, bytes | None] | None]:
        found = self._call(self._together.script, self._read_results, job_ids)
        return [None if record is None else (decode_job(record), result) for record, result in found]

    def read_work(self, job_id: str) -> tuple[Work, bytes]:
        record, work, rows = self._call(self._redis.hmget, _key(job_id), ["record", "work", "rows"])
        if record is None or work is None:
            raise self._missing(job_id)
        return decode_work(decode_job(record).type, work), rows

    def replace_all(self, writes: list[Write]) -> list[bool | None]:
        rings: list[bool | None] = []
        for start in range(0, len(writes), WRITES_A_CALL):
            args = [part for write in writes[start : start + WRITES_A_CALL] for part in _fields(write)]
            answers = self._call(self._replace, args=args)
            rings += [None if answer else ring == 1 for answer, ring in answers]
        return rings

    def replace(self, job: Job, result: bytes | None = None, entry: str | None = None) -> bool:
        ((answer, ring),) = self._call(self._replace, args=_fields(Write(job, result, entry)))
        if answer == b"unknown":
            raise self._missing(job.id)
        if answer == b"taken":
            raise JobStoppedError(f"job {job.id} was taken from this worker")
        if answer:
            raise StaleWriteError(f"job {job.id} is at revision {answer.decode()}, not at {job.revision - 1}")
        return bool(ring == 1)

    def delete(self, job_id: str) -> None:
        answer = self._call(self._delete, args=[job_id, f" {' '.join(FINAL_STATES)} "])
        if answer == b"unknown":
            raise self._missing(job_id)
        if answer:
            raise IllegalMoveError(f"job {job_id} is {answer.decode()} and cannot be deleted; it must have ended")

    def tidy(self, now: float) -> None:
        """Forgets the ids of records that are past their retention, and goes on where the last call stopped.

        A submit does so too, for the two oldest: behind one that lives long, a training that waits or a dead letter,
        it comes to none.
        """
        self._call(self._redis.zremrangebyscore, DEAD, "-inf", now)
        for step in range(MOST_TIDY_BATCHES):
            last, past = self._call(self._tidy, args=[self._tidied_to, TIDY_BATCH])
            self._tidied_to = f"({last.decode()}" if last else "-"
            if not last or (step + 1 >= TIDY_BATCHES and not past):
                return

    def requeue_all(self, now: float, retention_s: float = REPEATABLE_S) -> int:
        """Puts every job that has not ended back into its lane; what a worker ran is given back. Safe to call twice.

        Returns how many were put there. The reaper rings for the lanes.
        """
        count = 0
        for raw in self._call(self._redis.zrangebylex, INDEX, "-", "+"):
            job_id = raw.decode()
            record = self._call(self._redis.hget, _key(job_id), "record")
            job = None if record is None else decode_job(record)
            if job is not None and job.is_fanned_out:
                continue  # the reaper makes its chunks again
            if job is not None and job.state in (State.RUNNING, State.CANCELING):
                self.replace(job.given_back(now, retention_s))
                count += job.state is State.RUNNING
            elif job is not None:
                count += self._call(self._requeue, args=[job_id])
        return count

    def overdue(self, now: float) -> list[str]:
        found = self._call(self._redis.zrangebyscore, "qc:expiring", "-inf", now, 0, OVERDUE_A_LOOK)
        return [job_id.decode() for job_id in found]

    def page(self, wanted: JobFilter, cursor: str | None, limit: int) -> JobPage:
        found: list[Job] = []
        before = f"({cursor}" if cursor else "+"
        for _ in range(0, SCAN_LIMIT, SCAN_BATCH):
            ids = [raw.decode() for raw in self._call(self._redis.zrevrangebylex, INDEX, before, "-", 0, SCAN_BATCH)]
            for job in self._records(ids):
                if wanted.accepts(job):
                    found.append(job)
                if len(found) == limit:
                    return JobPage(found, job.id)
            if len(ids) < SCAN_BATCH:
                return JobPage(found, None)
            before = f"({ids[-1]}"
        return JobPage(found, ids[-1])

    def dead_letters(self, cursor: str | None, limit: int) -> JobPage:
        """cursor: how many newer ones were given already."""
        start = int(cursor or 0)
        ids = [raw.decode() for raw in self._call(self._redis.zrevrange, DEAD, start, start + limit)]
        found = self._records(ids[:limit])
        past = set(ids[:limit]) - {job.id for job in found}
        if past:
            self._call(self._redis.zrem, DEAD, *past)
        return JobPage(found, str(start + limit - len(past)) if len(ids) > limit else None)

    def count_dead_letters(self, now: float) -> int:
        return int(self._call(self._redis.zcount, DEAD, f"({now}", "+inf"))

    def changes(self) -> Iterator[list[Change]]:
        while True:
            try:
                yield from self._heard()
            except redis.RedisError:
                time.sleep(0.5)  # Redis is away; a waiter's own look bounds its wait meanwhile

    def _heard(self) -> Iterator[list[Change]]:
        """What one connection hears, until it breaks or its other end falls silent."""
        with self._redis.pubsub() as listener:  # type: ignore[no-untyped-call]
            listener.subscribe(CHANNEL)
            is_asked = False
            while True:
                # Not `get_message`, which makes a dictionary of each: every change of every job comes through here.
                message = listener.parse_response(block=False, timeout=SILENCE_S)
                if message is None:
                    if is_asked:
                        raise redis.ConnectionError(f"no answer to a ping within {SILENCE_S} s")
                    listener.ping()  # an end that is gone without a word is noticed by nothing else
                    is_asked = True
                    continue
                is_asked = False
                if message[0] == b"message":
                    yield [Change(told.lstrip("+"), told[0] != "+") for told in message[2].decode().split(" ")]
                elif message[0] == b"subscribe":
                    yield [Change("", is_end=True)]  # the subscription stands: what comes from now on is heard

    def memory(self) -> tuple[int, int]:
        found = self._call(self._redis.info, "memory")
        return found["used_memory"], found["maxmemory"]

    def ping(self) -> None:
        self._call(self._redis.ping)

    def _missing(self, job_id: str) -> Exception:
        return gone_job(job_id) if self._call(self._redis.exists, f"qc:gone:{job_id}") else unknown_job(job_id)

    def _records(self, ids: list[str]) -> list[Job]:
        pipe = self._redis.pipeline(transaction=False)
        for job_id in ids:
            pipe.hget(_key(job_id), "record")
        return [decode_job(record) for record in self._call(pipe.execute) if record is not None]

    def _call(self, command: Any, *args: Any, **kwargs: Any) -> Any:
        return translated(command, *args, **kwargs)


def translated(command: Any, *args: Any, **kwargs: Any) -> Any:
    """Calls into redis-py; what it raises becomes StoreFullError or UnavailableError."""
    try:
        return command(*args, **kwargs)
    except redis.OutOfMemoryError as error:
        raise StoreFullError(f"Redis has no memory left: {error}") from error
    except UnsuitableServerError as error:
        raise UnavailableError(f"this Redis cannot be used: {error}") from error
    except redis.RedisError as error:
        raise UnavailableError(f"Redis does not answer: {error}") from error


def _fields(write: Write) -> list[Any]:
    """The arguments of `REPLACE` for one job."""
    job = write.job
    is_over = job.delete_at is not None and job.finished_at is not None
    return [
        job.id,
        job.revision,
        job.state.value,
        encode(job),
        write.result or b"",
        job.model.name if job.type is JobType.TRAINING else "",
        "" if job.not_before is None else job.not_before,
        "" if job.delete_at is None else int(job.delete_at),
        # As long again as the record was kept after the end.
        int(2 * job.delete_at - job.finished_at) + 1 if is_over else "",  # type: ignore[operator]
        int(job.is_dead_letter),
        write.entry or "",
        job.attempt,
        int(job.expires_at is not None),
        int(job.is_fanned_out),
    ]


def _require_synced(synced: list[int]) -> None:
    """It is written and will run; but whether a power cut would spare it is not known, and that was asked for."""
    if synced[0] < 1:
        raise UnavailableError(f"the write was not on Redis's disk within {FSYNC_WAIT_MS} ms")


def _reused(job_id: bytes) -> KeyReusedError:
    return KeyReusedError(
        f"this Idempotency-Key was used for another request, which led to job {job_id.decode()}; "
        "a key goes with one request"
    )


def _key(job_id: str) -> str:
    return f"qc:job:{job_id}"
