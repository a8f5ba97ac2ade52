"""The boards of batches in Redis: which chunks of a plan are done, and which batches have chunks out.

Keys: `qc:batch:{id}:{plan}` (a hash: a chunk's index -> "rows:bad", and the sums `rows` and `bad`), `qc:batches` (a
hash of live ones: id -> the plan's number). Chunks are jobs like others, only not in `qc:jobs`.
"""

from typing import Any

import redis

from queuecast.adapters.job_codec import decode_job, encode
from queuecast.adapters.redis.connection import translated
from queuecast.adapters.redis.lane_scripts import ALLOW_OOM, LANE_FUNCTIONS
from queuecast.domain.chunking import ChunkTotals
from queuecast.domain.job import FINAL_STATES, Job
from queuecast.domain.work import ChunkWork

LIVE = "qc:batches"
CHUNKS_A_CALL = 200  # bounds for how long Redis does nothing else
KEPT_S = 8 * 24 * 3600  # longer than any job may run: the board of a plan that was lost ends by itself
_SUMS = (b"rows", b"bad")

_MARK = (
    ALLOW_OOM
    + """
local key, rows, bad = KEYS[1], ARGV[2], ARGV[3]
if redis.call('HSETNX', key, ARGV[1], rows .. ':' .. bad) == 1 then
  redis.call('HINCRBY', key, 'rows', rows)
  redis.call('HINCRBY', key, 'bad', bad)
end
redis.call('EXPIRE', key, ARGV[4])
local sums = redis.call('HMGET', key, 'rows', 'bad')
return {redis.call('HLEN', key) - 2, tonumber(sums[1]), tonumber(sums[2])}
"""
)

_UNMARK = """
local mark = redis.call('HGET', KEYS[1], ARGV[1])
if not mark then return 0 end
local rows, bad = string.match(mark, '(%d+):(%d+)')
redis.call('HINCRBY', KEYS[1], 'rows', -rows)
redis.call('HINCRBY', KEYS[1], 'bad', -bad)
return redis.call('HDEL', KEYS[1], ARGV[1])
"""

# One that waits or runs is left alone. One that has ended and is asked for again has left no part, and is run anew.
_ADD = (
    LANE_FUNCTIONS
    + """
local ring = 0
for i = 3, #ARGV, 3 do
  local id = ARGV[i]
  local key = 'qc:job:' .. id
  local state = redis.call('HGET', key, 'state')
  if not state or string.find(ARGV[2], ' ' .. state .. ' ', 1, true) then
    redis.call('DEL', key)
    redis.call('HSET', key, 'revision', 1, 'state', 'queued', 'record', ARGV[i + 1], 'work', ARGV[i + 2], 'rows', '')
    if enter(id, ARGV[1]) == 1 then ring = 1 end
  end
end
return ring
"""
)


class RedisChunkProgress:
    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._mark = client.register_script(_MARK)
        self._unmark = client.register_script(_UNMARK)
        self._add = client.register_script(_ADD)

    def open(self, batch_id: str, plan: int) -> None:
        translated(self._redis.hset, LIVE, batch_id, plan)

    def live(self) -> dict[str, int]:
        return {batch_id.decode(): int(plan) for batch_id, plan in translated(self._redis.hgetall, LIVE).items()}

    def close(self, batch_id: str, plan: int, delete_at: float) -> None:
        pipe = self._redis.pipeline(transaction=True)
        pipe.expireat(_key(batch_id, plan), int(delete_at))
        pipe.hdel(LIVE, batch_id)
        translated(pipe.execute)

    def record_done(self, batch_id: str, plan: int, index: int, rows: int, bad: int) -> ChunkTotals:
        return ChunkTotals(*translated(self._mark, keys=[_key(batch_id, plan)], args=[index, rows, bad, KEPT_S]))

    def undo_done(self, batch_id: str, plan: int, index: int) -> None:
        translated(self._unmark, keys=[_key(batch_id, plan)], args=[index])

    def is_done(self, batch_id: str, plan: int, index: int) -> bool:
        return bool(translated(self._redis.hexists, _key(batch_id, plan), index))

    def done(self, batch_id: str, plan: int) -> dict[int, tuple[int, int]]:
        found = translated(self._redis.hgetall, _key(batch_id, plan))
        return {int(index): _mark_of(mark) for index, mark in found.items() if index not in _SUMS}

    def totals(self, batch_id: str, plan: int) -> ChunkTotals:
        pipe = self._redis.pipeline(transaction=True)
        pipe.hlen(_key(batch_id, plan))
        pipe.hmget(_key(batch_id, plan), list(_SUMS))
        length, (rows, bad) = translated(pipe.execute)
        return ChunkTotals(max(length - len(_SUMS), 0), int(rows or 0), int(bad or 0))

    def add(self, chunks: list[tuple[Job, ChunkWork]]) -> bool:
        must_ring = False
        for start in range(0, len(chunks), CHUNKS_A_CALL):
            some = chunks[start : start + CHUNKS_A_CALL]
            args: list[Any] = [some[0][0].lane, f" {' '.join(FINAL_STATES)} "]
            for job, work in some:
                args += [job.id, encode(job), encode(work)]
            must_ring = translated(self._add, args=args) == 1 or must_ring
        return must_ring

    def chunks(self, ids: list[str]) -> dict[str, Job]:
        pipe = self._redis.pipeline(transaction=False)
        for job_id in ids:
            pipe.hget(f"qc:job:{job_id}", "record")
        found = translated(pipe.execute) if ids else []
        return {job_id: decode_job(record) for job_id, record in zip(ids, found, strict=True) if record is not None}


def _mark_of(mark: bytes) -> tuple[int, int]:
    rows, _, bad = mark.partition(b":")
    return int(rows), int(bad)


def _key(batch_id: str, plan: int) -> str:
    return f"qc:batch:{batch_id}:{plan}"
