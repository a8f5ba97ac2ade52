"""What a worker holds stays its own while it beats, and a run that must stop stops, by itself or with its process."""

import math
import threading
from collections.abc import Callable

import pytest

from queuecast.domain.job import Failure, Job, Progress, State
from queuecast.domain.work import Work
from queuecast.ports.lanes import Reservation
from tests.worker.fake_worker import LANE, LEASE_S, RETENTION_S, Stage
from worker.engine.contracts import Report, Result
from worker.engine.leases import STOP_WAIT_S, Hold, Leases, StopReason

A_MOMENT_S = 0.001


class Held:
    """One job that a worker holds and runs, its leases, and what they gave up."""

    def __init__(self, stage: Stage, jobs: int = 1, timeout_s: float = 60.0) -> None:
        self.stage = stage
        self.given_up: list[list[Hold]] = []
        self.leases = Leases(stage.lanes, LEASE_S, lambda: stage.stop_by, self.given_up.append)
        for _ in range(jobs):
            stage.submitted(timeout_s=timeout_s)
        self.reservations, _ = stage.lanes.reserve(LANE, "worker-1", jobs, clears_notification=True)
        self.first = self.reservations[0]
        self.leases.hold(self.reservations)
        stage.beats.settle()
        stage.write(lambda present: present.claimed("worker-1", stage.now))
        self.leases.started(self.first, stage.job())

    def beat(self, after_s: float = 0.0) -> StopReason | None:
        """Beats once so much later, and says why the run must stop."""
        self.stage.time.now += after_s
        self.leases.beat()
        return self.leases.reason_to_stop(self.first)

    def renewed_at(self) -> list[float]:
        return [entry.renewed_at for entry in self.stage.jobs.lanes[LANE]]


# Keeping


def test_a_beat_renews_everything_that_is_held(stage: Stage) -> None:
    held = Held(stage, jobs=3)
    for number in (1, 2, 3):
        stage.silence(f"job_{number}")

    assert held.beat() is None
    assert min(held.renewed_at()) > 0


def test_the_first_beat_comes_by_itself(stage: Stage) -> None:
    leases = Leases(stage.lanes, LEASE_S, lambda: math.inf, lambda holds: None)
    stage.submitted()
    reservations, _ = stage.lanes.reserve(LANE, "worker-1", 1, clears_notification=True)
    stage.silence()

    leases.hold(reservations)
    stage.beats.settle()

    assert stage.lanes.reservations(LEASE_S) == []


def test_what_was_released_is_renewed_no_longer_and_counts_as_lost(stage: Stage) -> None:
    held = Held(stage)

    held.leases.release(held.first)
    stage.silence()

    assert held.beat() is StopReason.LOST
    assert held.renewed_at() == [0.0]


def test_releasing_twice_is_harmless(stage: Stage) -> None:
    held = Held(stage, jobs=2)

    held.leases.release(held.first)
    held.leases.release(held.first)

    assert held.leases.reason_to_stop(held.reservations[1]) is None


def test_a_job_that_ended_beside_the_beat_is_not_asked_to_stop(stage: Stage) -> None:
    held = Held(stage, jobs=2)
    stage.write(lambda present: present.succeeded(stage.now, RETENTION_S))
    held.leases.release(held.first)

    held.beat()
    held.beat(STOP_WAIT_S + A_MOMENT_S)

    assert held.given_up == []


# Reasons


def test_a_run_whose_job_is_canceling_is_asked_to_stop(stage: Stage) -> None:
    held = Held(stage)
    stage.cancel()

    assert held.beat() is StopReason.CANCELED


@pytest.mark.parametrize(
    ("after_s", "reason"),
    [(59.0, None), (60.0 - A_MOMENT_S, None), (60.0, StopReason.TIMEOUT), (61.0, StopReason.TIMEOUT)],
)
def test_a_run_has_the_time_that_its_job_says(stage: Stage, after_s: float, reason: StopReason | None) -> None:
    held = Held(stage, timeout_s=60.0)

    assert held.beat(after_s) is reason


