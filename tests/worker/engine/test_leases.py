"""A worker keeps its jobs while it beats, and a run that must stop does so by itself or with its process."""

import math
import threading
from collections.abc import Callable

import pytest

from queuecast.domain.errors import Failure
from queuecast.domain.job import Job, Progress, State
from queuecast.domain.work import Work
from queuecast.ports.lanes import Reservation
from tests.worker.fake_worker import LANE, LEASE_S, RETENTION_S, FakeWorker
from worker.engine.contracts import Report, Result
from worker.engine.leases import STOP_WAIT_S, Hold, Leases, StopReason

A_MOMENT_S = 0.001


class HeldJobs:
    """A job that a worker holds and runs, its leases, and the holds that they gave up."""

    def __init__(self, worker: FakeWorker, jobs: int = 1, timeout_s: float = 60.0) -> None:
        self.worker = worker
        self.given_up: list[list[Hold]] = []
        self.leases = Leases(worker.lanes, LEASE_S, lambda: worker.stop_by, self.given_up.append)
        for _ in range(jobs):
            worker.submit(timeout_s=timeout_s)
        self.reservations, _ = worker.lanes.reserve(LANE, "worker-1", jobs, clears_bell=True)
        self.first = self.reservations[0]
        self.leases.hold(self.reservations)
        worker.lease_thread.wait_for_beat()
        worker.write(lambda present: present.claimed("worker-1", worker.now))
        self.leases.started(self.first, worker.job())

    def beat(self, after_s: float = 0.0) -> StopReason | None:
        """Beats once after that time, and returns the reason why the run must stop."""
        self.worker.time.now += after_s
        self.leases.beat()
        return self.leases.reason_to_stop(self.first)

    def renewed_at(self) -> list[float]:
        return [entry.renewed_at for entry in self.worker.jobs.lanes[LANE]]


# Keeping


def test_a_beat_renews_every_lease(worker: FakeWorker) -> None:
    held = HeldJobs(worker, jobs=3)
    for number in (1, 2, 3):
        worker.let_lease_expire(f"job_{number}")

    assert held.beat() is None
    assert min(held.renewed_at()) > 0


def test_the_first_beat_comes_by_itself(worker: FakeWorker) -> None:
    leases = Leases(worker.lanes, LEASE_S, lambda: math.inf, lambda holds: None)
    worker.submit()
    reservations, _ = worker.lanes.reserve(LANE, "worker-1", 1, clears_bell=True)
    worker.let_lease_expire()

    leases.hold(reservations)
    worker.lease_thread.wait_for_beat()

    assert worker.lanes.reservations(LEASE_S) == []


def test_a_released_job_is_no_longer_renewed_and_counts_as_lost(worker: FakeWorker) -> None:
    held = HeldJobs(worker)

    held.leases.release(held.first)
    worker.let_lease_expire()

    assert held.beat() is StopReason.LOST
    assert held.renewed_at() == [0.0]


def test_releasing_twice_is_harmless(worker: FakeWorker) -> None:
    held = HeldJobs(worker, jobs=2)

    held.leases.release(held.first)
    held.leases.release(held.first)

    assert held.leases.reason_to_stop(held.reservations[1]) is None


def test_a_job_that_ended_during_a_beat_is_not_asked_to_stop(worker: FakeWorker) -> None:
    held = HeldJobs(worker, jobs=2)
    worker.write(lambda present: present.succeeded(worker.now, RETENTION_S))
    held.leases.release(held.first)

    held.beat()
    held.beat(STOP_WAIT_S + A_MOMENT_S)

    assert held.given_up == []


# Reasons


def test_a_run_whose_job_is_canceling_is_asked_to_stop(worker: FakeWorker) -> None:
    held = HeldJobs(worker)
    worker.cancel()

    assert held.beat() is StopReason.CANCELED


@pytest.mark.parametrize(
    ("after_s", "reason"),
    [(59.0, None), (60.0 - A_MOMENT_S, None), (60.0, StopReason.TIMEOUT), (61.0, StopReason.TIMEOUT)],
)
def test_a_run_may_take_as_long_as_its_job_allows(
    worker: FakeWorker, after_s: float, reason: StopReason | None
) -> None:
    held = HeldJobs(worker, timeout_s=60.0)

    assert held.beat(after_s) is reason


