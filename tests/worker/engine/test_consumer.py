"""A job is claimed once, run once and ended once, whatever is rung for, whoever writes in between, and whenever Redis
goes away."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from queuecast.domain.errors import (
    Finding,
    InvalidInputError,
    JobStoppedError,
    QueuecastError,
    RunFailedError,
    StoreFullError,
    UnavailableError,
)
from queuecast.domain.job import Failure, Job, JobType, ModelRef, Progress, State
from queuecast.domain.timeline import Event
from queuecast.domain.work import Work
from queuecast.ports.jobs import JobFilter
from tests.worker.fake_worker import LANE, LEASE_S, MAX_RESULT_BYTES, NOW, RETENTION_S, ROWS, WORK, AwayBells, Stage
from worker.engine.contracts import Report, Result

HALF = Progress(1, 2, "stages", "fit", 7)
DONE = Result({"predictions": [1]})


def raising(error: BaseException) -> Callable[..., Result]:
    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        raise error

    return run


def doing(act: Callable[[], object], then: Result | BaseException = DONE) -> Callable[..., Result]:
    """A run during which something happens."""

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        act()
        if isinstance(then, BaseException):
            raise then
        return then

    return run


def events(job: Job) -> list[str]:
    return [moment.event.value for moment in job.timeline]


# Claiming


def test_a_bell_that_was_rung_beside_another_leaves_that_one_for_what_waits(stage: Stage) -> None:
    """Were it rung for again, each of them would leave one more message behind."""
    stage.warm_up(1)
    stage.run = lambda job, work, rows, report: (setattr(stage.time, "now", stage.time.now + 1), DONE)[1]
    for _ in range(3):
        stage.submitted()
    stage.bells.rung.clear()

    stage.execution.drain(LANE, is_extra_bell=True)
    noted = stage.lanes.stats()[0].bell_at
    rung_by_second = list(stage.bells.rung)
    stage.execution.drain(LANE)

    assert (noted, rung_by_second, stage.bells.rung) == (NOW, [], [LANE])


def test_a_bell_for_an_empty_lane_starts_nothing(stage: Stage) -> None:
    stage.execution.drain(LANE)

    assert (stage.runs, stage.bells.rung) == ([], [])


def test_a_bell_that_comes_twice_runs_a_job_once(stage: Stage) -> None:
    stage.submitted()

    stage.execution.drain(LANE)
    ended = stage.job()
    stage.execution.drain(LANE)

    assert (len(stage.runs), stage.job()) == (1, ended)


def test_a_bell_that_comes_again_while_its_job_runs_starts_nothing(stage: Stage) -> None:
    stage.submitted()
    stage.run = doing(lambda: stage.worker("worker-2").drain(LANE))

    stage.execution.drain(LANE)

    assert (len(stage.runs), stage.job().state, stage.job().attempt) == (1, State.SUCCEEDED, 1)


def test_a_run_gets_the_claimed_job_with_its_work_and_rows(stage: Stage) -> None:
    stage.submitted()

    stage.execution.drain(LANE)

    (job,) = stage.runs
    assert (job.state, job.attempt, job.worker, job.revision) == (State.RUNNING, 1, "worker-1", 2)
    assert stage.seen == [(WORK, ROWS)]


def test_a_job_says_in_its_timeline_who_ran_it_and_how_it_ended(stage: Stage) -> None:
    stage.submitted()

    stage.execution.drain(LANE)

    assert events(stage.job()) == ["accepted", "claimed", "finished"]
    assert [(moment.attempt, moment.worker) for moment in stage.job().timeline[1:]] == [(1, "worker-1")] * 2
    assert stage.job().timeline[-1].detail == "succeeded"


@pytest.mark.parametrize(
    ("expires_at", "state"),
    [(NOW - 1, State.EXPIRED), (NOW, State.EXPIRED), (NOW + 1, State.SUCCEEDED), (None, State.SUCCEEDED)],
)
def test_a_job_whose_start_deadline_passed_expires_instead_of_running(
    stage: Stage, expires_at: float | None, state: State
) -> None:
    stage.submitted(expires_at=expires_at)

    stage.execution.drain(LANE)

    assert (stage.job().state, len(stage.runs)) == (state, 1 if state is State.SUCCEEDED else 0)


def test_an_expired_job_says_when_it_ended_and_when_it_goes_and_has_left_its_lane(stage: Stage) -> None:
    stage.submitted(expires_at=NOW)

    stage.execution.drain(LANE)

    assert (stage.job().finished_at, stage.job().delete_at) == (NOW, NOW + RETENTION_S)
    assert stage.lanes.stats() == []


def test_a_job_that_is_retried_does_not_expire_because_it_was_started_in_time(stage: Stage) -> None:
    stage.submitted(expires_at=NOW + 10)
    stage.run = raising(UnavailableError("away"))
    stage.execution.drain(LANE)
    stage.now += 60
    stage.reaper().sweep()
    stage.run = doing(lambda: None)

    stage.execution.drain(LANE)

    assert stage.job().state is State.SUCCEEDED


# Several jobs


def test_one_bell_is_enough_for_all_jobs_of_a_lane_and_the_oldest_goes_first(stage: Stage) -> None:
    ids = [stage.submitted().id for _ in range(20)]

    stage.execution.drain(LANE)

    assert [job.id for job in stage.runs] == ids
    assert {stage.job(job_id).state for job_id in ids} == {State.SUCCEEDED}


def test_other_lanes_are_left_alone(stage: Stage) -> None:
    stage.submitted(lane="prediction/other/1/predict")

    stage.execution.drain(LANE)

    assert stage.runs == []


def held_during_runs(stage: Stage, jobs: int, took_s: Callable[[Job], float] = lambda job: 0.0) -> list[int]:
    """How many jobs the worker holds at the start of each run."""
    held: list[int] = []

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        held.append(len(stage.lanes.reservations()))
        stage.time.now += took_s(job)
        return DONE

    for _ in range(jobs):
        stage.submitted()
    stage.run = run
    stage.execution.drain(LANE)
    return held


def claims_of(held: list[int]) -> list[int]:
    return [before for last, before in zip([1, *held], held, strict=False) if last == 1]


def test_a_worker_takes_twice_as_many_rows_after_each_quick_claim(stage: Stage) -> None:
    assert claims_of(held_during_runs(stage, 45)) == [1, 2, 4, 8, 16, 14]


def test_a_worker_that_found_little_takes_as_many_as_before_the_next_time(stage: Stage) -> None:
    stage.warm_up(16)
    held_during_runs(stage, 3)

    assert claims_of(held_during_runs(stage, 20)) == [16, 4]


def test_a_worker_takes_fewer_after_a_slow_claim(stage: Stage) -> None:
    stage.warm_up(8)
    held_during_runs(stage, 8, took_s=lambda job: 0.07)

    assert claims_of(held_during_runs(stage, 5)) == [1, 2, 4, 2]


def test_a_look_at_an_empty_lane_does_not_count_as_a_quick_claim(stage: Stage) -> None:
    for _ in range(5):
        stage.execution.drain(LANE)

    assert held_during_runs(stage, 3) == [1, 2, 1]


def test_how_many_jobs_to_take_is_learned_for_each_lane(stage: Stage) -> None:
    stage.warm_up(16)
    for _ in range(3):
        stage.submitted(lane="prediction/other/1/predict")
    held: list[int] = []
    stage.run = doing(lambda: held.append(len(stage.lanes.reservations())))

    stage.execution.drain("prediction/other/1/predict")

    assert held == [1, 2, 1]


def test_a_worker_turns_to_other_lanes_after_a_quarter_of_a_second(stage: Stage) -> None:
    held_during_runs(stage, 10, took_s=lambda job: 0.1)

    assert [job.id for job in stage.runs] == ["job_1", "job_2", "job_3"]
    assert stage.waiting() == [f"job_{number}" for number in range(4, 11)]


def runs_of_a_lane_that_never_empties(stage: Stage, on_run: Callable[[int], None] = lambda number: None) -> float:
    """How long one bell keeps the worker there; each run takes 20 ms, and leaves another job behind."""
    came_at, numbers = stage.time.now, itertools.count(1)

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        stage.time.now += 0.02
        on_run(next(numbers))
        stage.submitted()
        return DONE

    stage.run = run
    stage.submitted()
    stage.execution.drain(LANE)
    return stage.time.now - came_at


def test_a_worker_stays_with_a_lane_for_five_seconds_while_nobody_else_waits(stage: Stage) -> None:
    assert runs_of_a_lane_that_never_empties(stage) == pytest.approx(5.0, abs=0.3)


def test_a_worker_leaves_a_lane_within_a_quarter_of_a_second_for_another_that_waits(stage: Stage) -> None:
    def submits_elsewhere(number: int) -> None:
        if number == 50:
            stage.submitted(lane="prediction/other/1/predict")

    assert runs_of_a_lane_that_never_empties(stage, submits_elsewhere) == pytest.approx(1.0, abs=0.3)


def test_jobs_that_are_left_in_a_lane_have_a_bell(stage: Stage) -> None:
    held_during_runs(stage, 10, took_s=lambda job: 0.1)

    assert stage.bells.rung == [LANE]


def test_a_lane_that_was_emptied_is_not_rung_for(stage: Stage) -> None:
    stage.submitted()

    stage.execution.drain(LANE)

    assert stage.bells.rung == []


def test_jobs_that_a_slow_one_keeps_waiting_are_given_to_others_at_once(stage: Stage) -> None:
    stage.warm_up(4)
    held = held_during_runs(stage, 4, took_s=lambda job: 5.0)

    assert (held, len(stage.runs)) == ([4], 1)
    assert stage.waiting() == ["job_102", "job_103", "job_104"]
    assert stage.bells.rung == [LANE]
    given_back = stage.job("job_102")
    assert (given_back.state, given_back.attempt, events(given_back)) == (State.QUEUED, 0, ["accepted"])


def test_the_first_job_of_a_claim_is_run_however_late_it_is(stage: Stage) -> None:
    """Or a lane whose every claim comes late would be served by nobody."""
    stage.submitted()
    reserve = stage.lanes.reserve

    def slowly(*args: Any, **kwargs: Any) -> Any:
        stage.time.now += 5
        return reserve(*args, **kwargs)

    stage.lanes.reserve = slowly  # type: ignore[method-assign]
    stage.execution.drain(LANE)

    assert stage.job().state is State.SUCCEEDED


def test_a_poison_job_does_not_keep_its_neighbors_from_being_run(stage: Stage) -> None:
    stage.warm_up(4)
    for _ in range(4):
        stage.submitted()

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        if job.id == "job_101":
            raise ZeroDivisionError
        return DONE

    stage.run = run
    stage.execution.drain(LANE)

    states = [stage.job(f"job_{number}").state for number in range(101, 105)]
    assert states == [State.FAILED, *[State.SUCCEEDED] * 3]


def test_a_queue_that_is_away_keeps_no_job_from_being_run(stage: Stage) -> None:
    for _ in range(3):
        stage.submitted()

    stage.worker("worker-1", bells=AwayBells()).drain(LANE)

    assert {stage.job(f"job_{number}").state for number in (1, 2, 3)} == {State.SUCCEEDED}


# Shutting down


def test_a_worker_that_shuts_down_passes_the_bell_on(stage: Stage) -> None:
    stage.submitted()
    stage.stop_by = stage.time.now + 20

    stage.execution.drain(LANE)

    assert (stage.runs, stage.waiting(), stage.bells.rung) == ([], ["job_1"], [LANE])


def test_a_worker_told_to_stop_finishes_its_run_and_gives_back_what_it_has_not_started(stage: Stage) -> None:
    stage.warm_up(4)
    for _ in range(6):
        stage.submitted()
    stage.run = doing(lambda: setattr(stage, "stop_by", stage.time.now + 20))

    stage.execution.drain(LANE)

    assert stage.job("job_101").state is State.SUCCEEDED
    assert sorted(stage.waiting()) == [f"job_{number}" for number in range(102, 107)]
    assert (stage.lanes.reservations(), len(stage.runs)) == ([], 1)
    assert stage.bells.rung == [LANE]


# Ending


def test_a_run_that_returns_succeeds_with_its_result(stage: Stage) -> None:
    stage.submitted()

    stage.execution.drain(LANE)

    assert (stage.job().state, stage.result()) == (State.SUCCEEDED, {"predictions": [1]})
    assert (stage.job().failure, stage.lanes.stats()) == (None, [])


def test_a_run_that_made_a_version_leaves_it_in_the_job(stage: Stage) -> None:
    made = ModelRef("model", 4, sha256="0" * 64)
    stage.submitted()
    stage.run = lambda job, work, rows, report: Result({}, made)

    stage.execution.drain(LANE)

    assert stage.job().model == made


def test_a_run_that_made_no_version_leaves_the_model_of_the_job_alone(stage: Stage) -> None:
    stage.submitted()

    stage.execution.drain(LANE)

    assert stage.job().model == ModelRef("model", 3)


def test_a_result_with_nan_is_written_as_null(stage: Stage) -> None:
    stage.submitted()
    stage.run = lambda job, work, rows, report: Result({"predictions": [float("nan")]})

    stage.execution.drain(LANE)

    assert stage.result() == {"predictions": [None]}


def test_a_refusal_fails_the_job_with_its_code_words_and_findings(stage: Stage) -> None:
    finding = Finding("/params", "invalid_params", "no such parameter")
    stage.submitted()
    stage.run = raising(InvalidInputError("they do not fit", (finding,)))

    stage.execution.drain(LANE)

    assert stage.job().failure == Failure("invalid_input", "they do not fit", (finding,))


@pytest.mark.parametrize("error", [InvalidInputError("no"), RunFailedError("no"), ValueError("no")], ids=repr)
def test_bad_data_fails_at_once_and_is_no_dead_letter(stage: Stage, error: Exception) -> None:
    stage.submitted()
    stage.run = raising(error)

    stage.execution.drain(LANE)

    assert (stage.job().state, stage.job().attempt, stage.job().is_dead_letter) == (State.FAILED, 1, False)
    assert stage.job().delete_at == NOW + RETENTION_S


def test_a_refusal_with_a_code_of_its_own_keeps_it(stage: Stage) -> None:
    stage.submitted()
    stage.run = raising(RunFailedError("fit raised", code="fit_failed"))

    stage.execution.drain(LANE)

    assert stage.job().failure == Failure("fit_failed", "fit raised")


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
def test_an_exception_that_nobody_expected_fails_the_job_with_its_text(
    stage: Stage, error: Exception, detail: str
) -> None:
    stage.submitted()
    stage.run = raising(error)

    stage.execution.drain(LANE)

    assert (stage.job().state, stage.job().failure) == (State.FAILED, Failure("run_failed", detail))
    assert stage.result() is None


@pytest.mark.parametrize("value", [object(), 1j, "\ud800"], ids=["object", "complex", "lone_surrogate"])
def test_a_result_that_json_cannot_carry_fails_the_job(stage: Stage, value: Any) -> None:
    """Otherwise the job would stay `running` with nobody to end it."""
    stage.submitted()
    stage.run = lambda job, work, rows, report: Result({"predictions": [value]})

    stage.execution.drain(LANE)

    assert stage.job().failure is not None
    assert (stage.job().state, stage.job().failure.code) == (State.FAILED, "run_failed")


@pytest.mark.parametrize(
    ("size", "state"),
    [
        (MAX_RESULT_BYTES - 1, State.SUCCEEDED),
        (MAX_RESULT_BYTES, State.SUCCEEDED),
        (MAX_RESULT_BYTES + 1, State.FAILED),
    ],
)
def test_a_result_may_have_so_many_bytes_and_no_more(stage: Stage, size: int, state: State) -> None:
    stage.submitted()
    stage.run = lambda job, work, rows, report: Result({"x": "x" * (size - len('{"x":""}'))})

    stage.execution.drain(LANE)

    assert stage.job().state is state


def test_a_result_that_is_too_large_fails_with_what_was_found_and_what_was_expected(stage: Stage) -> None:
    stage.submitted()
    stage.run = lambda job, work, rows, report: Result({"x": "x" * 1000})

    stage.execution.drain(LANE)

    detail = "the result has 1008 bytes, expected at most 200; ask for fewer rows at a time"
    assert stage.job().failure == Failure("result_too_large", detail)
    assert (stage.result(), stage.job().is_dead_letter) == (None, False)


def test_a_job_of_a_type_that_nobody_runs_here_fails(stage: Stage) -> None:
    job = Job("job_i", JobType.IMPORT, ModelRef("model"), NOW, 3, "import", 60.0).accepted()
    stage.jobs.create(job, WORK, ROWS)

    stage.execution.drain("import")

    assert stage.job("job_i").state is State.FAILED


def test_an_ended_job_says_when_it_ended_and_when_it_goes(stage: Stage) -> None:
    stage.submitted()

    stage.execution.drain(LANE)

    assert (stage.job().finished_at, stage.job().delete_at) == (NOW, NOW + RETENTION_S)


# Trying again


@pytest.mark.parametrize(
    "error",
    [UnavailableError("Redis does not answer"), StoreFullError("full"), UnavailableError("no room", code="disk_full")],
    ids=lambda error: error.code,
)
def test_something_that_was_away_costs_an_attempt_and_the_job_waits_for_the_next(
    stage: Stage, error: QueuecastError
) -> None:
    stage.submitted()
    stage.run = raising(error)

    stage.execution.drain(LANE)

    job = stage.job()
    assert (job.state, job.attempt, job.lost_attempts, job.worker) == (State.QUEUED, 1, 1, None)
    assert (job.queued_at, job.not_before) == (NOW, NOW + 0.5)
    assert events(job) == ["accepted", "claimed", "lost", "retried"]
    assert (job.timeline[2].detail, job.timeline[3].detail) == (error.detail, "after 0.5 s")


def test_a_job_that_waits_out_its_backoff_is_given_to_nobody(stage: Stage) -> None:
    stage.submitted()
    stage.run = raising(UnavailableError("away"))

    stage.execution.drain(LANE)
    stage.execution.drain(LANE)

    assert (len(stage.runs), stage.lanes.stats()) == (1, [])


def run_until_it_ends(stage: Stage) -> list[float]:
    """The delays before the next attempts."""
    delays = []
    while True:
        stage.execution.drain(LANE)
        job = stage.job()
        if job.is_final:
            return delays
        assert job.not_before is not None
        delays.append(job.not_before - stage.now)
        stage.now = job.not_before
        stage.reaper().sweep()


def test_a_job_that_nobody_can_run_is_a_dead_letter_after_its_last_attempt(stage: Stage) -> None:
    stage.submitted(max_attempts=4)
    stage.run = raising(UnavailableError("no room", code="disk_full"))

    delays = run_until_it_ends(stage)

    job = stage.job()
    assert delays == [0.5, 1.0, 2.0]
    assert (job.state, job.attempt, job.lost_attempts, job.is_dead_letter) == (State.FAILED, 4, 4, True)
    assert job.failure == Failure("disk_full", "no room")
    assert [letter.id for letter in stage.jobs.dead_letters(None, 10).jobs] == ["job_1"]


def test_a_dead_letter_is_kept_seven_times_as_long(stage: Stage) -> None:
    stage.submitted(max_attempts=1)
    stage.run = raising(UnavailableError("away"))

    stage.execution.drain(LANE)

    assert stage.job().delete_at == NOW + 7 * RETENTION_S


def test_a_dead_letter_keeps_its_work_so_that_it_can_be_run_again(stage: Stage) -> None:
    stage.submitted(max_attempts=1)
    stage.run = raising(UnavailableError("away"))

    stage.execution.drain(LANE)

    assert stage.jobs.read_work("job_1") == (WORK, ROWS)


def test_an_attempt_that_goes_through_after_others_were_lost_succeeds(stage: Stage) -> None:
    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        if job.attempt < 3:
            raise UnavailableError("away")
        return DONE

    stage.submitted()
    stage.run = run
    run_until_it_ends(stage)

    assert (stage.job().state, stage.job().attempt, stage.job().lost_attempts) == (State.SUCCEEDED, 3, 2)
    assert (stage.job().failure, stage.jobs.dead_letters(None, 10).jobs) == (None, [])


# Progress and stops


def test_progress_is_in_the_record_while_the_job_runs(stage: Stage) -> None:
    seen = []

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        report(HALF)
        seen.append(stage.job())
        return Result({})

    stage.submitted()
    stage.run = run
    stage.execution.drain(LANE)

    assert [(job.state, job.progress, job.revision) for job in seen] == [(State.RUNNING, HALF, 3)]
    assert stage.job().progress == replace(HALF, done=2)


def test_progress_of_a_lost_run_is_not_shown_for_the_next(stage: Stage) -> None:
    seen = []

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        seen.append(stage.job().progress)
        report(HALF)
        raise UnavailableError("away")

    stage.submitted(max_attempts=2)
    stage.run = run
    run_until_it_ends(stage)

    assert seen == [None, None]


def test_a_job_canceled_before_it_was_claimed_is_not_run(stage: Stage) -> None:
    stage.submitted()
    stage.cancel()

    stage.execution.drain(LANE)

    assert (stage.runs, stage.job().state) == ([], State.CANCELED)


def test_a_job_canceled_while_it_is_held_and_not_started_is_not_run(stage: Stage) -> None:
    stage.warm_up(2)
    stage.submitted()
    stage.submitted()
    stage.run = doing(lambda: stage.cancel("job_102"))

    stage.execution.drain(LANE)

    assert [job.id for job in stage.runs] == ["job_101"]
    assert (stage.job("job_102").state, stage.lanes.stats()) == (State.CANCELED, [])


def test_a_job_canceled_between_look_and_claim_is_not_run(stage: Stage) -> None:
    stage.submitted()
    stage.jobs.writes = [stage.cancel]

    stage.execution.drain(LANE)

    assert (stage.runs, stage.job().state) == ([], State.CANCELED)


def test_a_job_canceled_while_it_runs_is_canceled_and_its_result_dropped(stage: Stage) -> None:
    stage.submitted()
    stage.run = doing(stage.cancel)

    stage.execution.drain(LANE)

    assert (stage.job().state, stage.result(), stage.lanes.stats()) == (State.CANCELED, None, [])
    assert events(stage.job()) == ["accepted", "claimed", "canceling", "finished"]
    assert stage.job().delete_at == NOW + RETENTION_S


@pytest.mark.parametrize(
    "error",
    [ValueError("late"), RunFailedError("late"), UnavailableError("late"), JobStoppedError("late")],
    ids=["unexpected", "refusal", "transient", "stopped"],
)
def test_a_run_that_raises_after_it_was_canceled_is_canceled_and_neither_failed_nor_retried(
    stage: Stage, error: Exception
) -> None:
    stage.submitted()
    stage.run = doing(stage.cancel, error)

    stage.execution.drain(LANE)

    assert (stage.job().state, stage.job().failure, stage.job().delete_at) == (State.CANCELED, None, NOW + RETENTION_S)


@pytest.mark.parametrize("interrupt", [Stage.cancel, Stage.take_over], ids=["cancel", "take_over"])
def test_progress_after_the_job_was_taken_away_stops_the_run(stage: Stage, interrupt: Callable[[Stage], None]) -> None:
    caught = []

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        report(HALF)
        interrupt(stage)
        try:
            report(replace(HALF, done=2))
        except JobStoppedError as error:
            caught.append(error.code)
            raise
        return Result({})

    stage.submitted()
    stage.run = run
    stage.execution.drain(LANE)

    assert caught == ["job_stopped"]
    assert stage.job().state is (State.CANCELED if interrupt is Stage.cancel else State.RUNNING)


def test_a_cancel_between_the_look_at_the_end_and_its_write_wins(stage: Stage) -> None:
    stage.submitted()
    stage.run = doing(lambda: setattr(stage.jobs, "writes", [stage.cancel]))

    stage.execution.drain(LANE)

    assert (stage.job().state, stage.result()) == (State.CANCELED, None)


def test_a_cancel_after_the_end_comes_too_late(stage: Stage) -> None:
    stage.submitted()
    stage.execution.drain(LANE)

    with pytest.raises(QueuecastError) as refused:
        stage.cancel()

    assert (refused.value.code, stage.result()) == ("illegal_move", {"predictions": [1]})


# A lost lease


@pytest.mark.parametrize(
    "end",
    [DONE, ValueError("late"), RunFailedError("late"), UnavailableError("late"), JobStoppedError("late")],
    ids=["result", "unexpected", "refusal", "transient", "stopped"],
)
def test_a_run_whose_job_another_worker_runs_now_writes_nothing(stage: Stage, end: Result | Exception) -> None:
    stage.submitted()
    taken_over: list[Job] = []
    stage.run = doing(lambda: (stage.take_over(), taken_over.append(stage.job())), end)

    stage.execution.drain(LANE)

    assert [(job.state, job.attempt, job.worker) for job in taken_over] == [(State.RUNNING, 2, "worker-2")]
    assert (stage.job(), stage.result()) == (taken_over[0], None)
    assert [held.worker for held in stage.lanes.reservations()] == ["worker-2"]


def test_a_run_whose_job_was_taken_by_the_reaper_writes_nothing(stage: Stage) -> None:
    stage.submitted()
    stage.run = doing(lambda: (stage.silence(), stage.reaper().sweep()))

    stage.execution.drain(LANE)

    assert (stage.job().state, stage.job().lost_attempts, stage.result()) == (State.QUEUED, 1, None)


def test_a_run_whose_job_was_taken_over_and_canceled_leaves_the_stop_to_the_new_run(stage: Stage) -> None:
    stage.submitted()
    stage.run = doing(lambda: (stage.take_over(), stage.cancel()))

    stage.execution.drain(LANE)

    assert (stage.job().state, stage.job().worker) == (State.CANCELING, "worker-2")


def test_a_job_that_was_taken_back_before_it_was_started_is_run_once(stage: Stage) -> None:
    stage.warm_up(2)
    stage.submitted()
    stage.submitted()
    stage.run = doing(lambda: len(stage.runs) > 1 or (stage.silence("job_102"), stage.reaper().sweep()))

    stage.execution.drain(LANE)

    assert [job.id for job in stage.runs] == ["job_101", "job_102"]
    assert (stage.job("job_102").state, stage.job("job_102").attempt) == (State.SUCCEEDED, 1)


def test_a_job_claimed_by_another_between_look_and_claim_is_not_run_here(stage: Stage) -> None:
    stage.submitted()
    stage.jobs.writes = [lambda: stage.write(lambda present: present.claimed("other", NOW))]

    stage.execution.drain(LANE)

    assert (stage.runs, stage.job().worker, stage.job().attempt) == ([], "other", 1)


def test_a_job_purged_while_it_runs_is_not_written_again(stage: Stage) -> None:
    def end_and_purge() -> None:
        stage.write(lambda present: present.succeeded(NOW, RETENTION_S))
        stage.jobs.delete("job_1")

    stage.submitted()
    stage.run = doing(end_and_purge)

    stage.execution.drain(LANE)

    assert stage.jobs.page(JobFilter(), None, 10).jobs == []


def test_jobs_that_were_held_through_an_outage_longer_than_the_lease_are_not_started(stage: Stage) -> None:
    def outage() -> None:
        stage.jobs.is_away = True
        stage.time.now += LEASE_S + 1
        stage.beats.once()
        stage.jobs.is_away = False

    stage.warm_up(2)
    stage.submitted()
    stage.submitted()
    stage.run = doing(outage)
    stage.execution.drain(LANE)

    assert [job.id for job in stage.runs] == ["job_101"]
    assert (stage.waiting(), stage.job("job_102").attempt) == (["job_102"], 0)


def test_a_job_whose_lease_was_lost_while_the_store_was_waited_for_is_not_started(stage: Stage) -> None:
    """It was: its run was asked to stop before it began, wrote nothing, and cost an attempt."""

    def pause() -> None:
        stage.beats.once()
        stage.jobs.is_away = stage.time.now - began <= LEASE_S

    began = stage.time.now
    stage.submitted()
    stage.jobs.writes = [lambda: setattr(stage.jobs, "is_away", True)]
    stage.time.on_pause = pause
    stage.execution.drain(LANE)

    assert (stage.runs, stage.waiting(), stage.bells.rung) == ([], ["job_1"], [LANE])
    assert (stage.job().state, stage.job().attempt) == (State.QUEUED, 0)


# Writes in between


def touch(stage: Stage) -> Callable[[], None]:
    """A write that moves nothing but the revision."""
    return lambda: stage.write(lambda present: replace(present, revision=present.revision + 1))


@pytest.mark.parametrize("times", [1, 2, 5])
def test_an_end_overtaken_by_other_writes_is_tried_again(stage: Stage, times: int) -> None:
    stage.submitted()
    stage.run = doing(lambda: setattr(stage.jobs, "writes", [touch(stage)] * times))

    stage.execution.drain(LANE)

    assert (stage.job().state, stage.result()) == (State.SUCCEEDED, {"predictions": [1]})


def test_progress_overtaken_by_another_write_is_tried_again(stage: Stage) -> None:
    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        stage.jobs.writes = [touch(stage)]
        report(HALF)
        return Result({"revision": stage.job().revision})

    stage.submitted()
    stage.run = run
    stage.execution.drain(LANE)

    assert (stage.job().progress, stage.result()) == (replace(HALF, done=2), {"revision": 4})


def test_a_record_that_cannot_be_read_holds_up_none_of_those_that_were_taken_with_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.warm_up(4)
    for _ in range(4):
        stage.submitted()
    read = stage.jobs.read
    monkeypatch.setattr(stage.jobs, "read", lambda job_id: read(job_id) if job_id != "job_102" else int("later"))

    stage.execution.drain(LANE)

    assert [job.id for job in stage.runs] == ["job_101", "job_103", "job_104"]
    assert [each.job_id for each in stage.lanes.reservations()] == ["job_102"]


# A store that goes away


def test_a_claim_whose_answer_was_lost_is_known_for_ones_own(stage: Stage) -> None:
    stage.submitted()
    stage.jobs.lost_answers = 1

    stage.execution.drain(LANE)

    assert (len(stage.runs), stage.job().state, stage.job().attempt) == (1, State.SUCCEEDED, 1)


def test_a_claim_of_another_worker_is_not_taken_for_ones_own(stage: Stage) -> None:
    stage.submitted()
    stage.jobs.writes = [lambda: stage.write(lambda present: present.claimed("worker-10", NOW))]

    stage.execution.drain(LANE)

    assert (stage.runs, stage.job().state, stage.job().worker) == ([], State.RUNNING, "worker-10")


@pytest.mark.parametrize(
    ("end", "state"),
    [(DONE, State.SUCCEEDED), (ValueError("no"), State.FAILED), (UnavailableError("no"), State.QUEUED)],
    ids=["result", "failure", "transient"],
)
def test_an_end_whose_answer_was_lost_is_written_once(stage: Stage, end: Result | Exception, state: State) -> None:
    stage.submitted()
    stage.run = doing(lambda: setattr(stage.jobs, "lost_answers", 1), end)

    stage.execution.drain(LANE)

    assert (stage.job().state, stage.job().revision) == (state, 3)
    assert stage.job().lost_attempts == (1 if state is State.QUEUED else 0)


def test_a_beat_between_an_end_and_its_lost_answer_does_not_end_the_claim(stage: Stage) -> None:
    """The beat finds that the job has left its lane, and it looked like a lease lost in an outage."""
    stage.warm_up(2)
    stage.submitted()
    stage.submitted()
    stage.jobs.on_lost_answer = stage.beats.once
    stage.run = doing(lambda: setattr(stage.jobs, "lost_answers", 1))

    stage.execution.drain(LANE)

    assert [stage.job(f"job_{number}").state for number in (101, 102)] == [State.SUCCEEDED] * 2


def back_after(stage: Stage, pauses: int) -> Callable[[], None]:
    """The store comes back when somebody has waited for it so often."""
    left = [pauses]

    def pause() -> None:
        left[0] -= 1
        stage.jobs.is_away = left[0] > 0

    return pause


def test_a_store_that_is_away_at_the_claim_is_waited_for(stage: Stage) -> None:
    stage.warm_up(2)
    stage.submitted()
    stage.submitted()
    stage.time.on_pause = back_after(stage, 20)

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        if job.id == "job_101":
            stage.jobs.writes = [lambda: None, lambda: setattr(stage.jobs, "is_away", True)]
        return DONE

    stage.run = run
    stage.execution.drain(LANE)

    assert [job.id for job in stage.runs] == ["job_101", "job_102"]
    assert stage.job("job_102").state is State.SUCCEEDED


def test_a_store_that_is_away_at_the_end_is_waited_for_and_the_result_is_kept(stage: Stage) -> None:
    stage.submitted()
    stage.run = doing(lambda: setattr(stage.jobs, "is_away", True))
    stage.time.on_pause = back_after(stage, 100)

    stage.execution.drain(LANE)

    assert (stage.job().state, stage.result(), stage.job().attempt) == (State.SUCCEEDED, {"predictions": [1]}, 1)


def test_a_store_that_is_away_for_longer_than_the_lease_is_not_waited_for(stage: Stage) -> None:
    stage.submitted()
    began = stage.time.now
    stage.run = doing(lambda: setattr(stage.jobs, "is_away", True))
    stage.time.on_pause = stage.beats.once

    with pytest.raises(UnavailableError):
        stage.execution.drain(LANE)

    assert LEASE_S < stage.time.now - began < LEASE_S + 2
    assert stage.job().state is State.RUNNING


def test_what_was_held_when_the_store_went_away_is_held_no_longer_by_the_worker_and_run_by_others(stage: Stage) -> None:
    stage.warm_up(2)
    stage.submitted()
    stage.submitted()
    stage.run = doing(lambda: setattr(stage.jobs, "is_away", True))
    stage.time.on_pause = stage.beats.once
    with pytest.raises(UnavailableError):
        stage.execution.drain(LANE)

    stage.jobs.is_away = False
    stage.silence("job_101")
    stage.silence("job_102")
    stage.run = doing(lambda: None)
    stage.reaper().sweep()
    stage.now += 60
    stage.reaper().sweep()
    stage.execution.drain(LANE)

    ends = [(job.state, job.attempt, job.lost_attempts) for job in map(stage.job, ("job_101", "job_102"))]
    assert ends == [(State.SUCCEEDED, 2, 1), (State.SUCCEEDED, 1, 0)]


def test_a_store_that_is_away_when_the_bell_is_answered_takes_nothing(stage: Stage) -> None:
    stage.submitted()
    stage.jobs.is_away = True

    with pytest.raises(UnavailableError):
        stage.execution.drain(LANE)

    stage.jobs.is_away = False
    assert (stage.runs, stage.waiting()) == ([], ["job_1"])


def test_the_last_moment_of_a_lost_attempt_names_the_worker_that_lost_it(stage: Stage) -> None:
    stage.submitted()
    stage.run = raising(UnavailableError("away"))

    stage.execution.drain(LANE)

    lost = next(moment for moment in stage.job().timeline if moment.event is Event.LOST)
    assert (lost.attempt, lost.worker, lost.detail) == (1, "worker-1", "away")
