"""How every JobStore accepts jobs, in memory and in Redis: keys, limits, one training per model, dead letters."""

from dataclasses import replace

import pytest

from queuecast.domain.errors import (
    AliasMovedError,
    ConflictError,
    KeyReusedError,
    LaneFullError,
    QueuecastError,
    UnknownJobError,
)
from queuecast.domain.job import Job, JobType, State
from queuecast.domain.model import AliasMove
from queuecast.ports.jobs import Accepted, IdempotencyKey, JobFilter, JobStore
from queuecast.ports.lanes import Lanes
from tests.queuecast.adapters.store_steps import (
    ENDS,
    LANE,
    LOSS,
    WORKER,
    MakeStore,
    Store,
    claimed,
    dead,
    ended,
    listed_ids,
    started,
    stored,
    taken,
)
from tests.queuecast.adapters.waits import at_once
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job, work_of

PREDICTION = work_of(JobType.PREDICTION)
TRAINING = work_of(JobType.TRAINING)
IDEMPOTENCY_KEY = IdempotencyKey("key-1", "fingerprint")


def create(
    jobs: JobStore, job: Job, idempotency_key: IdempotencyKey | None = None, letter: str | None = None
) -> Accepted:
    return jobs.create(job, work_of(job.type), b"[[1]]", idempotency_key, letter)


def refused(jobs: JobStore, kind: type[QueuecastError], job: Job, idempotency_key: IdempotencyKey | None = None) -> str:
    """The text of the refusal, which must write nothing of the job."""
    with pytest.raises(kind) as caught:
        create(jobs, job, idempotency_key)
    with pytest.raises(UnknownJobError):
        jobs.read(job.id)
    return caught.value.detail


# Idempotency keys


def test_a_submit_returns_the_id_of_the_accepted_job(jobs: JobStore) -> None:
    job = a_job()

    assert create(jobs, job).job_id == job.id


def test_an_unused_key_has_no_job(jobs: JobStore) -> None:
    stored(jobs)

    assert jobs.find_repeated(IDEMPOTENCY_KEY) is None


def test_a_repeated_request_returns_the_same_job_and_writes_nothing(jobs: JobStore, lanes: Lanes) -> None:
    first, second = a_job(), a_job()
    create(jobs, first, IDEMPOTENCY_KEY)

    assert create(jobs, second, IDEMPOTENCY_KEY) == Accepted(first.id, must_ring=False)
    assert jobs.find_repeated(IDEMPOTENCY_KEY) == first.id
    assert listed_ids(jobs, JobFilter(), 10) == [first.id]
    assert [stats.waiting for stats in lanes.stats()] == [1]


def test_a_key_reused_for_another_request_is_refused_with_the_first_job(jobs: JobStore) -> None:
    first = a_job()
    create(jobs, first, IDEMPOTENCY_KEY)
    other = replace(IDEMPOTENCY_KEY, fingerprint="something else")

    assert first.id in refused(jobs, KeyReusedError, a_job(), other)
    with pytest.raises(KeyReusedError, match=first.id):
        jobs.find_repeated(other)


def test_the_same_request_with_another_key_is_another_job(jobs: JobStore) -> None:
    first, second = a_job(), a_job()

    create(jobs, first, IDEMPOTENCY_KEY)
    create(jobs, second, replace(IDEMPOTENCY_KEY, key="key-2"))

    assert listed_ids(jobs, JobFilter(), 10) == [second.id, first.id]


def test_concurrent_repeats_create_one_job_and_need_one_ring(jobs: JobStore) -> None:
    rivals = [a_job() for _ in range(8)]

    answers = at_once([lambda job=job: create(jobs, job, IDEMPOTENCY_KEY) for job in rivals])  # type: ignore[misc]

    (winner,) = listed_ids(jobs, JobFilter(), 10)
    assert sorted(answers, key=str) == [Accepted(winner, False)] * 7 + [Accepted(winner, True)]


@pytest.mark.parametrize("end", ["succeeded", "dead letter"])
def test_a_key_still_leads_to_its_job_after_the_job_has_ended(jobs: JobStore, lanes: Lanes, end: str) -> None:
    job = a_job()
    create(jobs, job, IDEMPOTENCY_KEY)
    (held,) = taken(lanes)
    running = claimed(jobs, held)
    jobs.replace(dead(running) if end == "dead letter" else running.succeeded(NOW, RETENTION_S), entry=held.entry)

    assert create(jobs, a_job(), IDEMPOTENCY_KEY).job_id == job.id


