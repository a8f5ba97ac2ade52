"""The reaper gives back what silent workers held, lets jobs expire and rings for lanes, and twice is once."""

import threading

import pytest

from queuecast.domain.errors import UnavailableError
from queuecast.domain.job import Failure, Job, State
from queuecast.ports.lanes import Reservation
from tests.worker.fake_worker import LANE, NOW, RETENTION_S, AwayBells, FickleJobs, Stage

LOST = Failure("worker_lost", "the process that ran the job died")


def held(stage: Stage, job_id: str = "job_1") -> Reservation:
    (found,) = [each for each in stage.lanes.reservations() if each.job_id == job_id]
    return found


def started(stage: Stage, **fields: object) -> Job:
    """A job that a worker runs, which is not heard of any more."""
    job = stage.submitted(**fields)
    stage.lanes.reserve(LANE, "worker-1", 1, clears_notification=True)
    stage.write(lambda present: present.claimed("worker-1", stage.now), job.id)
    stage.silence(job.id)
    return job


def events(job: Job) -> list[str]:
    return [moment.event.value for moment in job.timeline]


# Silent workers


def test_a_job_of_a_silent_worker_waits_out_a_delay_and_is_run_by_another(stage: Stage) -> None:
    started(stage)
    reaper = stage.reaper()

    reaper.sweep()
    delayed = stage.job()
    stage.now = NOW + 0.5
    reaper.sweep()
    stage.worker("worker-2").drain(LANE)

    assert (delayed.state, delayed.not_before, delayed.worker) == (State.QUEUED, NOW + 0.5, None)
    assert (stage.job().state, stage.job().attempt, stage.job().lost_attempts) == (State.SUCCEEDED, 2, 1)
    assert events(stage.job()) == ["accepted", "claimed", "lost", "retried", "claimed", "finished"]


def test_a_lost_job_says_whose_silence_it_was(stage: Stage) -> None:
    started(stage)

    stage.reaper().sweep()

    (lost,) = [moment for moment in stage.job().timeline if moment.event.value == "lost"]
    assert (lost.worker, lost.detail) == ("worker-1", "worker worker-1 did not renew its lease for 30 s")


def test_a_worker_that_is_heard_of_keeps_its_job(stage: Stage) -> None:
    stage.submitted()
    reservations, _ = stage.lanes.reserve(LANE, "worker-1", 1, clears_notification=True)
    stage.write(lambda present: present.claimed("worker-1", stage.now))
    stage.silence()
    stage.lanes.renew(reservations)

    stage.reaper().sweep()

    assert (stage.job().state, held(stage).worker) == (State.RUNNING, "worker-1")


def test_the_lane_of_a_delayed_job_is_rung_for_when_the_delay_is_over_and_not_before(stage: Stage) -> None:
    started(stage)
    reaper = stage.reaper()

    reaper.sweep()
    stage.now = NOW + 0.499
    reaper.sweep()
    early = list(stage.bells.rung)
    stage.now = NOW + 0.5
    reaper.sweep()

    assert (early, stage.bells.rung, stage.waiting()) == ([], [LANE], ["job_1"])


def test_a_job_that_was_held_and_not_started_costs_no_attempt_and_waits_again_at_once(stage: Stage) -> None:
    stage.submitted()
    stage.lanes.reserve(LANE, "worker-1", 1, clears_notification=True)
    stage.silence()

    stage.reaper().sweep()

    assert (stage.job().state, stage.job().attempt, stage.job().lost_attempts) == (State.QUEUED, 0, 0)
    assert (stage.waiting(), stage.bells.rung, events(stage.job())) == (["job_1"], [LANE], ["accepted"])


def test_a_job_that_ends_its_workers_is_a_dead_letter_after_its_last_attempt(stage: Stage) -> None:
    stage.submitted(max_attempts=3)
    reaper = stage.reaper()
    for _ in range(3):
        stage.lanes.reserve(LANE, "worker-1", 1, clears_notification=True)
        stage.write(lambda present: present.claimed("worker-1", stage.now))
        stage.silence()
        reaper.sweep()
        stage.now += 60
        reaper.sweep()

    job = stage.job()
    assert job.failure == Failure("worker_lost", "worker worker-1 did not renew its lease for 30 s")
    assert (job.state, job.attempt, job.lost_attempts, job.is_dead_letter) == (State.FAILED, 3, 3, True)
    assert job.delete_at == job.finished_at + 7 * RETENTION_S  # type: ignore[operator]
    assert [letter.id for letter in stage.jobs.dead_letters(None, 10).jobs] == ["job_1"]
    assert stage.lanes.stats() == []


