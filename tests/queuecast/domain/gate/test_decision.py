"""The gate: which facts promote a challenger, which refuse it, and which leave the decision to a person."""

from dataclasses import replace
from typing import Any

import pytest

from queuecast.domain.gate import (
    Decision,
    Evidence,
    GateSettings,
    MetricScores,
    Outcome,
    PromotionPolicy,
    RowSet,
    Score,
    SliceScores,
    Speed,
    Verdict,
    decide,
    is_promoted,
)


def score(value: float, half: float = 0.02) -> Score:
    return Score(value, value - half, value + half)


def scores(
    metric: str, champion: float, challenger: float, *, half: float = 0.004, margin: float = 0.01
) -> MetricScores:
    """half: of the interval of the difference."""
    return MetricScores(metric, score(champion), score(challenger), score(challenger - champion, half), margin)


EQUAL = Evidence(
    RowSet(
        400,
        (scores("neg_log_loss", -0.45, -0.45), scores("balanced_accuracy", 0.8, 0.8)),
        {"0": 250, "1": 150},
    ),
    remembered=RowSet(300, (scores("neg_log_loss", -0.45, -0.45),)),
    over_baseline=score(0.2, 0.05),
)


def changed(**fields: Any) -> Evidence:
    return replace(EQUAL, **fields)


def held_out(*found: MetricScores, n_rows: int = 400, class_rows: dict[str, int] | None = None) -> RowSet:
    return RowSet(n_rows, found, class_rows)


def outcomes(decision: Decision) -> dict[str, Outcome]:
    return {each.name: each.outcome for each in decision.criteria}


def test_an_equal_challenger_is_not_worse() -> None:
    decision = decide(GateSettings(), EQUAL)

    assert decision.verdict is Verdict.NOT_WORSE
    assert set(outcomes(decision).values()) == {Outcome.PASSED, Outcome.SKIPPED}
    assert decision.reason == (
        "neg_log_loss on the held-out rows is -0.45 against the champion's -0.45: a difference of +0 (95 % interval "
        "-0.004 to +0.004)"
    )


def test_a_difference_far_below_the_margin_does_not_refuse() -> None:
    evidence = changed(held_out=held_out(scores("r2", 0.905700, 0.905698, half=0.0001)), remembered=None)

    assert decide(GateSettings(), evidence).verdict is Verdict.NOT_WORSE


def test_a_gain_whose_interval_excludes_zero_is_better() -> None:
    evidence = changed(held_out=held_out(scores("neg_log_loss", -0.45, -0.40)))

    assert decide(GateSettings(), evidence).verdict is Verdict.BETTER


@pytest.mark.parametrize(
    ("evidence", "failed"),
    [
        (changed(held_out=held_out(scores("r2", 0.8, 0.7))), "held_out"),
        (changed(held_out=held_out(scores("r2", 0.8, 0.8, half=0.05))), "held_out"),
        (
            changed(held_out=held_out(scores("neg_log_loss", -0.4, -0.4), scores("balanced_accuracy", 0.8, 0.7))),
            "guard:balanced_accuracy",
        ),
        (changed(remembered=RowSet(300, (scores("neg_log_loss", -0.45, -0.6),))), "remembered"),
        (
            changed(slices=(SliceScores("sex", "male", 80, "accuracy", 0.8, 0.6, score(-0.2, 0.1), 0.02),)),
            "slices",
        ),
    ],
    ids=["a loss", "a wide interval", "a guard", "remembered rows", "a slice"],
)
def test_a_loss_that_is_not_ruled_out_is_worse(evidence: Evidence, failed: str) -> None:
    decision = decide(GateSettings(), evidence)

    assert decision.verdict is Verdict.WORSE
    assert [name for name, outcome in outcomes(decision).items() if outcome is Outcome.WORSE] == [failed]
    assert decision.reason == next(each.detail for each in decision.criteria if each.name == failed)


