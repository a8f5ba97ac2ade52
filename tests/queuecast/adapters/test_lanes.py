"""One suite for every pair of Lanes and JobStore, in memory and in Redis: waiting jobs and their workers."""

import time
from dataclasses import replace

import pytest

from queuecast.domain.errors import JobStoppedError
from queuecast.domain.job import Job, JobType, State
from queuecast.domain.lane import MAX_RESERVED_BYTES
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


def submit_sized(jobs: JobStore, n_rows: int, n_bytes: int = 1) -> str:
    job = a_job().accepted()
    jobs.create(job, PredictionWork(Method.PREDICT, n_rows), b" " * n_bytes)
    return job.id


def stats_of(lanes: Lanes, lane: str = LANE) -> LaneStats:
    (found,) = [each for each in lanes.stats() if each.lane == lane]
    return found


def lose(jobs: JobStore, held: Reservation, running: Job, delay_s: float) -> Job:
    waiting = running.lost(LOSS, NOW, delay_s, RETENTION_S)
    jobs.replace(waiting, entry=held.entry)
    return waiting


# Reserving


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 16])
def test_the_oldest_jobs_are_reserved_first_up_to_the_limit(jobs: JobStore, lanes: Lanes, limit: int) -> None:
    made = [stored(jobs).id for _ in range(3)]

    assert ids(taken(lanes, limit)) == made[:limit]


@pytest.mark.parametrize(
    ("rows", "expected"), [(1, 1), (2, 1), (5, 1), (6, 2), (7, 3), (8, 3), (16, 3), (17, 4), (1024, 5)]
)
def test_a_claim_is_limited_in_rows_and_has_at_least_one_job(
    jobs: JobStore, lanes: Lanes, rows: int, expected: int
) -> None:
    made = [submit_sized(jobs, n_rows) for n_rows in (2, 4, 1, 10, 1)]

    assert ids(taken(lanes, rows)) == made[:expected]


def test_a_claim_is_limited_in_bytes_and_has_at_least_one_job(jobs: JobStore, lanes: Lanes) -> None:
    half, limit = MAX_RESERVED_BYTES // 2, MAX_RESERVED_BYTES
    made = [submit_sized(jobs, 1, n_bytes) for n_bytes in (half, half, 1, limit + 1, 1)]

    assert [ids(taken(lanes, 100)) for _ in range(4)] == [made[:2], made[2:3], made[3:4], made[4:]]


def test_a_reservation_has_the_job_its_work_and_its_rows(jobs: JobStore, lanes: Lanes) -> None:
    made = [submit(jobs).job_id for _ in range(2)]

    assert [each.snapshot for each in taken(lanes, 5)] == [(jobs.read(each), *jobs.read_work(each)) for each in made]


def test_jobs_left_by_a_claim_need_a_ring(jobs: JobStore, lanes: Lanes) -> None:
    for n_rows in (2, 4):
        submit_sized(jobs, n_rows)

    assert [lanes.reserve(LANE, WORKER, 3, clears_bell=True)[1] for _ in range(2)] == [True, False]


def reserve_and_stay(lanes: Lanes, rows: int = 1) -> bool:
    return lanes.reserve(LANE, WORKER, rows, clears_bell=True, stays=True)[1]