def test_the_time_of_a_job_counts_from_its_own_start(
    worker: FakeWorker,
) -> None:
    held = HeldJobs(worker, jobs=2, timeout_s=60.0)
    worker.time.now += 50
    held.leases.release(held.first)
    worker.write(lambda present: present.claimed("worker-1", worker.now), "job_2")
    held.leases.started(held.reservations[1], worker.job("job_2"))

    held.beat(59.0)

    assert held.leases.reason_to_stop(held.reservations[1]) is None


@pytest.mark.parametrize(
    ("after_s", "reason"),
    [(0.0, None), (20.0 - A_MOMENT_S, None), (20.0, StopReason.SHUTDOWN), (30.0, StopReason.SHUTDOWN)],
)
def test_a_stopping_worker_lets_its_run_go_on_until_the_grace_period_is_over(
    worker: FakeWorker, after_s: float, reason: StopReason | None
) -> None:
    held = HeldJobs(worker)
    worker.stop_by = worker.time.now + 20

    assert held.leases.is_shutting_down()
    assert held.beat(after_s) is reason


def test_a_run_whose_job_was_taken_over_is_lost(worker: FakeWorker) -> None:
    held = HeldJobs(worker)
    worker.take_over()

    assert held.beat() is StopReason.LOST


@pytest.mark.parametrize(("after_s", "reason"), [(1.0, None), (LEASE_S, None), (LEASE_S + A_MOMENT_S, StopReason.LOST)])
def test_an_outage_longer_than_the_lease_costs_the_lease(
    worker: FakeWorker, after_s: float, reason: StopReason | None
) -> None:
    held = HeldJobs(worker)
    worker.jobs.is_unreachable = True

    assert held.beat(after_s) is reason


def test_an_outage_counts_from_the_last_beat_that_succeeded(worker: FakeWorker) -> None:
    held = HeldJobs(worker)
    held.beat(25.0)
    worker.jobs.is_unreachable = True

    assert held.beat(25.0) is None


def test_an_outage_that_is_over_is_forgotten(worker: FakeWorker) -> None:
    held = HeldJobs(worker)
    worker.jobs.is_unreachable = True
    held.beat(25.0)
    worker.jobs.is_unreachable = False
    held.beat(1.0)
    worker.jobs.is_unreachable = True

    assert held.beat(25.0) is None


def test_an_outage_before_anything_was_held_does_not_count(worker: FakeWorker) -> None:
    held = HeldJobs(worker)
    held.leases.release(held.first)
    worker.time.now += 1000
    worker.submit()
    later, _ = worker.lanes.reserve(LANE, "worker-1", 1, clears_bell=True)
    held.leases.hold(later)
    worker.jobs.is_unreachable = True

    held.beat(1.0)

    assert held.leases.reason_to_stop(later[0]) is None


def test_the_first_reason_stays(worker: FakeWorker) -> None:
    held = HeldJobs(worker)
    worker.cancel()
    held.beat()
    worker.jobs.is_unreachable = True

    assert held.beat(LEASE_S + 100) is StopReason.CANCELED


# Giving up


def shut_down(worker: FakeWorker, _job_id: str) -> None:
    worker.stop_by = worker.time.now


def take_too_long(worker: FakeWorker, _job_id: str) -> None:
    worker.time.now += 60


CAUSES: dict[StopReason, Callable[[FakeWorker, str], None]] = {  # a neighbor has none of its own
    StopReason.CANCELED: FakeWorker.cancel,
    StopReason.TIMEOUT: take_too_long,
    StopReason.SHUTDOWN: shut_down,
    StopReason.LOST: FakeWorker.take_over,
}


@pytest.mark.parametrize("reason", CAUSES)
@pytest.mark.parametrize(("after_s", "is_over"), [(1.0, False), (STOP_WAIT_S, False), (STOP_WAIT_S + 0.1, True)])
def test_a_run_that_does_not_stop_is_given_up_two_seconds_after_it_was_asked_to(
    worker: FakeWorker, reason: StopReason, after_s: float, is_over: bool
) -> None:
    held = HeldJobs(worker)
    CAUSES[reason](worker, "job_1")
    held.beat()

    held.beat(after_s)

    assert [[hold.reason for hold in holds] for holds in held.given_up] == ([[reason]] if is_over else [])


