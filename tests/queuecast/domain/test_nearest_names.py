"""The name that a caller probably meant, found in bounded time."""

import random
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuecast.domain.errors import Finding
from queuecast.domain.findings.bounds import MAX_FINDINGS, FirstFindings
from queuecast.domain.findings.nearest_names import NearestNames, with_nearest

COLUMNS = ["age", "sex", "sibsp", "parch", "fare", "embarked", "deck", "passenger_id"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        *(("Agee", "age"), ("AGE", "age"), ("sxe", "sex"), ("sibs", "sibsp"), ("farre", "fare"), ("dekc", "deck")),
        *(("passengerid", "passenger_id"), ("passenger id", "passenger_id"), ("embarkd", "embarked")),
        *(("zzz", None), ("", None), ("x" * 1000, None)),
    ],
)
def test_one_typo_finds_the_name(name: str, nearest: str | None) -> None:
    assert NearestNames(COLUMNS).of(name) == nearest


def test_a_name_is_not_its_own_nearest() -> None:
    assert NearestNames(["age"]).of("age") is None


@given(
    names=st.lists(st.text(string.ascii_lowercase, min_size=8, max_size=20), min_size=1, max_size=50, unique=True),
    at=st.integers(0, 7),
    data=st.data(),
)
def test_a_lost_letter_finds_the_name_unless_another_is_as_near(names: list[str], at: int, data: st.DataObject) -> None:
    meant = data.draw(st.sampled_from(names))
    typo = meant[:at] + meant[at + 1 :]

    nearest = NearestNames(names).of(typo)

    assert nearest is not None
    assert nearest == meant or len(set(meant) ^ set(nearest)) < len(meant)


@pytest.mark.parametrize("length", [8, 60, 1000])
def test_thousands_of_names_are_compared_in_bounded_time(length: int) -> None:
    letters = random.Random(3)
    names = [f"feature_{''.join(letters.choices(string.ascii_lowercase, k=length))}_{at}" for at in range(7000)]
    missing = [f"{name[:-5]}?{name[-4:]}" for name in names]
    findings = tuple(Finding("", "missing_column", "no", column=name) for name in missing[:MAX_FINDINGS])
    began = time.process_time()

    found = with_nearest(FirstFindings(findings, 7000), [], names)

    assert time.process_time() - began < 2
    assert all(finding.nearest is not None for finding in found.first)
    if length == 8:
        assert [finding.nearest for finding in found.first] == names[:MAX_FINDINGS]
