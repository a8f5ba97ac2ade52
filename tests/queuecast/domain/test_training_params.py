"""The parameters that a training may set are those of the champion's estimator."""

from typing import Any

import pytest

from queuecast.domain.training_params import grid_prefix, unknown_params

KNOWN = ("scaler", "scaler__with_mean", "model", "model__C", "model__class_weight")
SEARCH = ("cv", "estimator", "param_grid", *(f"estimator__{name}" for name in KNOWN))


def places(params: dict[str, Any], known: tuple[str, ...]) -> list[tuple[str, str | None]]:
    findings = unknown_params(params, known)
    assert {finding.code for finding in findings} <= {"invalid_params"}
    return [(finding.pointer, finding.expected) for finding in findings]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"model__C": 1, "scaler": "passthrough"}, []),
        ({"model__c": 1}, [("/params/model__c", "'model__C'")]),
        ({"C": 1}, [("/params/C", f"one of {', '.join(KNOWN)}")]),
        (
            {"modle__C": 1, "a/b": 2},
            [("/params/modle__C", "'model__C'"), ("/params/a~1b", f"one of {', '.join(KNOWN)}")],
        ),
    ],
)
def test_a_parameter_that_the_estimator_lacks_is_found_with_the_nearest(
    params: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert places(params, KNOWN) == expected


@pytest.mark.parametrize(
    ("grid", "pointers"),
    [
        ({"model__C": [1]}, []),
        ({"model__c": [1]}, ["/params/param_grid/model__c"]),
        ([{"model__C": [1]}, {"estimator__model__C": [1]}], ["/params/param_grid/1/estimator__model__C"]),
        ("all", []),
    ],
)
def test_the_names_in_a_grid_are_those_of_the_inner_estimator(grid: Any, pointers: list[str]) -> None:
    assert [pointer for pointer, _ in places({"param_grid": grid}, SEARCH)] == pointers


def test_names_that_are_not_known_are_not_checked() -> None:
    assert unknown_params({"anything": 1}, ()) == ()


def test_many_wrong_names_and_long_ones_give_a_short_answer() -> None:
    findings = unknown_params(
        {f"{number}{'x' * 5000}": 1 for number in range(100)}, [f"p{number}" for number in range(900)]
    )

    assert len(findings) == 20
    assert max(len(finding.detail) for finding in findings) < 700


def test_a_grid_may_be_that_of_a_search_inside_a_pipeline() -> None:
    assert grid_prefix("search__param_distributions") == "search__estimator__"
    assert grid_prefix("param_grid") == "estimator__"
    assert grid_prefix("model__C") is None
