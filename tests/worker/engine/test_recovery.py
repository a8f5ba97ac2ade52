"""The reaper recovers the jobs of silent workers, lets jobs expire and rings for lanes. Repeating it does no harm."""

import threading

import pytest

from queuecast.adapters.memory.doorbell import MemoryDoorbell
from queuecast.domain.errors import Failure, UnavailableError
from queuecast.domain.job import Job, State
from queuecast.domain.lane import Lane
from queuecast.ports.lanes import Reservation
from tests.unreachable import UnreachableDoorbell
from tests.worker.fake_worker import LANE, NOW, RETENTION_S, FakeWorker, UnreliableJobs, event_names

LOST = Failure("worker_lost", "the process that ran the job died")


def reservation_of(worker: FakeWorker, job_id: str = "job_1") -> Reservation:
    (found,) = [each for each in worker.lanes.reservations() if each.job_id == job_id]
    return found


def submit_to_a_silent_worker(worker: FakeWorker, **fields: object) -> Job:
    """A job that runs on a worker that has gone silent."""
    job = worker.submit(**fields)
    worker.lanes.reserve(LANE, "worker-1", 1, clears_bell=True)
    worker.write(lambda present: present.claimed("worker-1", worker.now), job.id)
    worker.let_lease_expire(job.id)
    return job


# Silent workers


def test_a_job_of_a_silent_worker_runs_elsewhere_after_a_delay(worker: FakeWorker) -> None:
    submit_to_a_silent_worker(worker)
    reaper = worker.reaper()

    reaper.sweep()
    delayed = worker.job()
    worker.now = NOW + 0.5
    reaper.sweep()
    worker.another_consumer("worker-2").drain(LANE)

    assert (delayed.state, delayed.not_before, delayed.worker) == (State.QUEUED, NOW + 0.5, None)
    assert (worker.job().state, worker.job().attempt, worker.job().lost_attempts) == (State.SUCCEEDED, 2, 1)
    assert event_names(worker.job()) == ["accepted", "claimed", "lost", "retried", "claimed", "finished"]


def test_a_lost_job_names_the_silent_worker(worker: FakeWorker) -> None:
    submit_to_a_silent_worker(worker)

    worker.reaper().sweep()

    (lost,) = [entry for entry in worker.job().timeline if entry.event.value == "lost"]
    assert (lost.worker, lost.detail) == ("worker-1", "worker worker-1 did not renew its lease for 30 s")


def test_a_worker_that_renews_its_lease_keeps_its_job(worker: FakeWorker) -> None:
    worker.submit()
    reservations, _ = worker.lanes.reserve(LANE, "worker-1", 1, clears_bell=True)
    worker.write(lambda present: present.claimed("worker-1", worker.now))
    worker.let_lease_expire()
    worker.lanes.renew(reservations)

    worker.reaper().sweep()

    assert (worker.job().state, reservation_of(worker).worker) == (State.RUNNING, "worker-1")


def test_the_lane_of_a_delayed_job_is_rung_for_once_the_delay_is_over(worker: FakeWorker) -> None:
    submit_to_a_silent_worker(worker)
    reaper = worker.reaper()

    reaper.sweep()
    worker.now = NOW + 0.499
    reaper.sweep()
    early = list(worker.doorbell.rung)
    worker.now = NOW + 0.5
    reaper.sweep()

    assert (early, worker.doorbell.rung, worker.waiting()) == ([], [LANE], ["job_1"])


def test_a_job_that_was_held_but_not_started_loses_no_attempt_and_waits_again_at_once(worker: FakeWorker) -> None:
    worker.submit()
    worker.lanes.reserve(LANE, "worker-1", 1, clears_bell=True)
    worker.let_lease_expire()

    worker.reaper().sweep()

    assert (worker.job().state, worker.job().attempt, worker.job().lost_attempts) == (State.QUEUED, 0, 0)
    assert (worker.waiting(), worker.doorbell.rung, event_names(worker.job())) == (["job_1"], [LANE], ["accepted"])