@pytest.mark.parametrize(
    ("evidence", "failed", "words"),
    [
        (changed(incomparable="the rows are unknown"), "comparable", "the rows are unknown"),
        (changed(held_out=replace(EQUAL.held_out, n_rows=1)), "rows", "1 rows are held out"),
        (changed(held_out=replace(EQUAL.held_out, class_rows={"0": 395, "1": 5})), "class_rows", "5 held-out rows"),
        (changed(lost_classes=("blue",)), "classes", "the challenger lacks blue"),
        (changed(new_classes=("violet",)), "classes", "the challenger adds violet"),
        (changed(data_errors=("the column refund gives the target away",)), "data", "refund gives the target away"),
        (
            changed(over_baseline=score(0.01, 0.05)),
            "learnable",
            "neither version is better than an estimator that knows no features",
        ),
        (
            changed(held_out=held_out(scores("neg_log_loss", -0.7, -0.65))),
            "file_agrees",
            "this file disagrees with what is known",
        ),
        (
            changed(held_out=held_out(scores("neg_log_loss", -0.7, -0.65)), remembered=None, known_score=score(-0.45)),
            "file_agrees",
            "when it was made",
        ),
        (
            changed(held_out=held_out(MetricScores("r2", None, score(0.8)))),
            "held_out",
            "r2 cannot be computed on the held-out rows",
        ),
    ],
)
def test_facts_that_forbid_a_comparison_leave_it_to_a_person(evidence: Evidence, failed: str, words: str) -> None:
    decision = decide(GateSettings(), evidence)

    assert decision.verdict is Verdict.INCOMPARABLE
    assert failed in [name for name, outcome in outcomes(decision).items() if outcome is Outcome.INCOMPARABLE]
    assert words in next(each.detail for each in decision.criteria if each.name == failed)


def test_a_world_that_has_changed_is_a_decision_of_a_person() -> None:
    """Worse on remembered rows, better on a file that the champion no longer fits."""
    evidence = changed(
        held_out=held_out(scores("neg_log_loss", -0.7, -0.4)),
        remembered=RowSet(300, (scores("neg_log_loss", -0.45, -0.7),)),
    )

    decision = decide(GateSettings(), evidence)

    assert decision.verdict is Verdict.INCOMPARABLE
    assert outcomes(decision)["remembered"] is Outcome.WORSE


def test_a_file_on_which_the_champion_is_better_than_before_agrees() -> None:
    evidence = changed(held_out=held_out(scores("neg_log_loss", -0.3, -0.3)))

    assert outcomes(decide(GateSettings(), evidence))["file_agrees"] is Outcome.PASSED


def test_a_small_slice_fails_only_where_its_interval_shows_a_loss() -> None:
    uncertain = SliceScores("sex", "male", 80, "accuracy", 0.8, 0.75, score(-0.05, 0.1), 0.02)

    assert outcomes(decide(GateSettings(), changed(slices=(uncertain,))))["slices"] is Outcome.PASSED


SLOW, QUICK = Speed(3.0, 0.003, 5_000_000), Speed(1.0, 0.001, 1_000_000)


@pytest.mark.parametrize(
    ("settings", "verdict"),
    [
        (GateSettings(floors={"balanced_accuracy": 0.9}), Verdict.WORSE),
        (GateSettings(floors={"balanced_accuracy": 0.7}), Verdict.NOT_WORSE),
        (GateSettings(floors={"f1": 0.7}), Verdict.INCOMPARABLE),
        (GateSettings(min_gain=0.01), Verdict.WORSE),
        (GateSettings(max_size_mb=4), Verdict.WORSE),
        (GateSettings(max_size_mb=6), Verdict.NOT_WORSE),
        (GateSettings(max_slowdown=2), Verdict.WORSE),
        (GateSettings(max_slowdown=4), Verdict.NOT_WORSE),
        (GateSettings(min_rows=401), Verdict.INCOMPARABLE),
        (GateSettings(min_class_rows=151), Verdict.INCOMPARABLE),
    ],
)
def test_settings_move_the_thresholds(settings: GateSettings, verdict: Verdict) -> None:
    evidence = changed(champion_speed=QUICK, challenger_speed=SLOW)

    assert decide(settings, evidence).verdict is verdict


def test_each_criterion_has_its_number_and_its_threshold() -> None:
    found = {each.name: each for each in decide(GateSettings(max_size_mb=4), changed(challenger_speed=SLOW)).criteria}

    assert (found["rows"].value, found["rows"].threshold) == (400, 100)
    assert (found["held_out"].value, found["held_out"].threshold) == (0, -0.01)
    assert found["held_out"].interval == (-0.004, 0.004)
    assert (found["size"].value, found["size"].threshold) == (5, 4)


def test_a_score_on_other_rows_has_a_wider_interval() -> None:
    difference = Score(0.8, 0.77, 0.83).minus(Score(0.7, 0.66, 0.74))

    assert difference.value == pytest.approx(0.1)
    assert (difference.low, difference.high) == pytest.approx((0.05, 0.15))  # 0.03 and 0.04 make 0.05


PROMOTED = {(Verdict.BETTER, PromotionPolicy.AUTO), (Verdict.NOT_WORSE, PromotionPolicy.AUTO)}


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("policy", PromotionPolicy)
def test_only_a_challenger_that_is_not_worse_is_promoted_and_only_when_asked(
    verdict: Verdict, policy: PromotionPolicy
) -> None:
    assert is_promoted(verdict, policy) is ((verdict, policy) in PROMOTED)