def test_the_time_of_a_job_counts_from_its_own_start_and_not_from_the_claim_of_its_neighbors(stage: Stage) -> None:
    held = Held(stage, jobs=2, timeout_s=60.0)
    stage.time.now += 50
    held.leases.release(held.first)
    stage.write(lambda present: present.claimed("worker-1", stage.now), "job_2")
    held.leases.started(held.reservations[1], stage.job("job_2"))

    held.beat(59.0)

    assert held.leases.reason_to_stop(held.reservations[1]) is None


@pytest.mark.parametrize(
    ("after_s", "reason"),
    [(0.0, None), (20.0 - A_MOMENT_S, None), (20.0, StopReason.SHUTDOWN), (30.0, StopReason.SHUTDOWN)],
)
def test_a_worker_that_shuts_down_lets_its_run_go_on_until_the_grace_is_over(
    stage: Stage, after_s: float, reason: StopReason | None
) -> None:
    held = Held(stage)
    stage.stop_by = stage.time.now + 20

    assert held.leases.is_shutting_down()
    assert held.beat(after_s) is reason


def test_a_run_whose_job_was_given_to_another_is_lost(stage: Stage) -> None:
    held = Held(stage)
    stage.take_over()

    assert held.beat() is StopReason.LOST


@pytest.mark.parametrize(("after_s", "reason"), [(1.0, None), (LEASE_S, None), (LEASE_S + A_MOMENT_S, StopReason.LOST)])
def test_a_store_that_is_away_for_longer_than_the_lease_costs_it(
    stage: Stage, after_s: float, reason: StopReason | None
) -> None:
    held = Held(stage)
    stage.jobs.is_away = True

    assert held.beat(after_s) is reason


def test_an_outage_is_counted_from_the_last_beat_that_went_through(stage: Stage) -> None:
    held = Held(stage)
    held.beat(25.0)
    stage.jobs.is_away = True

    assert held.beat(25.0) is None


def test_an_outage_that_is_over_is_forgotten(stage: Stage) -> None:
    held = Held(stage)
    stage.jobs.is_away = True
    held.beat(25.0)
    stage.jobs.is_away = False
    held.beat(1.0)
    stage.jobs.is_away = True

    assert held.beat(25.0) is None


def test_an_outage_before_anything_was_held_does_not_count(stage: Stage) -> None:
    held = Held(stage)
    held.leases.release(held.first)
    stage.time.now += 1000
    stage.submitted()
    later, _ = stage.lanes.reserve(LANE, "worker-1", 1, clears_notification=True)
    held.leases.hold(later)
    stage.jobs.is_away = True

    held.beat(1.0)

    assert held.leases.reason_to_stop(later[0]) is None


def test_the_first_reason_stays(stage: Stage) -> None:
    held = Held(stage)
    stage.cancel()
    held.beat()
    stage.jobs.is_away = True

    assert held.beat(LEASE_S + 100) is StopReason.CANCELED


# Giving up


def shut_down(stage: Stage, _job_id: str) -> None:
    stage.stop_by = stage.time.now


def take_too_long(stage: Stage, _job_id: str) -> None:
    stage.time.now += 60


CAUSES: dict[StopReason, Callable[[Stage, str], None]] = {  # a neighbor has none of its own
    StopReason.CANCELED: Stage.cancel,
    StopReason.TIMEOUT: take_too_long,
    StopReason.SHUTDOWN: shut_down,
    StopReason.LOST: Stage.take_over,
}


@pytest.mark.parametrize("reason", CAUSES)
@pytest.mark.parametrize(("after_s", "is_over"), [(1.0, False), (STOP_WAIT_S, False), (STOP_WAIT_S + 0.1, True)])
def test_a_run_that_does_not_stop_is_given_up_two_seconds_after_it_was_asked_to(
    stage: Stage, reason: StopReason, after_s: float, is_over: bool
) -> None:
    held = Held(stage)
    CAUSES[reason](stage, "job_1")
    held.beat()

    held.beat(after_s)

    assert [[hold.reason for hold in holds] for holds in held.given_up] == ([[reason]] if is_over else [])