def test_no_job_is_taken_while_a_run_is_given_up(worker: FakeWorker) -> None:
    """The run may have ended just then, and its worker may have claimed another job, which must not end with it."""
    was_taken: list[bool] = []

    def give_up(holds: list[Hold]) -> None:
        worker.submit()
        more, _ = worker.lanes.reserve(LANE, "worker-1", 1, clears_bell=True)
        taking = threading.Thread(target=lambda: (held.leases.hold(more), is_taken.set()), daemon=True)
        taking.start()
        was_taken.append(is_taken.wait(0.2))

    held, is_taken = HeldJobs(worker), threading.Event()
    held.leases._give_up = give_up
    worker.cancel()
    held.beat()
    held.beat(STOP_WAIT_S + A_MOMENT_S)

    assert was_taken == [False]
    assert is_taken.wait(20)  # where nothing ended the process, as here


def test_a_run_that_was_not_asked_is_not_given_up(worker: FakeWorker) -> None:
    held = HeldJobs(worker)

    held.beat(50.0)

    assert held.given_up == []


def test_a_job_that_was_not_started_is_no_reason_to_give_up(worker: FakeWorker) -> None:
    held = HeldJobs(worker, jobs=2)
    worker.cancel("job_2")
    held.beat()

    held.beat(STOP_WAIT_S + 1)

    assert held.leases.reason_to_stop(held.reservations[1]) is StopReason.LOST
    assert held.given_up == []


def test_a_run_that_stopped_in_time_is_not_given_up(worker: FakeWorker) -> None:
    held = HeldJobs(worker)
    worker.cancel()
    held.beat()
    held.leases.release(held.first)

    held.beat(STOP_WAIT_S + 1)

    assert held.given_up == []


def test_the_neighbors_are_given_up_with_it(worker: FakeWorker) -> None:
    held = HeldJobs(worker, jobs=3)
    worker.cancel()
    held.beat()

    held.beat(STOP_WAIT_S + 1)

    ((first, *others),) = held.given_up
    assert (first.run is not None, [(hold.run, hold.reason) for hold in others]) == (True, [(None, None)] * 2)


# A whole worker, with a run that never reports progress, like compiled code


def drain_until_process_ends(
    worker: FakeWorker,
    cause: Callable[[FakeWorker, str], None],
    jobs: int = 1,
    before: Callable[[], None] = lambda: None,
) -> None:
    """The first job must stop and does not, so its process ends. before: called just before that."""
    seen: list[Job] = []

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        if job.id != "job_101":
            return Result({})
        cause(worker, job.id)
        worker.lease_thread.beat()
        before()
        worker.time.now += STOP_WAIT_S + 0.1
        worker.lease_thread.beat()
        seen.extend(worker.job(f"job_{101 + number}") for number in range(jobs))
        raise SystemExit  # the process is gone

    worker.warm_up(4)
    for _ in range(jobs):
        worker.submit()
    worker.run = run
    with pytest.raises(SystemExit):
        worker.drain(LANE)
    assert seen == [worker.job(job.id) for job in seen]  # nothing was written after the end


@pytest.mark.parametrize("reason", CAUSES)
def test_the_process_is_ended_once(worker: FakeWorker, reason: StopReason) -> None:
    drain_until_process_ends(worker, CAUSES[reason])

    assert worker.ended_processes == 1


def test_a_canceled_run_that_was_given_up_is_canceled(worker: FakeWorker) -> None:
    drain_until_process_ends(worker, CAUSES[StopReason.CANCELED])

    assert (worker.job("job_101").state, worker.job("job_101").delete_at) == (State.CANCELED, worker.now + RETENTION_S)


def test_a_run_that_took_too_long_fails_as_timeout_and_is_not_tried_again(worker: FakeWorker) -> None:
    drain_until_process_ends(worker, take_too_long)

    job = worker.job("job_101")
    assert job.failure == Failure("timeout", "the run took longer than 60 s and was ended")
    assert (job.state, job.lost_attempts, job.is_dead_letter) == (State.FAILED, 0, False)


def test_a_run_handed_back_at_shutdown_waits_for_another_worker_and_loses_no_attempt(worker: FakeWorker) -> None:
    drain_until_process_ends(worker, shut_down)

    job = worker.job("job_101")
    assert (job.state, job.attempt, job.lost_attempts, job.not_before) == (State.QUEUED, 1, 0, None)
    assert [entry.event.value for entry in job.timeline] == ["accepted", "claimed", "given_back"]
    assert (worker.waiting(), worker.doorbell.rung) == (["job_101"], [LANE])


