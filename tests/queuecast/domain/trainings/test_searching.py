"""Which searches are refused before they are queued, and with which words."""

from typing import Any

import pytest

from queuecast.domain.errors import InvalidInputError
from queuecast.domain.trainings.searching import Search, require_sound_search

KNOWN = ("model", "model__C", "model__tol", "grid__param_grid", "grid__estimator__C")


@pytest.mark.parametrize(
    "values",
    [
        [0.1, 1],
        [None],
        [[1, 2], [3]],
        {"low": 0.1, "high": 1},
        {"low": -1, "high": 1, "log": False},
        {"low": 1, "high": 9, "int": True, "log": True},
    ],
)
def test_lists_and_ranges_are_candidates(values: Any) -> None:
    require_sound_search(Search({"model__C": values}), KNOWN)


@pytest.mark.parametrize(
    ("distributions", "pointer", "code", "words"),
    [
        ({}, "", "wrong_length", "at least one"),
        ({"model__c": [1]}, "/model__c", "invalid_params", "'model__C'"),
        ({"model__C": 3}, "/model__C", "wrong_type", "found number 3, expected a list of values or a range"),
        ({"model__C": []}, "/model__C", "wrong_type", "found an empty list"),
        ({"model__C": {"low": 1, "hihg": 2}}, "/model__C/hihg", "unknown_field", "low, high, log and int"),
        ({"model__C": {"low": 1}}, "/model__C/high", "wrong_type", "expected a number"),
        ({"model__C": {"low": 1, "high": "2"}}, "/model__C/high", "wrong_type", "expected a number"),
        ({"model__C": {"low": True, "high": 2}}, "/model__C/low", "wrong_type", "expected a number"),
        ({"model__C": {"low": 2, "high": 2}}, "/model__C/high", "out_of_range", "a number above 2"),
        ({"model__C": {"low": 0, "high": 2, "log": True}}, "/model__C/low", "out_of_range", "because of log"),
        ({"model__C": {"low": 1, "high": 2.5, "int": True}}, "/model__C/high", "wrong_type", "a whole number"),
        ({"model__C": {"low": 1, "high": 2, "log": 1}}, "/model__C/log", "wrong_type", "a boolean"),
        ({"grid__estimator__C": [1]}, "/grid__estimator__C", "own_search", "change its grid by params"),
    ],
)
def test_what_is_no_candidate_is_refused_with_its_place(
    distributions: dict[str, Any], pointer: str, code: str, words: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        require_sound_search(Search(distributions), KNOWN)

    finding = refused.value.findings[0]
    assert (finding.pointer, finding.code) == (f"/search/param_distributions{pointer}", code)
    assert words in finding.detail


def test_an_unknown_metric_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(InvalidInputError) as refused:
        require_sound_search(Search({"model__C": [1]}, metric="roc_acu"), KNOWN)

    assert (refused.value.findings[0].pointer, refused.value.findings[0].nearest) == ("/search/metric", "roc_auc")


def test_a_version_of_an_earlier_release_has_no_known_names() -> None:
    require_sound_search(Search({"anything": [1]}), ())
