"""Which jobs a shadow answers again, and what is counted of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from queuecast.adapters.disk.models import ModelFiles
from queuecast.adapters.memory.doorbell import MemoryDoorbell
from queuecast.adapters.memory.jobs import MemoryJobs
from queuecast.adapters.memory.live_outcomes import MemoryLiveOutcomes
from queuecast.adapters.memory.shadows import MemoryShadows
from queuecast.domain.errors import Failure
from queuecast.domain.job import Job, JobType, ModelRef, Priority, State
from queuecast.domain.model import Manifest
from queuecast.domain.shadows import ShadowRecord
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method, PredictionWork
from worker.engine.contracts import EndedJob
from worker.predictions import shadowing
from worker.predictions.shadowing import MAX_SENT_PER_CALL, Shadowing

WORK = PredictionWork(Method.PREDICT, 2)
ROWS = b"[[1.0], [2.0]]"
CHAMPION, SHADOW = 1, 2
SHADOW_LANE = "prediction/m/2/predict/low"


class Scarce(MemoryJobs):
    def __init__(self, max_lane_jobs: int) -> None:
        super().__init__(max_lane_jobs)
        self.used = 0

    def memory(self) -> tuple[int, int]:
        return self.used, 100


class House:
    """The stores of a worker whose model has a champion and a second version."""

    def __init__(self, folder: Path) -> None:
        self.jobs = Scarce(max_lane_jobs=10)
        self.doorbell = MemoryDoorbell()
        self.models = ModelFiles(folder)
        self.champion = CHAMPION
        self.shadows = MemoryShadows(lambda _model: self.champion)
        self.outcomes = MemoryLiveOutcomes(self.jobs)
        self.n_ids = 0
        for number in range(2):
            self.models.publish(a_manifest(f"job_{number}"), {"model.skops": b"x"})
        self.restart()

    def restart(self) -> None:
        """A worker that has read nothing yet."""
        self.shadowing = Shadowing(
            self.shadows, self.jobs, self.doorbell, self.models, self._new_id, lambda: 1_000.0, self.outcomes
        )

    def _new_id(self, kind: str) -> str:
        self.n_ids += 1
        return f"{kind}_{self.n_ids:03d}"

    def answered(self, number: int, version: int = CHAMPION, **changes: Any) -> EndedJob:
        """A caller's job that succeeded."""
        job = Job(
            id=f"job_{number}",
            type=JobType.PREDICTION,
            model=ModelRef("m", version),
            created_at=0.0,
            max_attempts=3,
            lane=f"prediction/m/{version}/predict",
            timeout_s=30.0,
        )
        self.jobs.create(job, WORK, ROWS)
        ended = job.claimed("w", 1.0).succeeded(2.0, 60.0).changed(**changes)
        self.jobs.replace(job.claimed("w", 1.0))
        self.jobs.replace(ended, result([0, 1]))
        return EndedJob(ended, WORK, ROWS, result([0, 1]))

    def shadow_jobs(self) -> list[Job]:
        return [self.jobs.read(entry.job_id) for entry in self.jobs.lanes.get(SHADOW_LANE, ())]

    def end_shadow_jobs(self, end: Callable[[Job], Job], answer: bytes | None = None) -> None:
        ended = [EndedJob(end(job.claimed("w", 3.0)), WORK, ROWS, answer) for job in self.shadow_jobs()]
        self.shadowing.after_call(ended)

    def record(self) -> ShadowRecord:
        return self.shadows.record("m")


def a_manifest(job_id: str) -> Manifest:
    signature = Signature(
        Layout.FRAME, (Column("x", ColumnType.NUMBER, False, "float64"),), (Method.PREDICT,), ({"x": 1.0},)
    )
    return Manifest(
        model="m",
        version=0,
        sha256="0" * 64,
        size_bytes=1,
        created_at=0.0,
        job_id=job_id,
        source="push",
        estimator="LogisticRegression()",
        environment={},
        signature=signature,
        target=("y",),
        classes=[0, 1],
    )


def result(predictions: list[Any]) -> bytes:
    return json.dumps({"predictions": predictions, "timings": {"predict_ms": 4.0, "batch_rows": 2}}).encode()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_shadow_answers_a_job_again_with_low_priority_and_in_no_listing(house: House) -> None:
    house.shadows.put("m", SHADOW, 1.0, 5.0)

    house.shadowing.after_call([house.answered(1)])

    (job,) = house.shadow_jobs()
    assert (job.parent, job.priority, job.model.version, job.max_attempts) == ("job_1", Priority.LOW, SHADOW, 1)
    assert house.jobs.read_work(job.id) == (WORK, ROWS)
    assert house.doorbell.rung == [SHADOW_LANE]
    assert house.record().count("sent") == 1


@pytest.mark.parametrize("shadow", [None, (CHAMPION, 1.0), (SHADOW, 1e-9)])
def test_no_job_is_sent_without_a_shadow_for_the_champion_itself_and_outside_the_sample(
    house: House, shadow: tuple[int, float] | None
) -> None:
    if shadow is not None:
        house.shadows.put("m", *shadow, 5.0)

    house.shadowing.after_call([house.answered(1)])

    assert house.shadow_jobs() == []
    assert house.record() == ShadowRecord()


