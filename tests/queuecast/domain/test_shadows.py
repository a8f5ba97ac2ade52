"""How the answers of two versions compare, and which jobs are in the sample."""

from typing import Any

import pytest

from queuecast.domain.errors import InvalidInputError
from queuecast.domain.shadows import ShadowRecord, compare, is_sampled, require_sample


def answer(values: list[Any], key: str = "predictions", ms: float = 1.0, rows: int = 1, **more: Any) -> dict[str, Any]:
    return {key: values, "timings": {"predict_ms": ms, "batch_rows": rows}, **more}


def record(*compared: tuple[dict[str, Any], dict[str, Any]]) -> ShadowRecord:
    counters: dict[str, float] = {}
    for champion, shadow in compared:
        for name, amount in compare(champion, shadow).items():
            counters[name] = counters.get(name, 0) + amount
    return ShadowRecord(counters)


@pytest.mark.parametrize(
    ("champion", "shadow", "agreement", "difference"),
    [
        (["a", "b", "b", "a"], ["a", "b", "a", "a"], 0.75, None),
        ([1.0, 2.0], [1.0 + 1e-12, 2.5], 0.5, 0.25),
        ([True, False], [True, True], 0.5, None),
        ([[1.0, "x"], [2.0, "y"]], [[1.0, "x"], [2.0, "z"]], 0.5, 0.0),
        ([None, 1.0], [None, None], 0.5, None),
    ],
)
def test_rows_agree_if_labels_are_equal_and_numbers_close(
    champion: list[Any], shadow: list[Any], agreement: float, difference: float | None
) -> None:
    found = record((answer(champion), answer(shadow)))

    assert found.agreement == agreement
    assert found.mean_difference == (None if difference is None else pytest.approx(difference, abs=1e-9))


def test_probabilities_agree_in_the_most_probable_class() -> None:
    champion = answer([[0.9, 0.1], [0.6, 0.4]], "probabilities", classes=["no", "yes"])
    shadow = answer([[0.7, 0.3], [0.4, 0.6]], "probabilities", classes=["no", "yes"])

    found = record((champion, shadow))

    assert found.agreement == 0.5
    assert found.mean_difference == pytest.approx(0.2)


def test_probabilities_of_other_classes_are_compared_by_class_only() -> None:
    champion = answer([[0.9, 0.1]], "probabilities", classes=["no", "yes"])
    shadow = answer([[0.1, 0.9]], "probabilities", classes=["yes", "no"])

    found = record((champion, shadow))

    assert (found.agreement, found.mean_difference) == (1.0, None)


def test_the_run_time_of_a_row_is_that_of_its_call_divided_by_its_rows() -> None:
    jobs = [(answer([1], ms=8.0, rows=4), answer([1], ms=1.0))] * 99 + [(answer([1], ms=50.0), answer([1], ms=1.0))] * 2

    found = record(*jobs)

    assert found.latency_ms("champion", 0.5) == pytest.approx(2.0, rel=0.2)
    assert found.latency_ms("champion", 0.99) == pytest.approx(50.0, rel=0.2)
    assert found.latency_ms("shadow", 0.99) == pytest.approx(1.0, rel=0.2)
    assert ShadowRecord().latency_ms("shadow", 0.5) is None


def test_a_tenth_of_the_jobs_is_sampled_always_the_same_ones() -> None:
    ids = [f"job_{number}" for number in range(5000)]

    sampled = [job_id for job_id in ids if is_sampled(job_id, 0.1)]

    assert len(sampled) == pytest.approx(500, abs=100)
    assert sampled == [job_id for job_id in ids if is_sampled(job_id, 0.1)]
    assert all(is_sampled(job_id, 1.0) for job_id in ids)


@pytest.mark.parametrize("sample", [0.0, -0.1, 1.001, float("nan")])
def test_a_sample_is_a_share(sample: float) -> None:
    with pytest.raises(InvalidInputError, match="above 0 and at most 1"):
        require_sample(sample)
    assert require_sample(1.0) == 1.0


def test_a_shadow_fails_until_a_later_job_is_compared() -> None:
    assert not ShadowRecord().is_failing
    assert ShadowRecord(failed_at=1.0).is_failing
    assert ShadowRecord(compared_at=1.0, failed_at=2.0).is_failing
    assert not ShadowRecord(compared_at=2.0, failed_at=1.0).is_failing