def test_the_neighbors_of_a_lost_job_are_given_back_without_a_delay(stage: Stage) -> None:
    started(stage)
    stage.submitted()
    stage.lanes.reserve(LANE, "worker-1", 1, clears_notification=True)
    stage.silence("job_2")

    stage.reaper().sweep()

    assert (stage.waiting(), stage.job("job_2").lost_attempts) == (["job_2"], 0)


def test_a_canceling_job_of_a_silent_worker_is_canceled(stage: Stage) -> None:
    started(stage)
    stage.cancel()

    stage.reaper().sweep()

    assert (stage.job().state, stage.job().failure, stage.job().is_dead_letter) == (State.CANCELED, None, False)
    assert stage.lanes.stats() == []


@pytest.mark.parametrize("failure", [None, LOST, Failure("timeout", "too long")], ids=["stopped", "died", "timeout"])
def test_a_canceled_job_is_kept_as_long_as_any_other_whatever_ended_its_worker(
    stage: Stage, failure: Failure | None
) -> None:
    """It was kept as long as a dead letter when its worker had died."""
    started(stage)
    stage.cancel()

    stage.reaper().recover(held(stage), failure)

    assert (stage.job().state, stage.job().delete_at) == (State.CANCELED, stage.now + RETENTION_S)


def test_a_run_that_comes_back_after_it_was_taken_for_lost_writes_nothing(stage: Stage) -> None:
    def go_silent(*_: object) -> object:
        stage.silence()
        stage.reaper().sweep()
        return original(*_)

    original = stage.run
    stage.submitted()
    stage.run = go_silent  # type: ignore[assignment]
    stage.execution.drain(LANE)

    assert (stage.job().state, stage.job().lost_attempts, stage.result()) == (State.QUEUED, 1, None)


# What a worker's main process knows of its children


def test_a_job_of_a_worker_that_stopped_is_given_back_at_once_and_lost_no_attempt(stage: Stage) -> None:
    started(stage)

    stage.reaper().recover(held(stage), None)

    assert (stage.job().state, stage.job().lost_attempts, stage.job().not_before) == (State.QUEUED, 0, None)
    assert (stage.waiting(), stage.bells.rung) == (["job_1"], [LANE])


def test_a_job_whose_process_was_ended_for_its_time_is_tried_again_alone_because_it_may_have_had_company(
    stage: Stage,
) -> None:
    started(stage)

    stage.reaper().recover(held(stage), Failure("timeout", "ended after 360 s"))

    assert (stage.job().state, stage.job().lost_attempts, stage.job().runs_alone) == (State.QUEUED, 1, True)


def test_a_job_that_ran_alone_and_whose_process_was_ended_for_its_time_fails_and_is_not_tried_again(
    stage: Stage,
) -> None:
    started(stage, runs_alone=True)

    stage.reaper().recover(held(stage), Failure("timeout", "ended after 360 s"))

    assert (stage.job().state, stage.job().failure) == (State.FAILED, Failure("timeout", "ended after 360 s"))
    assert not stage.job().is_dead_letter


def test_a_job_whose_process_died_is_tried_again(stage: Stage) -> None:
    started(stage)

    stage.reaper().recover(held(stage), LOST)

    assert (stage.job().state, stage.job().lost_attempts, stage.job().not_before) == (State.QUEUED, 1, NOW + 0.5)


@pytest.mark.parametrize("failure", [None, LOST, Failure("timeout", "too long")], ids=["stopped", "died", "timeout"])
def test_a_job_recovered_twice_is_recovered_once(stage: Stage, failure: Failure | None) -> None:
    started(stage)
    reservation, reaper = held(stage), stage.reaper()

    reaper.recover(reservation, failure)
    recovered = stage.job()
    reaper.recover(reservation, LOST)

    assert stage.job() == recovered


