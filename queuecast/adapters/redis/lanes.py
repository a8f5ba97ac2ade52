"""Lanes as Redis Streams: the consumer group knows which worker holds an entry, and how long that worker was silent.

The scripts decide and write in one step; `scripts/lane.lua` has how a job enters and leaves a lane.
"""

from typing import Any

import redis

from queuecast.adapters.job_codec import decode_all
from queuecast.adapters.redis import keys
from queuecast.adapters.redis.connection import call
from queuecast.adapters.redis.script_loader import Script
from queuecast.domain.job import State
from queuecast.domain.lane import ATTENDANT_GONE_S, MAX_RESERVED_BYTES
from queuecast.ports.lanes import LanePosition, LaneStats, Reservation


class RedisLanes:
    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._reserve = Script(client, "reserve")
        self._renew = Script(client, "renew")
        self._wait_for_job = Script(client, "wait_for_job")
        self._detach = Script(client, "detach")
        self._requeue = Script(client, "requeue_reservation")
        self._enqueue_due = Script(client, "enqueue_due")
        self._record_ring = Script(client, "record_ring")
        self._stats = Script(client, "lane_stats")
        self._position = Script(client, "lane_position")
        self._forget_workers = Script(client, "forget_workers")

    def reserve(
        self, lane: str, worker: str, rows: int, *, clears_bell: bool, stays: bool = False
    ) -> tuple[list[Reservation], bool]:
        taken, ring = call(
            self._reserve,
            lane=lane,
            worker=worker,
            max_rows=rows,
            clears_bell=int(clears_bell),
            max_bytes=MAX_RESERVED_BYTES,
            stays=int(stays),
            attended_ms=100,  # an attending worker reserves again within this time, or other workers may take its jobs
        )
        reservations = [
            Reservation(lane, entry.decode(), job_id.decode(), worker, decode_all(*fields))
            for entry, job_id, fields in taken
        ]
        return reservations, ring == 1

    def renew(self, reservations: list[Reservation]) -> list[State | None]:
        items = [(held.lane, held.entry, held.job_id, held.worker) for held in reservations]
        return [State(state.decode()) if state else None for state in call(self._renew, items)]

    def wait_for_job(self, lane: str, worker: str, timeout_s: float) -> bool:
        answer = call(self._wait_for_job, lane=lane, worker=worker)
        if answer == 1:
            return call(self._redis.blpop, [f"{keys.WAKE}{lane}"], timeout=timeout_s) is not None
        return bool(answer == 0)

    def detach(self, lane: str, worker: str) -> bool:
        return bool(call(self._detach, lane=lane, worker=worker) == 1)

    def requeue(self, reservation: Reservation) -> bool:
        answer = call(self._requeue, lane=reservation.lane, entry=reservation.entry, id=reservation.job_id)
        return bool(answer == 1)

    def reservations(self, silent_s: float = 0.0) -> list[Reservation]:
        lanes = sorted(name.decode() for name in call(self._redis.smembers, keys.LANES))
        pending = self._pending(lanes, int(silent_s * 1000))
        held = [(lane, entry) for lane, entries in zip(lanes, pending, strict=True) for entry in entries]
        pipe = self._redis.pipeline(transaction=False)
        for lane, entry in held:
            pipe.xrange(_key(lane), entry["message_id"], entry["message_id"])
        contents = call(pipe.execute) if held else []
        return [
            Reservation(lane, entry["message_id"].decode(), content[0][1][b"job"].decode(), entry["consumer"].decode())
            for (lane, entry), content in zip(held, contents, strict=True)
            if content
        ]

    def enqueue_due(self, now: float) -> list[str]:
        return [lane.decode() for lane in call(self._enqueue_due, now=now)]

    def record_ring(self, lane: str) -> None:
        call(self._record_ring, lane=lane)

    def stats(self) -> list[LaneStats]:
        stats = call(self._stats, attendant_gone_ms=int(ATTENDANT_GONE_S * 1000))
        return [
            LaneStats(
                lane.decode(),
                waiting,
                reserved,
                oldest_at=int(oldest.split(b"-")[0]) / 1000 if oldest else None,
                worker_expected_since=int(expected) / 1000 if expected else None,
            )
            for lane, waiting, reserved, oldest, expected in stats
        ]

    def position(self, lane: str, job_id: str) -> LanePosition:
        position, taken = call(self._position, lane=lane, id=job_id)
        return LanePosition(position or None, taken)

    def forget_workers(self, silent_s: float) -> None:
        call(self._forget_workers, silent_ms=silent_s * 1000)

    def _pending(self, lanes: list[str], idle_ms: int) -> list[list[Any]]:
        """The entries of each lane that a worker holds; none for a lane that has become empty since it was listed."""
        page_size = 500
        found: dict[str, list[Any]] = {lane: [] for lane in lanes}
        starts = dict.fromkeys(lanes, "-")
        while starts:
            pipe = self._redis.pipeline(transaction=False)
            for lane, start in starts.items():
                pipe.xpending_range(_key(lane), "workers", start, "+", page_size, idle=idle_ms)
            for lane, answer in zip(list(starts), call(pipe.execute, raise_on_error=False), strict=True):
                if isinstance(answer, redis.RedisError) and not isinstance(answer, redis.ResponseError):
                    call(_raise, answer)
                page = [] if isinstance(answer, redis.ResponseError) else answer
                found[lane] += page
                if len(page) == page_size:
                    starts[lane] = f"({page[-1]['message_id'].decode()}"
                else:
                    del starts[lane]
        return list(found.values())


def _raise(error: Exception) -> None:
    raise error


def _key(lane: str) -> str:
    return f"{keys.LANE}{lane}"
