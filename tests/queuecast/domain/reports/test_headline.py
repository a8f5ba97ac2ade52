"""The verdict of a training in one sentence."""

import pytest

from queuecast.domain.reports import headline
from tests.api.reports.sample_reports import evaluation, report


@pytest.mark.parametrize(
    ("gain", "changes", "promoted", "expected"),
    [
        (0.02, {}, True, "Version 3 is better than version 2 and became champion."),
        (0.005, {}, True, "Version 3 is not worse than version 2 and became champion."),
        (0.02, {}, False, "Version 3 is better than version 2, but it did not become champion."),
        (-0.005, {}, False, "Version 3 is not shown to be as good as version 2, so it did not become champion."),
        (-0.2, {}, False, "Version 3 is worse than version 2, so it did not become champion."),
        (
            0.02,
            {"incomparable": "the rows are unknown"},
            False,
            "Version 3 cannot be compared with version 2, so it did not become champion.",
        ),
    ],
)
def test_the_verdict_in_one_sentence(gain: float, changes: dict[str, str], promoted: bool, expected: str) -> None:
    assert headline(report(evaluation=evaluation(gain, **changes), promoted=promoted)) == expected
