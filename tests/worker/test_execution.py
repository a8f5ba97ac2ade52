"""A job is claimed once, run once and ended once, whatever is delivered and whoever writes in between."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from queuecast.adapters.memory import MemoryJobs
from queuecast.domain.errors import Finding, InvalidInputError, JobStoppedError, RunFailedError, UnavailableError
from queuecast.domain.job import Failure, Job, JobType, ModelRef, Progress, State
from queuecast.domain.work import Method, PredictionWork, Work
from queuecast.ports import JobFilter
from worker.execution import Execution, Report, Result

RETENTION_S = 60.0
NOW = 1_000.0
WORK = PredictionWork(Method.PREDICT, 1)
ROWS = b"[[1.0]]"
FAILURE = Failure("worker_lost", "the process died")
HALF = Progress(1, 2, "stages", "fit", 7)

Run = Callable[[Job, Work, bytes, Report], Result]


def _queued(**fields: Any) -> Job:
    return Job("job_1", JobType.PREDICTION, ModelRef("model", 3), created_at=NOW - 5, max_attempts=3, **fields)


RUNNING = _queued(state=State.RUNNING, revision=2, attempt=1, worker="other", started_at=NOW - 1)
IN_STATE = {
    State.QUEUED: _queued(),
    State.RUNNING: RUNNING,
    State.CANCELING: replace(RUNNING, state=State.CANCELING, revision=3),
    State.CANCELED: replace(RUNNING, state=State.CANCELED, revision=4, finished_at=NOW, delete_at=NOW + 60),
    State.EXPIRED: _queued(state=State.EXPIRED, revision=2, finished_at=NOW, delete_at=NOW + 60),
    State.SUCCEEDED: replace(RUNNING, state=State.SUCCEEDED, revision=3, finished_at=NOW, delete_at=NOW + 60),
    State.FAILED: replace(RUNNING, state=State.FAILED, revision=3, failure=FAILURE, finished_at=NOW),
}


class Overtaken(MemoryJobs):
    """Other processes write between a worker's look at a record and its own write, once each."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[Callable[[], None]] = []

    def read(self, job_id: str) -> Job:
        seen = super().read(job_id)
        if self.writes:
            self.writes.pop(0)()
        return seen


class Stage:
    """One job in a store, and an execution whose runs are listed and do what `run` does."""

    def __init__(self, job: Job, run: Run | None = None, jobs: MemoryJobs | None = None) -> None:
        self.jobs = jobs or MemoryJobs()
        self.jobs.create(job, WORK, ROWS)
        self.runs: list[tuple[Job, Work, bytes]] = []
        self._run = run or (lambda job, work, rows, report: Result({"predictions": [1]}))
        self._seconds = itertools.count(NOW)
        self.execution = Execution(
            self.jobs, {JobType.PREDICTION: self._noted}, lambda: next(self._seconds), "worker-1", RETENTION_S
        )

    def _noted(self, job: Job, work: Work, rows: bytes, report: Report) -> Result:
        self.runs.append((job, work, rows))
        return self._run(job, work, rows, report)

    @property
    def job(self) -> Job:
        return self.jobs.read("job_1")

    @property
    def result(self) -> Any:
        result = self.jobs.read_with_result("job_1")[1]
        return None if result is None else json.loads(result)

    def write(self, change: Callable[[Job], Job]) -> None:
        """Somebody else's move."""
        self.jobs.replace(change(MemoryJobs.read(self.jobs, "job_1")))

    def cancel(self) -> None:
        self.write(lambda present: present.cancel_requested(NOW, RETENTION_S))

    def take_over(self) -> None:
        """Another worker's run has the job now: the attempt, which is the fence, has moved."""
        self.write(lambda present: replace(present, attempt=present.attempt + 1, revision=present.revision + 1))


def _raising(error: BaseException) -> Run:
    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        raise error

    return run


# Claiming


@pytest.mark.parametrize("state", State)
def test_only_a_queued_job_is_run_when_its_message_arrives(state: State) -> None:
    stage = Stage(IN_STATE[state])

    stage.execution.run("job_1")

    assert len(stage.runs) == (1 if state is State.QUEUED else 0)


@pytest.mark.parametrize("state", [state for state in State if state is not State.QUEUED])
def test_a_delivery_that_is_not_run_changes_nothing(state: State) -> None:
    stage = Stage(IN_STATE[state])

    stage.execution.run("job_1")

    assert stage.job == IN_STATE[state]


