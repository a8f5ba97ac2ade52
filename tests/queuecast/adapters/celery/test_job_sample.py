"""Under load an operator sees some of the predictions that succeed, each of them whole, and everything else."""

from dataclasses import replace

import pytest

from queuecast.adapters.celery.job_sample import JobSample, Moment, Sight
from queuecast.domain.job import Job, JobType, Progress
from tests.queuecast.adapters.store_steps import FAILURE, LOSS
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sample(clock: Clock) -> JobSample:
    return JobSample(clock)


def running(kind: JobType = JobType.PREDICTION, **given: object) -> Job:
    return a_job(kind, **given).accepted().claimed("host:7", NOW)


def fill(sample: JobSample) -> None:
    """Runs predictions until one is not shown."""
    while sample.sight_of(running()) is not None:
        pass


def moments(sample: JobSample, *revisions: Job) -> list[Moment | None]:
    sights = [sample.sight_of(each) for each in revisions]
    return [None if sight is None else sight.moment for sight in sights]


def test_a_hundred_predictions_at_once_are_shown_and_then_ten_a_second(sample: JobSample, clock: Clock) -> None:
    first = [sample.sight_of(running()) for _ in range(150)]
    clock.now += 2
    later = [sample.sight_of(running()) for _ in range(150)]

    assert sum(sight is not None for sight in first) == 100
    assert sum(sight is not None for sight in later) == 20


def test_a_prediction_is_shown_from_claim_to_end_or_not_at_all(sample: JobSample, clock: Clock) -> None:
    shown = running()
    begins = sample.sight_of(shown)
    fill(sample)
    hidden = running()
    hidden_begins = sample.sight_of(hidden)
    clock.now += 60  # there is room again when they end

    ends = [sample.sight_of(each.succeeded(NOW, RETENTION_S)) for each in (hidden, shown)]

    assert begins == Sight(shown, Moment.STARTED)
    assert (hidden_begins, ends[0]) == (None, None)
    assert ends[1] is not None
    assert not ends[1].has_start


def test_the_next_success_of_the_model_says_how_many_were_not_listed(sample: JobSample) -> None:
    listed, other_model = running(), running(model="iris")
    for each in (listed, other_model):
        sample.sight_of(each)
    fill(sample)
    for _ in range(7):
        hidden = running()
        sample.sight_of(hidden)
        sample.sight_of(hidden.succeeded(NOW, RETENTION_S))

    ends = [sample.sight_of(each.succeeded(NOW, RETENTION_S)) for each in (other_model, listed)]

    assert [end and end.unlisted for end in ends] == [0, 7]


def test_a_failure_a_cancel_and_a_retry_are_shown_under_load_with_their_start(sample: JobSample) -> None:
    fill(sample)
    jobs = [running() for _ in range(3)]
    for each in jobs:
        assert sample.sight_of(each) is None

    sights = [
        sample.sight_of(jobs[0].failed(FAILURE, NOW, RETENTION_S)),
        sample.sight_of(jobs[1].cancel_requested(NOW, RETENTION_S).stopped(NOW, RETENTION_S)),
        sample.sight_of(jobs[2].lost(LOSS, NOW, 1.0, RETENTION_S)),
    ]

    assert [sight and (sight.moment, sight.has_start) for sight in sights] == [
        (Moment.ENDED, True),
        (Moment.ENDED, True),
        (Moment.RETRIED, True),
    ]


def test_a_retried_prediction_that_succeeds_is_shown_under_load(sample: JobSample) -> None:
    """Otherwise it would stay a retried one on the page."""
    fill(sample)
    again = running().lost(LOSS, NOW, 1.0, RETENTION_S).claimed("host:8", NOW)

    assert moments(sample, again, again.succeeded(NOW, RETENTION_S)) == [Moment.STARTED, Moment.ENDED]


@pytest.mark.parametrize("kind", [JobType.TRAINING, JobType.IMPORT, JobType.BATCH])
def test_jobs_of_the_other_types_are_shown_under_load_from_their_acceptance(sample: JobSample, kind: JobType) -> None:
    fill(sample)
    job = a_job(kind).accepted()
    started = job.claimed("host:7", NOW)

    shown = moments(sample, job, started, started.succeeded(NOW, RETENTION_S))

    assert shown == [Moment.ACCEPTED, Moment.STARTED, Moment.ENDED]


def test_a_waiting_prediction_and_the_chunks_of_a_batch_are_not_shown(sample: JobSample) -> None:
    chunk = running(JobType.CHUNK)

    assert sample.sight_of(a_job().accepted()) is None
    assert moments(sample, chunk, chunk.failed(FAILURE, NOW, RETENTION_S)) == [None, None]


def test_the_start_of_a_batch_that_was_accepted_with_the_size_of_its_file_is_shown(sample: JobSample) -> None:
    accepted = a_job(JobType.BATCH, progress=Progress(0, 1_000, "bytes")).accepted()
    claimed = accepted.claimed("host:7", NOW)
    cut = claimed.progressed(Progress(500, 1_000, "bytes", "cut", 10))

    assert moments(sample, accepted, claimed, cut) == [Moment.ACCEPTED, Moment.STARTED, None]


def test_the_revisions_between_start_and_end_are_not_shown(sample: JobSample) -> None:
    training = running(JobType.TRAINING)
    progressed = training.progressed(Progress(1, 4, "stages", "fit"))
    canceling = training.cancel_requested(NOW, RETENTION_S)
    batch = running(JobType.BATCH)
    fanned_out = batch.fanned_out(Progress(0, 10, "rows"), NOW)
    ready = fanned_out.ready_to_join(NOW)

    between = moments(sample, progressed, canceling, fanned_out, ready, ready.claimed("host:8", NOW))

    assert between == [None] * 5


def test_a_job_that_never_ran_ends_with_its_start(sample: JobSample) -> None:
    canceled = a_job().accepted().cancel_requested(NOW, RETENTION_S)

    assert sample.sight_of(canceled) == Sight(canceled, Moment.ENDED, has_start=True)


def test_jobs_that_are_taken_from_the_process_do_not_pile_up(sample: JobSample) -> None:
    for number in range(20_000):
        sample.sight_of(replace(running(), id=f"job_{number}"))

    assert len(sample._is_shown) <= 10_000
