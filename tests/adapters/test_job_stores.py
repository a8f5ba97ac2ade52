"""One suite for every JobStore: in memory and in Redis."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from queuecast.domain.errors import ConflictError, Finding, StaleWriteError, UnknownJobError
from queuecast.domain.job import Failure, Job, JobType, ModelRef, Progress, State
from queuecast.ports import JobFilter, JobStore
from tests.adapters.waits import Listener, at_once
from tests.domain.records import NOW, RETENTION_S, a_job, work_of

PREDICTION = work_of(JobType.PREDICTION)
TRAINING = work_of(JobType.TRAINING)


def stored(jobs: JobStore, job: Job | None = None) -> Job:
    job = job or a_job()
    jobs.create(job, work_of(job.type), b"[[1]]")
    return job


def run_to_success(jobs: JobStore, job: Job, result: bytes | None = None) -> Job:
    running = job.claimed("host:7", NOW)
    jobs.replace(running)
    ended = running.succeeded(NOW, RETENTION_S)
    jobs.replace(ended, result)
    return ended


def walked(jobs: JobStore, wanted: JobFilter, limit: int) -> list[str]:
    """The ids on all pages, in order."""
    found, cursor = [], None
    for _ in range(100):
        page = jobs.page(wanted, cursor, limit)
        assert len(page.jobs) <= limit
        found += [job.id for job in page.jobs]
        cursor = page.next_cursor
        if cursor is None:
            return found
    raise AssertionError("the pages do not end")


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


@pytest.mark.parametrize("rows", [b"[[1]]", '[{"sex":"Zoë"}]'.encode(), bytes(range(256)), b"x" * 2_000_000])
def test_the_rows_come_back_byte_by_byte(jobs: JobStore, rows: bytes) -> None:
    job = a_job()

    jobs.create(job, PREDICTION, rows)

    assert jobs.read_work(job.id)[1] == rows


def test_an_ended_job_is_read_with_all_that_the_run_wrote(jobs: JobStore) -> None:
    running = stored(jobs).claimed("host:7", NOW)
    jobs.replace(running)
    reported = running.progressed(Progress(2, 5, "stages", "fit", 800))
    jobs.replace(reported)
    failed = reported.failed(Failure("bad_file", "no", (Finding("/a", "null", "no"),)), NOW + 1, RETENTION_S)

    jobs.replace(failed)

    assert jobs.read(failed.id) == failed


@pytest.mark.parametrize("job_id", ["job_unknown", "", "..", "*", "job_\x00", "qc:jobs", "x" * 10_000, "ü"])
def test_an_id_that_no_job_has_is_unknown(jobs: JobStore, job_id: str) -> None:
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


def test_the_result_comes_with_the_end(jobs: JobStore) -> None:
    ended = run_to_success(jobs, stored(jobs), b'{"predictions":[1]}')

    assert jobs.read_with_result(ended.id) == (ended, b'{"predictions":[1]}')


def test_the_work_is_gone_after_the_end(jobs: JobStore) -> None:
    ended = run_to_success(jobs, stored(jobs))

    with pytest.raises(UnknownJobError):
        jobs.read_work(ended.id)


def test_the_work_stays_while_the_job_runs(jobs: JobStore) -> None:
    job = stored(jobs)
    jobs.replace(job.claimed("host:7", NOW))

    assert jobs.read_work(job.id) == (PREDICTION, b"[[1]]")


# Who may write


@pytest.mark.parametrize("ahead", [-1, 0, 2, 5])
def test_a_write_of_any_but_the_next_revision_is_stale_and_changes_nothing(jobs: JobStore, ahead: int) -> None:
    stored_job = stored(jobs, a_job(revision=4))

    with pytest.raises(StaleWriteError, match=f"job {stored_job.id} is at revision 4, not at {4 + ahead - 1}"):
        jobs.replace(replace(stored_job, revision=4 + ahead, state=State.RUNNING), b"a result")

    assert jobs.read_with_result(stored_job.id) == (stored_job, None)


def test_the_same_move_cannot_be_written_twice(jobs: JobStore) -> None:
    claimed = stored(jobs).claimed("host:7", NOW)
    jobs.replace(claimed)

    with pytest.raises(StaleWriteError):
        jobs.replace(claimed)


def test_a_job_that_is_not_there_cannot_be_replaced(jobs: JobStore) -> None:
    with pytest.raises(UnknownJobError):
        jobs.replace(a_job().claimed("host:7", NOW))


def test_of_claims_at_once_exactly_one_wins(jobs: JobStore) -> None:
    job = stored(jobs)
    claims = [job.claimed(f"host:{number}", NOW) for number in range(8)]

    answers = at_once([lambda claim=claim: jobs.replace(claim) for claim in claims])  # type: ignore[misc]

    winners = [claim for claim, answer in zip(claims, answers, strict=True) if answer is None]
    assert [jobs.read(job.id)] == winners
    assert sum(isinstance(answer, StaleWriteError) for answer in answers) == 7


# Taking back


def test_a_discarded_job_is_nowhere(jobs: JobStore) -> None:
    kept, job = stored(jobs), stored(jobs)

    jobs.discard(job.id)

    with pytest.raises(UnknownJobError):
        jobs.read(job.id)
    with pytest.raises(UnknownJobError):
        jobs.read_work(job.id)
    assert walked(jobs, JobFilter(), 10) == [kept.id]


def test_discarding_twice_or_what_never_was_is_harmless(jobs: JobStore) -> None:
    job = stored(jobs)

    for job_id in (job.id, job.id, "job_never"):
        jobs.discard(job_id)

    assert walked(jobs, JobFilter(), 10) == []


# One training a model


def test_a_second_training_of_a_model_is_refused_and_leaves_nothing(jobs: JobStore) -> None:
    first = stored(jobs, a_job(JobType.TRAINING))
    second = a_job(JobType.TRAINING)

    with pytest.raises(ConflictError, match=f"model titanic is in training already, in job {first.id}"):
        jobs.create(second, TRAINING)

    assert walked(jobs, JobFilter(), 10) == [first.id]


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.CANCELING])
def test_a_second_training_is_refused_until_the_first_has_ended(jobs: JobStore, state: State) -> None:
    job = stored(jobs, a_job(JobType.TRAINING))
    if state is not State.QUEUED:
        job = job.claimed("host:7", NOW)
        jobs.replace(job)
    if state is State.CANCELING:
        jobs.replace(job.cancel_requested(NOW, RETENTION_S))

    with pytest.raises(ConflictError):
        jobs.create(a_job(JobType.TRAINING), TRAINING)


@pytest.mark.parametrize("end", [State.SUCCEEDED, State.FAILED, State.CANCELED, State.EXPIRED])
def test_a_training_may_follow_one_that_has_ended(jobs: JobStore, end: State) -> None:
    first = stored(jobs, a_job(JobType.TRAINING))
    if end in (State.SUCCEEDED, State.FAILED):
        running = first.claimed("host:7", NOW)
        jobs.replace(running)
        failure = Failure("run_failed", "no")
        is_good = end is State.SUCCEEDED
        jobs.replace(running.succeeded(NOW, RETENTION_S) if is_good else running.failed(failure, NOW, RETENTION_S))
    else:
        is_canceled = end is State.CANCELED
        jobs.replace(first.cancel_requested(NOW, RETENTION_S) if is_canceled else first.expired(NOW, RETENTION_S))
    second = a_job(JobType.TRAINING)

    jobs.create(second, TRAINING)

    assert jobs.read(second.id) == second


def test_a_training_may_follow_one_that_was_taken_back(jobs: JobStore) -> None:
    jobs.discard(stored(jobs, a_job(JobType.TRAINING)).id)
    second = a_job(JobType.TRAINING)

    jobs.create(second, TRAINING)

    assert jobs.read(second.id) == second


@pytest.mark.parametrize("other", [a_job(JobType.TRAINING, model="other"), a_job(), a_job(JobType.IMPORT)])
def test_a_training_is_in_nobody_elses_way(jobs: JobStore, other: Job) -> None:
    stored(jobs, a_job(JobType.TRAINING))

    jobs.create(other, work_of(other.type))

    assert jobs.read(other.id) == other


def test_of_trainings_at_once_exactly_one_is_taken(jobs: JobStore) -> None:
    rivals = [a_job(JobType.TRAINING) for _ in range(8)]

    answers = at_once([lambda job=job: jobs.create(job, TRAINING) for job in rivals])  # type: ignore[misc]

    winners = [job.id for job, answer in zip(rivals, answers, strict=True) if answer is None]
    assert walked(jobs, JobFilter(), 10) == winners
    assert sum(isinstance(answer, ConflictError) for answer in answers) == 7


# Listing


@pytest.fixture
def seven(jobs: JobStore) -> list[Job]:
    """Seven jobs of all kinds and several states, oldest first."""
    made = [
        a_job(id="job_1", created_at=NOW + 1),
        a_job(JobType.TRAINING, id="job_2", created_at=NOW + 2),
        a_job(id="job_3", created_at=NOW + 3, version=2),
        a_job(model="wine", id="job_4", created_at=NOW + 4),
        a_job(JobType.IMPORT, model="wine", version=None, id="job_5", created_at=NOW + 5),
        a_job(id="job_6", created_at=NOW + 6),
        a_job(id="job_7", created_at=NOW + 7),
    ]
    for job in made:
        stored(jobs, job)
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
def test_the_pages_together_have_every_wanted_job_once_newest_first(
    jobs: JobStore, seven: list[Job], wanted: JobFilter, expected: list[int], limit: int
) -> None:
    assert walked(jobs, wanted, limit) == [f"job_{number}" for number in expected]


def test_a_page_that_is_full_says_where_to_go_on(jobs: JobStore, seven: list[Job]) -> None:
    page = jobs.page(JobFilter(), None, 3)

    assert ([job.id for job in page.jobs], page.next_cursor) == (["job_7", "job_6", "job_5"], "job_5")


def test_a_cursor_of_a_job_that_is_gone_still_tells_the_place(jobs: JobStore, seven: list[Job]) -> None:
    jobs.discard("job_5")

    assert [job.id for job in jobs.page(JobFilter(), "job_5", 3).jobs] == ["job_4", "job_3", "job_2"]


def test_jobs_that_come_in_between_two_pages_do_not_move_the_second(jobs: JobStore, seven: list[Job]) -> None:
    first = jobs.page(JobFilter(), None, 3)
    stored(jobs, a_job(id="job_8"))

    second = jobs.page(JobFilter(), first.next_cursor, 3)

    assert [job.id for job in second.jobs] == ["job_4", "job_3", "job_2"]


def test_nothing_has_one_empty_page(jobs: JobStore) -> None:
    page = jobs.page(JobFilter(), None, 10)

    assert (page.jobs, page.next_cursor) == ([], None)


def test_a_listing_shows_jobs_as_they_are_now(jobs: JobStore, seven: list[Job]) -> None:
    listed = jobs.page(JobFilter(), None, 10).jobs

    assert listed == [jobs.read(job.id) for job in reversed(seven)]


def test_an_import_without_a_version_is_listed(jobs: JobStore) -> None:
    job = stored(jobs, replace(a_job(JobType.IMPORT), model=ModelRef("wine")))

    assert jobs.page(JobFilter(model="wine"), None, 10).jobs == [job]


# Hearing of changes


@pytest.fixture
def listen(jobs: JobStore) -> Iterator[Callable[[], Listener]]:
    """Starts listeners that are connected."""
    started: list[Listener] = []

    def start() -> Listener:
        started.append(Listener(jobs.changes()))
        assert started[-1].next() == ""
        return started[-1]

    yield start
    for listener in started:
        job = stored(jobs)
        listener.stop(lambda job=job: jobs.replace(job.claimed("host:7", NOW)))  # type: ignore[misc]


def test_a_listener_hears_of_each_replaced_job(jobs: JobStore, listen: Callable[[], Listener]) -> None:
    job, listener = stored(jobs), listen()

    run_to_success(jobs, job)

    assert [listener.next(), listener.next()] == [job.id, job.id]


def test_every_listener_hears_of_every_change(jobs: JobStore, listen: Callable[[], Listener]) -> None:
    job, listeners = stored(jobs), [listen(), listen(), listen()]

    jobs.replace(job.claimed("host:7", NOW))

    assert [listener.next() for listener in listeners] == [job.id] * 3


def test_what_was_heard_of_can_be_read(jobs: JobStore, listen: Callable[[], Listener]) -> None:
    job, listener = stored(jobs), listen()

    jobs.replace(job.claimed("host:7", NOW))

    assert jobs.read(listener.next()).state is State.RUNNING


def test_a_refused_write_is_not_heard_of(jobs: JobStore, listen: Callable[[], Listener]) -> None:
    job, marker, listener = stored(jobs), stored(jobs), listen()

    with pytest.raises(StaleWriteError):
        jobs.replace(replace(job, revision=9))
    jobs.replace(marker.claimed("host:7", NOW))

    assert listener.next() == marker.id


def test_a_store_that_is_there_answers_a_ping(jobs: JobStore) -> None:
    jobs.ping()