def test_a_refused_request_can_be_repeated_with_its_key(make_store: MakeStore) -> None:
    jobs = make_store(1).jobs
    blocking = stored(jobs)
    refused(jobs, LaneFullError, a_job(), IDEMPOTENCY_KEY)
    jobs.replace(blocking.cancel_requested(NOW, RETENTION_S))
    later = a_job()

    assert create(jobs, later, IDEMPOTENCY_KEY).job_id == later.id


def test_a_repeated_request_gets_its_job_although_the_lane_is_full_now(make_store: MakeStore) -> None:
    jobs = make_store(1).jobs
    first = a_job()
    create(jobs, first, IDEMPOTENCY_KEY)

    assert create(jobs, a_job(), IDEMPOTENCY_KEY).job_id == first.id


def test_a_repeated_training_gets_its_job_although_the_model_is_in_training(jobs: JobStore) -> None:
    first = a_job(JobType.TRAINING)
    create(jobs, first, IDEMPOTENCY_KEY)

    assert create(jobs, a_job(JobType.TRAINING), IDEMPOTENCY_KEY).job_id == first.id


# The limit of a lane


@pytest.mark.parametrize("limit", [1, 3])
def test_a_lane_accepts_jobs_up_to_its_limit(make_store: MakeStore, limit: int) -> None:
    jobs = make_store(limit).jobs
    kept = [stored(jobs).id for _ in range(limit)]

    text = refused(jobs, LaneFullError, a_job())

    assert text == f"{limit} jobs wait in lane {LANE}, expected fewer than {limit}"
    assert listed_ids(jobs, JobFilter(), 10) == kept[::-1]


def test_a_full_lane_does_not_affect_other_lanes(make_store: MakeStore) -> None:
    jobs = make_store(1).jobs
    stored(jobs)

    assert stored(jobs, a_job(version=2)).lane != LANE


def test_running_jobs_count_towards_the_limit_of_a_lane(make_store: MakeStore) -> None:
    store = make_store(1)
    started(store.jobs, store.lanes)

    refused(store.jobs, LaneFullError, a_job())


@pytest.mark.parametrize("end", ENDS)
def test_an_ended_job_makes_room_in_its_lane(make_store: MakeStore, end: str) -> None:
    store = make_store(1)
    ended(store.jobs, store.lanes, end)

    assert stored(store.jobs)


def test_a_delayed_job_enters_a_full_lane(make_store: MakeStore) -> None:
    """The limit is for new jobs: an accepted job always runs."""
    store = make_store(1)
    held, running = started(store.jobs, store.lanes)
    store.jobs.replace(running.lost(LOSS, NOW, 5.0, RETENTION_S), entry=held.entry)
    other = stored(store.jobs)

    store.lanes.enqueue_due(NOW + 5)

    assert [each.job_id for each in taken(store.lanes, 5)] == [other.id, running.id]


def test_concurrent_submits_do_not_exceed_the_limit_of_a_lane(make_store: MakeStore) -> None:
    jobs = make_store(3).jobs

    answers = at_once([lambda: create(jobs, a_job())] * 8)

    assert sum(isinstance(answer, LaneFullError) for answer in answers) == 5
    assert len(listed_ids(jobs, JobFilter(), 10)) == 3


# One training per model


def test_a_second_training_of_a_model_is_refused_and_writes_nothing(jobs: JobStore) -> None:
    first = stored(jobs, a_job(JobType.TRAINING))

    text = refused(jobs, ConflictError, a_job(JobType.TRAINING))

    assert text == f"model titanic is in training already, in job {first.id}"
    assert listed_ids(jobs, JobFilter(), 10) == [first.id]


@pytest.mark.parametrize("state", ["queued", "running", "canceling", "waiting for another attempt", "given back"])
def test_a_second_training_is_refused_until_the_first_has_ended(jobs: JobStore, lanes: Lanes, state: str) -> None:
    if state == "queued":
        stored(jobs, a_job(JobType.TRAINING))
    else:
        held, running = started(jobs, lanes, a_job(JobType.TRAINING))
        moves = {
            "canceling": lambda: running.cancel_requested(NOW, RETENTION_S),
            "waiting for another attempt": lambda: running.lost(LOSS, NOW, 5.0, RETENTION_S),
            "given back": lambda: running.handed_back(NOW, RETENTION_S),
        }
        if state in moves:
            jobs.replace(moves[state](), entry=held.entry)

    refused(jobs, ConflictError, a_job(JobType.TRAINING))