def test_only_answers_of_the_champion_are_sampled(house: House) -> None:
    house.shadows.put("m", SHADOW, 1.0, 5.0)

    house.shadowing.after_call([house.answered(1, version=3)])
    house.shadowing.after_call([house.answered(2, state=State.FAILED)])

    assert house.shadow_jobs() == []


def test_equal_answers_agree(house: House) -> None:
    house.shadows.put("m", SHADOW, 1.0, 5.0)
    house.shadowing.after_call([house.answered(1), house.answered(2)])

    house.end_shadow_jobs(lambda job: job.succeeded(4.0, 60.0), result([0, 0]))

    record = house.record()
    assert (record.count("compared"), record.count("rows"), record.agreement) == (2, 4, 0.5)
    assert record.unfinished == 0
    assert not record.is_failing


def test_a_shadow_job_that_fails_is_counted_with_its_reason(house: House) -> None:
    house.shadows.put("m", SHADOW, 1.0, 5.0)
    house.shadowing.after_call([house.answered(1)])

    house.end_shadow_jobs(lambda job: job.failed(Failure("prediction_failed", "it raised"), 4.0, 60.0))

    assert house.record().is_failing
    assert house.record().failure == Failure("prediction_failed", "it raised")
    assert house.record().count("failed") == 1


def test_an_answer_whose_first_job_was_deleted_is_not_compared(house: House) -> None:
    house.shadows.put("m", SHADOW, 1.0, 5.0)
    house.shadowing.after_call([house.answered(1)])
    house.jobs.delete("job_1")

    house.end_shadow_jobs(lambda job: job.succeeded(4.0, 60.0), result([0, 1]))

    assert house.record().count("not_compared") == 1
    assert house.record().agreement is None


def test_a_deleted_version_is_recorded_as_failing(house: House) -> None:
    house.shadows.put("m", SHADOW, 1.0, 5.0)
    house.jobs.deleted_of = lambda _model: frozenset({SHADOW})

    house.shadowing.after_call([house.answered(1)])

    failure = house.record().failure
    assert failure is not None
    assert failure.code == "version_gone"
    assert house.record().is_failing


def test_jobs_are_skipped_while_many_shadow_jobs_wait(house: House) -> None:
    house.shadows.put("m", SHADOW, 1.0, 5.0)
    jobs = []
    for number in range(13):  # the store takes ten in a lane
        ended = house.answered(number)
        jobs.append(ended)

    house.shadowing.after_call(jobs)

    assert (house.record().count("sent"), house.record().count("skipped")) == (10, 3)
    assert len(house.shadow_jobs()) == 10


def test_a_call_sends_a_bounded_number_of_jobs(house: House, tmp_path: Path) -> None:
    house.jobs = Scarce(max_lane_jobs=1000)
    house.restart()
    house.shadows.put("m", SHADOW, 1.0, 5.0)

    house.shadowing.after_call([house.answered(number) for number in range(MAX_SENT_PER_CALL + 5)])

    assert (house.record().count("sent"), house.record().count("skipped")) == (MAX_SENT_PER_CALL, 5)


@pytest.mark.parametrize(("used", "sent"), [(60, 1), (61, 0)])
def test_jobs_are_skipped_while_memory_is_short(house: House, used: int, sent: int) -> None:
    house.shadows.put("m", SHADOW, 1.0, 5.0)
    house.jobs.used = used

    house.shadowing.after_call([house.answered(1)])

    assert (house.record().count("sent"), house.record().count("skipped")) == (sent, 1 - sent)


def test_a_job_with_many_bytes_of_rows_is_skipped(house: House) -> None:
    house.shadows.put("m", SHADOW, 1.0, 5.0)
    large = house.answered(1)

    house.shadowing.after_call([EndedJob(large.job, large.work, b" " * (256 * 1024 + 1), large.result)])

    assert (house.record().count("sent"), house.record().count("skipped")) == (0, 1)


def test_a_worker_reads_the_shadow_of_a_model_once_a_second(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(shadowing.time, "monotonic", lambda: now[0])
    house.shadowing.after_call([house.answered(1)])
    house.shadows.put("m", SHADOW, 1.0, 5.0)

    house.shadowing.after_call([house.answered(2)])
    assert house.shadow_jobs() == []
    now[0] += 1.1
    house.shadowing.after_call([house.answered(3)])

    assert [job.parent for job in house.shadow_jobs()] == ["job_3"]


def test_the_answer_of_a_shadow_is_kept_with_the_callers_job(house: House) -> None:
    house.shadows.put("m", SHADOW, 1.0, 0.0)
    answered = [house.answered(number) for number in range(2)]
    house.shadowing.after_call(answered)

    house.end_shadow_jobs(lambda job: job.succeeded(4.0, 60.0), result([1, 1]))

    assert [house.outcomes.kept_answers(each.job.id) for each in answered] == [{SHADOW: result([1, 1])}] * 2


def test_a_large_answer_of_a_shadow_is_not_kept(house: House) -> None:
    house.shadows.put("m", SHADOW, 1.0, 0.0)
    answered = house.answered(0)
    house.shadowing.after_call([answered])

    large = result([0, 1]) + b" " * shadowing.MAX_KEPT_BYTES
    house.end_shadow_jobs(lambda job: job.succeeded(4.0, 60.0), large)

    assert house.record().count("compared") == 1
    assert house.outcomes.kept_answers(answered.job.id) == {}