def test_a_job_that_kills_its_workers_is_a_dead_letter_after_its_last_attempt(worker: FakeWorker) -> None:
    worker.submit(max_attempts=3)
    reaper = worker.reaper()
    for _ in range(3):
        worker.lanes.reserve(LANE, "worker-1", 1, clears_bell=True)
        worker.write(lambda present: present.claimed("worker-1", worker.now))
        worker.let_lease_expire()
        reaper.sweep()
        worker.now += 60
        reaper.sweep()

    job = worker.job()
    assert job.failure == Failure("worker_lost", "worker worker-1 did not renew its lease for 30 s")
    assert (job.state, job.attempt, job.lost_attempts, job.is_dead_letter) == (State.FAILED, 3, 3, True)
    assert job.delete_at == job.finished_at + 7 * RETENTION_S  # type: ignore[operator]
    assert [letter.id for letter in worker.jobs.dead_letters(None, 10).jobs] == ["job_1"]
    assert worker.lanes.stats() == []


def test_the_neighbors_of_a_lost_job_are_released_without_a_delay(worker: FakeWorker) -> None:
    submit_to_a_silent_worker(worker)
    worker.submit()
    worker.lanes.reserve(LANE, "worker-1", 1, clears_bell=True)
    worker.let_lease_expire("job_2")

    worker.reaper().sweep()

    assert (worker.waiting(), worker.job("job_2").lost_attempts) == (["job_2"], 0)


def test_a_canceling_job_of_a_silent_worker_is_canceled(worker: FakeWorker) -> None:
    submit_to_a_silent_worker(worker)
    worker.cancel()

    worker.reaper().sweep()

    assert (worker.job().state, worker.job().failure, worker.job().is_dead_letter) == (State.CANCELED, None, False)
    assert worker.lanes.stats() == []


@pytest.mark.parametrize("failure", [None, LOST, Failure("timeout", "too long")], ids=["stopped", "died", "timeout"])
def test_a_canceled_job_has_the_normal_retention_whatever_ended_its_worker(
    worker: FakeWorker, failure: Failure | None
) -> None:
    """Once it was kept as long as a dead letter if its worker had died."""
    submit_to_a_silent_worker(worker)
    worker.cancel()

    worker.reaper().recover(reservation_of(worker), failure)

    assert (worker.job().state, worker.job().delete_at) == (State.CANCELED, worker.now + RETENTION_S)


def test_a_run_that_returns_after_its_job_was_recovered_writes_nothing(worker: FakeWorker) -> None:
    def go_silent(*_: object) -> object:
        worker.let_lease_expire()
        worker.reaper().sweep()
        return original(*_)

    original = worker.run
    worker.submit()
    worker.run = go_silent  # type: ignore[assignment]
    worker.drain(LANE)

    assert (worker.job().state, worker.job().lost_attempts, worker.result()) == (State.QUEUED, 1, None)


# Recovery by a worker's main process


def test_a_job_of_a_stopped_worker_is_handed_back_at_once_and_loses_no_attempt(worker: FakeWorker) -> None:
    submit_to_a_silent_worker(worker)

    worker.reaper().recover(reservation_of(worker), None)

    assert (worker.job().state, worker.job().lost_attempts, worker.job().not_before) == (State.QUEUED, 0, None)
    assert (worker.waiting(), worker.doorbell.rung) == (["job_1"], [LANE])


def test_a_job_whose_process_took_too_long_runs_again_alone(
    worker: FakeWorker,
) -> None:
    submit_to_a_silent_worker(worker)

    worker.reaper().recover(reservation_of(worker), Failure("timeout", "ended after 360 s"))

    assert (worker.job().state, worker.job().lost_attempts, worker.job().runs_alone) == (State.QUEUED, 1, True)


def test_a_job_that_ran_alone_and_took_too_long_fails(
    worker: FakeWorker,
) -> None:
    submit_to_a_silent_worker(worker, runs_alone=True)

    worker.reaper().recover(reservation_of(worker), Failure("timeout", "ended after 360 s"))

    assert (worker.job().state, worker.job().failure) == (State.FAILED, Failure("timeout", "ended after 360 s"))
    assert not worker.job().is_dead_letter


