"""The gate: which score promotes a version."""

import pytest

from queuecast.domain.gate import Comparison, Verdict, is_promoted
from queuecast.domain.work import PromotionPolicy


@pytest.mark.parametrize(
    ("champion", "challenger", "verdict"),
    [
        (0.8, 0.81, Verdict.BETTER),
        (0.8, 0.8, Verdict.NOT_WORSE),
        (0.8, 0.79, Verdict.WORSE),
        (-0.2, -0.1, Verdict.BETTER),
        (None, 0.8, Verdict.INCOMPARABLE),
        (0.8, None, Verdict.INCOMPARABLE),
        (None, None, Verdict.INCOMPARABLE),
        (0.0, 0.0, Verdict.NOT_WORSE),
    ],
)
def test_the_verdict_compares_two_scores(champion: float | None, challenger: float | None, verdict: Verdict) -> None:
    assert Comparison("accuracy", champion, challenger).verdict is verdict


@pytest.mark.parametrize(
    ("champion", "challenger"), [(float("nan"), 0.8), (0.8, float("nan")), (float("nan"), float("nan"))]
)
def test_a_score_that_is_not_a_number_never_promotes(champion: float, challenger: float) -> None:
    verdict = Comparison("accuracy", champion, challenger).verdict

    assert not is_promoted(verdict, PromotionPolicy.AUTO)


PROMOTED = {(Verdict.BETTER, PromotionPolicy.AUTO), (Verdict.NOT_WORSE, PromotionPolicy.AUTO)}


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("policy", PromotionPolicy)
def test_only_a_score_that_is_not_worse_is_promoted_and_only_when_asked(
    verdict: Verdict, policy: PromotionPolicy
) -> None:
    assert is_promoted(verdict, policy) is ((verdict, policy) in PROMOTED)
