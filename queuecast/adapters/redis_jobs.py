"""Job records in Redis: one hash a job, one index of ids, one channel of changes.

Keys: `qc:job:{id}` (fields revision, state, record, work, rows, result), `qc:jobs` (a sorted set of ids; they are
UUIDv7, so their order is the order of creation), `qc:training:{model}` (id of the model's latest training).
The scripts compare and write; the rules are in `queuecast.domain.job`.
"""

import time
from collections.abc import Iterator
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from queuecast.adapters.job_records import decode_job, decode_work, encode, unknown_job
from queuecast.domain.errors import ConflictError, StaleWriteError, UnavailableError
from queuecast.domain.job import FINAL_STATES, Job, JobType
from queuecast.domain.work import Work
from queuecast.ports import JobFilter, JobPage

CHANNEL = "qc:changes"
INDEX = "qc:jobs"
SCAN_LIMIT = 2_000  # records one listing call may look at before it answers with a cursor
SCAN_BATCH = 500  # records fetched in one round trip

# Ids are pruned from the index two at a time as new ones come in: records end by their own TTL.
_CREATE = """
if KEYS[3] ~= '' then
  local holder = redis.call('GET', KEYS[3])
  if holder then
    local state = redis.call('HGET', 'qc:job:' .. holder, 'state')
    if state and not string.find(ARGV[6], ' ' .. state .. ' ', 1, true) then return holder end
  end
  redis.call('SET', KEYS[3], ARGV[1])
end
redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'state', ARGV[3], 'record', ARGV[4], 'work', ARGV[5], 'rows', ARGV[7])
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, 1)) do
  if redis.call('EXISTS', 'qc:job:' .. id) == 0 then redis.call('ZREM', KEYS[2], id) end
end
redis.call('ZADD', KEYS[2], 0, ARGV[1])
return ''
"""

_REPLACE = """
local revision = redis.call('HGET', KEYS[1], 'revision')
if not revision then return 'unknown' end
if tonumber(revision) ~= tonumber(ARGV[2]) - 1 then return revision end
redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'state', ARGV[3], 'record', ARGV[4])
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'result', ARGV[6]) end
if ARGV[5] ~= '' then
  redis.call('HDEL', KEYS[1], 'work', 'rows')
  redis.call('EXPIREAT', KEYS[1], ARGV[5])
end
redis.call('PUBLISH', 'qc:changes', ARGV[1])
return ''
"""


def connect(url: str) -> redis.Redis:
    """A client that fails fast instead of retrying by itself: a hidden retry would write twice."""
    return redis.Redis.from_url(
        url, retry=Retry(NoBackoff(), 0), socket_timeout=5, socket_connect_timeout=3, socket_keepalive=True
    )


class RedisJobs:
    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._create = client.register_script(_CREATE)
        self._replace = client.register_script(_REPLACE)

    def create(self, job: Job, work: Work, rows: bytes = b"") -> None:
        training = f"qc:training:{job.model.name}" if job.type is JobType.TRAINING else ""
        final = f" {' '.join(FINAL_STATES)} "
        args = [job.id, job.revision, job.state.value, encode(job), encode(work), final, rows]
        holder = self._call(self._create, keys=[_key(job.id), INDEX, training], args=args)
        if holder:
            raise ConflictError(f"model {job.model.name} is in training already, in job {holder.decode()}")

    def discard(self, job_id: str) -> None:
        pipe = self._redis.pipeline()
        pipe.delete(_key(job_id))
        pipe.zrem(INDEX, job_id)
        self._call(pipe.execute)

    def read(self, job_id: str) -> Job:
        return self.read_with_result(job_id)[0]

    def read_with_result(self, job_id: str) -> tuple[Job, bytes | None]:
        record, result = self._call(self._redis.hmget, _key(job_id), ["record", "result"])
        if record is None:
            raise unknown_job(job_id)
        return decode_job(record), result

    def read_work(self, job_id: str) -> tuple[Work, bytes]:
        record, work, rows = self._call(self._redis.hmget, _key(job_id), ["record", "work", "rows"])
        if record is None or work is None:
            raise unknown_job(job_id)
        return decode_work(decode_job(record).type, work), rows

    def replace(self, job: Job, result: bytes | None = None) -> None:
        delete_at = "" if job.delete_at is None else int(job.delete_at)
        args = [job.id, job.revision, job.state.value, encode(job), delete_at, result or b""]
        answer = self._call(self._replace, keys=[_key(job.id)], args=args)
        if answer == b"unknown":
            raise unknown_job(job.id)
        if answer:
            raise StaleWriteError(f"job {job.id} is at revision {answer.decode()}, not at {job.revision - 1}")

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

    def changes(self) -> Iterator[str]:
        while True:
            try:
                with self._redis.pubsub() as listener:  # type: ignore[no-untyped-call]
                    listener.subscribe(CHANNEL)
                    while True:
                        # A block shorter than the socket's timeout, so that a dead peer is noticed.
                        message = listener.get_message(timeout=2)
                        if message is not None:
                            # Redis says when the subscription stands: what changes from then on is heard.
                            yield message["data"].decode() if message["type"] == "message" else ""
            except redis.RedisError:
                time.sleep(0.5)  # Redis is away; a waiter's own deadline bounds its wait meanwhile

    def ping(self) -> None:
        self._call(self._redis.ping)

    def requeue_all(self, now: float) -> int:
        """Counts the jobs that are not final. Without lanes there is nothing to put them into."""
        del now
        waiting, cursor = 0, None
        while True:
            page = self.page(JobFilter(), cursor, SCAN_BATCH)
            waiting += sum(not job.is_final for job in page.jobs)
            cursor = page.next_cursor
            if cursor is None:
                return waiting

    def _records(self, ids: list[str]) -> list[Job]:
        pipe = self._redis.pipeline(transaction=False)
        for job_id in ids:
            pipe.hget(_key(job_id), "record")
        return [decode_job(record) for record in self._call(pipe.execute) if record is not None]

    def _call(self, command: Any, *args: Any, **kwargs: Any) -> Any:
        return translated(command, *args, **kwargs)


def translated(command: Any, *args: Any, **kwargs: Any) -> Any:
    """Calls into redis-py; what it raises becomes UnavailableError."""
    try:
        return command(*args, **kwargs)
    except redis.RedisError as error:
        raise UnavailableError(f"Redis does not answer: {error}") from error


def _key(job_id: str) -> str:
    return f"qc:job:{job_id}"