def test_a_message_for_a_job_that_is_gone_is_harmless() -> None:
    stage = Stage(_queued())

    stage.execution.run("job_2")

    assert (stage.runs, stage.job) == ([], _queued())


def test_a_message_delivered_twice_runs_once() -> None:
    stage = Stage(_queued())

    stage.execution.run("job_1")
    ended = stage.job
    stage.execution.run("job_1")

    assert (len(stage.runs), stage.job) == (1, ended)


def test_a_message_delivered_again_while_its_job_runs_starts_nothing() -> None:
    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        stage.execution.run("job_1")
        return Result({"nth": len(stage.runs)})

    stage = Stage(_queued(), run)
    stage.execution.run("job_1")

    assert stage.result == {"nth": 1}


def test_a_run_gets_the_claimed_job_with_its_work_and_rows() -> None:
    stage = Stage(_queued())

    stage.execution.run("job_1")

    ((job, work, rows),) = stage.runs
    assert (job.state, job.attempt, job.worker, job.revision) == (State.RUNNING, 1, "worker-1", 2)
    assert (work, rows) == (WORK, ROWS)


@pytest.mark.parametrize(
    ("expires_at", "state"),
    [(NOW - 1, State.EXPIRED), (NOW, State.EXPIRED), (NOW + 1, State.SUCCEEDED), (None, State.SUCCEEDED)],
)
def test_a_job_whose_start_deadline_passed_expires_instead_of_running(expires_at: float | None, state: State) -> None:
    stage = Stage(_queued(expires_at=expires_at))

    stage.execution.run("job_1")

    assert (stage.job.state, len(stage.runs)) == (state, 1 if state is State.SUCCEEDED else 0)


def test_an_expired_job_says_when_it_ended_and_when_it_goes() -> None:
    stage = Stage(_queued(expires_at=NOW))

    stage.execution.run("job_1")

    assert (stage.job.finished_at, stage.job.delete_at) == (NOW, NOW + RETENTION_S)


# Ending


def test_a_run_that_returns_succeeds_with_its_result() -> None:
    stage = Stage(_queued())

    stage.execution.run("job_1")

    assert (stage.job.state, stage.result) == (State.SUCCEEDED, {"predictions": [1]})
    assert stage.job.failure is None


def test_a_run_that_made_a_version_leaves_it_in_the_job() -> None:
    made = ModelRef("model", 4, sha256="0" * 64)
    stage = Stage(_queued(), lambda job, work, rows, report: Result({}, made))

    stage.execution.run("job_1")

    assert stage.job.model == made


def test_a_run_that_made_no_version_leaves_the_model_of_the_job_alone() -> None:
    stage = Stage(_queued())

    stage.execution.run("job_1")

    assert stage.job.model == ModelRef("model", 3)


def test_a_result_with_nan_is_written_as_null() -> None:
    stage = Stage(_queued(), lambda job, work, rows, report: Result({"predictions": [float("nan")]}))

    stage.execution.run("job_1")

    assert stage.result == {"predictions": [None]}


def test_a_refusal_fails_the_job_with_its_code_words_and_findings() -> None:
    finding = Finding("/params", "invalid_params", "no such parameter")
    stage = Stage(_queued(), _raising(InvalidInputError("they do not fit", (finding,))))

    stage.execution.run("job_1")

    assert stage.job.state is State.FAILED
    assert stage.job.failure == Failure("invalid_input", "they do not fit", (finding,))


def test_a_refusal_with_a_code_of_its_own_keeps_it() -> None:
    stage = Stage(_queued(), _raising(RunFailedError("fit raised", code="fit_failed")))

    stage.execution.run("job_1")

    assert stage.job.failure == Failure("fit_failed", "fit raised")


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
def test_an_exception_that_nobody_expected_fails_the_job_with_its_text(error: Exception, detail: str) -> None:
    stage = Stage(_queued(), _raising(error))

    stage.execution.run("job_1")

    assert (stage.job.state, stage.job.failure) == (State.FAILED, Failure("run_failed", detail))
    assert stage.result is None


