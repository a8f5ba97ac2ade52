"""One suite for every JobStore, in memory and in Redis: reads, writes, listings and changes.

test_job_acceptance.py tests how jobs are accepted, and test_lanes.py where they wait.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from queuecast.domain.errors import (
    Failure,
    Finding,
    GoneJobError,
    IllegalMoveError,
    JobStoppedError,
    StaleWriteError,
    UnknownJobError,
)
from queuecast.domain.job import Job, JobType, ModelRef, Progress, State
from queuecast.ports.jobs import JobFilter, JobStore, Write
from queuecast.ports.lanes import Lanes
from tests.queuecast.adapters.store_steps import ENDS, changed_ids, claimed, ended, listed_ids, started, stored, taken
from tests.queuecast.adapters.waits import Listener, at_once
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job, work_of

PREDICTION = work_of(JobType.PREDICTION)
RESULT = b'{"predictions":[1]}'


def run_to_success(jobs: JobStore, job: Job, result: bytes | None = None) -> Job:
    running = job.claimed("host:7", NOW)
    jobs.replace(running)
    last = running.succeeded(NOW, RETENTION_S)
    jobs.replace(last, result)
    return last


# Reading and writing


@pytest.mark.parametrize("kind", JobType)
def test_a_job_is_read_as_it_was_written(jobs: JobStore, kind: JobType) -> None:
    job = a_job(kind, expires_at=NOW + 5, metadata={"who": "Zoë", "tags": [1, None, 2.5, {"deep": True}]})

    jobs.create(job, work_of(kind), b"[[1]]")

    assert jobs.read(job.id) == job


@pytest.mark.parametrize("kind", JobType)
def test_the_work_is_read_as_it_was_written(jobs: JobStore, kind: JobType) -> None:
    job = a_job(kind)

    jobs.create(job, work_of(kind), b"")

    assert jobs.read_work(job.id) == (work_of(kind), b"")


def test_the_work_of_a_succeeded_job_is_unknown(jobs: JobStore) -> None:
    job = stored(jobs)
    run_to_success(jobs, job, RESULT)

    with pytest.raises(UnknownJobError):
        jobs.read_work(job.id)


@pytest.mark.parametrize("count", [0, 1, 2, 130])
def test_several_jobs_are_written_like_each_alone(jobs: JobStore, lanes: Lanes, count: int) -> None:
    made = [stored(jobs) for _ in range(count)]
    held = taken(lanes, 1000)
    running = [job.claimed("host:7", NOW) for job in made]

    claims = jobs.replace_all([Write(job, None, each.entry) for job, each in zip(running, held, strict=True)])
    last = [job.succeeded(NOW, RETENTION_S) for job in running]
    ends = jobs.replace_all([Write(job, RESULT, each.entry) for job, each in zip(last, held, strict=True)])

    assert (claims, ends) == ([False] * count, [False] * count)
    assert [jobs.read_with_result(job.id) for job in made] == [(job, RESULT) for job in last]
    assert lanes.stats() == []


def test_a_refused_write_does_not_affect_the_other_writes(jobs: JobStore, lanes: Lanes) -> None:
    stale, gone, taken_over, good = made = [stored(jobs) for _ in range(4)]
    held = {each.job_id: each.entry for each in taken(lanes, 10)}
    jobs.replace(stale.claimed("host:8", NOW))
    writes = [
        Write(job.claimed("host:7", NOW), None, "1-1" if job is taken_over else held[job.id])
        for job in made
        if job is not gone
    ]
    writes.insert(1, Write(a_job().claimed("host:7", NOW), None, None))

    assert jobs.replace_all(writes) == [None, None, None, False]
    assert [jobs.read(job.id).worker for job in (stale, taken_over, good)] == ["host:8", None, "host:7"]


def test_a_job_requeued_into_an_empty_lane_needs_a_ring(jobs: JobStore, lanes: Lanes) -> None:
    held, running = started(jobs, lanes)

    assert jobs.replace_all([Write(running.handed_back(NOW, RETENTION_S), None, held.entry)]) == [True]


@pytest.mark.parametrize("rows", [b"[[1]]", '[{"sex":"Zoë"}]'.encode(), bytes(range(256)), b"x" * 2_000_000])
def test_the_rows_are_read_byte_for_byte(jobs: JobStore, rows: bytes) -> None:
    job = a_job()

    jobs.create(job, PREDICTION, rows)

    assert jobs.read_work(job.id)[1] == rows


def test_an_ended_job_keeps_everything_that_its_run_wrote(jobs: JobStore) -> None:
    running = stored(jobs).claimed("host:7", NOW)
    jobs.replace(running)
    reported = running.progressed(Progress(2, 5, "stages", "fit", 800))
    jobs.replace(reported)
    failed = reported.failed(Failure("bad_file", "no", (Finding("/a", "null", "no"),)), NOW + 1, RETENTION_S)

    jobs.replace(failed)

    assert jobs.read(failed.id) == failed


@pytest.mark.parametrize("job_id", ["job_unknown", "", "..", "*", "job_\x00", "qc:jobs", "x" * 10_000, "ü"])
def test_an_id_without_a_job_is_unknown(jobs: JobStore, job_id: str) -> None:
    stored(jobs)

    with pytest.raises(UnknownJobError):
        jobs.read(job_id)
    with pytest.raises(UnknownJobError):
        jobs.read_with_result(job_id)
    with pytest.raises(UnknownJobError):
        jobs.read_work(job_id)


def test_a_job_has_no_result_before_its_end(jobs: JobStore) -> None:
    job = stored(jobs)
    jobs.replace(job.claimed("host:7", NOW))

    assert jobs.read_with_result(job.id)[1] is None


def test_the_result_is_written_with_the_end(jobs: JobStore) -> None:
    last = run_to_success(jobs, stored(jobs), RESULT)

    assert jobs.read_with_result(last.id) == (last, RESULT)


def test_several_jobs_are_read_with_their_results_in_the_given_order(jobs: JobStore) -> None:
    waits, ran, gone = stored(jobs), stored(jobs), stored(jobs)
    last = run_to_success(jobs, ran, RESULT)
    run_to_success(jobs, gone, RESULT)
    jobs.delete(gone.id)

    found = jobs.read_many_with_results([last.id, "job_unknown", gone.id, waits.id, last.id])

    assert found == [(last, RESULT), None, None, (waits, None), (last, RESULT)]


def test_the_work_is_deleted_after_success(jobs: JobStore) -> None:
    last = run_to_success(jobs, stored(jobs))

    with pytest.raises(UnknownJobError):
        jobs.read_work(last.id)


@pytest.mark.parametrize("end", [end for end in ENDS if end != "succeeded"])
def test_the_work_stays_after_any_other_end_for_a_retry(jobs: JobStore, lanes: Lanes, end: str) -> None:
    last = ended(jobs, lanes, end)

    assert jobs.read_work(last.id) == (PREDICTION, b"[[1]]")


@pytest.mark.parametrize("end", ENDS)
def test_an_end_is_read_as_it_was_written(jobs: JobStore, lanes: Lanes, end: str) -> None:
    last = ended(jobs, lanes, end)

    assert jobs.read(last.id) == last


def test_the_work_stays_while_the_job_runs(jobs: JobStore) -> None:
    job = stored(jobs)
    jobs.replace(job.claimed("host:7", NOW))

    assert jobs.read_work(job.id) == (PREDICTION, b"[[1]]")


# Revisions and entries


@pytest.mark.parametrize("ahead", [-1, 0, 2, 5])
def test_a_write_of_any_other_than_the_next_revision_is_stale_and_changes_nothing(jobs: JobStore, ahead: int) -> None:
    stored_job = stored(jobs, a_job(revision=4))

    with pytest.raises(StaleWriteError, match=f"job {stored_job.id} is at revision 4, not at {4 + ahead - 1}"):
        jobs.replace(replace(stored_job, revision=4 + ahead, state=State.RUNNING), b"a result")

    assert jobs.read_with_result(stored_job.id) == (stored_job, None)


def test_the_same_move_cannot_be_written_twice(jobs: JobStore) -> None:
    claimed = stored(jobs).claimed("host:7", NOW)
    jobs.replace(claimed)

    with pytest.raises(StaleWriteError):
        jobs.replace(claimed)


def test_an_unknown_job_cannot_be_replaced(jobs: JobStore) -> None:
    with pytest.raises(UnknownJobError):
        jobs.replace(a_job().claimed("host:7", NOW))


def test_exactly_one_of_concurrent_claims_wins(jobs: JobStore) -> None:
    job = stored(jobs)
    claims = [job.claimed(f"host:{number}", NOW) for number in range(8)]

    answers = at_once([lambda claim=claim: jobs.replace(claim) for claim in claims])  # type: ignore[misc]

    winners = [claim for claim, answer in zip(claims, answers, strict=True) if answer is False]
    assert [jobs.read(job.id)] == winners
    assert sum(isinstance(answer, StaleWriteError) for answer in answers) == 7


def test_a_worker_that_holds_the_job_may_write(jobs: JobStore, lanes: Lanes) -> None:
    job = stored(jobs)
    (held,) = taken(lanes)

    running = claimed(jobs, held)

    assert jobs.read(job.id) == running


@pytest.mark.parametrize("entry", ["0-1", "99999999999999-7", "nonsense"])
def test_a_write_under_another_entry_is_refused(jobs: JobStore, lanes: Lanes, entry: str) -> None:
    _, running = started(jobs, lanes)

    with pytest.raises(JobStoppedError, match=f"job {running.id} was taken from this worker"):
        jobs.replace(running.succeeded(NOW, RETENTION_S), RESULT, entry)

    assert jobs.read_with_result(running.id) == (running, None)


def test_a_write_under_the_entry_of_another_job_is_refused(jobs: JobStore, lanes: Lanes) -> None:
    job, _ = stored(jobs), stored(jobs)
    _, other = taken(lanes, 2)

    with pytest.raises(JobStoppedError):
        jobs.replace(job.claimed("host:7", NOW), entry=other.entry)

    assert jobs.read(job.id) == job


def test_a_lost_job_is_reported_before_a_stale_revision(jobs: JobStore, lanes: Lanes) -> None:
    """A worker retries a stale write, but must not retry after it has lost the job."""
    held, running = started(jobs, lanes)
    jobs.replace(running.handed_back(NOW, RETENTION_S), entry=held.entry)

    with pytest.raises(JobStoppedError):
        jobs.replace(running.succeeded(NOW, RETENTION_S), RESULT, held.entry)


@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_written_after_the_end(jobs: JobStore, lanes: Lanes, end: str) -> None:
    last = ended(jobs, lanes, end)

    with pytest.raises(StaleWriteError):
        jobs.replace(replace(last, state=State.RUNNING))
    with pytest.raises(JobStoppedError):
        jobs.replace(replace(last, revision=last.revision + 1, state=State.RUNNING), entry="0-1")

    assert jobs.read(last.id) == last


# Deleting


@pytest.mark.parametrize("end", ENDS)
def test_a_deleted_job_is_gone_and_not_unknown(jobs: JobStore, lanes: Lanes, end: str) -> None:
    last, kept = ended(jobs, lanes, end), stored(jobs)

    jobs.delete(last.id)

    for ask in (jobs.read, jobs.read_with_result, jobs.read_work, jobs.delete):
        with pytest.raises(GoneJobError, match=last.id):
            ask(last.id)
    assert listed_ids(jobs, JobFilter(), 10) == [kept.id]
    assert jobs.dead_letters(None, 10).jobs == []


def test_a_gone_job_cannot_be_written(jobs: JobStore, lanes: Lanes) -> None:
    last = ended(jobs, lanes, "failed")
    jobs.delete(last.id)

    with pytest.raises(GoneJobError):
        jobs.replace(replace(last, revision=last.revision + 1))


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.CANCELING])
def test_a_job_that_has_not_ended_cannot_be_deleted(jobs: JobStore, state: State) -> None:
    job = stored(jobs)
    if state is not State.QUEUED:
        job = job.claimed("host:7", NOW)
        jobs.replace(job)
    if state is State.CANCELING:
        job = job.cancel_requested(NOW, RETENTION_S)
        jobs.replace(job)

    with pytest.raises(IllegalMoveError, match=f"job {job.id} is {state} and cannot be deleted"):
        jobs.delete(job.id)

    assert jobs.read(job.id) == job


@pytest.mark.parametrize("job_id", ["job_unknown", "", "*"])
def test_an_unknown_job_cannot_be_deleted(jobs: JobStore, job_id: str) -> None:
    with pytest.raises(UnknownJobError) as caught:
        jobs.delete(job_id)

    assert not isinstance(caught.value, GoneJobError)


def test_a_job_can_be_deleted_only_once(jobs: JobStore, lanes: Lanes) -> None:
    last = ended(jobs, lanes, "failed")

    answers = at_once([lambda: jobs.delete(last.id)] * 8)

    assert answers.count(None) == 1
    assert sum(isinstance(answer, GoneJobError) for answer in answers) == 7


# Start deadlines


def test_a_job_is_past_its_start_deadline_from_that_moment_on(jobs: JobStore) -> None:
    job = stored(jobs, a_job(expires_at=NOW + 10.5))
    stored(jobs)  # without a deadline

    found = [jobs.past_start_deadline(NOW + 10.5 + seconds) for seconds in (-0.001, 0, 0.001)]

    assert found == [[], [job.id], [job.id]]


@pytest.mark.parametrize("end", ENDS)
def test_an_ended_job_is_not_past_its_start_deadline(jobs: JobStore, lanes: Lanes, end: str) -> None:
    ended(jobs, lanes, end, a_job(expires_at=NOW + 1))

    assert jobs.past_start_deadline(NOW + 2) == []


@pytest.mark.parametrize("move", ["running", "canceling", "given back", "lost"])
def test_a_job_that_has_started_is_not_past_its_start_deadline(jobs: JobStore, lanes: Lanes, move: str) -> None:
    held, running = started(jobs, lanes, a_job(expires_at=NOW + 1))
    moves = {
        "canceling": lambda: running.cancel_requested(NOW, RETENTION_S),
        "given back": lambda: running.handed_back(NOW, RETENTION_S),
        "lost": lambda: running.lost(Failure("worker_lost", ""), NOW, 1.0, RETENTION_S),
    }
    if move in moves:
        jobs.replace(moves[move](), entry=held.entry)

    assert jobs.past_start_deadline(NOW + 2) == []


def test_a_reserved_job_that_has_not_started_can_be_past_its_start_deadline(jobs: JobStore, lanes: Lanes) -> None:
    job = stored(jobs, a_job(expires_at=NOW + 1))
    (held,) = taken(lanes)
    lanes.requeue(held)

    assert jobs.past_start_deadline(NOW + 2) == [job.id]


# Listing


@pytest.fixture
def seven_jobs(jobs: JobStore) -> list[Job]:
    """Seven jobs of all kinds and several states, oldest first."""
    given = [
        a_job(id="job_1", created_at=NOW + 1),
        a_job(JobType.TRAINING, id="job_2", created_at=NOW + 2),
        a_job(id="job_3", created_at=NOW + 3, version=2),
        a_job(model="wine", id="job_4", created_at=NOW + 4),
        a_job(JobType.IMPORT, model="wine", version=None, id="job_5", created_at=NOW + 5),
        a_job(id="job_6", created_at=NOW + 6),
        a_job(id="job_7", created_at=NOW + 7),
    ]
    made = [stored(jobs, job) for job in given]
    jobs.replace(made[5].claimed("host:7", NOW))
    run_to_success(jobs, made[6])
    return made


FILTERS: list[tuple[JobFilter, list[int]]] = [
    (JobFilter(), [7, 6, 5, 4, 3, 2, 1]),
    (JobFilter(type=JobType.PREDICTION), [7, 6, 4, 3, 1]),
    (JobFilter(type=JobType.TRAINING), [2]),
    (JobFilter(state=State.QUEUED), [5, 4, 3, 2, 1]),
    (JobFilter(state=State.RUNNING), [6]),
    (JobFilter(state=State.SUCCEEDED), [7]),
    (JobFilter(state=State.FAILED), []),
    (JobFilter(model="wine"), [5, 4]),
    (JobFilter(model="nobody"), []),
    (JobFilter(version=2), [3]),
    (JobFilter(created_after=NOW + 4), [7, 6, 5]),
    (JobFilter(created_after=NOW + 3.999), [7, 6, 5, 4]),
    (JobFilter(type=JobType.PREDICTION, state=State.QUEUED, model="titanic", version=1), [1]),
]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8, 200])
@pytest.mark.parametrize(("wanted", "expected"), FILTERS, ids=[str(expected) for _, expected in FILTERS])
def test_the_pages_list_every_matching_job_once_newest_first(
    jobs: JobStore, seven_jobs: list[Job], wanted: JobFilter, expected: list[int], limit: int
) -> None:
    assert listed_ids(jobs, wanted, limit) == [f"job_{number}" for number in expected]


def test_a_full_page_has_a_cursor(jobs: JobStore, seven_jobs: list[Job]) -> None:
    page = jobs.page(JobFilter(), None, 3)

    assert ([job.id for job in page.jobs], page.next_cursor) == (["job_7", "job_6", "job_5"], "job_5")


def test_the_cursor_of_a_deleted_job_stays_valid(jobs: JobStore, seven_jobs: list[Job]) -> None:
    run_to_success(jobs, seven_jobs[4])
    jobs.delete("job_5")

    assert [job.id for job in jobs.page(JobFilter(), "job_5", 3).jobs] == ["job_4", "job_3", "job_2"]


def test_jobs_accepted_between_two_pages_do_not_shift_the_second(jobs: JobStore, seven_jobs: list[Job]) -> None:
    first = jobs.page(JobFilter(), None, 3)
    stored(jobs, a_job(id="job_8"))

    second = jobs.page(JobFilter(), first.next_cursor, 3)

    assert [job.id for job in second.jobs] == ["job_4", "job_3", "job_2"]


def test_an_empty_store_has_one_empty_page(jobs: JobStore) -> None:
    page = jobs.page(JobFilter(), None, 10)

    assert (page.jobs, page.next_cursor) == ([], None)


def test_a_listing_shows_the_current_state_of_jobs(jobs: JobStore, seven_jobs: list[Job]) -> None:
    listed = jobs.page(JobFilter(), None, 10).jobs

    assert listed == [jobs.read(job.id) for job in reversed(seven_jobs)]


def test_an_import_without_a_version_is_listed(jobs: JobStore) -> None:
    job = stored(jobs, replace(a_job(JobType.IMPORT), model=ModelRef("wine")))

    assert jobs.page(JobFilter(model="wine"), None, 10).jobs == [job]


# Changes


@pytest.fixture
def listen(jobs: JobStore) -> Iterator[Callable[[], Listener]]:
    """Starts connected listeners."""
    started: list[Listener] = []

    def start() -> Listener:
        started.append(Listener(changed_ids(jobs)))
        assert started[-1].next() == ""
        return started[-1]

    yield start
    for listener in started:
        job = stored(jobs)
        listener.stop(lambda job=job: jobs.replace(job.claimed("host:7", NOW)))  # type: ignore[misc]


def test_a_listener_gets_each_replaced_job(jobs: JobStore, listen: Callable[[], Listener]) -> None:
    job, listener = stored(jobs), listen()

    run_to_success(jobs, job)

    assert [listener.next(), listener.next()] == [job.id, job.id]


def test_every_listener_gets_every_change(jobs: JobStore, listen: Callable[[], Listener]) -> None:
    job, listeners = stored(jobs), [listen(), listen(), listen()]

    jobs.replace(job.claimed("host:7", NOW))

    assert [listener.next() for listener in listeners] == [job.id] * 3


def test_a_change_can_be_read_once_it_is_announced(jobs: JobStore, listen: Callable[[], Listener]) -> None:
    job, listener = stored(jobs), listen()

    jobs.replace(job.claimed("host:7", NOW))

    assert jobs.read(listener.next()).state is State.RUNNING


def test_a_refused_write_is_not_announced(jobs: JobStore, listen: Callable[[], Listener]) -> None:
    job, marker, listener = stored(jobs), stored(jobs), listen()

    with pytest.raises(StaleWriteError):
        jobs.replace(replace(job, revision=9))
    jobs.replace(marker.claimed("host:7", NOW))

    assert listener.next() == marker.id


def test_a_running_store_answers_a_ping(jobs: JobStore) -> None:
    jobs.ping()


def test_a_store_reports_its_memory_and_its_limit(jobs: JobStore) -> None:
    used, limit = jobs.memory()

    assert used >= 0
    assert limit == 0  # tests set no limit


def test_listeners_get_every_job_of_one_write(jobs: JobStore, listen: Callable[[], Listener]) -> None:
    made = [stored(jobs) for _ in range(3)]
    listener = listen()

    jobs.replace_all([Write(job.claimed("host:7", NOW), None, None) for job in made])

    assert [listener.next() for _ in made] == [job.id for job in made]