def test_another_worker_runs_a_job_that_was_handed_back_as_the_next_attempt(worker: FakeWorker) -> None:
    drain_until_process_ends(worker, shut_down)
    worker.stop_by = math.inf
    worker.run = lambda job, work, rows, report: Result({"attempt": job.attempt})

    worker.another_consumer("worker-2").drain(LANE)

    job = worker.job("job_101")
    assert (job.state, job.worker, job.lost_attempts) == (State.SUCCEEDED, "worker-2", 0)
    assert worker.result("job_101") == {"attempt": 2}


def test_a_run_that_was_lost_and_given_up_writes_nothing(worker: FakeWorker) -> None:
    drain_until_process_ends(worker, CAUSES[StopReason.LOST])

    job = worker.job("job_101")
    assert (job.state, job.attempt, job.worker) == (State.RUNNING, 2, "worker-2")


@pytest.mark.parametrize("reason", [StopReason.CANCELED, StopReason.TIMEOUT, StopReason.SHUTDOWN])
def test_the_neighbors_of_a_run_that_was_given_up_wait_for_another_worker(
    worker: FakeWorker, reason: StopReason
) -> None:
    drain_until_process_ends(worker, CAUSES[reason], jobs=3)

    neighbors = [worker.job("job_102"), worker.job("job_103")]
    assert [(job.state, job.attempt, job.lost_attempts) for job in neighbors] == [(State.QUEUED, 0, 0)] * 2
    assert worker.waiting()[-2:] == ["job_102", "job_103"]
    assert (worker.lanes.reservations(), worker.doorbell.rung) == ([], [LANE])


def test_a_cancel_that_comes_after_a_timeout_and_before_the_end_wins(worker: FakeWorker) -> None:
    drain_until_process_ends(worker, take_too_long, before=lambda: worker.cancel("job_101"))

    assert (worker.job("job_101").state, worker.job("job_101").failure) == (State.CANCELED, None)


def test_a_store_that_is_away_does_not_keep_the_process_from_being_ended(worker: FakeWorker) -> None:
    drain_until_process_ends(worker, shut_down, jobs=2, before=lambda: setattr(worker.jobs, "is_unreachable", True))

    assert worker.ended_processes == 1
    assert (worker.job("job_101").state, worker.job("job_102").state) == (State.RUNNING, State.QUEUED)


def test_an_outage_longer_than_the_lease_ends_a_run_that_does_not_report_progress(worker: FakeWorker) -> None:
    def outage(worker: FakeWorker, _job_id: str) -> None:
        worker.jobs.is_unreachable = True
        worker.time.now += LEASE_S + 1

    drain_until_process_ends(worker, outage)

    assert worker.ended_processes == 1
    assert worker.job("job_101").state is State.RUNNING  # the reaper sees to it


# A whole worker, with a run that reports progress


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (StopReason.CANCELED, State.CANCELED),
        (StopReason.TIMEOUT, State.FAILED),
        (StopReason.SHUTDOWN, State.QUEUED),
        (StopReason.LOST, State.RUNNING),
    ],
)
def test_a_run_that_reports_progress_stops_by_itself(worker: FakeWorker, reason: StopReason, state: State) -> None:
    went_on = []

    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        CAUSES[reason](worker, job.id)
        worker.lease_thread.beat()
        report(Progress(1, 2, "stages"))
        went_on.append(job)
        return Result({})

    worker.submit()
    worker.run = run
    worker.drain(LANE)

    assert (worker.job().state, worker.ended_processes, went_on) == (state, 0, [])


def test_a_run_that_ends_before_it_notices_the_stop_keeps_its_result(worker: FakeWorker) -> None:
    def run(job: Job, work: Work, rows: bytes, report: Report) -> Result:
        take_too_long(worker, job.id)
        worker.lease_thread.beat()
        return Result({})

    worker.submit()
    worker.run = run
    worker.drain(LANE)

    assert (worker.job().state, worker.ended_processes) == (State.SUCCEEDED, 0)


def test_a_job_that_is_not_held_counts_as_lost(worker: FakeWorker) -> None:
    leases = Leases(worker.lanes, LEASE_S, lambda: math.inf, lambda holds: None)

    assert leases.reason_to_stop(Reservation(LANE, "1-0", "job_1", "worker-1")) is StopReason.LOST
