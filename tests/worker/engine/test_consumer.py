"""A job is claimed, run and ended once, in spite of duplicate bells, concurrent writes and outages of Redis."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from queuecast.domain.errors import (
    Failure,
    Finding,
    InvalidInputError,
    JobStoppedError,
    QueuecastError,
    RunFailedError,
    StoreFullError,
    UnavailableError,
)
from queuecast.domain.job import Job, JobType, ModelRef, Progress, State
from queuecast.domain.timeline import Event
from queuecast.domain.work import Work
from queuecast.ports.jobs import JobFilter
from tests.unreachable import UnreachableDoorbell
from tests.worker.fake_worker import (
    LANE,
    LEASE_S,
    MAX_RESULT_BYTES,
    NOW,
    RETENTION_S,
    ROWS,
    WORK,
    FakeWorker,
    event_names,
)
from worker.engine.contracts import Report, Result

HALF = Progress(1, 2, "stages", "fit", 7)
DONE = Result({"predictions": [1]})


def run_that_raises(error: BaseException) -> Callable[..., Result]:
    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        raise error

    return run


def run_that_calls(act: Callable[[], object], then: Result | BaseException = DONE) -> Callable[..., Result]:
    """A run during which something happens."""

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        act()
        if isinstance(then, BaseException):
            raise then
        return then

    return run


# Claiming


def test_an_extra_bell_leaves_the_waiting_jobs_to_the_ordinary_one(worker: FakeWorker) -> None:
    """Otherwise each extra bell would leave one more message in the queue."""
    worker.warm_up(1)
    worker.run = lambda job, work, rows, report: (setattr(worker.time, "now", worker.time.now + 1), DONE)[1]
    for _ in range(3):
        worker.submit()
    worker.doorbell.rung.clear()

    worker.drain(LANE, is_overtaking=True)
    noted = worker.lanes.stats()[0].worker_expected_since
    rung_by_second = list(worker.doorbell.rung)
    worker.drain(LANE)

    assert (noted, rung_by_second, worker.doorbell.rung) == (NOW, [], [LANE])


def test_a_bell_for_an_empty_lane_starts_nothing(worker: FakeWorker) -> None:
    worker.drain(LANE)

    assert (worker.runs, worker.doorbell.rung) == ([], [])


def test_a_bell_that_comes_twice_runs_a_job_once(worker: FakeWorker) -> None:
    worker.submit()

    worker.drain(LANE)
    ended = worker.job()
    worker.drain(LANE)

    assert (len(worker.runs), worker.job()) == (1, ended)


def test_a_bell_that_comes_again_while_its_job_runs_starts_nothing(worker: FakeWorker) -> None:
    worker.submit()
    worker.run = run_that_calls(lambda: worker.another_consumer("worker-2").drain(LANE))

    worker.drain(LANE)

    assert (len(worker.runs), worker.job().state, worker.job().attempt) == (1, State.SUCCEEDED, 1)


def test_a_run_gets_the_claimed_job_with_its_work_and_rows(worker: FakeWorker) -> None:
    worker.submit()

    worker.drain(LANE)

    (job,) = worker.runs
    assert (job.state, job.attempt, job.worker, job.revision) == (State.RUNNING, 1, "worker-1", 2)
    assert worker.run_inputs == [(WORK, ROWS)]


def test_the_timeline_names_the_worker_and_the_outcome(worker: FakeWorker) -> None:
    worker.submit()

    worker.drain(LANE)

    assert event_names(worker.job()) == ["accepted", "claimed", "finished"]
    assert [(entry.attempt, entry.worker) for entry in worker.job().timeline[1:]] == [(1, "worker-1")] * 2
    assert worker.job().timeline[-1].detail == "succeeded"


@pytest.mark.parametrize(
    ("expires_at", "state"),
    [(NOW - 1, State.EXPIRED), (NOW, State.EXPIRED), (NOW + 1, State.SUCCEEDED), (None, State.SUCCEEDED)],
)
def test_a_job_whose_start_deadline_passed_expires_instead_of_running(
    worker: FakeWorker, expires_at: float | None, state: State
) -> None:
    worker.submit(expires_at=expires_at)

    worker.drain(LANE)

    assert (worker.job().state, len(worker.runs)) == (state, 1 if state is State.SUCCEEDED else 0)


def test_an_expired_job_is_dated_and_leaves_its_lane(worker: FakeWorker) -> None:
    worker.submit(expires_at=NOW)

    worker.drain(LANE)

    assert (worker.job().finished_at, worker.job().delete_at) == (NOW, NOW + RETENTION_S)
    assert worker.lanes.stats() == []


def test_a_job_that_is_retried_does_not_expire(worker: FakeWorker) -> None:
    worker.submit(expires_at=NOW + 10)
    worker.run = run_that_raises(UnavailableError("away"))
    worker.drain(LANE)
    worker.now += 60
    worker.reaper().sweep()
    worker.run = run_that_calls(lambda: None)

    worker.drain(LANE)

    assert worker.job().state is State.SUCCEEDED


# Several jobs


def test_one_bell_serves_all_jobs_of_a_lane_oldest_first(worker: FakeWorker) -> None:
    ids = [worker.submit().id for _ in range(20)]

    worker.drain(LANE)

    assert [job.id for job in worker.runs] == ids
    assert {worker.job(job_id).state for job_id in ids} == {State.SUCCEEDED}


def test_other_lanes_are_left_alone(worker: FakeWorker) -> None:
    worker.submit(lane="prediction/other/1/predict")

    worker.drain(LANE)

    assert worker.runs == []


def held_during_runs(worker: FakeWorker, jobs: int, took_s: Callable[[Job], float] = lambda job: 0.0) -> list[int]:
    """How many jobs the worker holds at the start of each run."""
    held: list[int] = []

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        held.append(len(worker.lanes.reservations()))
        worker.time.now += took_s(job)
        return DONE

    for _ in range(jobs):
        worker.submit()
    worker.run = run
    worker.drain(LANE)
    return held


def claim_sizes(held: list[int]) -> list[int]:
    return [before for last, before in zip([1, *held], held, strict=False) if last == 1]


def test_a_worker_takes_twice_as_many_rows_after_each_quick_claim(worker: FakeWorker) -> None:
    assert claim_sizes(held_during_runs(worker, 45)) == [1, 2, 4, 8, 16, 14]


def test_a_claim_of_few_rows_leaves_the_limit_as_it_was(worker: FakeWorker) -> None:
    worker.warm_up(16)
    held_during_runs(worker, 3)

    assert claim_sizes(held_during_runs(worker, 20)) == [16, 4]


def test_a_worker_takes_fewer_after_a_slow_claim(worker: FakeWorker) -> None:
    worker.warm_up(8)
    held_during_runs(worker, 8, took_s=lambda job: 0.07)

    assert claim_sizes(held_during_runs(worker, 5)) == [1, 2, 4, 2]


def test_an_empty_lane_does_not_count_as_a_quick_claim(worker: FakeWorker) -> None:
    for _ in range(5):
        worker.drain(LANE)

    assert held_during_runs(worker, 3) == [1, 2, 1]


def test_a_worker_learns_a_limit_for_each_lane(worker: FakeWorker) -> None:
    worker.warm_up(16)
    for _ in range(3):
        worker.submit(lane="prediction/other/1/predict")
    held: list[int] = []
    worker.run = run_that_calls(lambda: held.append(len(worker.lanes.reservations())))

    worker.drain("prediction/other/1/predict")

    assert held == [1, 2, 1]


def test_a_worker_turns_to_other_lanes_after_a_quarter_of_a_second(worker: FakeWorker) -> None:
    held_during_runs(worker, 10, took_s=lambda job: 0.1)

    assert [job.id for job in worker.runs] == ["job_1", "job_2", "job_3"]
    assert worker.waiting() == [f"job_{number}" for number in range(4, 11)]


def seconds_with_a_lane_that_never_empties(
    worker: FakeWorker, on_run: Callable[[int], None] = lambda number: None
) -> float:
    """How long one bell keeps the worker there. Each run takes 20 ms and submits another job."""
    came_at, numbers = worker.time.now, itertools.count(1)

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        worker.time.now += 0.02
        on_run(next(numbers))
        worker.submit()
        return DONE

    worker.run = run
    worker.submit()
    worker.drain(LANE)
    return worker.time.now - came_at


def test_a_worker_stays_with_a_lane_for_five_seconds_while_no_other_lane_waits(worker: FakeWorker) -> None:
    assert seconds_with_a_lane_that_never_empties(worker) == pytest.approx(5.0, abs=0.3)


def test_a_worker_leaves_a_lane_within_a_quarter_of_a_second_for_another_that_waits(worker: FakeWorker) -> None:
    def submits_elsewhere(number: int) -> None:
        if number == 50:
            worker.submit(lane="prediction/other/1/predict")

    assert seconds_with_a_lane_that_never_empties(worker, submits_elsewhere) == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize(
    ("lane", "stays_s"), [("prediction/other/1/predict/urgent", 1.0), ("training/later", 5.0), ("later_type/x", 5.0)]
)
def test_a_worker_leaves_a_lane_for_one_of_a_later_version_only_if_it_can_serve_it(
    worker: FakeWorker, lane: str, stays_s: float
) -> None:
    """Once the visit ended with an error."""

    def submits_elsewhere(number: int) -> None:
        if number == 50:
            worker.submit(lane=lane)

    assert seconds_with_a_lane_that_never_empties(worker, submits_elsewhere) == pytest.approx(stays_s, abs=0.3)


def test_a_worker_serves_a_lane_with_a_priority_of_a_later_version(worker: FakeWorker) -> None:
    ids = [worker.submit(lane=f"{LANE}/urgent").id for _ in range(3)]

    worker.drain(f"{LANE}/urgent")

    assert [job.id for job in worker.runs] == ids
    assert worker.lanes.stats() == []


def test_a_worker_rings_for_the_jobs_it_leaves(worker: FakeWorker) -> None:
    held_during_runs(worker, 10, took_s=lambda job: 0.1)

    assert worker.doorbell.rung == [LANE]


def test_a_lane_that_was_emptied_is_not_rung_for(worker: FakeWorker) -> None:
    worker.submit()

    worker.drain(LANE)

    assert worker.doorbell.rung == []


def test_the_jobs_behind_a_slow_one_are_released_at_once(worker: FakeWorker) -> None:
    worker.warm_up(4)
    held = held_during_runs(worker, 4, took_s=lambda job: 5.0)

    assert (held, len(worker.runs)) == ([4], 1)
    assert worker.waiting() == ["job_102", "job_103", "job_104"]
    assert worker.doorbell.rung == [LANE]
    given_back = worker.job("job_102")
    assert (given_back.state, given_back.attempt, event_names(given_back)) == (State.QUEUED, 0, ["accepted"])


def test_the_first_job_of_a_claim_runs_however_late_it_is(worker: FakeWorker) -> None:
    """Otherwise a lane whose every claim comes late would starve."""
    worker.submit()
    reserve = worker.lanes.reserve

    def slowly(*args: Any, **kwargs: Any) -> Any:
        worker.time.now += 5
        return reserve(*args, **kwargs)

    worker.lanes.reserve = slowly  # type: ignore[method-assign]
    worker.drain(LANE)

    assert worker.job().state is State.SUCCEEDED


def test_a_poison_job_does_not_stop_its_neighbors(worker: FakeWorker) -> None:
    worker.warm_up(4)
    for _ in range(4):
        worker.submit()

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        if job.id == "job_101":
            raise ZeroDivisionError
        return DONE

    worker.run = run
    worker.drain(LANE)

    states = [worker.job(f"job_{number}").state for number in range(101, 105)]
    assert states == [State.FAILED, *[State.SUCCEEDED] * 3]


def test_jobs_run_while_the_message_queue_is_away(worker: FakeWorker) -> None:
    for _ in range(3):
        worker.submit()

    worker.another_consumer("worker-1", doorbell=UnreachableDoorbell()).drain(LANE)

    assert {worker.job(f"job_{number}").state for number in (1, 2, 3)} == {State.SUCCEEDED}


# Shutting down


def test_a_worker_that_shuts_down_passes_the_bell_on(worker: FakeWorker) -> None:
    worker.submit()
    worker.stop_by = worker.time.now + 20

    worker.drain(LANE)

    assert (worker.runs, worker.waiting(), worker.doorbell.rung) == ([], ["job_1"], [LANE])


def test_a_stopping_worker_finishes_its_run_and_releases_the_jobs_it_has_not_started(worker: FakeWorker) -> None:
    worker.warm_up(4)
    for _ in range(6):
        worker.submit()
    worker.run = run_that_calls(lambda: setattr(worker, "stop_by", worker.time.now + 20))

    worker.drain(LANE)

    assert worker.job("job_101").state is State.SUCCEEDED
    assert sorted(worker.waiting()) == [f"job_{number}" for number in range(102, 107)]
    assert (worker.lanes.reservations(), len(worker.runs)) == ([], 1)
    assert worker.doorbell.rung == [LANE]


# Outcomes


def test_a_run_that_returns_succeeds_with_its_result(worker: FakeWorker) -> None:
    worker.submit()

    worker.drain(LANE)

    assert (worker.job().state, worker.result()) == (State.SUCCEEDED, {"predictions": [1]})
    assert (worker.job().failure, worker.lanes.stats()) == (None, [])


def test_a_run_that_created_a_version_records_it_in_the_job(worker: FakeWorker) -> None:
    made = ModelRef("model", 4, sha256="0" * 64)
    worker.submit()
    worker.run = lambda job, work, rows, report: Result({}, made)

    worker.drain(LANE)

    assert worker.job().model == made


def test_a_run_that_created_no_version_leaves_the_model_of_the_job(worker: FakeWorker) -> None:
    worker.submit()

    worker.drain(LANE)

    assert worker.job().model == ModelRef("model", 3)


def test_a_result_with_nan_is_written_as_null(worker: FakeWorker) -> None:
    worker.submit()
    worker.run = lambda job, work, rows, report: Result({"predictions": [float("nan")]})

    worker.drain(LANE)

    assert worker.result() == {"predictions": [None]}


def test_a_refusal_fails_the_job_with_its_code_detail_and_findings(worker: FakeWorker) -> None:
    finding = Finding("/params", "invalid_params", "no such parameter")
    worker.submit()
    worker.run = run_that_raises(InvalidInputError("they do not fit", (finding,)))

    worker.drain(LANE)

    assert worker.job().failure == Failure("invalid_input", "they do not fit", (finding,))


@pytest.mark.parametrize("error", [InvalidInputError("no"), RunFailedError("no"), ValueError("no")], ids=repr)
def test_bad_data_fails_at_once_and_is_no_dead_letter(worker: FakeWorker, error: Exception) -> None:
    worker.submit()
    worker.run = run_that_raises(error)

    worker.drain(LANE)

    assert (worker.job().state, worker.job().attempt, worker.job().is_dead_letter) == (State.FAILED, 1, False)
    assert worker.job().delete_at == NOW + RETENTION_S


def test_a_refusal_with_a_code_of_its_own_keeps_it(worker: FakeWorker) -> None:
    worker.submit()
    worker.run = run_that_raises(RunFailedError("fit raised", code="fit_failed"))

    worker.drain(LANE)

    assert worker.job().failure == Failure("fit_failed", "fit raised")


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (KeyError("age"), "KeyError: 'age'"),
        (MemoryError(), "MemoryError: "),
        (RecursionError("too deep"), "RecursionError: too deep"),
    ],
    ids=repr,
)
def test_an_unexpected_exception_fails_the_job_with_its_text(worker: FakeWorker, error: Exception, detail: str) -> None:
    worker.submit()
    worker.run = run_that_raises(error)

    worker.drain(LANE)

    assert (worker.job().state, worker.job().failure) == (State.FAILED, Failure("run_failed", detail))
    assert worker.result() is None


@pytest.mark.parametrize("value", [object(), 1j, "\ud800"], ids=["object", "complex", "lone_surrogate"])
def test_a_result_that_json_cannot_carry_fails_the_job(worker: FakeWorker, value: Any) -> None:
    """Otherwise the job would stay in `running`."""
    worker.submit()
    worker.run = lambda job, work, rows, report: Result({"predictions": [value]})

    worker.drain(LANE)

    assert worker.job().failure is not None
    assert (worker.job().state, worker.job().failure.code) == (State.FAILED, "run_failed")


@pytest.mark.parametrize(
    ("size", "state"),
    [
        (MAX_RESULT_BYTES - 1, State.SUCCEEDED),
        (MAX_RESULT_BYTES, State.SUCCEEDED),
        (MAX_RESULT_BYTES + 1, State.FAILED),
    ],
)
def test_a_result_may_have_the_maximum_number_of_bytes(worker: FakeWorker, size: int, state: State) -> None:
    worker.submit()
    worker.run = lambda job, work, rows, report: Result({"x": "x" * (size - len('{"x":""}'))})

    worker.drain(LANE)

    assert worker.job().state is state


def test_a_result_that_is_too_large_fails_with_its_size_and_the_maximum(worker: FakeWorker) -> None:
    worker.submit()
    worker.run = lambda job, work, rows, report: Result({"x": "x" * 1000})

    worker.drain(LANE)

    detail = "the result has 1008 bytes, expected at most 200; ask for fewer rows at a time"
    assert worker.job().failure == Failure("result_too_large", detail)
    assert (worker.result(), worker.job().is_dead_letter) == (None, False)


def test_a_job_of_a_type_without_a_runner_fails(worker: FakeWorker) -> None:
    job = Job("job_i", JobType.IMPORT, ModelRef("model"), NOW, 3, "import", 60.0).accepted()
    worker.jobs.create(job, WORK, ROWS)

    worker.drain("import")

    assert worker.job("job_i").state is State.FAILED


def test_an_ended_job_has_the_times_of_its_end_and_deletion(worker: FakeWorker) -> None:
    worker.submit()

    worker.drain(LANE)

    assert (worker.job().finished_at, worker.job().delete_at) == (NOW, NOW + RETENTION_S)


# Retries


@pytest.mark.parametrize(
    "error",
    [UnavailableError("Redis does not answer"), StoreFullError("full"), UnavailableError("no room", code="disk_full")],
    ids=lambda error: error.code,
)
def test_an_outage_costs_an_attempt_and_the_job_waits_for_the_next(worker: FakeWorker, error: QueuecastError) -> None:
    worker.submit()
    worker.run = run_that_raises(error)

    worker.drain(LANE)

    job = worker.job()
    assert (job.state, job.attempt, job.lost_attempts, job.worker) == (State.QUEUED, 1, 1, None)
    assert (job.queued_at, job.not_before) == (NOW, NOW + 0.5)
    assert event_names(job) == ["accepted", "claimed", "lost", "retried"]
    assert (job.timeline[2].detail, job.timeline[3].detail) == (error.detail, "after 0.5 s")


def test_no_worker_gets_a_job_that_waits_out_its_backoff(worker: FakeWorker) -> None:
    worker.submit()
    worker.run = run_that_raises(UnavailableError("away"))

    worker.drain(LANE)
    worker.drain(LANE)

    assert (len(worker.runs), worker.lanes.stats()) == (1, [])


def run_until_it_ends(worker: FakeWorker) -> list[float]:
    """The delays before the next attempts."""
    delays = []
    while True:
        worker.drain(LANE)
        job = worker.job()
        if job.is_final:
            return delays
        assert job.not_before is not None
        delays.append(job.not_before - worker.now)
        worker.now = job.not_before
        worker.reaper().sweep()


def test_a_job_that_cannot_be_run_is_a_dead_letter_after_its_last_attempt(worker: FakeWorker) -> None:
    worker.submit(max_attempts=4)
    worker.run = run_that_raises(UnavailableError("no room", code="disk_full"))

    delays = run_until_it_ends(worker)

    job = worker.job()
    assert delays == [0.5, 1.0, 2.0]
    assert (job.state, job.attempt, job.lost_attempts, job.is_dead_letter) == (State.FAILED, 4, 4, True)
    assert job.failure == Failure("disk_full", "no room")
    assert [letter.id for letter in worker.jobs.dead_letters(None, 10).jobs] == ["job_1"]


def test_a_dead_letter_is_kept_seven_times_as_long(worker: FakeWorker) -> None:
    worker.submit(max_attempts=1)
    worker.run = run_that_raises(UnavailableError("away"))

    worker.drain(LANE)

    assert worker.job().delete_at == NOW + 7 * RETENTION_S


def test_a_dead_letter_keeps_its_work_so_that_it_can_be_run_again(worker: FakeWorker) -> None:
    worker.submit(max_attempts=1)
    worker.run = run_that_raises(UnavailableError("away"))

    worker.drain(LANE)

    assert worker.jobs.read_work("job_1") == (WORK, ROWS)


def test_a_job_can_succeed_after_lost_attempts(worker: FakeWorker) -> None:
    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        if job.attempt < 3:
            raise UnavailableError("away")
        return DONE

    worker.submit()
    worker.run = run
    run_until_it_ends(worker)

    assert (worker.job().state, worker.job().attempt, worker.job().lost_attempts) == (State.SUCCEEDED, 3, 2)
    assert (worker.job().failure, worker.jobs.dead_letters(None, 10).jobs) == (None, [])


# Progress and stops


def test_progress_is_in_the_record_while_the_job_runs(worker: FakeWorker) -> None:
    seen = []

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        report(HALF)
        seen.append(worker.job())
        return Result({})

    worker.submit()
    worker.run = run
    worker.drain(LANE)

    assert [(job.state, job.progress, job.revision) for job in seen] == [(State.RUNNING, HALF, 3)]
    assert worker.job().progress == replace(HALF, done=2)


def test_progress_of_a_lost_run_is_not_shown_for_the_next(worker: FakeWorker) -> None:
    seen = []

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        seen.append(worker.job().progress)
        report(HALF)
        raise UnavailableError("away")

    worker.submit(max_attempts=2)
    worker.run = run
    run_until_it_ends(worker)

    assert seen == [None, None]


def test_a_job_canceled_before_it_was_claimed_is_not_run(worker: FakeWorker) -> None:
    worker.submit()
    worker.cancel()

    worker.drain(LANE)

    assert (worker.runs, worker.job().state) == ([], State.CANCELED)


def test_a_job_canceled_while_it_is_held_and_not_started_is_not_run(worker: FakeWorker) -> None:
    worker.warm_up(2)
    worker.submit()
    worker.submit()
    worker.run = run_that_calls(lambda: worker.cancel("job_102"))

    worker.drain(LANE)

    assert [job.id for job in worker.runs] == ["job_101"]
    assert (worker.job("job_102").state, worker.lanes.stats()) == (State.CANCELED, [])


def test_a_job_canceled_between_read_and_claim_is_not_run(worker: FakeWorker) -> None:
    worker.submit()
    worker.jobs.concurrent_writes = [worker.cancel]

    worker.drain(LANE)

    assert (worker.runs, worker.job().state) == ([], State.CANCELED)


def test_a_job_canceled_while_it_runs_is_canceled_and_its_result_dropped(worker: FakeWorker) -> None:
    worker.submit()
    worker.run = run_that_calls(worker.cancel)

    worker.drain(LANE)

    assert (worker.job().state, worker.result(), worker.lanes.stats()) == (State.CANCELED, None, [])
    assert event_names(worker.job()) == ["accepted", "claimed", "canceling", "finished"]
    assert worker.job().delete_at == NOW + RETENTION_S


@pytest.mark.parametrize(
    "error",
    [ValueError("late"), RunFailedError("late"), UnavailableError("late"), JobStoppedError("late")],
    ids=["unexpected", "refusal", "transient", "stopped"],
)
def test_a_run_that_raises_after_it_was_canceled_is_canceled(worker: FakeWorker, error: Exception) -> None:
    worker.submit()
    worker.run = run_that_calls(worker.cancel, error)

    worker.drain(LANE)

    assert (worker.job().state, worker.job().failure, worker.job().delete_at) == (
        State.CANCELED,
        None,
        NOW + RETENTION_S,
    )


@pytest.mark.parametrize("interrupt", [FakeWorker.cancel, FakeWorker.take_over], ids=["cancel", "take_over"])
def test_progress_after_the_job_was_taken_away_stops_the_run(
    worker: FakeWorker, interrupt: Callable[[FakeWorker], None]
) -> None:
    caught = []

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        report(HALF)
        interrupt(worker)
        try:
            report(replace(HALF, done=2))
        except JobStoppedError as error:
            caught.append(error.code)
            raise
        return Result({})

    worker.submit()
    worker.run = run
    worker.drain(LANE)

    assert caught == ["job_stopped"]
    assert worker.job().state is (State.CANCELED if interrupt is FakeWorker.cancel else State.RUNNING)


def test_a_cancel_between_the_last_read_and_the_write_of_the_result_wins(worker: FakeWorker) -> None:
    worker.submit()
    worker.run = run_that_calls(lambda: setattr(worker.jobs, "concurrent_writes", [worker.cancel]))

    worker.drain(LANE)

    assert (worker.job().state, worker.result()) == (State.CANCELED, None)


def test_a_cancel_after_the_end_comes_too_late(worker: FakeWorker) -> None:
    worker.submit()
    worker.drain(LANE)

    with pytest.raises(QueuecastError) as refused:
        worker.cancel()

    assert (refused.value.code, worker.result()) == ("illegal_move", {"predictions": [1]})


# A lost lease


@pytest.mark.parametrize(
    "end",
    [DONE, ValueError("late"), RunFailedError("late"), UnavailableError("late"), JobStoppedError("late")],
    ids=["result", "unexpected", "refusal", "transient", "stopped"],
)
def test_a_run_whose_job_was_taken_over_writes_nothing(worker: FakeWorker, end: Result | Exception) -> None:
    worker.submit()
    taken_over: list[Job] = []
    worker.run = run_that_calls(lambda: (worker.take_over(), taken_over.append(worker.job())), end)

    worker.drain(LANE)

    assert [(job.state, job.attempt, job.worker) for job in taken_over] == [(State.RUNNING, 2, "worker-2")]
    assert (worker.job(), worker.result()) == (taken_over[0], None)
    assert [held.worker for held in worker.lanes.reservations()] == ["worker-2"]


def test_a_run_whose_job_was_recovered_writes_nothing(worker: FakeWorker) -> None:
    worker.submit()
    worker.run = run_that_calls(lambda: (worker.let_lease_expire(), worker.reaper().sweep()))

    worker.drain(LANE)

    assert (worker.job().state, worker.job().lost_attempts, worker.result()) == (State.QUEUED, 1, None)


def test_a_run_whose_job_was_taken_over_and_canceled_leaves_the_stop_to_the_new_run(worker: FakeWorker) -> None:
    worker.submit()
    worker.run = run_that_calls(lambda: (worker.take_over(), worker.cancel()))

    worker.drain(LANE)

    assert (worker.job().state, worker.job().worker) == (State.CANCELING, "worker-2")


def test_a_job_that_was_recovered_before_it_started_runs_once(worker: FakeWorker) -> None:
    worker.warm_up(2)
    worker.submit()
    worker.submit()
    worker.run = run_that_calls(
        lambda: len(worker.runs) > 1 or (worker.let_lease_expire("job_102"), worker.reaper().sweep())
    )

    worker.drain(LANE)

    assert [job.id for job in worker.runs] == ["job_101", "job_102"]
    assert (worker.job("job_102").state, worker.job("job_102").attempt) == (State.SUCCEEDED, 1)


def test_a_job_that_another_worker_claims_between_read_and_claim_is_not_run(worker: FakeWorker) -> None:
    worker.submit()
    worker.jobs.concurrent_writes = [lambda: worker.write(lambda present: present.claimed("other", NOW))]

    worker.drain(LANE)

    assert (worker.runs, worker.job().worker, worker.job().attempt) == ([], "other", 1)


def test_a_job_purged_while_it_runs_is_not_written_again(worker: FakeWorker) -> None:
    def end_and_purge() -> None:
        worker.write(lambda present: present.succeeded(NOW, RETENTION_S))
        worker.jobs.delete("job_1")

    worker.submit()
    worker.run = run_that_calls(end_and_purge)

    worker.drain(LANE)

    assert worker.jobs.page(JobFilter(), None, 10).jobs == []


def test_jobs_held_through_an_outage_longer_than_the_lease_are_not_started(worker: FakeWorker) -> None:
    def outage() -> None:
        worker.jobs.is_unreachable = True
        worker.time.now += LEASE_S + 1
        worker.lease_thread.beat()
        worker.jobs.is_unreachable = False

    worker.warm_up(2)
    worker.submit()
    worker.submit()
    worker.run = run_that_calls(outage)
    worker.drain(LANE)

    assert [job.id for job in worker.runs] == ["job_101"]
    assert (worker.waiting(), worker.job("job_102").attempt) == (["job_102"], 0)


def test_a_job_whose_lease_ran_out_during_an_outage_is_not_started(worker: FakeWorker) -> None:
    """Once it was started: the run was asked to stop before it began, wrote nothing, and cost an attempt."""

    def pause() -> None:
        worker.lease_thread.beat()
        worker.jobs.is_unreachable = worker.time.now - began <= LEASE_S

    began = worker.time.now
    worker.submit()
    worker.jobs.concurrent_writes = [lambda: setattr(worker.jobs, "is_unreachable", True)]
    worker.time.on_pause = pause
    worker.drain(LANE)

    assert (worker.runs, worker.waiting(), worker.doorbell.rung) == ([], ["job_1"], [LANE])
    assert (worker.job().state, worker.job().attempt) == (State.QUEUED, 0)


# Concurrent writes


def write_only_a_revision(worker: FakeWorker) -> Callable[[], None]:
    """A write that changes only the revision."""
    return lambda: worker.write(lambda present: replace(present, revision=present.revision + 1))


@pytest.mark.parametrize("times", [1, 2, 5])
def test_an_outcome_overtaken_by_other_writes_is_written_again(worker: FakeWorker, times: int) -> None:
    worker.submit()
    worker.run = run_that_calls(
        lambda: setattr(worker.jobs, "concurrent_writes", [write_only_a_revision(worker)] * times)
    )

    worker.drain(LANE)

    assert (worker.job().state, worker.result()) == (State.SUCCEEDED, {"predictions": [1]})


def test_progress_overtaken_by_another_write_is_written_again(worker: FakeWorker) -> None:
    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        worker.jobs.concurrent_writes = [write_only_a_revision(worker)]
        report(HALF)
        return Result({"revision": worker.job().revision})

    worker.submit()
    worker.run = run
    worker.drain(LANE)

    assert (worker.job().progress, worker.result()) == (replace(HALF, done=2), {"revision": 4})


def test_an_unreadable_record_does_not_block_the_rest_of_its_claim(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.warm_up(4)
    for _ in range(4):
        worker.submit()
    read = worker.jobs.read
    monkeypatch.setattr(worker.jobs, "read", lambda job_id: read(job_id) if job_id != "job_102" else int("later"))

    worker.drain(LANE)

    assert [job.id for job in worker.runs] == ["job_101", "job_103", "job_104"]
    assert [each.job_id for each in worker.lanes.reservations()] == ["job_102"]


# Outages


def test_a_worker_recognizes_its_own_claim_when_the_reply_was_lost(worker: FakeWorker) -> None:
    worker.submit()
    worker.jobs.lost_replies = 1

    worker.drain(LANE)

    assert (len(worker.runs), worker.job().state, worker.job().attempt) == (1, State.SUCCEEDED, 1)


def test_a_worker_does_not_mistake_the_claim_of_another_worker_for_its_own(worker: FakeWorker) -> None:
    worker.submit()
    worker.jobs.concurrent_writes = [lambda: worker.write(lambda present: present.claimed("worker-10", NOW))]

    worker.drain(LANE)

    assert (worker.runs, worker.job().state, worker.job().worker) == ([], State.RUNNING, "worker-10")


@pytest.mark.parametrize(
    ("end", "state"),
    [(DONE, State.SUCCEEDED), (ValueError("no"), State.FAILED), (UnavailableError("no"), State.QUEUED)],
    ids=["result", "failure", "transient"],
)
def test_an_outcome_whose_reply_was_lost_is_written_once(
    worker: FakeWorker, end: Result | Exception, state: State
) -> None:
    worker.submit()
    worker.run = run_that_calls(lambda: setattr(worker.jobs, "lost_replies", 1), end)

    worker.drain(LANE)

    assert (worker.job().state, worker.job().revision) == (state, 3)
    assert worker.job().lost_attempts == (1 if state is State.QUEUED else 0)


def test_a_beat_between_an_outcome_and_its_lost_reply_does_not_end_the_claim(worker: FakeWorker) -> None:
    """The beat finds that the job has left its lane, which once looked like a lease lost in an outage."""
    worker.warm_up(2)
    worker.submit()
    worker.submit()
    worker.jobs.on_lost_reply = worker.lease_thread.beat
    worker.run = run_that_calls(lambda: setattr(worker.jobs, "lost_replies", 1))

    worker.drain(LANE)

    assert [worker.job(f"job_{number}").state for number in (101, 102)] == [State.SUCCEEDED] * 2


def reachable_after(worker: FakeWorker, pauses: int) -> Callable[[], None]:
    """The store comes back after that many pauses of the worker."""
    left = [pauses]

    def pause() -> None:
        left[0] -= 1
        worker.jobs.is_unreachable = left[0] > 0

    return pause


def test_a_claim_waits_for_a_store_that_is_away(worker: FakeWorker) -> None:
    worker.warm_up(2)
    worker.submit()
    worker.submit()
    worker.time.on_pause = reachable_after(worker, 20)

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        if job.id == "job_101":
            worker.jobs.concurrent_writes = [lambda: None, lambda: setattr(worker.jobs, "is_unreachable", True)]
        return DONE

    worker.run = run
    worker.drain(LANE)

    assert [job.id for job in worker.runs] == ["job_101", "job_102"]
    assert worker.job("job_102").state is State.SUCCEEDED


def test_a_result_waits_for_a_store_that_is_away(worker: FakeWorker) -> None:
    worker.submit()
    worker.run = run_that_calls(lambda: setattr(worker.jobs, "is_unreachable", True))
    worker.time.on_pause = reachable_after(worker, 100)

    worker.drain(LANE)

    assert (worker.job().state, worker.result(), worker.job().attempt) == (State.SUCCEEDED, {"predictions": [1]}, 1)


def test_a_worker_stops_waiting_for_a_store_when_its_lease_is_lost(worker: FakeWorker) -> None:
    worker.submit()
    began = worker.time.now
    worker.run = run_that_calls(lambda: setattr(worker.jobs, "is_unreachable", True))
    worker.time.on_pause = worker.lease_thread.beat

    with pytest.raises(UnavailableError):
        worker.drain(LANE)

    assert LEASE_S < worker.time.now - began < LEASE_S + 2
    assert worker.job().state is State.RUNNING


def test_jobs_held_when_the_store_went_away_are_recovered_and_run(
    worker: FakeWorker,
) -> None:
    worker.warm_up(2)
    worker.submit()
    worker.submit()
    worker.run = run_that_calls(lambda: setattr(worker.jobs, "is_unreachable", True))
    worker.time.on_pause = worker.lease_thread.beat
    with pytest.raises(UnavailableError):
        worker.drain(LANE)

    worker.jobs.is_unreachable = False
    worker.let_lease_expire("job_101")
    worker.let_lease_expire("job_102")
    worker.run = run_that_calls(lambda: None)
    worker.reaper().sweep()
    worker.now += 60
    worker.reaper().sweep()
    worker.drain(LANE)

    ends = [(job.state, job.attempt, job.lost_attempts) for job in map(worker.job, ("job_101", "job_102"))]
    assert ends == [(State.SUCCEEDED, 2, 1), (State.SUCCEEDED, 1, 0)]


def test_a_bell_during_an_outage_takes_no_job(worker: FakeWorker) -> None:
    worker.submit()
    worker.jobs.is_unreachable = True

    with pytest.raises(UnavailableError):
        worker.drain(LANE)

    worker.jobs.is_unreachable = False
    assert (worker.runs, worker.waiting()) == ([], ["job_1"])


def test_the_timeline_names_the_worker_that_lost_an_attempt(worker: FakeWorker) -> None:
    worker.submit()
    worker.run = run_that_raises(UnavailableError("away"))

    worker.drain(LANE)

    lost = next(entry for entry in worker.job().timeline if entry.event is Event.LOST)
    assert (lost.attempt, lost.worker, lost.detail) == (1, "worker-1", "away")