def test_a_job_that_another_worker_runs_by_now_is_not_taken_from_it(stage: Stage) -> None:
    stage.submitted()
    stage.lanes.reserve(LANE, "worker-1", 1, clears_notification=True)
    reservation = held(stage)
    stage.write(lambda present: present.claimed("worker-1", stage.now))
    stage.take_over()

    stage.reaper().recover(reservation, LOST)

    assert (stage.job().state, stage.job().worker, stage.job().lost_attempts) == (State.RUNNING, "worker-2", 1)


def test_a_job_that_ended_meanwhile_is_left_as_it_is(stage: Stage) -> None:
    started(stage)
    reservation = held(stage)
    stage.write(lambda present: present.succeeded(stage.now, RETENTION_S))
    ended = stage.job()

    stage.reaper().recover(reservation, LOST)

    assert stage.job() == ended


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
def test_a_job_that_nobody_started_in_time_expires_without_a_worker(
    stage: Stage, expires_at: float | None, state: State
) -> None:
    stage.submitted(expires_at=expires_at)

    stage.reaper().sweep()

    assert stage.job().state is state
    assert stage.waiting() == (["job_1"] if state is State.QUEUED else [])


def test_an_expired_job_says_so_in_its_timeline(stage: Stage) -> None:
    stage.submitted(expires_at=NOW)

    stage.reaper().sweep()

    assert (stage.job().timeline[-1].detail, stage.job().delete_at) == ("expired", NOW + RETENTION_S)


def test_a_job_that_runs_does_not_expire(stage: Stage) -> None:
    started(stage, expires_at=NOW + 1)
    stage.lanes.renew([held(stage)])
    stage.now += 10

    stage.reaper().sweep()

    assert stage.job().state is State.RUNNING


def test_a_job_claimed_between_the_look_and_the_expiry_is_run(stage: Stage) -> None:
    stage.submitted(expires_at=NOW)
    stage.jobs.writes = [lambda: stage.write(lambda present: present.claimed("worker-1", NOW - 1))]

    stage.reaper().sweep()

    assert stage.job().state is State.RUNNING


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
def test_a_lane_that_waits_without_a_bell_is_rung_for(
    stage: Stage, age_s: float, messages_waiting: int, is_rung: bool
) -> None:
    stage.submitted()
    stage.jobs.bells[LANE] = NOW - age_s

    stage.reaper(messages_waiting=messages_waiting).sweep()

    assert stage.bells.rung == ([LANE] if is_rung else [])


def late(stage: Stage, *lanes: str) -> None:
    """Jobs whose bells wait, the first lane's the longest."""
    for number, lane in enumerate(lanes):
        stage.submitted(lane=lane)
        stage.jobs.bells[lane] = NOW - 15 + number


def test_a_bell_that_was_lost_is_rung_again_as_urgently_as_before(stage: Stage) -> None:
    stage.submitted()
    stage.jobs.bells.clear()

    stage.reaper(messages_waiting=3).sweep()

    assert (stage.bells.rung, stage.bells.urgent) == ([LANE], [])


def test_of_bells_that_others_keep_passing_the_oldest_is_rung_again_before_all_others(stage: Stage) -> None:
    """All at once, they had passed what is urgent: with 120 batches a prediction waited for half a minute."""
    late(stage, "prediction/b/1/predict/low", "prediction/a/1/predict/low", "prediction/c/1/predict/low")

    stage.reaper(messages_waiting=3).sweep()
    stage.reaper(messages_waiting=3).sweep()

    assert stage.bells.rung == stage.bells.urgent == ["prediction/b/1/predict/low"]


def test_when_it_was_answered_the_next_one_is_rung_for(stage: Stage) -> None:
    late(stage, "prediction/b/1/predict/low", "prediction/a/1/predict/low", "prediction/c/1/predict/low")
    answered = []

    for _ in range(4):
        stage.reaper(messages_waiting=3).sweep()
        answered += stage.bells.urgent
        stage.bells.urgent.clear()

    assert answered == [f"prediction/{model}/1/predict/low" for model in "bac"]


def test_while_nobody_works_messages_do_not_pile_up(stage: Stage) -> None:
    for model in "abcdef":
        stage.submitted(lane=f"prediction/{model}/1/predict")

    for _ in range(100):
        stage.now += 5
        stage.reaper(messages_waiting=6).sweep()

    assert len(stage.bells.rung) == 1


def test_a_lane_that_a_worker_attends_needs_no_bell(stage: Stage) -> None:
    stage.submitted()
    stage.lanes.reserve(LANE, "worker-1", 1, clears_notification=True, stays=True)
    stage.submitted()

    stage.reaper().sweep()

    assert stage.bells.rung == []