def test_while_a_run_is_given_up_nothing_more_is_taken_up(stage: Stage) -> None:
    """It may have ended just then, and its worker have claimed again: that would have died with the process."""
    taken_meanwhile: list[bool] = []

    def give_up(holds: list[Hold]) -> None:
        stage.submitted()
        more, _ = stage.lanes.reserve(LANE, "worker-1", 1, clears_notification=True)
        taking = threading.Thread(target=lambda: (held.leases.hold(more), is_taken.set()), daemon=True)
        taking.start()
        taken_meanwhile.append(is_taken.wait(0.2))

    held, is_taken = Held(stage), threading.Event()
    held.leases._give_up = give_up
    stage.cancel()
    held.beat()
    held.beat(STOP_WAIT_S + A_MOMENT_S)

    assert taken_meanwhile == [False]
    assert is_taken.wait(20)  # where nothing ended the process, as here


def test_a_run_that_was_not_asked_is_not_given_up(stage: Stage) -> None:
    held = Held(stage)

    held.beat(50.0)

    assert held.given_up == []


def test_a_job_that_was_not_started_is_no_reason_to_give_up(stage: Stage) -> None:
    held = Held(stage, jobs=2)
    stage.cancel("job_2")
    held.beat()

    held.beat(STOP_WAIT_S + 1)

    assert held.leases.reason_to_stop(held.reservations[1]) is StopReason.LOST
    assert held.given_up == []


def test_a_run_that_stopped_in_time_is_not_given_up(stage: Stage) -> None:
    held = Held(stage)
    stage.cancel()
    held.beat()
    held.leases.release(held.first)

    held.beat(STOP_WAIT_S + 1)

    assert held.given_up == []


def test_the_neighbors_are_given_up_with_it(stage: Stage) -> None:
    held = Held(stage, jobs=3)
    stage.cancel()
    held.beat()

    held.beat(STOP_WAIT_S + 1)

    ((first, *others),) = held.given_up
    assert (first.run is not None, [(hold.run, hold.reason) for hold in others]) == (True, [(None, None)] * 2)


# The same through a whole worker: a run that hears nothing, as compiled code does


def stuck(
    stage: Stage,
    cause: Callable[[Stage, str], None],
    jobs: int = 1,
    before: Callable[[], None] = lambda: None,
) -> None:
    """The first of the jobs runs, it must stop, it does not, and its process is ended. before: that end."""
    seen: list[Job] = []

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        if job.id != "job_101":
            return Result({})
        cause(stage, job.id)
        stage.beats.once()
        before()
        stage.time.now += STOP_WAIT_S + 0.1
        stage.beats.once()
        seen.extend(stage.job(f"job_{101 + number}") for number in range(jobs))
        raise SystemExit  # the process is gone

    stage.warm_up(4)
    for _ in range(jobs):
        stage.submitted()
    stage.run = run
    with pytest.raises(SystemExit):
        stage.execution.drain(LANE)
    assert seen == [stage.job(job.id) for job in seen]  # nothing was written after the end


@pytest.mark.parametrize("reason", CAUSES)
def test_the_process_is_ended_once(stage: Stage, reason: StopReason) -> None:
    stuck(stage, CAUSES[reason])

    assert stage.ended_processes == 1


def test_a_canceled_run_that_was_given_up_is_canceled(stage: Stage) -> None:
    stuck(stage, CAUSES[StopReason.CANCELED])

    assert (stage.job("job_101").state, stage.job("job_101").delete_at) == (State.CANCELED, stage.now + RETENTION_S)


def test_a_run_that_took_too_long_fails_as_timeout_and_is_not_tried_again(stage: Stage) -> None:
    stuck(stage, take_too_long)

    job = stage.job("job_101")
    assert job.failure == Failure("timeout", "the run took longer than 60 s and was ended")
    assert (job.state, job.lost_attempts, job.is_dead_letter) == (State.FAILED, 0, False)


def test_a_run_that_was_given_back_at_shutdown_waits_for_another_worker_and_lost_no_attempt(stage: Stage) -> None:
    stuck(stage, shut_down)

    job = stage.job("job_101")
    assert (job.state, job.attempt, job.lost_attempts, job.not_before) == (State.QUEUED, 1, 0, None)
    assert [moment.event.value for moment in job.timeline] == ["accepted", "claimed", "given_back"]
    assert (stage.waiting(), stage.bells.rung) == (["job_101"], [LANE])