def test_a_job_whose_process_died_is_retried(worker: FakeWorker) -> None:
    submit_to_a_silent_worker(worker)

    worker.reaper().recover(reservation_of(worker), LOST)

    assert (worker.job().state, worker.job().lost_attempts, worker.job().not_before) == (State.QUEUED, 1, NOW + 0.5)


@pytest.mark.parametrize("failure", [None, LOST, Failure("timeout", "too long")], ids=["stopped", "died", "timeout"])
def test_a_job_recovered_twice_is_recovered_once(worker: FakeWorker, failure: Failure | None) -> None:
    submit_to_a_silent_worker(worker)
    reservation, reaper = reservation_of(worker), worker.reaper()

    reaper.recover(reservation, failure)
    recovered = worker.job()
    reaper.recover(reservation, LOST)

    assert worker.job() == recovered


def test_a_job_that_another_worker_runs_is_not_taken_from_it(worker: FakeWorker) -> None:
    worker.submit()
    worker.lanes.reserve(LANE, "worker-1", 1, clears_bell=True)
    reservation = reservation_of(worker)
    worker.write(lambda present: present.claimed("worker-1", worker.now))
    worker.take_over()

    worker.reaper().recover(reservation, LOST)

    assert (worker.job().state, worker.job().worker, worker.job().lost_attempts) == (State.RUNNING, "worker-2", 1)


def test_a_job_that_has_ended_is_not_recovered(worker: FakeWorker) -> None:
    submit_to_a_silent_worker(worker)
    reservation = reservation_of(worker)
    worker.write(lambda present: present.succeeded(worker.now, RETENTION_S))
    ended = worker.job()

    worker.reaper().recover(reservation, LOST)

    assert worker.job() == ended


# Deadlines


@pytest.mark.parametrize(
    ("expires_at", "state"),
    [
        (NOW - 1, State.EXPIRED),
        (NOW, State.EXPIRED),
        (NOW + 0.001, State.QUEUED),
        (None, State.QUEUED),
    ],
)
def test_a_job_that_was_not_started_in_time_expires_without_a_worker(
    worker: FakeWorker, expires_at: float | None, state: State
) -> None:
    worker.submit(expires_at=expires_at)

    worker.reaper().sweep()

    assert worker.job().state is state
    assert worker.waiting() == (["job_1"] if state is State.QUEUED else [])


def test_an_expired_job_says_so_in_its_timeline(worker: FakeWorker) -> None:
    worker.submit(expires_at=NOW)

    worker.reaper().sweep()

    assert (worker.job().timeline[-1].detail, worker.job().delete_at) == ("expired", NOW + RETENTION_S)


def test_a_job_that_runs_does_not_expire(worker: FakeWorker) -> None:
    submit_to_a_silent_worker(worker, expires_at=NOW + 1)
    worker.lanes.renew([reservation_of(worker)])
    worker.now += 10

    worker.reaper().sweep()

    assert worker.job().state is State.RUNNING


def test_a_job_claimed_between_the_read_and_the_expiry_runs(worker: FakeWorker) -> None:
    worker.submit(expires_at=NOW)
    worker.jobs.concurrent_writes = [lambda: worker.write(lambda present: present.claimed("worker-1", NOW - 1))]

    worker.reaper().sweep()

    assert worker.job().state is State.RUNNING


# Bells


@pytest.mark.parametrize(
    ("age_s", "messages_waiting", "is_rung"),
    [
        (1.5, 0, False),
        (2.0, 0, False),
        (2.5, 0, True),
        (2.5, 1, False),
        (5.0, 1, False),
        (5.5, 1, True),
        (-3600, 1, True),
    ],
)
def test_a_lane_with_waiting_jobs_and_a_lost_or_late_bell_is_rung_for(
    worker: FakeWorker, age_s: float, messages_waiting: int, is_rung: bool
) -> None:
    worker.submit()
    worker.jobs.bells[LANE] = NOW - age_s

    worker.reaper(messages_waiting=messages_waiting).sweep()

    assert worker.doorbell.rung == ([LANE] if is_rung else [])