@pytest.mark.parametrize("end", ENDS)
def test_a_training_may_follow_one_that_has_ended(jobs: JobStore, lanes: Lanes, end: str) -> None:
    ended(jobs, lanes, end, a_job(JobType.TRAINING))

    second = stored(jobs, a_job(JobType.TRAINING))

    assert jobs.read(second.id) == second


def test_a_training_after_an_ended_one_blocks_a_third(jobs: JobStore, lanes: Lanes) -> None:
    first = ended(jobs, lanes, "failed", a_job(JobType.TRAINING))
    stored(jobs, a_job(JobType.TRAINING))
    jobs.delete(first.id)

    refused(jobs, ConflictError, a_job(JobType.TRAINING))


@pytest.mark.parametrize("other", [a_job(JobType.TRAINING, model="other"), a_job(), a_job(JobType.IMPORT)])
def test_a_training_blocks_no_other_job(jobs: JobStore, other: Job) -> None:
    stored(jobs, a_job(JobType.TRAINING))

    create(jobs, other)

    assert jobs.read(other.id) == other


def test_exactly_one_of_concurrent_trainings_is_accepted(jobs: JobStore) -> None:
    rivals = [a_job(JobType.TRAINING) for _ in range(8)]

    answers = at_once([lambda job=job: jobs.create(job, TRAINING) for job in rivals])  # type: ignore[misc]

    winners = [job.id for job, answer in zip(rivals, answers, strict=True) if isinstance(answer, Accepted)]
    assert listed_ids(jobs, JobFilter(), 10) == winners
    assert sum(isinstance(answer, ConflictError) for answer in answers) == 7


# Dead letters


def make_dead_letters(jobs: JobStore, lanes: Lanes, count: int) -> list[Job]:
    """Dead letters, oldest first, a second apart."""
    made = []
    for number in range(count):
        held, running = started(jobs, lanes, a_job(created_at=NOW + number))
        late = dead(running)
        late = replace(late, finished_at=NOW + number, delete_at=NOW + number + RETENTION_S)
        jobs.replace(late, entry=held.entry)
        made.append(late)
    return made


def all_dead_letters(jobs: JobStore, limit: int) -> list[Job]:
    found, cursor = [], None
    while True:
        page = jobs.dead_letters(cursor, limit)
        assert len(page.jobs) <= limit
        found += page.jobs
        cursor = page.next_cursor
        if cursor is None:
            return found


@pytest.mark.parametrize("end", ENDS)
def test_only_a_job_without_attempts_left_is_a_dead_letter(jobs: JobStore, lanes: Lanes, end: str) -> None:
    last = ended(jobs, lanes, end)

    assert jobs.dead_letters(None, 10).jobs == ([last] if end == "dead letter" else [])


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 6])
def test_the_pages_of_dead_letters_list_each_once_newest_first(jobs: JobStore, lanes: Lanes, limit: int) -> None:
    made = make_dead_letters(jobs, lanes, 5)

    assert all_dead_letters(jobs, limit) == made[::-1]


@pytest.mark.parametrize(("limit", "has_more"), [(1, True), (2, False), (3, False)])
def test_a_page_of_dead_letters_has_a_cursor_when_there_are_more(
    jobs: JobStore, lanes: Lanes, limit: int, has_more: bool
) -> None:
    make_dead_letters(jobs, lanes, 2)

    assert (jobs.dead_letters(None, limit).next_cursor is not None) is has_more


def test_dead_letters_are_counted_until_their_retention_ends(jobs: JobStore, lanes: Lanes) -> None:
    made = make_dead_letters(jobs, lanes, 3)
    ends = [letter.delete_at or 0.0 for letter in made]

    counts = [jobs.count_dead_letters(now) for now in (NOW, int(max(ends)))]
    jobs.delete(made[0].id)

    assert (counts, jobs.count_dead_letters(NOW)) == ([3, 0], 2)


def test_a_deleted_dead_letter_leaves_the_list(jobs: JobStore, lanes: Lanes) -> None:
    first, second = make_dead_letters(jobs, lanes, 2)

    jobs.delete(first.id)

    assert jobs.dead_letters(None, 10).jobs == [second]


def retried(letter: Job) -> Job:
    return letter.retried_as(a_job().id, NOW, 3)


def test_a_replayed_dead_letter_leaves_the_list_and_stays_readable(jobs: JobStore, lanes: Lanes) -> None:
    (letter,) = make_dead_letters(jobs, lanes, 1)
    again = retried(letter)

    create(jobs, again, letter=letter.id)

    assert jobs.dead_letters(None, 10).jobs == []
    assert [jobs.read(job.id) for job in (letter, again)] == [letter, again]
    assert [held.job_id for held in taken(lanes, 5)] == [again.id]