def test_a_lane_that_was_never_rung_for_is_rung_for(stage: Stage) -> None:
    stage.submitted()
    stage.jobs.bells.clear()

    stage.reaper().sweep()

    assert stage.bells.rung == [LANE]


def test_a_lane_whose_jobs_are_all_held_needs_no_bell(stage: Stage) -> None:
    stage.submitted()
    stage.lanes.reserve(LANE, "worker-1", 1, clears_notification=True)

    stage.reaper().sweep()

    assert stage.bells.rung == []


def test_a_lane_that_was_rung_for_again_is_not_rung_for_at_the_next_sweep(stage: Stage) -> None:
    stage.submitted()
    stage.jobs.bells.clear()
    reaper = stage.reaper()

    reaper.sweep()
    reaper.sweep()

    assert stage.bells.rung == [LANE]


def test_a_queue_that_is_away_keeps_the_reaper_from_nothing_else(stage: Stage) -> None:
    started(stage)
    stage.submitted(expires_at=NOW)
    stage.submitted()
    stage.jobs.bells.clear()

    stage.reaper(bells=AwayBells()).sweep()

    assert [stage.job(f"job_{number}").state for number in (1, 2, 3)] == [State.QUEUED, State.EXPIRED, State.QUEUED]
    assert stage.job("job_1").lost_attempts == 1


# All of it


def test_a_sweep_of_nothing_changes_nothing(stage: Stage) -> None:
    stage.reaper().sweep()

    assert (stage.lanes.stats(), stage.bells.rung) == ([], [])


def test_a_store_that_is_away_ends_the_sweep(stage: Stage) -> None:
    started(stage)
    stage.jobs.is_away = True

    with pytest.raises(UnavailableError):
        stage.reaper().sweep()


class OneBadRecord(FickleJobs):
    """A store with one record that cannot be read, such as one of another release."""

    def read(self, job_id: str) -> Job:
        if job_id == "job_1":
            raise ValueError("a field is missing")
        return super().read(job_id)


def test_one_record_that_cannot_be_read_does_not_keep_the_others_from_being_repaired(stage: Stage) -> None:
    """The sweep ended at it, and began with it again each time."""
    stage.jobs.__class__ = OneBadRecord
    for expires_at in (None, None, NOW, NOW):
        stage.submitted(expires_at=expires_at)
    stage.lanes.reserve(LANE, "worker-1", 2, clears_notification=True)
    stage.write(lambda present: present.claimed("worker-1", stage.now), "job_2")
    stage.silence("job_1")
    stage.silence("job_2")

    stage.reaper().sweep()

    states = [stage.job(f"job_{number}").state for number in (2, 3, 4)]
    assert (states, stage.job("job_2").lost_attempts) == ([State.QUEUED, State.EXPIRED, State.EXPIRED], 1)


def test_two_reapers_at_once_do_each_thing_once(stage: Stage) -> None:
    """Two lead for a moment when one of them was silent for longer than its term."""
    for _ in range(20):
        started(stage)
    for _ in range(20):
        stage.submitted(expires_at=NOW)
    for _ in range(20):
        stage.submitted()
    start = threading.Barrier(4)

    def sweep() -> None:
        start.wait()
        stage.reaper().sweep()

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    jobs = [stage.job(f"job_{number}") for number in range(1, 61)]
    assert {events(job).count("lost") for job in jobs[:20]} == {1}
    assert {(job.lost_attempts, job.attempt) for job in jobs[:20]} == {(1, 1)}
    assert {tuple(events(job)) for job in jobs[20:40]} == {("accepted", "finished")}
    assert len(stage.waiting()) == len(set(stage.waiting())) == 20
    assert len(stage.jobs.delayed) == 20


def test_two_reapers_that_release_delayed_jobs_at_once_put_each_in_its_lane_once(stage: Stage) -> None:
    for _ in range(20):
        started(stage)
    stage.reaper().sweep()
    stage.now += 60
    start = threading.Barrier(4)

    def sweep() -> None:
        start.wait()
        stage.reaper().sweep()

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(stage.waiting()) == sorted(f"job_{number}" for number in range(1, 21))
    assert stage.bells.rung == [LANE]
