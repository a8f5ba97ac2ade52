"""One suite for every pair of Lanes and JobStore, in memory and in Redis: where jobs wait and who holds them."""

import time
from dataclasses import replace

import pytest

from queuecast.domain.errors import JobStoppedError
from queuecast.domain.job import Job, JobType, State
from queuecast.domain.lane import MAX_BYTES_PER_CLAIM
from queuecast.domain.work import Method, PredictionWork
from queuecast.ports.jobs import Accepted, JobStore
from queuecast.ports.lanes import LanePosition, Lanes, LaneStats, Reservation
from tests.queuecast.adapters.store_steps import ENDS, LANE, LOSS, WORKER, claimed, ended, started, stored, taken
from tests.queuecast.adapters.waits import at_once, until
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job, work_of

OTHER = a_job(version=2).lane
RESULT = b'{"predictions":[1]}'


def ids(reservations: list[Reservation]) -> list[str]:
    return [each.job_id for each in reservations]


def submit(jobs: JobStore, job: Job | None = None) -> Accepted:
    job = job or a_job()
    return jobs.create(job, work_of(job.type))


def sized(jobs: JobStore, n_rows: int, n_bytes: int = 1) -> str:
    job = a_job().accepted()
    jobs.create(job, PredictionWork(Method.PREDICT, n_rows), b" " * n_bytes)
    return job.id


def depth(lanes: Lanes, lane: str = LANE) -> LaneStats:
    (found,) = [each for each in lanes.stats() if each.lane == lane]
    return found


def lose(jobs: JobStore, held: Reservation, running: Job, delay_s: float) -> Job:
    waiting = running.lost(LOSS, NOW, delay_s, RETENTION_S)
    jobs.replace(waiting, entry=held.entry)
    return waiting


# Taking


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 16])
def test_the_oldest_jobs_are_taken_first_and_no_more_than_asked_for(jobs: JobStore, lanes: Lanes, limit: int) -> None:
    made = [stored(jobs).id for _ in range(3)]

    assert ids(taken(lanes, limit)) == made[:limit]


@pytest.mark.parametrize(
    ("rows", "expected"), [(1, 1), (2, 1), (5, 1), (6, 2), (7, 3), (8, 3), (16, 3), (17, 4), (1024, 5)]
)
def test_a_claim_is_bounded_in_rows_and_takes_one_job_at_least(
    jobs: JobStore, lanes: Lanes, rows: int, expected: int
) -> None:
    made = [sized(jobs, n_rows) for n_rows in (2, 4, 1, 10, 1)]

    assert ids(taken(lanes, rows)) == made[:expected]


def test_a_claim_is_bounded_in_bytes_and_takes_one_job_at_least(jobs: JobStore, lanes: Lanes) -> None:
    half, most = MAX_BYTES_PER_CLAIM // 2, MAX_BYTES_PER_CLAIM
    made = [sized(jobs, 1, n_bytes) for n_bytes in (half, half, 1, most + 1, 1)]

    assert [ids(taken(lanes, 100)) for _ in range(4)] == [made[:2], made[2:3], made[3:4], made[4:]]


def test_what_is_taken_comes_with_its_job_its_work_and_its_rows(jobs: JobStore, lanes: Lanes) -> None:
    made = [submit(jobs).job_id for _ in range(2)]

    assert [each.snapshot for each in taken(lanes, 5)] == [(jobs.read(each), *jobs.read_work(each)) for each in made]


def test_what_a_claim_left_has_a_bell(jobs: JobStore, lanes: Lanes) -> None:
    for n_rows in (2, 4):
        sized(jobs, n_rows)

    assert [lanes.reserve(LANE, WORKER, 3, clears_notification=True)[1] for _ in range(2)] == [True, False]


def attend(lanes: Lanes, rows: int = 1) -> bool:
    return lanes.reserve(LANE, WORKER, rows, clears_notification=True, stays=True)[1]