def test_a_dead_letter_can_be_replayed_only_once(jobs: JobStore, lanes: Lanes) -> None:
    (letter,) = make_dead_letters(jobs, lanes, 1)
    create(jobs, retried(letter), letter=letter.id)
    second = retried(letter)

    with pytest.raises(ConflictError, match=f"job {letter.id} is no dead letter"):
        create(jobs, second, letter=letter.id)

    with pytest.raises(UnknownJobError):
        jobs.read(second.id)


def test_exactly_one_of_concurrent_replays_is_accepted(jobs: JobStore, lanes: Lanes) -> None:
    (letter,) = make_dead_letters(jobs, lanes, 1)

    answers = at_once([lambda: create(jobs, retried(letter), letter=letter.id)] * 8)

    assert sum(isinstance(answer, Accepted) for answer in answers) == 1
    assert sum(isinstance(answer, ConflictError) for answer in answers) == 7
    assert [stats.waiting for stats in lanes.stats()] == [1]


@pytest.mark.parametrize("end", [end for end in ENDS if end != "dead letter"])
def test_only_a_dead_letter_can_be_replayed(jobs: JobStore, lanes: Lanes, end: str) -> None:
    last = ended(jobs, lanes, end)

    with pytest.raises(ConflictError):
        create(jobs, a_job(), letter=last.id)


def test_a_replay_refused_by_a_full_lane_leaves_the_letter_on_the_list(make_store: MakeStore) -> None:
    store = make_store(1)
    (letter,) = make_dead_letters(store.jobs, store.lanes, 1)
    stored(store.jobs)

    with pytest.raises(LaneFullError):
        create(store.jobs, retried(letter), letter=letter.id)

    assert store.jobs.dead_letters(None, 10).jobs == [letter]


def test_a_replayed_job_can_become_a_dead_letter_again(jobs: JobStore, lanes: Lanes) -> None:
    (letter,) = make_dead_letters(jobs, lanes, 1)
    again = retried(letter)
    create(jobs, again, letter=letter.id)
    (held,) = taken(lanes)
    running = claimed(jobs, held)

    jobs.replace(dead(running), entry=held.entry)

    found = [(job.id, job.retry_of, job.worker) for job in jobs.dead_letters(None, 10).jobs]
    assert found == [(again.id, letter.id, WORKER)]


def test_an_accepted_job_is_queued(jobs: JobStore, lanes: Lanes) -> None:
    job = stored(jobs)

    assert jobs.read(job.id).state is State.QUEUED
    assert [held.job_id for held in taken(lanes, 5)] == [job.id]


# Checking the alias


def aliased(version: int) -> Job:
    job = a_job()
    return replace(job, model=replace(job.model, version=version, alias="champion"))


def point(store: Store, version: int) -> None:
    generation = store.aliases.read("titanic").generation
    store.aliases.move("titanic", AliasMove(generation + 1, "champion", version, None, NOW, "api"))


def test_a_job_is_accepted_for_the_version_that_its_alias_names(store: Store) -> None:
    point(store, 3)

    job = aliased(3)
    store.jobs.create(job, PREDICTION, checks_alias=True)

    assert store.jobs.read(job.id) == job


@pytest.mark.parametrize("was_moved", [True, False])
def test_a_job_is_refused_when_its_alias_names_another_version(store: Store, was_moved: bool) -> None:
    if was_moved:
        point(store, 3)
        point(store, 4)

    job = aliased(3)
    with pytest.raises(AliasMovedError, match="not 3"):
        store.jobs.create(job, PREDICTION, checks_alias=True)

    assert store.jobs.page(JobFilter(), None, 10).jobs == []
    assert store.lanes.stats() == []


def test_a_job_is_accepted_without_a_check_of_its_alias(store: Store) -> None:
    point(store, 4)

    job = aliased(3)
    store.jobs.create(job, PREDICTION)

    assert store.jobs.read(job.id).model.version == 3


def test_a_repeated_request_gets_its_job_although_the_alias_moved(store: Store) -> None:
    point(store, 3)
    first = store.jobs.create(aliased(3), PREDICTION, b"", IDEMPOTENCY_KEY, checks_alias=True)
    point(store, 4)

    assert store.jobs.create(aliased(3), PREDICTION, b"", IDEMPOTENCY_KEY, checks_alias=True).job_id == first.job_id
