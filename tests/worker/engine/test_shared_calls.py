"""Jobs that share a call: each is claimed, answered and ended as if it had been alone."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from queuecast.domain.errors import ModelRefusedError, RunFailedError, UnavailableError
from queuecast.domain.job import Failure, JobType, State
from queuecast.domain.work import Method, PredictionWork
from tests.queuecast.domain.records import a_job
from tests.worker.fake_worker import LANE, NOW, Stage
from worker.engine.consumer import LaneConsumer
from worker.engine.contracts import ClaimedJob, ModelCall, Result
from worker.engine.leases import STOP_WAIT_S
from worker.models.bisection import Answered, bisect_failures

Answer = Callable[[list[ClaimedJob]], list[Result | Exception]]


def echo(orders: list[ClaimedJob]) -> list[Result | Exception]:
    return [Result({"id": order.job.id, "jobs": len(orders)}) for order in orders]


class Shared:
    """A worker whose predictions share calls, and which jobs each call had."""

    def __init__(self, stage: Stage, answer: Answer = echo) -> None:
        self.stage = stage
        self.answer_with = answer
        self.calls: list[list[str]] = []
        self.execution: LaneConsumer = stage.worker("worker-1", shared=self._noted)

    def _noted(self, orders: list[ClaimedJob]) -> list[Result | Exception]:
        self.calls.append([order.job.id for order in orders])
        return self.answer_with(orders)

    def warm_up(self, rows: int) -> None:
        """Until it takes so many rows at a time."""
        for _ in range(rows - 1):
            self.stage.submitted()
        self.execution.drain(LANE)
        self.calls.clear()
        self.stage.restart_numbers()

    def states(self) -> list[State]:
        return [self.stage.job(job_id).state for call in self.calls for job_id in call]


@pytest.fixture
def shared(stage: Stage) -> Shared:
    return Shared(stage)


def submit(stage: Stage, count: int, **fields: Any) -> list[str]:
    return [stage.submitted(**fields).id for _ in range(count)]


# Sharing


def test_jobs_that_wait_share_a_call_and_each_gets_its_own_answer(stage: Stage, shared: Shared) -> None:
    shared.warm_up(8)
    ids = submit(stage, 8)

    calls = shared.execution.drain(LANE)

    assert shared.calls == [ids]
    assert [stage.result(job_id) for job_id in ids] == [{"id": job_id, "jobs": 8} for job_id in ids]
    assert calls == [ModelCall(jobs=8, rows=8)]


def test_a_job_that_comes_alone_waits_for_nobody(stage: Stage, shared: Shared) -> None:
    shared.warm_up(8)
    (only,) = submit(stage, 1)

    shared.execution.drain(LANE)

    assert (shared.calls, stage.job(only).state) == ([[only]], State.SUCCEEDED)


def test_a_call_is_bounded_in_rows_and_not_in_jobs(stage: Stage, shared: Shared) -> None:
    shared.warm_up(16)
    ids = [stage.submitted(work=PredictionWork(Method.PREDICT, rows)).id for rows in (6, 6, 6, 30, 1, 15)]

    calls = shared.execution.drain(LANE)

    assert shared.calls == [ids[:2], ids[2:3], ids[3:4], ids[4:]]
    assert [call.rows for call in calls] == [12, 6, 30, 16]


def test_a_call_is_bounded_in_bytes(stage: Stage, shared: Shared) -> None:
    shared.warm_up(16)
    ids = [stage.submitted(rows=b" " * 3 * 2**20 + b"[[1.0]]").id for _ in range(3)]

    shared.execution.drain(LANE)

    assert shared.calls == [[job_id] for job_id in ids]


def test_every_job_of_a_call_has_its_own_claim_and_its_own_end(stage: Stage, shared: Shared) -> None:
    shared.warm_up(4)
    ids = submit(stage, 3)

    shared.execution.drain(LANE)

    jobs = [stage.job(job_id) for job_id in ids]
    assert [(job.attempt, job.worker, job.revision) for job in jobs] == [(1, "worker-1", 3)] * 3
    assert [[moment.event.value for moment in job.timeline] for job in jobs] == [
        ["accepted", "claimed", "finished"]
    ] * 3
    assert stage.lanes.stats() == []


# What happens to one of them


def test_a_job_that_raised_fails_alone(stage: Stage, shared: Shared) -> None:
    shared.warm_up(4)
    ids = submit(stage, 4)
    bad = RunFailedError("the third raised", code="prediction_failed")
    shared.answer_with = lambda orders: [*echo(orders[:2]), bad, *echo(orders[3:])]

    shared.execution.drain(LANE)

    assert [stage.job(job_id).state for job_id in ids] == [
        State.SUCCEEDED,
        State.SUCCEEDED,
        State.FAILED,
        State.SUCCEEDED,
    ]
    assert stage.job(ids[2]).failure == Failure("prediction_failed", "the third raised")


def test_a_result_that_is_too_large_fails_its_own_job_only(stage: Stage, shared: Shared) -> None:
    shared.warm_up(2)
    ids = submit(stage, 2)
    shared.answer_with = lambda orders: [Result({"predictions": "x" * 1000}), *echo(orders[1:])]

    shared.execution.drain(LANE)

    assert [stage.job(job_id).state for job_id in ids] == [State.FAILED, State.SUCCEEDED]
    assert stage.job(ids[0]).failure is not None
    assert stage.job(ids[0]).failure.code == "result_too_large"


def test_a_model_that_cannot_be_loaded_fails_all_of_them(stage: Stage, shared: Shared) -> None:
    shared.warm_up(4)
    ids = submit(stage, 3)

    def refuse(orders: list[ClaimedJob]) -> list[Result | Exception]:
        raise ModelRefusedError("the model is not trusted")

    shared.answer_with = refuse
    shared.execution.drain(LANE)

    assert {stage.job(job_id).state for job_id in ids} == {State.FAILED}


def test_something_that_is_away_costs_each_an_attempt_and_the_next_is_alone(stage: Stage, shared: Shared) -> None:
    shared.warm_up(4)
    ids = submit(stage, 3)
    shared.answer_with = lambda orders: [UnavailableError("the disk is away") for _ in orders]
    shared.execution.drain(LANE)
    shared.answer_with = echo
    stage.now += 60
    stage.reaper().sweep()
    shared.calls.clear()

    shared.execution.drain(LANE)

    assert shared.calls == [[job_id] for job_id in ids]
    assert {stage.job(job_id).state for job_id in ids} == {State.SUCCEEDED}


def test_a_job_whose_start_deadline_passed_is_left_out_of_the_call(stage: Stage, shared: Shared) -> None:
    shared.warm_up(4)
    first, late, last = (*submit(stage, 1), *submit(stage, 1, expires_at=NOW), *submit(stage, 1))

    shared.execution.drain(LANE)

    assert (shared.calls, stage.job(late).state) == ([[first, last]], State.EXPIRED)


def test_a_job_canceled_before_the_claim_is_left_out_of_the_call(stage: Stage, shared: Shared) -> None:
    shared.warm_up(4)
    ids = submit(stage, 3)
    reserve = stage.lanes.reserve

    def cancel_meanwhile(*args: Any, **kwargs: Any) -> Any:
        reserved = reserve(*args, **kwargs)
        if stage.job(ids[1]).state is State.QUEUED:
            stage.cancel(ids[1])
        return reserved

    stage.lanes.reserve = cancel_meanwhile  # type: ignore[method-assign]
    shared.execution.drain(LANE)

    assert shared.calls == [[ids[0], ids[2]]]
    assert stage.job(ids[1]).state is State.CANCELED


def test_a_job_canceled_during_the_call_is_canceled_and_the_others_have_their_answers(
    stage: Stage, shared: Shared
) -> None:
    shared.warm_up(4)
    ids = submit(stage, 3)

    def cancel_one(orders: list[ClaimedJob]) -> list[Result | Exception]:
        stage.cancel(ids[1])
        return echo(orders)

    shared.answer_with = cancel_one
    shared.execution.drain(LANE)

    assert [stage.job(job_id).state for job_id in ids] == [State.SUCCEEDED, State.CANCELED, State.SUCCEEDED]
    assert stage.result(ids[1]) is None


def test_a_job_that_another_worker_took_over_during_the_call_is_not_written(stage: Stage, shared: Shared) -> None:
    shared.warm_up(2)
    ids = submit(stage, 2)

    def lose_one(orders: list[ClaimedJob]) -> list[Result | Exception]:
        stage.take_over(ids[0])
        return echo(orders)

    shared.answer_with = lose_one
    shared.execution.drain(LANE)

    taken = stage.job(ids[0])
    assert (taken.state, taken.worker, taken.attempt) == (State.RUNNING, "worker-2", 2)
    assert stage.job(ids[1]).state is State.SUCCEEDED


# The store


@pytest.mark.parametrize("lost_answers", [1, 2, 3])
def test_writes_whose_answers_were_lost_are_written_once(stage: Stage, shared: Shared, lost_answers: int) -> None:
    shared.warm_up(4)
    ids = submit(stage, 4)
    stage.jobs.lost_answers = lost_answers

    shared.execution.drain(LANE)

    jobs = [stage.job(job_id) for job_id in ids]
    assert [(job.state, job.attempt) for job in jobs] == [(State.SUCCEEDED, 1)] * 4
    assert shared.calls == [ids]


def test_a_store_that_goes_away_during_the_call_is_waited_for_and_no_answer_is_lost(
    stage: Stage, shared: Shared
) -> None:
    shared.warm_up(4)
    ids = submit(stage, 3)

    def lose_the_store(orders: list[ClaimedJob]) -> list[Result | Exception]:
        stage.jobs.is_away = True
        return echo(orders)

    pauses = iter(range(100))
    stage.time.on_pause = lambda: setattr(stage.jobs, "is_away", next(pauses) < 5)
    shared.answer_with = lose_the_store
    shared.execution.drain(LANE)

    assert {stage.job(job_id).state for job_id in ids} == {State.SUCCEEDED}


# A call that takes its process with it


def die(stage: Stage, shared: Shared, poison: str) -> None:
    """Answers until nothing is left; whenever the poison is in a call, the process dies and another one starts."""

    def answer(orders: list[ClaimedJob]) -> list[Result | Exception]:
        if poison in [order.job.id for order in orders]:
            raise SystemExit
        return echo(orders)

    shared.answer_with = answer
    while stage.waiting():
        try:
            shared.execution.drain(LANE)
        except SystemExit:
            reaper = stage.reaper()
            for held in stage.lanes.reservations():
                reaper.recover(held, Failure("worker_lost", "the process died"))
            stage.now += 60
            reaper.sweep()


def test_a_poison_job_takes_its_neighbors_with_it_once_and_then_nobody(stage: Stage, shared: Shared) -> None:
    shared.warm_up(8)
    ids = submit(stage, 8)

    die(stage, shared, poison=ids[3])

    poison, others = stage.job(ids[3]), [stage.job(job_id) for job_id in ids if job_id != ids[3]]
    assert (poison.state, poison.is_dead_letter, poison.lost_attempts) == (State.FAILED, True, 3)
    assert {(job.state, job.lost_attempts) for job in others} == {(State.SUCCEEDED, 1)}
    assert [call for call in shared.calls if ids[3] in call] == [ids, [ids[3]], [ids[3]]]


def test_a_replayed_poison_job_is_alone_from_the_start(stage: Stage, shared: Shared) -> None:
    shared.warm_up(2)
    submit(stage, 2)
    die(stage, shared, poison="job_101")

    again = stage.job("job_101").retried_as("job_again", stage.now, 3)

    assert again.runs_alone


def stuck(stage: Stage, shared: Shared, cause: Callable[[], None]) -> None:
    """A call that something must stop, and that does not stop by itself."""

    def answer(orders: list[ClaimedJob]) -> list[Result | Exception]:
        cause()
        stage.beats.once()
        stage.time.now += STOP_WAIT_S + 0.1
        stage.beats.once()
        raise SystemExit  # the process is gone

    shared.answer_with = answer
    with pytest.raises(SystemExit):
        shared.execution.drain(LANE)
    assert stage.ended_processes == 1


def test_a_call_that_takes_too_long_is_given_back_to_be_run_one_by_one(stage: Stage, shared: Shared) -> None:
    """Which of its jobs is to blame is not known."""
    shared.warm_up(4)
    ids = submit(stage, 3)

    stuck(stage, shared, lambda: setattr(stage.time, "now", stage.time.now + 60))

    jobs = [stage.job(job_id) for job_id in ids]
    assert [(job.state, job.lost_attempts, job.runs_alone) for job in jobs] == [(State.QUEUED, 0, True)] * 3


def test_a_job_alone_in_its_call_that_takes_too_long_fails(stage: Stage, shared: Shared) -> None:
    shared.warm_up(4)
    (only,) = submit(stage, 1)

    stuck(stage, shared, lambda: setattr(stage.time, "now", stage.time.now + 60))

    job = stage.job(only)
    assert (job.state, job.failure and job.failure.code) == (State.FAILED, "timeout")


def test_a_cancel_that_ends_a_long_call_costs_the_neighbors_no_attempt(stage: Stage, shared: Shared) -> None:
    shared.warm_up(4)
    ids = submit(stage, 3)

    stuck(stage, shared, lambda: stage.cancel(ids[1]))

    jobs = [stage.job(job_id) for job_id in ids]
    assert [job.state for job in jobs] == [State.QUEUED, State.CANCELED, State.QUEUED]
    assert [(job.lost_attempts, job.runs_alone) for job in jobs[::2]] == [(0, False)] * 2


# Bisection


def sums(rows: Sequence[int]) -> list[int]:
    """Fails as an estimator does: for one row, all of the call is lost."""
    if any(row < 0 for row in rows):
        raise ValueError("negative")
    return [row * 10 for row in rows]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_only_the_parts_that_are_to_blame_fail_wherever_they_are(count: int) -> None:
    for poisoned in range(2**count):
        parts = [[-1 if poisoned >> index & 1 else index, 5] for index in range(count)]

        found = bisect_failures(sums, parts)

        expected = [None if part[0] < 0 else [part[0] * 10, 50] for part in parts]
        assert [each.found if isinstance(each, Answered) else None for each in found] == expected


def test_one_bad_part_among_many_costs_few_calls() -> None:
    calls = 0

    def counted(rows: list[int]) -> list[int]:
        nonlocal calls
        calls += 1
        return sums(rows)

    parts = [[1] for _ in range(1024)]
    parts[random.Random(7).randrange(1024)] = [-1]
    bisect_failures(counted, parts)

    assert calls <= 2 * 10 + 1


def test_an_estimator_that_answers_too_few_rows_is_not_believed() -> None:
    (found,) = bisect_failures(lambda rows: rows[:-1], [[1, 2]])

    assert isinstance(found, ValueError)
    assert str(found) == "found 1 answers, expected 2"


@pytest.mark.parametrize("kind", [kind for kind in JobType if kind is not JobType.PREDICTION])
def test_jobs_of_other_kinds_share_no_run(kind: JobType) -> None:
    assert not a_job(kind).is_batchable
