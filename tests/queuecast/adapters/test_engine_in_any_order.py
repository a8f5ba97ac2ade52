"""Gateway, workers and reaper in any order: Redis does what the store in memory does, and no job is ever nowhere.

Every step is taken on both and must answer alike; after each, the keys in Redis are looked at.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from queuecast.adapters.memory.aliases import MemoryAliases
from queuecast.adapters.memory.jobs import MemoryJobs
from queuecast.adapters.memory.lanes import MemoryLanes
from queuecast.adapters.redis.aliases import RedisAliases
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.adapters.redis.lanes import RedisLanes
from queuecast.domain.errors import QueuecastError
from queuecast.domain.job import FINAL_STATES, Job, JobType, State
from queuecast.ports.jobs import IdempotencyKey, JobFilter
from queuecast.ports.lanes import Reservation
from tests.queuecast.adapters.store_steps import FAILURE, LOSS, Store
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job, work_of

LANES = [a_job().lane, a_job(version=2).lane]
MAX_LANE_JOBS = 4
RESULT = b"{}"
PICK = st.integers(0, 1000)
"""Which of those that there are."""


class StoreComparison(RuleBasedStateMachine):
    """client: set by the test that runs this."""

    client: redis.Redis

    def __init__(self) -> None:
        super().__init__()
        self.client.flushall()
        memory = MemoryJobs(MAX_LANE_JOBS)
        self.memory = Store(memory, MemoryLanes(memory), MemoryAliases(memory))
        self.redis = Store(
            RedisJobs(self.client, max_lane_jobs=MAX_LANE_JOBS), RedisLanes(self.client), RedisAliases(self.client)
        )
        self.now = NOW
        self.job_ids: list[str] = []
        self.held: list[tuple[Reservation, Reservation]] = []
        """Reservations, those that are no longer good among them: of the memory and of Redis."""

    def both(self, step: Callable[[Store], Any]) -> Any:
        """What both answered, an error by its kind and words."""
        answers = []
        for store in (self.memory, self.redis):
            try:
                answers.append(step(store))
            except QueuecastError as error:
                answers.append((type(error), error.detail))
        assert answers[0] == answers[1]
        return answers[0]

    def job(self, pick: int, *states: State) -> Job | None:
        """One of the jobs in these states."""
        found = [job for job in map(self.memory.jobs.read, self.job_ids) if job.state in states]
        return found[pick % len(found)] if found else None

    def write(self, job: Job, held: tuple[Reservation, Reservation] | None = None) -> Any:
        entries = (None, None) if held is None else (held[0].entry, held[1].entry)
        result = RESULT if job.state is State.SUCCEEDED else None
        return self.both(
            lambda store: store.jobs.replace(job, result, entries[0 if store is self.memory else 1]),
        )

    def holder(self, pick: int, *states: State) -> tuple[Job, tuple[Reservation, Reservation]] | None:
        """One of the reservations, good or not, and its job, if that is in one of these states."""
        found = [(self.memory.jobs.read(held[0].job_id), held) for held in self.held if held[0].job_id in self.job_ids]
        found = [(job, held) for job, held in found if job.state in states]
        return found[pick % len(found)] if found else None

    # The gateway

    @rule(
        lane=st.sampled_from([1, 1, 2]),
        kind=st.sampled_from(["prediction", "prediction", "prediction", "training"]),
        has_deadline=st.booleans(),
    )
    def submit(self, lane: int, kind: str, has_deadline: bool) -> None:
        self.now += 1
        job = a_job(JobType(kind), version=lane, created_at=self.now, max_attempts=2)
        job = replace(job, expires_at=self.now + 10 if has_deadline else None).accepted()
        idempotency_key = IdempotencyKey(f"key-{job.id}", "print")
        answer = self.both(lambda store: store.jobs.create(job, work_of(job.type), b"", idempotency_key))
        if not isinstance(answer, tuple):
            self.job_ids.append(job.id)
            again = a_job(JobType(kind), version=lane)
            self.both(lambda store: store.jobs.create(again, work_of(again.type), b"", idempotency_key))

    @precondition(lambda self: self.job(0, State.QUEUED, State.RUNNING))
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        job = self.job(pick, State.QUEUED, State.RUNNING)
        if job is not None:
            self.write(job.cancel_requested(self.now, RETENTION_S))

    @precondition(lambda self: self.delayed())
    @rule(pick=PICK)
    def cancel_one_that_waits_out_a_delay(self, pick: int) -> None:
        found = self.delayed()
        self.write(found[pick % len(found)].cancel_requested(self.now, RETENTION_S))

    def delayed(self) -> list[Job]:
        return [job for job in map(self.memory.jobs.read, self.job_ids) if job.not_before is not None]

    @precondition(lambda self: self.job_ids)
    @rule(pick=PICK)
    def delete(self, pick: int) -> None:
        job = self.job(pick, *State)
        if job is not None and self.both(lambda store: store.jobs.delete(job.id)) is None:
            self.job_ids.remove(job.id)

    @precondition(lambda self: self.job(0, State.FAILED))
    @rule(pick=PICK)
    def replay_a_dead_letter(self, pick: int) -> None:
        job = self.job(pick, State.FAILED)
        if job is not None:
            again = job.retried_as(a_job().id, self.now, 2)
            answer = self.both(
                lambda store: store.jobs.create(again, work_of(again.type), b"", replayed_dead_letter=job.id)
            )
            self.job_ids += [] if isinstance(answer, tuple) else [again.id]

    # Workers

    @precondition(lambda self: self.memory.lanes.stats())
    @rule(
        lane=st.sampled_from([LANES[0], LANES[0], LANES[1], "training"]),
        limit=st.integers(1, 3),
        clears_bell=st.booleans(),
    )
    def reserve(self, lane: str, limit: int, clears_bell: bool) -> None:
        worker = f"host:{len(self.held)}"
        found = [
            store.lanes.reserve(lane, worker, limit, clears_bell=clears_bell) for store in (self.memory, self.redis)
        ]
        (mine, must_ring), (theirs, must_ring_too) = found
        assert [each.job_id for each in mine] == [each.job_id for each in theirs]
        assert must_ring == must_ring_too
        self.held += zip(mine, theirs, strict=True)

    @precondition(lambda self: self.holder(0, State.QUEUED))
    @rule(pick=PICK)
    def claim(self, pick: int) -> None:
        found = self.holder(pick, State.QUEUED)
        if found is not None:
            self.write(found[0].claimed(found[1][0].worker, self.now), found[1])

    @precondition(lambda self: self.held)
    @rule()
    def renew(self) -> None:
        self.both(lambda store: store.lanes.renew([held[0 if store is self.memory else 1] for held in self.held]))

    @precondition(lambda self: self.held)
    @rule(pick=PICK)
    def put_back(self, pick: int) -> None:
        held = self.held[pick % len(self.held)]
        self.both(lambda store: store.lanes.requeue(held[0 if store is self.memory else 1]))

    @precondition(lambda self: self.holder(0, State.RUNNING))
    @rule(pick=PICK, end=st.sampled_from(["succeeded", "failed", "handed_back"]))
    def end(self, pick: int, end: str) -> None:
        found = self.holder(pick, State.RUNNING)
        if found is not None:
            given = (FAILURE,) if end == "failed" else ()
            self.write(getattr(found[0], end)(*given, self.now, RETENTION_S), found[1])

    @precondition(lambda self: self.holder(0, State.CANCELING))
    @rule(pick=PICK)
    def stop(self, pick: int) -> None:
        found = self.holder(pick, State.CANCELING)
        if found is not None:
            self.write(found[0].stopped(self.now, RETENTION_S), found[1])

    # The reaper

    @precondition(lambda self: self.holder(0, State.RUNNING, State.CANCELING))
    @rule(pick=PICK, delay_s=st.integers(0, 5))
    def lose(self, pick: int, delay_s: int) -> None:
        found = self.holder(pick, State.RUNNING, State.CANCELING)
        if found is not None:
            self.write(found[0].lost(LOSS, self.now, delay_s, RETENTION_S), found[1])

    @rule(later_s=st.integers(0, 5))
    def enqueue_due(self, later_s: int) -> None:
        self.now += later_s
        self.both(lambda store: sorted(store.lanes.enqueue_due(self.now)))

    @rule(later_s=st.integers(0, 5))
    def expire(self, later_s: int) -> None:
        self.now += later_s
        for job_id in self.both(lambda store: sorted(store.jobs.past_start_deadline(self.now))):
            self.write(self.memory.jobs.read(job_id).expired(self.now, RETENTION_S))

    # What is always so

    @invariant()
    def both_have_the_same(self) -> None:
        self.both(
            lambda store: [
                (each.lane, each.waiting, each.reserved, each.worker_expected_since is None)
                for each in store.lanes.stats()
            ]
        )
        self.both(lambda store: store.jobs.page(JobFilter(), None, 1000).jobs)
        self.both(lambda store: sorted((each.job_id, each.worker) for each in store.lanes.reservations()))
        self.both(lambda store: sorted(job.id for job in store.jobs.dead_letters(None, 1000).jobs))

    @invariant()
    def a_job_that_has_not_ended_is_in_exactly_one_place_and_one_that_has_in_none(self) -> None:
        places = [entry[b"job"].decode() for key in self.lane_keys() for _, entry in self.client.xrange(key)]
        places += [raw.decode() for raw in self.client.zrange("qc:delayed", 0, -1)]
        live = [job.id for job in map(self.redis.jobs.read, self.job_ids) if job.state not in FINAL_STATES]
        assert sorted(places) == sorted(live)

    @invariant()
    def a_lane_has_key_and_name_exactly_while_a_job_is_in_it(self) -> None:
        named = {f"qc:lane:{raw.decode()}".encode() for raw in self.client.smembers("qc:lanes")}
        assert named == set(self.lane_keys())
        assert all(self.client.xlen(key) for key in named)
        assert {f"qc:lane:{raw.decode()}".encode() for raw in self.client.hkeys("qc:bells")} <= named

    @invariant()
    def a_lane_in_which_jobs_wait_has_a_bell(self) -> None:
        assert all(each.worker_expected_since is not None for each in self.redis.lanes.stats() if each.waiting)

    @invariant()
    def a_model_is_locked_exactly_while_it_is_in_training(self) -> None:
        live = [
            job.id.encode()
            for job in map(self.redis.jobs.read, self.job_ids)
            if job.type is JobType.TRAINING and job.state not in FINAL_STATES
        ]
        lock = self.client.get("qc:training:titanic")
        assert live == ([] if lock is None else [lock])

    @invariant()
    def only_jobs_that_were_never_started_have_a_start_deadline(self) -> None:
        due = [raw.decode() for raw in self.client.zrange("qc:expiring", 0, -1)]
        waiting = [job for job in map(self.redis.jobs.read, self.job_ids) if job.state is State.QUEUED]
        assert sorted(due) == sorted(job.id for job in waiting if job.expires_at is not None and job.attempt == 0)

    def lane_keys(self) -> list[bytes]:
        return list(self.client.scan_iter("qc:lane:*"))


@pytest.mark.redis
def test_redis_and_memory_answer_alike_and_no_job_is_ever_nowhere(redis_url: str) -> None:
    with connect(redis_url) as client:
        StoreComparison.client = client
        run_state_machine_as_test(
            StoreComparison,
            settings=settings(
                max_examples=80,
                stateful_step_count=60,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
            ),
        )
