"""Jobs that share a call: each is claimed, run and ended as if it were alone."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from queuecast.domain.errors import Failure, ModelRefusedError, RunFailedError, UnavailableError
from queuecast.domain.job import JobType, State
from queuecast.domain.work import Method, PredictionWork
from tests.queuecast.domain.records import a_job
from tests.worker.fake_worker import LANE, NOW, FakeWorker
from worker.engine.consumer import LaneConsumer
from worker.engine.contracts import ClaimedJob, EndedJob, ModelCall, Result
from worker.engine.leases import STOP_WAIT_S

Answer = Callable[[list[ClaimedJob]], list[Result | Exception]]


def ids_and_sizes(claimed_jobs: list[ClaimedJob]) -> list[Result | Exception]:
    return [Result({"id": claimed.job.id, "jobs": len(claimed_jobs)}) for claimed in claimed_jobs]


class SharedCalls:
    """A worker whose predictions share calls, and the jobs of each call."""

    def __init__(self, worker: FakeWorker, answer: Answer = ids_and_sizes) -> None:
        self.worker = worker
        self.run_call = answer
        self.calls: list[list[str]] = []
        self.consumer: LaneConsumer = worker.another_consumer("worker-1", shared=self._run)

    def _run(self, claimed_jobs: list[ClaimedJob]) -> list[Result | Exception]:
        self.calls.append([claimed.job.id for claimed in claimed_jobs])
        return self.run_call(claimed_jobs)

    def warm_up(self, rows: int) -> None:
        """Runs quick claims until the worker claims `rows` rows at a time."""
        for _ in range(rows - 1):
            self.worker.submit()
        self.consumer.drain(LANE)
        self.calls.clear()
        self.worker.restart_numbers()

    def states(self) -> list[State]:
        return [self.worker.job(job_id).state for call in self.calls for job_id in call]


@pytest.fixture
def shared(worker: FakeWorker) -> SharedCalls:
    return SharedCalls(worker)


def submit(worker: FakeWorker, count: int, **fields: Any) -> list[str]:
    return [worker.submit(**fields).id for _ in range(count)]


# Sharing


def test_waiting_jobs_share_a_call_and_each_gets_its_own_result(worker: FakeWorker, shared: SharedCalls) -> None:
    shared.warm_up(8)
    ids = submit(worker, 8)

    calls = shared.consumer.drain(LANE)

    assert shared.calls == [ids]
    assert [worker.result(job_id) for job_id in ids] == [{"id": job_id, "jobs": 8} for job_id in ids]
    assert calls == [ModelCall(jobs=8, rows=8)]


def test_a_single_job_does_not_wait_for_more(worker: FakeWorker, shared: SharedCalls) -> None:
    shared.warm_up(8)
    (only,) = submit(worker, 1)

    shared.consumer.drain(LANE)

    assert (shared.calls, worker.job(only).state) == ([[only]], State.SUCCEEDED)


def test_a_call_is_bounded_in_rows_and_not_in_jobs(worker: FakeWorker, shared: SharedCalls) -> None:
    shared.warm_up(16)
    ids = [worker.submit(work=PredictionWork(Method.PREDICT, rows)).id for rows in (6, 6, 6, 30, 1, 15)]

    calls = shared.consumer.drain(LANE)

    assert shared.calls == [ids[:2], ids[2:3], ids[3:4], ids[4:]]
    assert [call.rows for call in calls] == [12, 6, 30, 16]


def test_a_call_is_bounded_in_bytes(worker: FakeWorker, shared: SharedCalls) -> None:
    shared.warm_up(16)
    ids = [worker.submit(rows=b" " * 3 * 2**20 + b"[[1.0]]").id for _ in range(3)]

    shared.consumer.drain(LANE)

    assert shared.calls == [[job_id] for job_id in ids]


def test_every_job_of_a_call_has_its_own_claim_and_outcome(worker: FakeWorker, shared: SharedCalls) -> None:
    shared.warm_up(4)
    ids = submit(worker, 3)

    shared.consumer.drain(LANE)

    jobs = [worker.job(job_id) for job_id in ids]
    assert [(job.attempt, job.worker, job.revision) for job in jobs] == [(1, "worker-1", 3)] * 3
    assert [[entry.event.value for entry in job.timeline] for job in jobs] == [["accepted", "claimed", "finished"]] * 3
    assert worker.lanes.stats() == []


# Outcomes of single jobs


def test_a_job_that_raised_fails_alone(worker: FakeWorker, shared: SharedCalls) -> None:
    shared.warm_up(4)
    ids = submit(worker, 4)
    bad = RunFailedError("the third raised", code="prediction_failed")
    shared.run_call = lambda claimed_jobs: [*ids_and_sizes(claimed_jobs[:2]), bad, *ids_and_sizes(claimed_jobs[3:])]

    shared.consumer.drain(LANE)

    assert [worker.job(job_id).state for job_id in ids] == [
        State.SUCCEEDED,
        State.SUCCEEDED,
        State.FAILED,
        State.SUCCEEDED,
    ]
    assert worker.job(ids[2]).failure == Failure("prediction_failed", "the third raised")


def test_a_result_that_is_too_large_fails_its_own_job_only(worker: FakeWorker, shared: SharedCalls) -> None:
    shared.warm_up(2)
    ids = submit(worker, 2)
    shared.run_call = lambda claimed_jobs: [Result({"predictions": "x" * 1000}), *ids_and_sizes(claimed_jobs[1:])]

    shared.consumer.drain(LANE)

    assert [worker.job(job_id).state for job_id in ids] == [State.FAILED, State.SUCCEEDED]
    assert worker.job(ids[0]).failure is not None
    assert worker.job(ids[0]).failure.code == "result_too_large"


def test_a_model_that_cannot_be_loaded_fails_all_of_them(worker: FakeWorker, shared: SharedCalls) -> None:
    shared.warm_up(4)
    ids = submit(worker, 3)

    def refuse(claimed_jobs: list[ClaimedJob]) -> list[Result | Exception]:
        raise ModelRefusedError("the model is not trusted")

    shared.run_call = refuse
    shared.consumer.drain(LANE)

    assert {worker.job(job_id).state for job_id in ids} == {State.FAILED}


def test_an_outage_costs_each_job_an_attempt_and_each_runs_again_alone(worker: FakeWorker, shared: SharedCalls) -> None:
    shared.warm_up(4)
    ids = submit(worker, 3)
    shared.run_call = lambda claimed_jobs: [UnavailableError("the disk is away") for _ in claimed_jobs]
    shared.consumer.drain(LANE)
    shared.run_call = ids_and_sizes
    worker.now += 60
    worker.reaper().sweep()
    shared.calls.clear()

    shared.consumer.drain(LANE)

    assert shared.calls == [[job_id] for job_id in ids]
    assert {worker.job(job_id).state for job_id in ids} == {State.SUCCEEDED}


def test_a_job_whose_start_deadline_passed_is_left_out_of_the_call(worker: FakeWorker, shared: SharedCalls) -> None:
    shared.warm_up(4)
    first, late, last = (*submit(worker, 1), *submit(worker, 1, expires_at=NOW), *submit(worker, 1))

    shared.consumer.drain(LANE)

    assert (shared.calls, worker.job(late).state) == ([[first, last]], State.EXPIRED)


def test_a_job_canceled_before_the_claim_is_left_out_of_the_call(worker: FakeWorker, shared: SharedCalls) -> None:
    shared.warm_up(4)
    ids = submit(worker, 3)
    reserve = worker.lanes.reserve

    def reserve_and_cancel(*args: Any, **kwargs: Any) -> Any:
        reserved = reserve(*args, **kwargs)
        if worker.job(ids[1]).state is State.QUEUED:
            worker.cancel(ids[1])
        return reserved

    worker.lanes.reserve = reserve_and_cancel  # type: ignore[method-assign]
    shared.consumer.drain(LANE)

    assert shared.calls == [[ids[0], ids[2]]]
    assert worker.job(ids[1]).state is State.CANCELED


def test_a_job_canceled_during_the_call_is_canceled_and_the_rest_get_their_results(
    worker: FakeWorker, shared: SharedCalls
) -> None:
    shared.warm_up(4)
    ids = submit(worker, 3)

    def cancel_one(claimed_jobs: list[ClaimedJob]) -> list[Result | Exception]:
        worker.cancel(ids[1])
        return ids_and_sizes(claimed_jobs)

    shared.run_call = cancel_one
    shared.consumer.drain(LANE)

    assert [worker.job(job_id).state for job_id in ids] == [State.SUCCEEDED, State.CANCELED, State.SUCCEEDED]
    assert worker.result(ids[1]) is None


def test_a_job_that_another_worker_took_over_during_the_call_is_not_written(
    worker: FakeWorker, shared: SharedCalls
) -> None:
    shared.warm_up(2)
    ids = submit(worker, 2)

    def lose_one(claimed_jobs: list[ClaimedJob]) -> list[Result | Exception]:
        worker.take_over(ids[0])
        return ids_and_sizes(claimed_jobs)

    shared.run_call = lose_one
    shared.consumer.drain(LANE)

    taken = worker.job(ids[0])
    assert (taken.state, taken.worker, taken.attempt) == (State.RUNNING, "worker-2", 2)
    assert worker.job(ids[1]).state is State.SUCCEEDED


# Outages


@pytest.mark.parametrize("lost_replies", [1, 2, 3])
def test_writes_whose_replies_were_lost_are_written_once(
    worker: FakeWorker, shared: SharedCalls, lost_replies: int
) -> None:
    shared.warm_up(4)
    ids = submit(worker, 4)
    worker.jobs.lost_replies = lost_replies

    shared.consumer.drain(LANE)

    jobs = [worker.job(job_id) for job_id in ids]
    assert [(job.state, job.attempt) for job in jobs] == [(State.SUCCEEDED, 1)] * 4
    assert shared.calls == [ids]


def test_an_outage_during_the_call_loses_no_result(worker: FakeWorker, shared: SharedCalls) -> None:
    shared.warm_up(4)
    ids = submit(worker, 3)

    def lose_the_store(claimed_jobs: list[ClaimedJob]) -> list[Result | Exception]:
        worker.jobs.is_unreachable = True
        return ids_and_sizes(claimed_jobs)

    pauses = iter(range(100))
    worker.time.on_pause = lambda: setattr(worker.jobs, "is_unreachable", next(pauses) < 5)
    shared.run_call = lose_the_store
    shared.consumer.drain(LANE)

    assert {worker.job(job_id).state for job_id in ids} == {State.SUCCEEDED}


# A call that ends its process


def drain_despite_deaths(worker: FakeWorker, shared: SharedCalls, poison: str) -> None:
    """Drains the lane. Whenever the poison is in a call, the process dies and another one starts."""

    def answer(claimed_jobs: list[ClaimedJob]) -> list[Result | Exception]:
        if poison in [claimed.job.id for claimed in claimed_jobs]:
            raise SystemExit
        return ids_and_sizes(claimed_jobs)

    shared.run_call = answer
    while worker.waiting():
        try:
            shared.consumer.drain(LANE)
        except SystemExit:
            reaper = worker.reaper()
            for held in worker.lanes.reservations():
                reaper.recover(held, Failure("worker_lost", "the process died"))
            worker.now += 60
            reaper.sweep()


def test_a_poison_job_ends_its_neighbors_only_once(worker: FakeWorker, shared: SharedCalls) -> None:
    shared.warm_up(8)
    ids = submit(worker, 8)

    drain_despite_deaths(worker, shared, poison=ids[3])

    poison, others = worker.job(ids[3]), [worker.job(job_id) for job_id in ids if job_id != ids[3]]
    assert (poison.state, poison.is_dead_letter, poison.lost_attempts) == (State.FAILED, True, 3)
    assert {(job.state, job.lost_attempts) for job in others} == {(State.SUCCEEDED, 1)}
    assert [call for call in shared.calls if ids[3] in call] == [ids, [ids[3]], [ids[3]]]


def test_a_replayed_poison_job_is_alone_from_the_start(worker: FakeWorker, shared: SharedCalls) -> None:
    shared.warm_up(2)
    submit(worker, 2)
    drain_despite_deaths(worker, shared, poison="job_101")

    again = worker.job("job_101").retried_as("job_again", worker.now, 3)

    assert again.runs_alone


def drain_until_process_ends(worker: FakeWorker, shared: SharedCalls, cause: Callable[[], None]) -> None:
    """A call that must stop and does not."""

    def answer(claimed_jobs: list[ClaimedJob]) -> list[Result | Exception]:
        cause()
        worker.lease_thread.beat()
        worker.time.now += STOP_WAIT_S + 0.1
        worker.lease_thread.beat()
        raise SystemExit  # the process is gone

    shared.run_call = answer
    with pytest.raises(SystemExit):
        shared.consumer.drain(LANE)
    assert worker.ended_processes == 1


def test_the_jobs_of_a_call_that_takes_too_long_are_handed_back_and_run_one_by_one(
    worker: FakeWorker, shared: SharedCalls
) -> None:
    """Any of the jobs may be the cause."""
    shared.warm_up(4)
    ids = submit(worker, 3)

    drain_until_process_ends(worker, shared, lambda: setattr(worker.time, "now", worker.time.now + 60))

    jobs = [worker.job(job_id) for job_id in ids]
    assert [(job.state, job.lost_attempts, job.runs_alone) for job in jobs] == [(State.QUEUED, 0, True)] * 3


def test_a_job_alone_in_its_call_that_takes_too_long_fails(worker: FakeWorker, shared: SharedCalls) -> None:
    shared.warm_up(4)
    (only,) = submit(worker, 1)

    drain_until_process_ends(worker, shared, lambda: setattr(worker.time, "now", worker.time.now + 60))

    job = worker.job(only)
    assert (job.state, job.failure and job.failure.code) == (State.FAILED, "timeout")


def test_a_cancel_that_ends_a_long_call_costs_the_neighbors_no_attempt(worker: FakeWorker, shared: SharedCalls) -> None:
    shared.warm_up(4)
    ids = submit(worker, 3)

    drain_until_process_ends(worker, shared, lambda: worker.cancel(ids[1]))

    jobs = [worker.job(job_id) for job_id in ids]
    assert [job.state for job in jobs] == [State.QUEUED, State.CANCELED, State.QUEUED]
    assert [(job.lost_attempts, job.runs_alone) for job in jobs[::2]] == [(0, False)] * 2


@pytest.mark.parametrize("kind", [kind for kind in JobType if kind is not JobType.PREDICTION])
def test_jobs_of_other_kinds_share_no_run(kind: JobType) -> None:
    assert not a_job(kind).can_share_a_call


# After a call


def test_the_jobs_of_a_call_are_shown_once_their_results_can_be_read(worker: FakeWorker) -> None:
    shown: list[tuple[State, dict[str, Any], bytes | None]] = []

    def show(ended: list[EndedJob]) -> None:
        shown.extend((each.job.state, worker.result(each.job.id), each.result) for each in ended)

    (job_id,) = submit(worker, 1)
    worker.another_consumer("worker-1", shared=ids_and_sizes, after_call=show).drain(LANE)

    answer = {"id": job_id, "jobs": 1}
    assert shown == [(State.SUCCEEDED, answer, msgspec.json.encode(answer))]


@pytest.mark.parametrize("error", [UnavailableError("the store is away"), KeyError("bug")])
def test_an_error_after_a_call_harms_no_job(worker: FakeWorker, error: Exception) -> None:
    def crash(_ended: list[EndedJob]) -> None:
        raise error

    ids = submit(worker, 3)
    worker.another_consumer("worker-1", shared=ids_and_sizes, after_call=crash).drain(LANE)

    assert [worker.job(job_id).state for job_id in ids] == [State.SUCCEEDED] * 3