def test_a_run_that_was_given_back_is_run_by_another_worker_as_the_next_attempt(stage: Stage) -> None:
    stuck(stage, shut_down)
    stage.stop_by = math.inf
    stage.run = lambda job, work, rows, report: Result({"attempt": job.attempt})

    stage.worker("worker-2").drain(LANE)

    job = stage.job("job_101")
    assert (job.state, job.worker, job.lost_attempts) == (State.SUCCEEDED, "worker-2", 0)
    assert stage.result("job_101") == {"attempt": 2}


def test_a_run_that_was_lost_and_given_up_writes_nothing(stage: Stage) -> None:
    stuck(stage, CAUSES[StopReason.LOST])

    job = stage.job("job_101")
    assert (job.state, job.attempt, job.worker) == (State.RUNNING, 2, "worker-2")


@pytest.mark.parametrize("reason", [StopReason.CANCELED, StopReason.TIMEOUT, StopReason.SHUTDOWN])
def test_the_neighbors_of_a_run_that_was_given_up_wait_for_another_worker(stage: Stage, reason: StopReason) -> None:
    stuck(stage, CAUSES[reason], jobs=3)

    neighbors = [stage.job("job_102"), stage.job("job_103")]
    assert [(job.state, job.attempt, job.lost_attempts) for job in neighbors] == [(State.QUEUED, 0, 0)] * 2
    assert stage.waiting()[-2:] == ["job_102", "job_103"]
    assert (stage.lanes.reservations(), stage.bells.rung) == ([], [LANE])


def test_a_cancel_that_comes_after_a_timeout_and_before_the_end_wins(stage: Stage) -> None:
    stuck(stage, take_too_long, before=lambda: stage.cancel("job_101"))

    assert (stage.job("job_101").state, stage.job("job_101").failure) == (State.CANCELED, None)


def test_a_store_that_is_away_does_not_keep_the_process_from_being_ended(stage: Stage) -> None:
    stuck(stage, shut_down, jobs=2, before=lambda: setattr(stage.jobs, "is_away", True))

    assert stage.ended_processes == 1
    assert (stage.job("job_101").state, stage.job("job_102").state) == (State.RUNNING, State.QUEUED)


def test_an_outage_longer_than_the_lease_ends_a_run_that_does_not_hear_of_it(stage: Stage) -> None:
    def outage(stage: Stage, _job_id: str) -> None:
        stage.jobs.is_away = True
        stage.time.now += LEASE_S + 1

    stuck(stage, outage)

    assert stage.ended_processes == 1
    assert stage.job("job_101").state is State.RUNNING  # the reaper sees to it


# A run that hears


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (StopReason.CANCELED, State.CANCELED),
        (StopReason.TIMEOUT, State.FAILED),
        (StopReason.SHUTDOWN, State.QUEUED),
        (StopReason.LOST, State.RUNNING),
    ],
)
def test_a_run_that_reports_progress_stops_by_itself(stage: Stage, reason: StopReason, state: State) -> None:
    went_on = []

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        CAUSES[reason](stage, job.id)
        stage.beats.once()
        report(Progress(1, 2, "stages"))
        went_on.append(job)
        return Result({})

    stage.submitted()
    stage.run = run
    stage.execution.drain(LANE)

    assert (stage.job().state, stage.ended_processes, went_on) == (state, 0, [])


def test_a_run_that_is_done_before_it_hears_keeps_its_result(stage: Stage) -> None:
    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        take_too_long(stage, job.id)
        stage.beats.once()
        return Result({})

    stage.submitted()
    stage.run = run
    stage.execution.drain(LANE)

    assert (stage.job().state, stage.ended_processes) == (State.SUCCEEDED, 0)


def test_whoever_asks_for_what_it_does_not_hold_hears_that_it_is_lost(stage: Stage) -> None:
    leases = Leases(stage.lanes, LEASE_S, lambda: math.inf, lambda holds: None)

    assert leases.reason_to_stop(Reservation(LANE, "1-0", "job_1", "worker-1")) is StopReason.LOST