def test_jobs_that_enter_an_attended_lane_need_no_ring(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    reserve_and_stay(lanes)

    assert not submit(jobs).must_ring


def test_a_worker_that_detaches_from_waiting_jobs_must_ring_once(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    reserve_and_stay(lanes)
    submit(jobs)

    assert [lanes.detach(LANE, WORKER), lanes.detach(LANE, WORKER), submit(jobs).must_ring] == [True, False, False]


def test_a_worker_that_detaches_from_an_empty_lane_need_not_ring(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    reserve_and_stay(lanes)

    assert not lanes.detach(LANE, WORKER)
    assert submit(jobs).must_ring


def test_a_claim_without_stays_ends_the_attendance(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    reserve_and_stay(lanes)
    taken(lanes)

    assert submit(jobs).must_ring


def test_a_backlog_larger_than_one_claim_needs_a_ring_for_another_worker(jobs: JobStore, lanes: Lanes) -> None:
    for _ in range(3):
        submit(jobs)

    assert [reserve_and_stay(lanes), reserve_and_stay(lanes)] == [True, True]


def test_another_worker_gets_nothing_from_an_attended_lane(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    reserve_and_stay(lanes)
    job = stored(jobs)

    assert lanes.reserve(LANE, "host:8", 16, clears_bell=True) == ([], False)
    assert ids(lanes.reserve(LANE, WORKER, 16, clears_bell=False, stays=True)[0]) == [job.id]


@pytest.mark.parametrize(
    ("n_jobs", "n_rows", "n_bytes"), [(8, 1, 1), (2, 4, 1), (1, 8, 1), (1, 1, MAX_RESERVED_BYTES // 2)]
)
def test_another_worker_gets_a_backlog_of_half_a_claim_from_an_attended_lane(
    jobs: JobStore, lanes: Lanes, n_jobs: int, n_rows: int, n_bytes: int
) -> None:
    """A few jobs with many rows are enough work for two, so a backlog is measured in rows and bytes."""
    submit(jobs)
    reserve_and_stay(lanes)
    backlog = [submit_sized(jobs, n_rows, n_bytes) for _ in range(n_jobs)]

    assert ids(lanes.reserve(LANE, "host:8", 16, clears_bell=True)[0]) == backlog


def test_an_attending_worker_that_was_silent_for_a_moment_does_not_block_others(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    reserve_and_stay(lanes)
    job = stored(jobs)

    found = until(lambda: ids(lanes.reserve(LANE, "host:8", 16, clears_bell=True)[0]))

    assert found == [job.id]


def test_a_lane_can_be_rung_for_when_its_attending_worker_is_silent(jobs: JobStore, lanes: Lanes) -> None:
    """The reaper rings for a lane whose attending worker did not come back in time."""
    submit(jobs)
    reserve_and_stay(lanes)
    submit(jobs)
    assert stats_of(lanes).worker_expected_since is not None  # the attending worker counts as a bell
    assert until(lambda: stats_of(lanes).worker_expected_since is None)

    lanes.record_ring(LANE)

    assert stats_of(lanes).worker_expected_since is not None
    taken(lanes)
    assert submit(jobs).must_ring


def test_an_emptied_lane_stays_attended_until_the_worker_detaches(jobs: JobStore, lanes: Lanes) -> None:
    stored(jobs)
    ((held,), _) = lanes.reserve(LANE, WORKER, 1, clears_bell=True, stays=True)
    jobs.replace(claimed(jobs, held).succeeded(NOW, RETENTION_S), entry=held.entry)

    assert not submit(jobs).must_ring
    assert lanes.detach(LANE, WORKER)


def test_only_the_attending_worker_can_detach(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    reserve_and_stay(lanes)
    submit(jobs)

    assert not lanes.detach(LANE, "host:8")
    assert not submit(jobs).must_ring


def test_an_attending_worker_gets_a_job_that_is_waiting_already(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    reserve_and_stay(lanes)
    submit(jobs)

    assert lanes.wait_for_job(LANE, WORKER, 5.0)


def test_waiting_for_a_job_ends_after_the_timeout(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    reserve_and_stay(lanes)
    began = time.monotonic()

    assert not lanes.wait_for_job(LANE, WORKER, 0.05)
    assert time.monotonic() - began < 5


def test_only_the_attending_worker_waits_for_a_job(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    reserve_and_stay(lanes)
    submit(jobs)
    began = time.monotonic()

    assert not lanes.wait_for_job(LANE, "host:8", 5.0)
    assert time.monotonic() - began < 4


def test_the_position_of_a_job_counts_the_jobs_before_it(jobs: JobStore, lanes: Lanes) -> None:
    made = [stored(jobs).id for _ in range(5)]

    assert [lanes.position(LANE, job_id) for job_id in made] == [LanePosition(place, 0) for place in range(1, 6)]
    taken(lanes, 2)
    assert [lanes.position(LANE, job_id).position for job_id in made[2:]] == [1, 2, 3]
    assert lanes.position(LANE, made[-1]).taken == 2


def test_a_requeued_job_is_behind_the_others(jobs: JobStore, lanes: Lanes) -> None:
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
def test_an_unknown_job_has_no_position(lanes: Lanes, job_id: str) -> None:
    assert lanes.position(LANE, job_id) == LanePosition(None, 0)


def test_the_count_of_taken_jobs_starts_again_after_the_lane_was_empty(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)
    jobs.replace(running.succeeded(NOW, RETENTION_S), entry=held.entry)

    assert lanes.position(LANE, stored(jobs).id) == LanePosition(1, 0)


def test_a_reservation_has_its_lane_worker_and_job_and_a_unique_entry(jobs: JobStore, lanes: Lanes) -> None:
    made = [stored(jobs).id for _ in range(3)]

    held = taken(lanes, 3, "host:9")

    assert [(each.lane, each.worker, each.job_id) for each in held] == [(LANE, "host:9", job_id) for job_id in made]
    assert len({each.entry for each in held}) == 3


@pytest.mark.parametrize("lane", [LANE, OTHER, "nonsense", "", "training"])
def test_an_empty_lane_gives_nothing_and_needs_no_ring(lanes: Lanes, lane: str) -> None:
    assert lanes.reserve(lane, WORKER, 5, clears_bell=True) == ([], False)


def test_a_reserved_job_is_not_reserved_again(jobs: JobStore, lanes: Lanes) -> None:
    stored(jobs)
    taken(lanes)

    assert taken(lanes, 5, "host:8") == []


def test_only_jobs_of_the_given_lane_are_reserved(jobs: JobStore, lanes: Lanes) -> None:
    here, there = stored(jobs), stored(jobs, a_job(version=2))

    assert (ids(taken(lanes, 5)), ids(taken(lanes, 5, lane=OTHER))) == ([here.id], [there.id])


@pytest.mark.parametrize("kind", JobType)
def test_a_job_of_every_kind_waits_in_its_lane(jobs: JobStore, lanes: Lanes, kind: JobType) -> None:
    job = stored(jobs, a_job(kind))

    assert ids(taken(lanes, lane=job.lane)) == [job.id]


def test_concurrent_workers_reserve_different_jobs(jobs: JobStore, lanes: Lanes) -> None:
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


def test_only_the_first_job_needs_a_ring_until_a_worker_has_come(jobs: JobStore, lanes: Lanes) -> None:
    assert [submit(jobs).must_ring for _ in range(4)] == [True, False, False, False]


def test_each_lane_needs_its_own_ring(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)

    assert submit(jobs, a_job(version=2)).must_ring


def test_exactly_one_of_concurrent_submits_must_ring(jobs: JobStore, lanes: Lanes) -> None:
    answers = at_once([lambda: submit(jobs).must_ring] * 16)

    assert sorted(answers, key=str) == [False] * 15 + [True]


def test_the_first_job_after_a_worker_has_come_needs_a_ring(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    taken(lanes, 5)

    assert [submit(jobs).must_ring for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize(("limit", "must_ring"), [(1, True), (2, True), (3, False), (4, False)])
def test_a_worker_that_leaves_jobs_waiting_must_ring(jobs: JobStore, lanes: Lanes, limit: int, must_ring: bool) -> None:
    for _ in range(3):
        submit(jobs)

    assert lanes.reserve(LANE, WORKER, limit, clears_bell=True)[1] is must_ring


def test_a_second_claim_after_the_same_bell_need_not_ring_again(jobs: JobStore, lanes: Lanes) -> None:
    for _ in range(4):
        submit(jobs)
    lanes.reserve(LANE, WORKER, 1, clears_bell=True)

    found = [lanes.reserve(LANE, WORKER, 1, clears_bell=False)[1] for _ in range(3)]

    assert found == [False, False, False]


def test_a_claim_without_a_bell_does_not_clear_the_bell(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)

    lanes.reserve(LANE, WORKER, 5, clears_bell=False)

    assert not submit(jobs).must_ring


def test_a_lane_with_waiting_jobs_has_a_bell_under_concurrent_claims_and_submits(jobs: JobStore, lanes: Lanes) -> None:
    def submitting() -> int:
        return sum(submit(jobs).must_ring for _ in range(20))

    def taking() -> int:
        return sum(lanes.reserve(LANE, WORKER, 1, clears_bell=True)[1] for _ in range(10))

    at_once([submitting, submitting, taking, taking])

    found = stats_of(lanes)
    assert (found.waiting + found.reserved, found.worker_expected_since is not None) == (40, True)


def test_a_repeated_ring_is_recorded(jobs: JobStore, lanes: Lanes) -> None:
    submit(jobs)
    first = stats_of(lanes).worker_expected_since
    assert first is not None

    def later() -> bool:
        lanes.record_ring(LANE)
        return (stats_of(lanes).worker_expected_since or 0) > first

    assert until(later)


def test_a_ring_for_an_empty_lane_is_not_recorded(jobs: JobStore, lanes: Lanes) -> None:
    """Otherwise the next job would wait, without a ring, until that bell counts as lost."""
    lanes.record_ring(LANE)

    assert submit(jobs).must_ring


# Leases


def test_renewing_returns_the_state_of_each_job_in_order(jobs: JobStore, lanes: Lanes) -> None:
    for _ in range(4):
        stored(jobs)
    queued, running, canceling, done = taken(lanes, 4)
    claimed(jobs, running)
    jobs.replace(claimed(jobs, canceling).cancel_requested(NOW, RETENTION_S))
    jobs.replace(claimed(jobs, done).succeeded(NOW, RETENTION_S), RESULT, done.entry)

    states = lanes.renew([done, canceling, running, queued])

    assert states == [None, State.CANCELING, State.RUNNING, State.QUEUED]


def test_renewing_nothing_returns_nothing(lanes: Lanes) -> None:
    assert lanes.renew([]) == []


@pytest.mark.parametrize("how", ["succeeded", "canceled", "lost", "given back by its run", "given back", "deleted"])
def test_a_job_that_left_its_worker_is_not_renewed(jobs: JobStore, lanes: Lanes, how: str) -> None:
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


def test_a_job_that_another_worker_holds_is_not_renewed_for_the_first(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)
    jobs.replace(running.handed_back(NOW, RETENTION_S), entry=held.entry)
    (again,) = taken(lanes, worker="host:8")
    claimed(jobs, again)

    assert lanes.renew([held, again]) == [None, State.RUNNING]
    assert lanes.reservations() == [again]


def test_more_than_a_thousand_reservations_are_listed(jobs: JobStore, lanes: Lanes) -> None:
    """A worker that ends requeues the listed jobs, and one claim can hold a thousand."""
    for worker in ("host:1", "host:2"):
        for _ in range(600):
            submit(jobs)
        lanes.reserve(LANE, worker, 600, clears_bell=True)

    held = lanes.reservations()

    assert len({each.entry for each in held}) == len(held) == 1200


def test_every_reservation_is_listed_with_its_worker(jobs: JobStore, lanes: Lanes) -> None:
    stored(jobs), stored(jobs), stored(jobs), stored(jobs, a_job(version=2))
    held = [*taken(lanes, 1, "a:1"), *taken(lanes, 1, "b:2"), *taken(lanes, 1, "b:2", OTHER)]

    assert sorted(lanes.reservations(), key=str) == sorted(held, key=str)


def test_only_reservations_silent_for_long_enough_are_listed(jobs: JobStore, lanes: Lanes) -> None:
    silent_s = 0.4
    stored(jobs), stored(jobs)
    first, second = taken(lanes, 2)
    assert lanes.reservations(silent_s) == []
    until(lambda: len(lanes.reservations(silent_s)) == 2)

    lanes.renew([first])

    assert lanes.reservations(silent_s) == [second]


def test_a_renewed_lease_does_not_expire(jobs: JobStore, lanes: Lanes) -> None:
    silent_s = 0.4
    stored(jobs), stored(jobs)
    renewed, silent = taken(lanes, 2)

    def only_the_silent_one_is_listed() -> bool:
        lanes.renew([renewed])
        found = lanes.reservations(silent_s)
        assert renewed not in found
        return found == [silent]

    assert until(only_the_silent_one_is_listed)


# Requeuing


def test_a_requeued_job_goes_to_the_end_of_its_lane(jobs: JobStore, lanes: Lanes) -> None:
    first, second = stored(jobs), stored(jobs)
    (held,) = taken(lanes)

    lanes.requeue(held)

    assert ids(taken(lanes, 5)) == [second.id, first.id]


def test_a_requeued_job_has_a_new_entry(jobs: JobStore, lanes: Lanes) -> None:
    stored(jobs)
    (held,) = taken(lanes)
    lanes.requeue(held)

    (again,) = taken(lanes)

    assert again.entry != held.entry


def test_the_first_requeued_job_needs_a_ring(jobs: JobStore, lanes: Lanes) -> None:
    stored(jobs), stored(jobs)
    first, second = taken(lanes, 2)

    assert [lanes.requeue(first), lanes.requeue(second)] == [True, False]


def test_a_reservation_can_be_requeued_only_once(jobs: JobStore, lanes: Lanes) -> None:
    stored(jobs)
    (held,) = taken(lanes)
    lanes.requeue(held)

    assert not lanes.requeue(held)
    assert len(taken(lanes, 5)) == 1


def test_exactly_one_of_concurrent_requeues_succeeds(jobs: JobStore, lanes: Lanes) -> None:
    stored(jobs)
    (held,) = taken(lanes)

    answers = at_once([lambda: lanes.requeue(held)] * 8)

    assert sorted(answers, key=str) == [False] * 7 + [True]
    assert stats_of(lanes).waiting == 1


def test_a_running_job_is_not_requeued(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)

    assert not lanes.requeue(held)
    assert lanes.renew([held]) == [State.RUNNING]
    assert jobs.read(running.id) == running


@pytest.mark.parametrize("how", ["canceled", "expired", "deleted"])
def test_an_ended_job_is_not_requeued(jobs: JobStore, lanes: Lanes, how: str) -> None:
    job = stored(jobs)
    (held,) = taken(lanes)
    move = job.expired if how == "expired" else job.cancel_requested
    jobs.replace(move(NOW, RETENTION_S))
    if how == "deleted":
        jobs.delete(job.id)

    assert not lanes.requeue(held)
    assert (lanes.stats(), lanes.reservations()) == ([], [])


def test_a_job_handed_back_by_its_run_goes_to_the_end_of_its_lane(jobs: JobStore, lanes: Lanes) -> None:
    first, second = stored(jobs), stored(jobs)
    (held,) = taken(lanes)
    running = claimed(jobs, held)

    jobs.replace(running.handed_back(NOW, RETENTION_S), entry=held.entry)

    assert ids(taken(lanes, 5)) == [second.id, first.id]


def test_a_run_that_hands_back_the_only_job_must_ring(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)

    assert jobs.replace(running.handed_back(NOW, RETENTION_S), entry=held.entry)


@pytest.mark.parametrize("end", ["succeeded", "failed", "progress"])
def test_a_write_that_queues_nothing_needs_no_ring(jobs: JobStore, lanes: Lanes, end: str) -> None:
    held, running = started(jobs, lanes)
    moves = {
        "succeeded": lambda: running.succeeded(NOW, RETENTION_S),
        "failed": lambda: running.failed(LOSS, NOW, RETENTION_S),
        "progress": lambda: replace(running, revision=running.revision + 1),
    }

    assert not jobs.replace(moves[end](), entry=held.entry)


# Old runs


@pytest.mark.parametrize("how", ["given back", "lost", "lost and released", "taken by another", "run by another"])
def test_a_write_under_an_old_entry_is_refused(jobs: JobStore, lanes: Lanes, how: str) -> None:
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


def test_a_write_under_the_new_entry_succeeds(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)
    jobs.replace(running.handed_back(NOW, RETENTION_S), entry=held.entry)
    (again,) = taken(lanes, worker="host:8")

    last = claimed(jobs, again).succeeded(NOW, RETENTION_S)
    jobs.replace(last, RESULT, again.entry)

    assert jobs.read_with_result(running.id) == (last, RESULT)


def test_either_the_run_or_the_reaper_writes_but_not_both(jobs: JobStore, lanes: Lanes) -> None:
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


def test_a_lost_job_is_not_in_its_lane_during_its_delay(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)

    waiting = lose(jobs, held, running, 5.0)

    assert (lanes.stats(), taken(lanes), jobs.read(running.id)) == ([], [], waiting)


def test_a_lost_job_needs_no_ring_before_its_delay_is_over(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)

    assert not jobs.replace(running.lost(LOSS, NOW, 5.0, RETENTION_S), entry=held.entry)


@pytest.mark.parametrize(("beyond_s", "is_due"), [(-0.001, False), (0.0, True), (0.001, True)])
def test_a_job_is_enqueued_when_its_delay_ends_and_not_before(
    jobs: JobStore, lanes: Lanes, beyond_s: float, is_due: bool
) -> None:
    held, running = started(jobs, lanes)
    lose(jobs, held, running, 5.5)

    rung = lanes.enqueue_due(NOW + 5.5 + beyond_s)

    assert rung == ([LANE] if is_due else [])
    assert ids(taken(lanes)) == ([running.id] if is_due else [])


def test_a_delayed_job_is_enqueued_only_once(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)
    lose(jobs, held, running, 1.0)

    answers = at_once([lambda: lanes.enqueue_due(NOW + 1)] * 8)

    assert sorted(answers, key=str) == [[LANE]] + [[]] * 7
    assert stats_of(lanes).waiting == 1


def lost_with_delays(jobs: JobStore, lanes: Lanes, delays_s: list[float], version: int = 1) -> list[str]:
    made = []
    for delay_s in delays_s:
        held, running = started(jobs, lanes, a_job(version=version))
        lose(jobs, held, running, delay_s)
        made.append(running.id)
    return made


def test_delayed_jobs_are_enqueued_in_the_order_of_their_delays(jobs: JobStore, lanes: Lanes) -> None:
    third, first, second = lost_with_delays(jobs, lanes, [3.0, 1.0, 2.0])

    lanes.enqueue_due(NOW + 10)

    assert ids(taken(lanes, 5)) == [first, second, third]


def test_each_lane_without_a_bell_is_returned_once(jobs: JobStore, lanes: Lanes) -> None:
    lost_with_delays(jobs, lanes, [1.0, 1.0, 2.0])
    lost_with_delays(jobs, lanes, [1.0], version=2)
    lost_with_delays(jobs, lanes, [1.0], version=3)
    submit(jobs, a_job(version=3))

    assert sorted(lanes.enqueue_due(NOW + 5)) == [LANE, OTHER]


def test_a_job_canceled_during_its_delay_is_not_enqueued(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)
    waiting = lose(jobs, held, running, 5.0)
    jobs.replace(waiting.cancel_requested(NOW, RETENTION_S))

    assert (lanes.enqueue_due(NOW + 10), lanes.stats()) == ([], [])


def test_a_delayed_job_runs_again_as_the_next_attempt(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)
    lose(jobs, held, running, 5.0)
    lanes.enqueue_due(NOW + 5)
    (again,) = taken(lanes, worker="host:8")

    second = claimed(jobs, again)

    assert (second.attempt, second.lost_attempts, second.worker) == (2, 1, "host:8")
    assert again.entry != held.entry


# Ends


@pytest.mark.parametrize("end", ENDS)
def test_an_ended_job_is_in_no_lane_and_no_worker_holds_it(jobs: JobStore, lanes: Lanes, end: str) -> None:
    ended(jobs, lanes, end)

    assert (lanes.stats(), lanes.reservations(), taken(lanes), lanes.enqueue_due(NOW + 1e6)) == ([], [], [], [])


@pytest.mark.parametrize("end", ENDS)
def test_the_first_job_of_an_emptied_lane_needs_a_ring(jobs: JobStore, lanes: Lanes, end: str) -> None:
    ended(jobs, lanes, end)

    assert submit(jobs).must_ring


def test_the_end_of_a_job_does_not_affect_the_others(jobs: JobStore, lanes: Lanes) -> None:
    first, second, third = stored(jobs), stored(jobs), stored(jobs)
    (held,) = taken(lanes)

    jobs.replace(second.cancel_requested(NOW, RETENTION_S))

    assert ids(lanes.reservations()) == [first.id]
    assert ids(taken(lanes, 5)) == [third.id]
    assert lanes.renew([held]) == [State.QUEUED]


# Stats


def test_every_lane_with_a_job_is_listed_in_order_with_its_counts(jobs: JobStore, lanes: Lanes) -> None:
    for _ in range(3):
        stored(jobs)
    stored(jobs, a_job(version=2)), stored(jobs, a_job(JobType.TRAINING))
    taken(lanes, 2)
    taken(lanes, 5, lane=OTHER)

    found = [(each.lane, each.waiting, each.reserved) for each in lanes.stats()]

    assert found == [(LANE, 1, 2), (OTHER, 0, 1), ("training", 1, 0)]


def test_the_age_of_a_lane_is_that_of_its_oldest_waiting_job(jobs: JobStore, lanes: Lanes) -> None:
    stored(jobs)
    first = stats_of(lanes).oldest_at
    assert first is not None
    until(lambda: time.time() > first + 0.002)
    stored(jobs)

    taken(lanes)

    second = stats_of(lanes).oldest_at
    assert second is not None
    assert first < second <= time.time() + 0.001


def test_a_lane_without_waiting_jobs_has_no_age(jobs: JobStore, lanes: Lanes) -> None:
    stored(jobs)
    taken(lanes)

    assert (stats_of(lanes).waiting, stats_of(lanes).oldest_at) == (0, None)


def test_the_stats_have_the_time_of_the_last_ring(jobs: JobStore, lanes: Lanes) -> None:
    before = time.time()
    stored(jobs), stored(jobs)

    rung_at = stats_of(lanes).worker_expected_since
    lanes.reserve(LANE, WORKER, 5, clears_bell=True)

    assert rung_at is not None
    assert before - 0.001 <= rung_at <= time.time() + 0.001
    assert stats_of(lanes).worker_expected_since is None


def test_the_stats_add_up_while_jobs_come_and_go(jobs: JobStore, lanes: Lanes) -> None:
    """Counts from two separate reads once gave a negative number when jobs ended in between."""

    def working(worker: str) -> None:
        for _ in range(40):
            for _ in range(4):
                stored(jobs)
            for held in taken(lanes, 4, worker):
                running = claimed(jobs, held)
                jobs.replace(running.succeeded(NOW, RETENTION_S), RESULT, held.entry)

    def reading() -> set[bool]:
        found = [each for _ in range(300) for each in lanes.stats()]
        return {0 <= each.waiting <= 8 and 0 <= each.reserved <= 8 for each in found}

    answers = at_once([lambda: working("a"), lambda: working("b"), reading])

    assert (answers[:2], answers[2] <= {True}) == ([None, None], True), answers  # type: ignore[operator]


def test_forgetting_workers_takes_no_reservation_away(jobs: JobStore, lanes: Lanes) -> None:
    for _ in range(3):
        stored(jobs)
    held = taken(lanes, 2)

    lanes.forget_workers(silent_s=0.0)

    assert (lanes.renew(held), len(taken(lanes, 5))) == ([State.QUEUED] * 2, 1)