@pytest.mark.parametrize("value", [object(), 1j, "\ud800"], ids=["object", "complex", "lone_surrogate"])
def test_a_result_that_json_cannot_carry_fails_the_job(value: Any) -> None:
    """Otherwise the job would stay `running` with nobody to end it."""
    stage = Stage(_queued(), lambda job, work, rows, report: Result({"predictions": [value]}))

    stage.execution.run("job_1")

    assert stage.job.state is State.FAILED
    assert stage.job.failure is not None
    assert stage.job.failure.code == "run_failed"


def test_a_job_of_a_type_that_nobody_runs_here_fails() -> None:
    stage = Stage(replace(_queued(), type=JobType.IMPORT))

    stage.execution.run("job_1")

    assert stage.job.state is State.FAILED


def test_a_store_that_goes_away_during_a_run_is_not_taken_for_a_failed_job() -> None:
    stage = Stage(_queued(), _raising(UnavailableError("Redis does not answer")))

    with pytest.raises(UnavailableError):
        stage.execution.run("job_1")

    assert stage.job.state is State.RUNNING


def test_an_ended_job_says_when_it_ended_and_when_it_goes() -> None:
    stage = Stage(_queued())

    stage.execution.run("job_1")

    assert stage.job.finished_at is not None
    assert stage.job.delete_at == stage.job.finished_at + RETENTION_S


# Progress and stops


def test_progress_is_in_the_record_while_the_job_runs() -> None:
    seen = []

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        report(HALF)
        seen.append(stage.job)
        return Result({})

    stage = Stage(_queued(), run)
    stage.execution.run("job_1")

    assert [(job.state, job.progress, job.revision) for job in seen] == [(State.RUNNING, HALF, 3)]
    assert stage.job.progress == replace(HALF, done=2)


def test_a_job_canceled_while_it_runs_is_canceled_and_its_result_dropped() -> None:
    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        stage.cancel()
        return Result({"predictions": [1]})

    stage = Stage(_queued(), run)
    stage.execution.run("job_1")

    assert (stage.job.state, stage.result) == (State.CANCELED, None)
    assert stage.job.finished_at is not None


@pytest.mark.parametrize("error", [ValueError("late"), RunFailedError("late")], ids=["unexpected", "refusal"])
def test_a_run_that_raises_after_it_was_canceled_is_canceled_and_not_failed(error: Exception) -> None:
    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        stage.cancel()
        raise error

    stage = Stage(_queued(), run)
    stage.execution.run("job_1")

    assert (stage.job.state, stage.job.failure) == (State.CANCELED, None)


@pytest.mark.parametrize("interrupt", [Stage.cancel, Stage.take_over], ids=["cancel", "take_over"])
def test_progress_after_the_job_was_taken_away_stops_the_run(interrupt: Callable[[Stage], None]) -> None:
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

    stage = Stage(_queued(), run)
    stage.execution.run("job_1")

    assert caught == ["job_stopped"]
    assert stage.job.progress == HALF
    assert stage.job.state is (State.CANCELED if interrupt is Stage.cancel else State.RUNNING)


@pytest.mark.parametrize("error", [None, ValueError("late"), RunFailedError("late"), JobStoppedError("late")], ids=repr)
def test_a_run_whose_job_was_taken_over_writes_nothing(error: Exception | None) -> None:
    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        stage.take_over()
        if error:
            raise error
        return Result({"predictions": [1]})

    stage = Stage(_queued(), run)
    stage.execution.run("job_1")

    assert (stage.job.state, stage.job.attempt, stage.job.revision) == (State.RUNNING, 2, 3)
    assert (stage.result, stage.job.failure) == (None, None)


def test_a_run_whose_job_was_taken_over_and_canceled_leaves_the_stop_to_the_new_run() -> None:
    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        stage.take_over()
        stage.cancel()
        return Result({})

    stage = Stage(_queued(), run)
    stage.execution.run("job_1")

    assert stage.job.state is State.CANCELING


def test_a_job_purged_while_it_runs_is_not_written_again() -> None:
    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        stage.jobs.discard("job_1")
        return Result({})

    stage = Stage(_queued(), run)
    stage.execution.run("job_1")

    assert stage.jobs.page(JobFilter(), None, 10).jobs == []


# Writes in between


def test_a_job_canceled_between_look_and_claim_is_not_run() -> None:
    jobs = Overtaken()
    stage = Stage(_queued(), jobs=jobs)
    jobs.writes = [stage.cancel]

    stage.execution.run("job_1")

    assert (stage.runs, stage.job.state) == ([], State.CANCELED)


