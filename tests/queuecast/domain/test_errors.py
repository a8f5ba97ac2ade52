"""Foreign texts are cut before they go into a message."""

import pytest

from queuecast.domain.errors import exception_text, shortened


@pytest.mark.parametrize(
    ("text", "expected"),
    [("x" * 59, "x" * 59), ("x" * 60, "x" * 60), ("x" * 61, "x" * 57 + "...")],
    ids=["below", "at", "above"],
)
def test_a_text_is_shortened_above_the_limit(text: str, expected: str) -> None:
    assert shortened(text) == expected


def test_an_exception_is_described_by_its_type_and_its_first_words() -> None:
    text = exception_text(ValueError("found NaN in " + "1, " * 10**6))

    assert text.startswith("ValueError: found NaN in 1, 1, ")
    assert len(text) == 500
