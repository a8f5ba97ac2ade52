"""The records of a backup, written into a Redis that is empty, or that lacks some of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import redis

from queuecast.adapters.disk.backup_format import Record, to_bytes
from queuecast.adapters.redis.backup import ALIASES, AT_ONCE_BYTES, JOBS, MOST_AT_ONCE, pages
from queuecast.adapters.redis.connection import translated
from queuecast.domain.errors import ConflictError
from queuecast.domain.job import FINAL_STATES

# What is there stays; sets are joined, for they are indexes. 1,000 values a command, because Lua's stack is small.
_ADD = """
local kind, expires = ARGV[1], ARGV[2]
local is_there = redis.call('EXISTS', KEYS[1]) == 1
if is_there and kind ~= 'set' and kind ~= 'zset' then return 0 end
local command = ({string = 'SET', hash = 'HSET', list = 'RPUSH', set = 'SADD'})[kind]
for first = 3, #ARGV, 1000 do
  local last = math.min(first + 999, #ARGV)
  if kind == 'zset' then
    redis.call('ZADD', KEYS[1], 'NX', unpack(ARGV, first, last))
  else
    redis.call(command, KEYS[1], unpack(ARGV, first, last))
  end
end
if expires ~= '' and not is_there then redis.call('PEXPIREAT', KEYS[1], expires) end
return 1
"""

# A training that ended while the backup was written: the lock was read before, the job after. It would stay for ever.
_UNLOCK = """
local job = redis.call('GET', KEYS[1])
local state = job and redis.call('HGET', 'qc:job:' .. job, 'state')
if job and (not state or string.find(ARGV[1], ' ' .. state .. ' ', 1, true)) then redis.call('DEL', KEYS[1]) end
"""


@dataclass(slots=True)
class Restored:
    added: int = 0
    jobs: int = 0
    kept: int = 0
    """Keys that were there already, and stayed as they were."""
    expired: int = 0


def require_empty(client: redis.Redis) -> None:
    """Raises ConflictError when Redis has jobs or aliases."""
    for prefix in (JOBS, ALIASES):
        for page in pages(client.scan, match=f"{prefix.decode()}*"):
            if page:
                raise ConflictError(
                    f"this Redis is not empty: it has {page[0].decode(errors='replace')}; --force adds what it lacks"
                )


def restore(client: redis.Redis, records: Iterable[Record]) -> Restored:
    """Adds what Redis has not; overwrites nothing, so an interrupted restore is simply done again.

    Keys keep their hour of expiry; those whose hour has passed are left out. Jobs are in no lane afterwards:
    `RedisJobs.requeue_all` puts them there.
    """
    add = client.register_script(_ADD)
    restored = Restored()
    now_ms = int(redis_time(client) * 1000)
    for batch in _filled(records):
        pipe = client.pipeline(transaction=False)
        sent = [record for record in batch if record.expires_ms is None or record.expires_ms > now_ms]
        for record in sent:
            expires = "" if record.expires_ms is None else record.expires_ms
            values = [to_bytes(value) for value in record.values]
            add(keys=[to_bytes(record.key)], args=[record.type, expires, *values], client=pipe)
        answers = translated(pipe.execute) if sent else []
        restored.expired += len(batch) - len(sent)
        for record, answer in zip(sent, answers, strict=True):
            if answer == 1:
                restored.added += 1
                restored.jobs += to_bytes(record.key).startswith(JOBS)
            else:
                restored.kept += 1
    _unlock_ended_trainings(client)
    return restored


def redis_time(client: redis.Redis) -> float:
    """Seconds since the Unix epoch by Redis's clock, which is the one that keys expire by."""
    seconds, micros = translated(client.time)
    return float(seconds + micros / 1e6)


def _unlock_ended_trainings(client: redis.Redis) -> None:
    unlock = client.register_script(_UNLOCK)
    for page in pages(client.scan, match="qc:training:*"):
        for key in page:
            translated(unlock, keys=[key], args=[f" {' '.join(FINAL_STATES)} "])


def _filled(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Batches of a bounded size, for one round trip each."""
    batch: list[Record] = []
    total = 0
    for record in records:
        batch.append(record)
        total += sum(len(to_bytes(value)) for value in record.values)
        if total > AT_ONCE_BYTES or len(batch) == MOST_AT_ONCE:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch
