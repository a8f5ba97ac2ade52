"""The progress of batches in Redis: which chunks of a plan are done, and which batches have unfinished chunks.

Chunks are jobs like any other, except that they are not in `keys.JOBS`, so no listing shows them.
"""

import redis

from queuecast.adapters.job_codec import decode_job, encode
from queuecast.adapters.redis import keys
from queuecast.adapters.redis.connection import call
from queuecast.adapters.redis.script_loader import Script, word_list
from queuecast.domain.chunking import ChunkTotals
from queuecast.domain.job import FINAL_STATES, Job
from queuecast.domain.work import ChunkWork

_SUMS = (b"rows", b"bad")


class RedisChunkProgress:
    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._record_done = Script(client, "record_chunk_done")
        self._undo_done = Script(client, "undo_chunk_done")
        self._add = Script(client, "add_chunks")

    def open(self, batch_id: str, plan: int) -> None:
        call(self._redis.hset, keys.BATCHES, batch_id, plan)

    def live(self) -> dict[str, int]:
        return {batch_id.decode(): int(plan) for batch_id, plan in call(self._redis.hgetall, keys.BATCHES).items()}

    def close(self, batch_id: str, plan: int, delete_at: float) -> None:
        pipe = self._redis.pipeline(transaction=True)
        pipe.expireat(_key(batch_id, plan), int(delete_at))
        pipe.hdel(keys.BATCHES, batch_id)
        call(pipe.execute)

    def record_done(self, batch_id: str, plan: int, index: int, rows: int, bad_rows: int) -> ChunkTotals:
        ttl_s = 8 * 24 * 3600  # longer than any job may run, so that the progress of a lost plan expires by itself
        totals = call(
            self._record_done, batch_id=batch_id, plan=plan, index=index, rows=rows, bad_rows=bad_rows, ttl_s=ttl_s
        )
        return ChunkTotals(*totals)

    def undo_done(self, batch_id: str, plan: int, index: int) -> None:
        call(self._undo_done, batch_id=batch_id, plan=plan, index=index)

    def is_done(self, batch_id: str, plan: int, index: int) -> bool:
        return bool(call(self._redis.hexists, _key(batch_id, plan), index))

    def done(self, batch_id: str, plan: int) -> dict[int, tuple[int, int]]:
        fields = call(self._redis.hgetall, _key(batch_id, plan))
        return {int(index): _sizes(value) for index, value in fields.items() if index not in _SUMS}

    def totals(self, batch_id: str, plan: int) -> ChunkTotals:
        pipe = self._redis.pipeline(transaction=True)
        pipe.hlen(_key(batch_id, plan))
        pipe.hmget(_key(batch_id, plan), list(_SUMS))
        length, (rows, bad) = call(pipe.execute)
        return ChunkTotals(max(length - len(_SUMS), 0), int(rows or 0), int(bad or 0))

    def add(self, chunks: list[tuple[Job, ChunkWork]]) -> bool:
        must_ring = False
        size = 200  # chunks in one call: Redis serves no other client while a script runs
        for start in range(0, len(chunks), size):
            some = chunks[start : start + size]
            items = [(job.id, encode(job), encode(work)) for job, work in some]
            answer = call(self._add, items, lane=some[0][0].lane, final_states=word_list(FINAL_STATES))
            must_ring = answer == 1 or must_ring
        return must_ring

    def chunks(self, ids: list[str]) -> dict[str, Job]:
        pipe = self._redis.pipeline(transaction=False)
        for job_id in ids:
            pipe.hget(f"{keys.JOB}{job_id}", "record")
        records = call(pipe.execute) if ids else []
        return {job_id: decode_job(record) for job_id, record in zip(ids, records, strict=True) if record is not None}


def _sizes(value: bytes) -> tuple[int, int]:
    """The rows of a finished chunk, and how many of them were bad."""
    rows, _, bad = value.partition(b":")
    return int(rows), int(bad)


def _key(batch_id: str, plan: int) -> str:
    return f"{keys.BATCH}{batch_id}:{plan}"