def submit_with_late_bells(worker: FakeWorker, *lanes: str) -> None:
    """Jobs with waiting bells, the bell of the first lane being the oldest."""
    for number, lane in enumerate(lanes):
        worker.submit(lane=lane)
        worker.jobs.bells[lane] = NOW - 15 + number


def test_a_bell_that_was_lost_is_rung_again_with_the_priority_of_its_lane(worker: FakeWorker) -> None:
    worker.submit()
    worker.jobs.bells.clear()

    worker.reaper(messages_waiting=3).sweep()

    assert (worker.doorbell.rung, worker.doorbell.overtaking) == ([LANE], [])


def test_of_starved_lanes_only_the_oldest_gets_an_overtaking_bell(worker: FakeWorker) -> None:
    """An overtaking bell for all of them at once delayed urgent lanes: with 120 batches a prediction waited 30 s."""
    submit_with_late_bells(
        worker, "prediction/b/1/predict/low", "prediction/a/1/predict/low", "prediction/c/1/predict/low"
    )

    worker.reaper(messages_waiting=3).sweep()
    worker.reaper(messages_waiting=3).sweep()

    assert worker.doorbell.rung == worker.doorbell.overtaking == ["prediction/b/1/predict/low"]


def test_the_next_starved_lane_gets_an_overtaking_bell_once_the_last_one_was_answered(worker: FakeWorker) -> None:
    submit_with_late_bells(
        worker, "prediction/b/1/predict/low", "prediction/a/1/predict/low", "prediction/c/1/predict/low"
    )
    answered = []

    for _ in range(4):
        worker.reaper(messages_waiting=3).sweep()
        answered += worker.doorbell.overtaking
        worker.doorbell.overtaking.clear()

    assert answered == [f"prediction/{model}/1/predict/low" for model in "bac"]


def test_messages_do_not_pile_up_while_no_worker_runs(worker: FakeWorker) -> None:
    for model in "abcdef":
        worker.submit(lane=f"prediction/{model}/1/predict")

    for _ in range(100):
        worker.now += 5
        worker.reaper(messages_waiting=6).sweep()

    assert len(worker.doorbell.rung) == 1


def test_a_lane_that_a_worker_attends_needs_no_bell(worker: FakeWorker) -> None:
    worker.submit()
    worker.lanes.reserve(LANE, "worker-1", 1, clears_bell=True, stays=True)
    worker.submit()

    worker.reaper().sweep()

    assert worker.doorbell.rung == []


def test_a_lane_that_was_never_rung_for_is_rung_for(worker: FakeWorker) -> None:
    worker.submit()
    worker.jobs.bells.clear()

    worker.reaper().sweep()

    assert worker.doorbell.rung == [LANE]


def test_a_lane_whose_jobs_are_all_held_needs_no_bell(worker: FakeWorker) -> None:
    worker.submit()
    worker.lanes.reserve(LANE, "worker-1", 1, clears_bell=True)

    worker.reaper().sweep()

    assert worker.doorbell.rung == []


def test_a_lane_that_was_rung_for_again_is_not_rung_for_at_the_next_sweep(worker: FakeWorker) -> None:
    worker.submit()
    worker.jobs.bells.clear()
    reaper = worker.reaper()

    reaper.sweep()
    reaper.sweep()

    assert worker.doorbell.rung == [LANE]


def test_the_reaper_recovers_jobs_while_the_message_queue_is_away(worker: FakeWorker) -> None:
    submit_to_a_silent_worker(worker)
    worker.submit(expires_at=NOW)
    worker.submit()
    worker.jobs.bells.clear()

    worker.reaper(doorbell=UnreachableDoorbell()).sweep()

    assert [worker.job(f"job_{number}").state for number in (1, 2, 3)] == [State.QUEUED, State.EXPIRED, State.QUEUED]
    assert worker.job("job_1").lost_attempts == 1


# Lanes of a later version, which have waiting jobs after a rollback


class DoorbellOfKnownTypes(MemoryDoorbell):
    """Refuses a lane of an unknown type, as Celery's doorbell does."""

    def ring(self, lane: str, *, is_overtaking: bool = False) -> bool:
        Lane.of_name(lane)
        return super().ring(lane, is_overtaking=is_overtaking)


