"""What somebody else wrote is told shortened."""

import pytest

from queuecast.domain.errors import MAX_RAISED_TEXT, MAX_SHOWN, raised, shortened


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x" * (MAX_SHOWN - 1), "x" * (MAX_SHOWN - 1)),
        ("x" * MAX_SHOWN, "x" * MAX_SHOWN),
        ("x" * (MAX_SHOWN + 1), "x" * (MAX_SHOWN - 3) + "..."),
    ],
    ids=["below", "at", "above"],
)
def test_a_text_is_told_whole_up_to_the_limit_and_shortened_above_it(text: str, told: str) -> None:
    assert shortened(text) == told


def test_what_was_raised_is_told_by_its_kind_and_its_first_words() -> None:
    told = raised(ValueError("found NaN in " + "1, " * 10**6))

    assert told.startswith("ValueError: found NaN in 1, 1, ")
    assert len(told) == MAX_RAISED_TEXT