def test_a_job_claimed_by_another_between_look_and_claim_is_not_run_here() -> None:
    jobs = Overtaken()
    stage = Stage(_queued(), jobs=jobs)
    jobs.writes = [lambda: stage.write(lambda present: present.claimed("other", NOW))]

    stage.execution.run("job_1")

    assert (stage.runs, stage.job.worker, stage.job.attempt) == ([], "other", 1)


def _touch(stage: Stage) -> Callable[[], None]:
    """A write that moves nothing but the revision."""
    return lambda: stage.write(lambda present: replace(present, revision=present.revision + 1))


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_claim_overtaken_by_other_writes_is_tried_again(times: int) -> None:
    jobs = Overtaken()
    stage = Stage(_queued(), jobs=jobs)
    jobs.writes = [_touch(stage)] * times

    stage.execution.run("job_1")

    assert (len(stage.runs), stage.job.state, stage.job.attempt) == (1, State.SUCCEEDED, 1)


@pytest.mark.parametrize("times", [1, 2, 5])
def test_an_end_overtaken_by_other_writes_is_tried_again(times: int) -> None:
    jobs = Overtaken()

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        jobs.writes = [_touch(stage)] * times
        return Result({"predictions": [1]})

    stage = Stage(_queued(), run, jobs)
    stage.execution.run("job_1")

    assert (stage.job.state, stage.result) == (State.SUCCEEDED, {"predictions": [1]})


def test_progress_overtaken_by_another_write_is_tried_again() -> None:
    jobs = Overtaken()

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        jobs.writes = [_touch(stage)]
        report(HALF)
        return Result({"revision": stage.job.revision})

    stage = Stage(_queued(), run, jobs)
    stage.execution.run("job_1")

    assert (stage.job.progress, stage.result) == (replace(HALF, done=2), {"revision": 4})


def test_a_cancel_between_the_look_at_the_end_and_its_write_wins() -> None:
    jobs = Overtaken()

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        jobs.writes = [stage.cancel]
        return Result({"predictions": [1]})

    stage = Stage(_queued(), run, jobs)
    stage.execution.run("job_1")

    assert (stage.job.state, stage.result) == (State.CANCELED, None)


# A process that died


@pytest.mark.parametrize(
    ("state", "after"),
    [(state, {State.RUNNING: State.FAILED, State.CANCELING: State.CANCELED}.get(state, state)) for state in State],
)
def test_a_job_whose_process_died_ends_if_it_was_running(state: State, after: State) -> None:
    stage = Stage(IN_STATE[state])

    stage.execution.fail_lost("job_1", FAILURE)

    assert stage.job.state is after
    assert stage.job.is_final or state is State.QUEUED


def test_a_lost_job_says_why_it_failed() -> None:
    stage = Stage(RUNNING)

    stage.execution.fail_lost("job_1", FAILURE)

    assert stage.job.failure == FAILURE


@pytest.mark.parametrize("state", [State.CANCELED, State.EXPIRED, State.SUCCEEDED, State.FAILED])
def test_a_final_job_is_not_touched_by_a_report_of_its_process_dying(state: State) -> None:
    stage = Stage(IN_STATE[state])

    stage.execution.fail_lost("job_1", Failure("timeout", "too long"))

    assert stage.job == IN_STATE[state]


def test_a_process_reported_dead_twice_fails_its_job_once() -> None:
    stage = Stage(RUNNING)

    stage.execution.fail_lost("job_1", FAILURE)
    failed = stage.job
    stage.execution.fail_lost("job_1", Failure("timeout", "too long"))

    assert stage.job == failed


def test_a_report_of_a_process_dying_for_a_job_that_is_gone_is_harmless() -> None:
    stage = Stage(RUNNING)

    stage.execution.fail_lost("job_2", FAILURE)

    assert stage.job == RUNNING


def test_a_run_that_comes_back_after_it_was_reported_dead_writes_nothing() -> None:
    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        stage.execution.fail_lost("job_1", FAILURE)
        return Result({"predictions": [1]})

    stage = Stage(_queued(), run)
    stage.execution.run("job_1")

    assert (stage.job.state, stage.job.failure, stage.result) == (State.FAILED, FAILURE, None)