def test_a_lost_bell_is_rung_again_in_spite_of_a_lane_of_an_unknown_type(worker: FakeWorker) -> None:
    """Once every sweep ended at that lane."""
    for lane in ("later_type/x", LANE, f"{LANE}/urgent"):
        worker.submit(lane=lane)
    worker.jobs.bells.clear()
    doorbell = DoorbellOfKnownTypes()

    worker.reaper(doorbell=doorbell).sweep()

    assert doorbell.rung == [LANE, f"{LANE}/urgent"]


def test_delayed_jobs_are_rung_for_in_spite_of_one_of_an_unknown_type(worker: FakeWorker) -> None:
    for lane in ("later_type/x", LANE, f"{LANE}/urgent"):
        job = worker.submit(lane=lane)
        worker.jobs.leave(job.id)
        worker.jobs.delayed[job.id] = NOW
    worker.jobs.bells.clear()
    doorbell = DoorbellOfKnownTypes()

    worker.reaper(doorbell=doorbell).sweep()

    assert doorbell.rung == [LANE, f"{LANE}/urgent"]


# All of it


def test_a_sweep_of_nothing_changes_nothing(worker: FakeWorker) -> None:
    worker.reaper().sweep()

    assert (worker.lanes.stats(), worker.doorbell.rung) == ([], [])


def test_a_store_that_is_away_ends_the_sweep(worker: FakeWorker) -> None:
    submit_to_a_silent_worker(worker)
    worker.jobs.is_unreachable = True

    with pytest.raises(UnavailableError):
        worker.reaper().sweep()


class JobsWithUnreadableRecord(UnreliableJobs):
    """A store with one record that cannot be read, such as one of another release."""

    def read(self, job_id: str) -> Job:
        if job_id == "job_1":
            raise ValueError("a field is missing")
        return super().read(job_id)


def test_an_unreadable_record_does_not_block_the_repair_of_other_jobs(worker: FakeWorker) -> None:
    """Once every sweep ended at the unreadable record."""
    worker.jobs.__class__ = JobsWithUnreadableRecord
    for expires_at in (None, None, NOW, NOW):
        worker.submit(expires_at=expires_at)
    worker.lanes.reserve(LANE, "worker-1", 2, clears_bell=True)
    worker.write(lambda present: present.claimed("worker-1", worker.now), "job_2")
    worker.let_lease_expire("job_1")
    worker.let_lease_expire("job_2")

    worker.reaper().sweep()

    states = [worker.job(f"job_{number}").state for number in (2, 3, 4)]
    assert (states, worker.job("job_2").lost_attempts) == ([State.QUEUED, State.EXPIRED, State.EXPIRED], 1)


def test_two_reapers_at_once_do_each_thing_once(worker: FakeWorker) -> None:
    """Two lead for a moment after one of them was silent for longer than its term."""
    for _ in range(20):
        submit_to_a_silent_worker(worker)
    for _ in range(20):
        worker.submit(expires_at=NOW)
    for _ in range(20):
        worker.submit()
    start = threading.Barrier(4)

    def sweep() -> None:
        start.wait()
        worker.reaper().sweep()

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    jobs = [worker.job(f"job_{number}") for number in range(1, 61)]
    assert {event_names(job).count("lost") for job in jobs[:20]} == {1}
    assert {(job.lost_attempts, job.attempt) for job in jobs[:20]} == {(1, 1)}
    assert {tuple(event_names(job)) for job in jobs[20:40]} == {("accepted", "finished")}
    assert len(worker.waiting()) == len(set(worker.waiting())) == 20
    assert len(worker.jobs.delayed) == 20


def test_two_reapers_at_once_release_each_delayed_job_once(worker: FakeWorker) -> None:
    for _ in range(20):
        submit_to_a_silent_worker(worker)
    worker.reaper().sweep()
    worker.now += 60
    start = threading.Barrier(4)

    def sweep() -> None:
        start.wait()
        worker.reaper().sweep()

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(worker.waiting()) == sorted(f"job_{number}" for number in range(1, 21))
    assert worker.doorbell.rung == [LANE]