def test_jobs_that_come_while_a_worker_attends_the_lane_need_no_bell(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    attend(lanes)

    assert not submit(jobs).must_ring


def test_a_worker_that_leaves_while_jobs_wait_rings_for_another_once(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    attend(lanes)
    submit(jobs)

    assert [lanes.detach(LANE, WORKER), lanes.detach(LANE, WORKER), submit(jobs).must_ring] == [True, False, False]


def test_a_worker_that_leaves_a_lane_in_which_nothing_waits_rings_for_nobody(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    attend(lanes)

    assert not lanes.detach(LANE, WORKER)
    assert submit(jobs).must_ring


def test_a_worker_that_does_not_say_so_again_attends_no_longer(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    attend(lanes)
    taken(lanes)

    assert submit(jobs).must_ring


def test_a_backlog_that_one_claim_does_not_take_needs_another_worker(jobs: JobStore, lanes: Lanes) -> None:
    for _ in range(3):
        submit(jobs)

    assert [attend(lanes), attend(lanes)] == [True, True]


def test_while_a_worker_attends_the_lane_another_finds_nothing_there(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    attend(lanes)
    job = stored(jobs)

    assert lanes.reserve(LANE, "host:8", 16, clears_notification=True) == ([], False)
    assert ids(lanes.reserve(LANE, WORKER, 16, clears_notification=False, stays=True)[0]) == [job.id]


@pytest.mark.parametrize(
    ("n_jobs", "n_rows", "n_bytes"), [(8, 1, 1), (2, 4, 1), (1, 8, 1), (1, 1, MAX_BYTES_PER_CLAIM // 2)]
)
def test_a_backlog_is_shared_with_whoever_attends_the_lane(
    jobs: JobStore, lanes: Lanes, n_jobs: int, n_rows: int, n_bytes: int
) -> None:
    """Of half a claim or more, in rows or in bytes: a few jobs of many rows are work enough for two."""
    submit(jobs)
    attend(lanes)
    backlog = [sized(jobs, n_rows, n_bytes) for _ in range(n_jobs)]

    assert ids(lanes.reserve(LANE, "host:8", 16, clears_notification=True)[0]) == backlog


def test_a_worker_that_attended_and_was_not_heard_of_for_a_moment_keeps_nobody_out(
    jobs: JobStore, lanes: Lanes
) -> None:
    submit(jobs)
    attend(lanes)
    job = stored(jobs)

    found = until(lambda: ids(lanes.reserve(LANE, "host:8", 16, clears_notification=True)[0]))

    assert found == [job.id]


def test_a_lane_whose_worker_may_be_gone_can_be_rung_for(jobs: JobStore, lanes: Lanes) -> None:
    """The reaper notes a bell for a lane that waits with none: whoever attended it did not come back in time."""
    submit(jobs)
    attend(lanes)
    submit(jobs)
    assert depth(lanes).bell_at is not None  # somebody is on the way, with a bell or without
    assert until(lambda: depth(lanes).bell_at is None)

    lanes.record_ring(LANE)

    assert depth(lanes).bell_at is not None
    taken(lanes)
    assert submit(jobs).must_ring


def test_a_lane_that_was_emptied_is_attended_until_the_worker_leaves(jobs: JobStore, lanes: Lanes) -> None:
    stored(jobs)
    ((held,), _) = lanes.reserve(LANE, WORKER, 1, clears_notification=True, stays=True)
    jobs.replace(claimed(jobs, held).succeeded(NOW, RETENTION_S), entry=held.entry)

    assert not submit(jobs).must_ring
    assert lanes.detach(LANE, WORKER)


def test_who_does_not_attend_the_lane_cannot_leave_it(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    attend(lanes)
    submit(jobs)

    assert not lanes.detach(LANE, "host:8")
    assert not submit(jobs).must_ring


def test_a_worker_that_lingers_hears_of_what_waits(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    attend(lanes)
    submit(jobs)

    assert lanes.wait_for_job(LANE, WORKER, 5.0)


def test_a_worker_that_lingers_in_vain_does_so_no_longer_than_it_said(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    attend(lanes)
    began = time.monotonic()

    assert not lanes.wait_for_job(LANE, WORKER, 0.05)
    assert time.monotonic() - began < 5


def test_who_does_not_attend_the_lane_does_not_linger(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    attend(lanes)
    submit(jobs)
    began = time.monotonic()

    assert not lanes.wait_for_job(LANE, "host:8", 5.0)
    assert time.monotonic() - began < 4


def test_a_job_knows_how_many_are_before_it(jobs: JobStore, lanes: Lanes) -> None:
    made = [stored(jobs).id for _ in range(5)]

    assert [lanes.position(LANE, job_id) for job_id in made] == [LanePosition(place, 0) for place in range(1, 6)]
    taken(lanes, 2)
    assert [lanes.position(LANE, job_id).position for job_id in made[2:]] == [1, 2, 3]
    assert lanes.position(LANE, made[-1]).taken == 2


def test_a_job_that_was_given_back_waits_behind_the_others(jobs: JobStore, lanes: Lanes) -> None:
    first, second = (stored(jobs).id for _ in range(2))
    (held,) = taken(lanes)
    lanes.requeue(held)

    assert [lanes.position(LANE, job_id).position for job_id in (second, first)] == [1, 2]


def test_a_job_moves_up_when_one_before_it_is_canceled(jobs: JobStore, lanes: Lanes) -> None:
    _, second, third = (stored(jobs) for _ in range(3))
    jobs.replace(second.cancel_requested(NOW, RETENTION_S))

    assert lanes.position(LANE, third.id).position == 2
    assert lanes.position(LANE, second.id).position is None


@pytest.mark.parametrize("job_id", ["", "job_unknown"])
def test_a_job_that_is_not_there_stands_nowhere(lanes: Lanes, job_id: str) -> None:
    assert lanes.position(LANE, job_id) == LanePosition(None, 0)


def test_a_lane_that_was_empty_counts_anew(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)
    jobs.replace(running.succeeded(NOW, RETENTION_S), entry=held.entry)

    assert lanes.position(LANE, stored(jobs).id) == LanePosition(1, 0)


def test_a_reservation_says_lane_worker_and_job_and_has_an_entry_of_its_own(jobs: JobStore, lanes: Lanes) -> None:
    made = [stored(jobs).id for _ in range(3)]

    held = taken(lanes, 3, "host:9")

    assert [(each.lane, each.worker, each.job_id) for each in held] == [(LANE, "host:9", job_id) for job_id in made]
    assert len({each.entry for each in held}) == 3


@pytest.mark.parametrize("lane", [LANE, OTHER, "nonsense", "", "training"])
def test_a_lane_in_which_nothing_waits_gives_nothing_and_needs_no_bell(lanes: Lanes, lane: str) -> None:
    assert lanes.reserve(lane, WORKER, 5, clears_notification=True) == ([], False)


def test_what_was_reserved_is_not_reserved_again(jobs: JobStore, lanes: Lanes) -> None:
    stored(jobs)
    taken(lanes)

    assert taken(lanes, 5, "host:8") == []


def test_jobs_of_other_lanes_are_left_where_they_are(jobs: JobStore, lanes: Lanes) -> None:
    here, there = stored(jobs), stored(jobs, a_job(version=2))

    assert (ids(taken(lanes, 5)), ids(taken(lanes, 5, lane=OTHER))) == ([here.id], [there.id])


@pytest.mark.parametrize("kind", JobType)
def test_a_job_of_every_kind_waits_in_its_lane(jobs: JobStore, lanes: Lanes, kind: JobType) -> None:
    job = stored(jobs, a_job(kind))

    assert ids(taken(lanes, lane=job.lane)) == [job.id]


def test_of_workers_at_once_each_takes_others(jobs: JobStore, lanes: Lanes) -> None:
    made = [stored(jobs).id for _ in range(60)]

    def taking(worker: str) -> list[str]:
        found: list[str] = []
        while held := taken(lanes, 3, worker):
            found += ids(held)
        return found

    answers = at_once([lambda number=number: taking(f"host:{number}") for number in range(8)])  # type: ignore[misc]

    assert all(isinstance(found, list) and found == sorted(found) for found in answers), answers
    assert sorted(job_id for found in answers if isinstance(found, list) for job_id in found) == made


# Bells


def test_a_bell_is_due_for_the_first_job_and_for_no_other_until_it_was_answered(jobs: JobStore, lanes: Lanes) -> None:
    assert [submit(jobs).must_ring for _ in range(4)] == [True, False, False, False]


def test_each_lane_has_a_bell_of_its_own(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)

    assert submit(jobs, a_job(version=2)).must_ring


def test_of_submits_at_once_one_must_ring(jobs: JobStore, lanes: Lanes) -> None:
    answers = at_once([lambda: submit(jobs).must_ring] * 16)

    assert sorted(answers, key=str) == [False] * 15 + [True]


def test_the_first_job_after_an_answered_bell_must_ring(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    taken(lanes, 5)

    assert [submit(jobs).must_ring for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize(("limit", "must_ring"), [(1, True), (2, True), (3, False), (4, False)])
def test_whoever_answers_a_bell_and_leaves_jobs_must_ring_for_them(
    jobs: JobStore, lanes: Lanes, limit: int, must_ring: bool
) -> None:
    for _ in range(3):
        submit(jobs)

    assert lanes.reserve(LANE, WORKER, limit, clears_notification=True)[1] is must_ring


def test_whoever_takes_more_on_the_same_bell_need_not_ring_again_for_what_is_left(jobs: JobStore, lanes: Lanes) -> None:
    for _ in range(4):
        submit(jobs)
    lanes.reserve(LANE, WORKER, 1, clears_notification=True)

    found = [lanes.reserve(LANE, WORKER, 1, clears_notification=False)[1] for _ in range(3)]

    assert found == [False, False, False]


def test_taking_without_a_bell_leaves_the_bell_that_is_on_its_way(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)

    lanes.reserve(LANE, WORKER, 5, clears_notification=False)

    assert not submit(jobs).must_ring


def test_while_jobs_wait_a_bell_is_noted_whoever_takes_and_submits_at_once(jobs: JobStore, lanes: Lanes) -> None:
    def submitting() -> int:
        return sum(submit(jobs).must_ring for _ in range(20))

    def taking() -> int:
        return sum(lanes.reserve(LANE, WORKER, 1, clears_notification=True)[1] for _ in range(10))

    at_once([submitting, submitting, taking, taking])

    found = depth(lanes)
    assert (found.waiting + found.reserved, found.bell_at is not None) == (40, True)


def test_a_bell_that_is_rung_again_is_noted(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    first = depth(lanes).bell_at
    assert first is not None

    def later() -> bool:
        lanes.record_ring(LANE)
        return (depth(lanes).bell_at or 0) > first

    assert until(later)


def test_a_bell_for_a_lane_that_emptied_meanwhile_is_not_noted(jobs: JobStore, lanes: Lanes) -> None:
    """The next job there would think that somebody had rung for it, and wait until the bell counts as lost."""
    lanes.record_ring(LANE)

    assert submit(jobs).must_ring


# Leases


def test_renewing_says_how_each_job_stands_in_order(jobs: JobStore, lanes: Lanes) -> None:
    for _ in range(4):
        stored(jobs)
    queued, running, canceling, done = taken(lanes, 4)
    claimed(jobs, running)
    jobs.replace(claimed(jobs, canceling).cancel_requested(NOW, RETENTION_S))
    jobs.replace(claimed(jobs, done).succeeded(NOW, RETENTION_S), RESULT, done.entry)

    states = lanes.renew([done, canceling, running, queued])

    assert states == [None, State.CANCELING, State.RUNNING, State.QUEUED]


def test_renewing_nothing_says_nothing(lanes: Lanes) -> None:
    assert lanes.renew([]) == []


@pytest.mark.parametrize("how", ["succeeded", "canceled", "lost", "given back by its run", "given back", "deleted"])
def test_what_was_taken_away_is_held_no_longer(jobs: JobStore, lanes: Lanes, how: str) -> None:
    job = stored(jobs)
    (held,) = taken(lanes)
    if how == "given back":
        lanes.requeue(held)
    elif how in ("canceled", "deleted"):
        jobs.replace(job.cancel_requested(NOW, RETENTION_S))
        if how == "deleted":
            jobs.delete(job.id)
    else:
        running = claimed(jobs, held)
        moves = {
            "succeeded": lambda: running.succeeded(NOW, RETENTION_S),
            "lost": lambda: running.lost(LOSS, NOW, 0.0, RETENTION_S),
            "given back by its run": lambda: running.handed_back(NOW, RETENTION_S),
        }
        jobs.replace(moves[how](), entry=held.entry)

    assert lanes.renew([held]) == [None]


def test_what_another_worker_holds_now_is_held_no_longer_by_the_first(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)
    jobs.replace(running.handed_back(NOW, RETENTION_S), entry=held.entry)
    (again,) = taken(lanes, worker="host:8")
    claimed(jobs, again)

    assert lanes.renew([held, again]) == [None, State.RUNNING]
    assert lanes.reservations() == [again]


def test_all_that_is_reserved_is_listed_however_much_it_is(jobs: JobStore, lanes: Lanes) -> None:
    """A worker that ends gives back what is listed, and one claim alone may hold a thousand."""
    for worker in ("host:1", "host:2"):
        for _ in range(600):
            submit(jobs)
        lanes.reserve(LANE, worker, 600, clears_notification=True)

    held = lanes.reservations()

    assert len({each.entry for each in held}) == len(held) == 1200


def test_everything_that_is_reserved_is_listed_with_who_holds_it(jobs: JobStore, lanes: Lanes) -> None:
    stored(jobs), stored(jobs), stored(jobs), stored(jobs, a_job(version=2))
    held = [*taken(lanes, 1, "a:1"), *taken(lanes, 1, "b:2"), *taken(lanes, 1, "b:2", OTHER)]

    assert sorted(lanes.reservations(), key=str) == sorted(held, key=str)


def test_only_what_was_silent_for_so_long_is_listed_as_silent(jobs: JobStore, lanes: Lanes) -> None:
    silent_s = 0.4
    stored(jobs), stored(jobs)
    first, second = taken(lanes, 2)
    assert lanes.reservations(silent_s) == []
    until(lambda: len(lanes.reservations(silent_s)) == 2)

    lanes.renew([first])

    assert lanes.reservations(silent_s) == [second]


def test_a_lease_that_is_renewed_again_and_again_does_not_run_out(jobs: JobStore, lanes: Lanes) -> None:
    silent_s = 0.4
    stored(jobs), stored(jobs)
    kept, silent = taken(lanes, 2)

    def only_the_silent_one_is_listed() -> bool:
        lanes.renew([kept])
        found = lanes.reservations(silent_s)
        assert kept not in found
        return found == [silent]

    assert until(only_the_silent_one_is_listed)


# Giving back


def test_what_is_given_back_goes_to_the_end_of_its_lane(jobs: JobStore, lanes: Lanes) -> None:
    first, second = stored(jobs), stored(jobs)
    (held,) = taken(lanes)

    lanes.requeue(held)

    assert ids(taken(lanes, 5)) == [second.id, first.id]


def test_what_is_given_back_has_another_entry(jobs: JobStore, lanes: Lanes) -> None:
    stored(jobs)
    (held,) = taken(lanes)
    lanes.requeue(held)

    (again,) = taken(lanes)

    assert again.entry != held.entry


def test_giving_back_must_ring_when_nobody_else_did(jobs: JobStore, lanes: Lanes) -> None:
    stored(jobs), stored(jobs)
    first, second = taken(lanes, 2)

    assert [lanes.requeue(first), lanes.requeue(second)] == [True, False]


def test_what_was_given_back_once_is_not_given_back_again(jobs: JobStore, lanes: Lanes) -> None:
    stored(jobs)
    (held,) = taken(lanes)
    lanes.requeue(held)

    assert not lanes.requeue(held)
    assert len(taken(lanes, 5)) == 1


def test_of_many_that_give_back_at_once_one_does(jobs: JobStore, lanes: Lanes) -> None:
    stored(jobs)
    (held,) = taken(lanes)

    answers = at_once([lambda: lanes.requeue(held)] * 8)

    assert sorted(answers, key=str) == [False] * 7 + [True]
    assert depth(lanes).waiting == 1


def test_a_job_that_runs_is_not_given_back_without_its_record(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)

    assert not lanes.requeue(held)
    assert lanes.renew([held]) == [State.RUNNING]
    assert jobs.read(running.id) == running


@pytest.mark.parametrize("how", ["canceled", "expired", "deleted"])
def test_a_job_that_ended_meanwhile_is_not_given_back(jobs: JobStore, lanes: Lanes, how: str) -> None:
    job = stored(jobs)
    (held,) = taken(lanes)
    move = job.expired if how == "expired" else job.cancel_requested
    jobs.replace(move(NOW, RETENTION_S))
    if how == "deleted":
        jobs.delete(job.id)

    assert not lanes.requeue(held)
    assert (lanes.stats(), lanes.reservations()) == ([], [])


def test_a_job_that_its_run_gives_back_waits_at_the_end_at_once(jobs: JobStore, lanes: Lanes) -> None:
    first, second = stored(jobs), stored(jobs)
    (held,) = taken(lanes)
    running = claimed(jobs, held)

    jobs.replace(running.handed_back(NOW, RETENTION_S), entry=held.entry)

    assert ids(taken(lanes, 5)) == [second.id, first.id]


def test_a_run_that_gives_its_job_back_must_ring_when_nobody_else_did(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)

    assert jobs.replace(running.handed_back(NOW, RETENTION_S), entry=held.entry)


@pytest.mark.parametrize("end", ["succeeded", "failed", "progress"])
def test_a_write_that_queues_nothing_needs_no_bell(jobs: JobStore, lanes: Lanes, end: str) -> None:
    held, running = started(jobs, lanes)
    moves = {
        "succeeded": lambda: running.succeeded(NOW, RETENTION_S),
        "failed": lambda: running.failed(LOSS, NOW, RETENTION_S),
        "progress": lambda: replace(running, revision=running.revision + 1),
    }

    assert not jobs.replace(moves[end](), entry=held.entry)


# An old run


@pytest.mark.parametrize("how", ["given back", "lost", "lost and released", "taken by another", "run by another"])
def test_the_old_entry_can_write_nothing(jobs: JobStore, lanes: Lanes, how: str) -> None:
    held, running = started(jobs, lanes)
    if how.startswith("lost"):
        lose(jobs, held, running, 5.0)
        if how == "lost and released":
            lanes.enqueue_due(NOW + 5)
    else:
        jobs.replace(running.handed_back(NOW, RETENTION_S), entry=held.entry)
    if how.endswith("by another"):
        (again,) = taken(lanes, worker="host:8")
        if how == "run by another":
            claimed(jobs, again)
    before = jobs.read(running.id)
    late = replace(before, revision=before.revision + 1, state=State.SUCCEEDED, delete_at=NOW + 1, finished_at=NOW)

    with pytest.raises(JobStoppedError, match=f"job {running.id} was taken from this worker"):
        jobs.replace(late, RESULT, held.entry)

    assert jobs.read_with_result(running.id) == (before, None)


def test_the_new_entry_can_write(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)
    jobs.replace(running.handed_back(NOW, RETENTION_S), entry=held.entry)
    (again,) = taken(lanes, worker="host:8")

    last = claimed(jobs, again).succeeded(NOW, RETENTION_S)
    jobs.replace(last, RESULT, again.entry)

    assert jobs.read_with_result(running.id) == (last, RESULT)


def test_of_the_runs_end_and_the_reaper_at_once_one_writes(jobs: JobStore, lanes: Lanes) -> None:
    for _ in range(10):
        held, running = started(jobs, lanes)
        done = running.succeeded(NOW, RETENTION_S)
        back = running.lost(LOSS, NOW, 0.0, RETENTION_S)

        answers = at_once(
            [
                lambda done=done, held=held: jobs.replace(done, RESULT, held.entry),  # type: ignore[misc]
                lambda back=back, held=held: jobs.replace(back, entry=held.entry),  # type: ignore[misc]
            ]
        )

        assert sum(isinstance(answer, JobStoppedError) for answer in answers) == 1, answers
        assert jobs.read(running.id) in (done, back)


# Delays


def test_a_lost_job_waits_out_its_delay_outside_of_its_lane(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)

    waiting = lose(jobs, held, running, 5.0)

    assert (lanes.stats(), taken(lanes), jobs.read(running.id)) == ([], [], waiting)


def test_a_loss_needs_no_bell_before_its_delay_is_over(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)

    assert not jobs.replace(running.lost(LOSS, NOW, 5.0, RETENTION_S), entry=held.entry)


@pytest.mark.parametrize(("beyond_s", "is_due"), [(-0.001, False), (0.0, True), (0.001, True)])
def test_a_delay_is_over_at_its_end_and_not_before(jobs: JobStore, lanes: Lanes, beyond_s: float, is_due: bool) -> None:
    held, running = started(jobs, lanes)
    lose(jobs, held, running, 5.5)

    rung = lanes.enqueue_due(NOW + 5.5 + beyond_s)

    assert rung == ([LANE] if is_due else [])
    assert ids(taken(lanes)) == ([running.id] if is_due else [])


def test_a_job_is_released_once(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)
    lose(jobs, held, running, 1.0)

    answers = at_once([lambda: lanes.enqueue_due(NOW + 1)] * 8)

    assert sorted(answers, key=str) == [[LANE]] + [[]] * 7
    assert depth(lanes).waiting == 1


def lost_with_delays(jobs: JobStore, lanes: Lanes, delays_s: list[float], version: int = 1) -> list[str]:
    made = []
    for delay_s in delays_s:
        held, running = started(jobs, lanes, a_job(version=version))
        lose(jobs, held, running, delay_s)
        made.append(running.id)
    return made


def test_released_jobs_wait_in_the_order_in_which_their_delays_end(jobs: JobStore, lanes: Lanes) -> None:
    third, first, second = lost_with_delays(jobs, lanes, [3.0, 1.0, 2.0])

    lanes.enqueue_due(NOW + 10)

    assert ids(taken(lanes, 5)) == [first, second, third]


def test_each_lane_is_named_once_and_only_when_no_bell_is_on_its_way(jobs: JobStore, lanes: Lanes) -> None:
    lost_with_delays(jobs, lanes, [1.0, 1.0, 2.0])
    lost_with_delays(jobs, lanes, [1.0], version=2)
    lost_with_delays(jobs, lanes, [1.0], version=3)
    submit(jobs, a_job(version=3))

    assert sorted(lanes.enqueue_due(NOW + 5)) == [LANE, OTHER]


def test_a_job_that_is_canceled_while_it_waits_out_its_delay_does_not_come_back(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)
    waiting = lose(jobs, held, running, 5.0)
    jobs.replace(waiting.cancel_requested(NOW, RETENTION_S))

    assert (lanes.enqueue_due(NOW + 10), lanes.stats()) == ([], [])


def test_a_released_job_runs_again_with_the_next_number(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)
    lose(jobs, held, running, 5.0)
    lanes.enqueue_due(NOW + 5)
    (again,) = taken(lanes, worker="host:8")

    second = claimed(jobs, again)

    assert (second.attempt, second.lost_attempts, second.worker) == (2, 1, "host:8")
    assert again.entry != held.entry


# Ends


@pytest.mark.parametrize("end", ENDS)
def test_an_ended_job_is_in_no_lane_and_held_by_nobody(jobs: JobStore, lanes: Lanes, end: str) -> None:
    ended(jobs, lanes, end)

    assert (lanes.stats(), lanes.reservations(), taken(lanes), lanes.enqueue_due(NOW + 1e6)) == ([], [], [], [])


@pytest.mark.parametrize("end", ENDS)
def test_the_first_job_in_a_lane_that_emptied_must_ring(jobs: JobStore, lanes: Lanes, end: str) -> None:
    ended(jobs, lanes, end)

    assert submit(jobs).must_ring


def test_the_end_of_one_job_leaves_the_others(jobs: JobStore, lanes: Lanes) -> None:
    first, second, third = stored(jobs), stored(jobs), stored(jobs)
    (held,) = taken(lanes)

    jobs.replace(second.cancel_requested(NOW, RETENTION_S))

    assert ids(lanes.reservations()) == [first.id]
    assert ids(taken(lanes, 5)) == [third.id]
    assert lanes.renew([held]) == [State.QUEUED]


# How lanes stand


def test_every_lane_with_a_job_is_listed_by_name_with_its_counts(jobs: JobStore, lanes: Lanes) -> None:
    for _ in range(3):
        stored(jobs)
    stored(jobs, a_job(version=2)), stored(jobs, a_job(JobType.TRAINING))
    taken(lanes, 2)
    taken(lanes, 5, lane=OTHER)

    found = [(each.lane, each.waiting, each.reserved) for each in lanes.stats()]

    assert found == [(LANE, 1, 2), (OTHER, 0, 1), ("training", 1, 0)]


def test_the_age_of_a_lane_is_that_of_the_oldest_job_that_nobody_took(jobs: JobStore, lanes: Lanes) -> None:
    stored(jobs)
    first = depth(lanes).oldest_at
    assert first is not None
    until(lambda: time.time() > first + 0.002)
    stored(jobs)

    taken(lanes)

    second = depth(lanes).oldest_at
    assert second is not None
    assert first < second <= time.time() + 0.001


def test_a_lane_whose_jobs_are_all_taken_has_no_oldest(jobs: JobStore, lanes: Lanes) -> None:
    stored(jobs)
    taken(lanes)

    assert (depth(lanes).waiting, depth(lanes).oldest_at) == (0, None)


def test_a_lane_tells_when_it_was_last_rung_for(jobs: JobStore, lanes: Lanes) -> None:
    before = time.time()
    stored(jobs), stored(jobs)

    rung_at = depth(lanes).bell_at
    lanes.reserve(LANE, WORKER, 5, clears_notification=True)

    assert rung_at is not None
    assert before - 0.001 <= rung_at <= time.time() + 0.001
    assert depth(lanes).bell_at is None


def test_the_depths_add_up_while_jobs_come_and_go(jobs: JobStore, lanes: Lanes) -> None:
    """What was held at one look and how many there were at the next made fewer than none when jobs ended between."""

    def working(worker: str) -> None:
        for _ in range(40):
            for _ in range(4):
                stored(jobs)
            for held in taken(lanes, 4, worker):
                running = claimed(jobs, held)
                jobs.replace(running.succeeded(NOW, RETENTION_S), RESULT, held.entry)

    def looking() -> set[bool]:
        found = [each for _ in range(300) for each in lanes.stats()]
        return {0 <= each.waiting <= 8 and 0 <= each.reserved <= 8 for each in found}

    answers = at_once([lambda: working("a"), lambda: working("b"), looking])

    assert (answers[:2], answers[2] <= {True}) == ([None, None], True), answers  # type: ignore[operator]


def test_tidying_takes_nothing_from_anybody(jobs: JobStore, lanes: Lanes) -> None:
    for _ in range(3):
        stored(jobs)
    held = taken(lanes, 2)

    lanes.forget_workers(silent_s=0.0)

    assert (lanes.renew(held), len(taken(lanes, 5))) == ([State.QUEUED] * 2, 1)
