"""Each finding about the rows of a training: the rows that have it, and rows that do not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from queuecast.domain.findings.data_findings import DataFinding, Severity
from queuecast.domain.trainings.reference import Reference
from worker.data_checks.column_findings import column_findings
from worker.data_checks.feature_columns import columns_of
from worker.data_checks.references import learn_reference
from worker.data_checks.repeated_rows import repeated_rows
from worker.data_checks.target_findings import class_findings, moved_targets, row_findings

N = 1000
RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame({"age": RANDOM.normal(40, 10, N), "port": RANDOM.choice(["S", "C", "Q"], N, p=[0.7, 0.2, 0.1])})
REFERENCE = learn_reference(FRAME, list(FRAME.columns))


def _of_columns(frame: pd.DataFrame, reference: Reference | None = REFERENCE) -> list[DataFinding]:
    columns = dict(columns_of(frame, list(frame.columns), np.arange(len(frame))))
    return list(column_findings(columns, reference, 3))


def _short(findings: list[DataFinding]) -> list[tuple[str, str, str | None]]:
    return [(finding.code, finding.severity, finding.column) for finding in findings]


def test_rows_like_those_before_have_no_finding() -> None:
    assert _of_columns(FRAME.sample(frac=0.7, random_state=0)) == []
    assert _of_columns(FRAME, None) == []


@pytest.mark.parametrize("constant", [7.0, "S", None])
def test_a_constant_column_is_a_warning_unless_it_always_was_one(constant: Any) -> None:
    frame = FRAME.assign(age=pd.Series([constant] * N, dtype=object))
    columns = list(frame.columns)

    assert ("constant_column", "warning", "age") in _short(_of_columns(frame))
    assert ("constant_column", "warning", "age") in _short(_of_columns(frame, None))
    assert _short(_of_columns(frame, learn_reference(frame, columns))) == [("constant_column", "info", "age")]


def test_more_missing_values_are_a_warning_and_fewer_a_fact() -> None:
    holes = FRAME.assign(age=FRAME["age"].where(RANDOM.random(N) > 0.3))

    more = [each for each in _of_columns(holes) if each.code == "null_rate"]
    fewer = [each for each in _of_columns(FRAME, learn_reference(holes, ["age"])) if each.code == "null_rate"]

    assert [each.severity for each in (*more, *fewer)] == [Severity.WARNING, Severity.INFO]
    assert (more[0].found, more[0].expected) == (f"{holes['age'].isna().mean():.1%}", "0.0%")
    assert more[0].detail.startswith("the column 'age' has no value in ")
    assert more[0].detail.endswith("in version 3 (1,000 rows) it had none in 0.0%")


def test_a_few_rows_do_not_show_a_rate_of_missing_values() -> None:
    holes = pd.DataFrame({"age": [np.nan, *FRAME["age"][:5]]})

    assert "null_rate" not in [each.code for each in _of_columns(holes, learn_reference(FRAME[:8], ["age"]))]


@pytest.mark.parametrize(("share", "severity"), [(0.01, "info"), (0.2, "warning")])
def test_values_that_the_champion_never_saw_are_named(share: float, severity: str) -> None:
    frame = FRAME.assign(port=np.where(np.arange(N) < share * N, "Z", FRAME["port"]))

    found = [each for each in _of_columns(frame) if each.code == "unseen_values"]

    assert _short(found) == [("unseen_values", severity, "port")]
    assert found[0].found == "'Z'"


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"age": FRAME["age"] + 15}, "age"),
        ({"age": FRAME["age"] * 3 - 80}, "age"),
        ({"port": RANDOM.choice(["S", "C", "Q"], N, p=[0.3, 0.3, 0.4])}, "port"),
    ],
    ids=["mean", "spread", "shares"],
)
def test_a_column_with_other_values_has_drifted(changes: dict[str, Any], column: str) -> None:
    assert _short(_of_columns(FRAME.assign(**changes))) == [("drifted_column", "warning", column)]


def test_a_small_shift_is_no_drift_however_many_rows_show_it() -> None:
    large = pd.DataFrame({"age": RANDOM.normal(40, 10, 100_000)})

    assert _of_columns(large + 1, learn_reference(large, ["age"])) == []


# Rows and classes


@pytest.mark.parametrize(("n_rows", "codes"), [(99, ["few_rows"]), (100, [])])
def test_few_rows_are_a_warning(n_rows: int, codes: list[str]) -> None:
    assert [each.code for each in row_findings(n_rows, (0.0, 0.0), None)] == codes


def test_repeated_rows_are_a_warning_if_they_were_fewer_before() -> None:
    before = replace(REFERENCE, duplicates=0.3)

    assert [each.severity for each in row_findings(N, (0.35, 0.0), None)] == [Severity.WARNING]
    assert [each.severity for each in row_findings(N, (0.35, 0.0), before)] == [Severity.INFO]
    assert [each.code for each in row_findings(N, (0.0, 0.2), None)] == ["conflicting_rows"]
    assert list(row_findings(N, (0.009, 0.009), None)) == []


ROWS = [[1, "a"], [1, "a"], [1, "a"], [2, "b"], [None, "c"], [None, "c"]]
LABELS = np.array(["yes", "yes", "no", "no", "yes", "yes"])


@pytest.mark.parametrize(
    "features",
    [
        pd.DataFrame(ROWS),
        pd.DataFrame(ROWS).assign(lists=[[1]] * 6),
        pd.DataFrame(ROWS).to_numpy(),
        csr_matrix(np.array([[1, 0], [1, 0], [1, 0], [0, 2], [3, 3], [3, 3]], dtype=float)),
        ["one", "one", "one", "two", "three", "three"],
        [{"a": 1}, {"a": 1}, {"a": 1}, {"a": 2}, {"b": "x"}, {"b": "x"}],
    ],
    ids=["frame", "lists in cells", "array", "sparse", "texts", "dicts"],
)
def test_repeated_and_conflicting_rows_are_counted_in_rows_of_every_kind(features: Any) -> None:
    """Two rows repeat an earlier one with its label, and three have the same features and both labels."""
    assert repeated_rows(features, LABELS, are_classes=True) == pytest.approx((2 / 6, 3 / 6))
    assert repeated_rows(features, LABELS, are_classes=False) == pytest.approx((2 / 6, 0))


def _of_classes(labels: Any, classes: Any, **options: Any) -> dict[str, DataFinding]:
    options = {"keeps_classes": False} | options
    return {finding.code: finding for finding in class_findings(labels, ["color"], classes, **options)}


def test_lost_classes_are_an_error_that_names_them() -> None:
    found = _of_classes(np.repeat(["green", "red"], 50), ["blue", "green", "red"])

    assert list(found) == ["lost_classes"]
    assert (found["lost_classes"].severity, found["lost_classes"].expected) == (Severity.ERROR, "blue")


def test_a_challenger_that_keeps_the_classes_loses_none() -> None:
    assert _of_classes(np.repeat([0, 1], 50), [0, 1, 2], keeps_classes=True) == {}


def test_new_and_rare_classes_are_warnings() -> None:
    found = _of_classes(np.repeat([True, False], [50, 19]), [True])

    assert {code: finding.severity for code, finding in found.items()} == {
        "new_classes": Severity.WARNING,
        "few_class_rows": Severity.WARNING,
    }
    assert found["few_class_rows"].found == "False (19)"


def test_each_of_several_targets_has_classes_of_its_own() -> None:
    labels = np.column_stack([np.repeat([0, 1], 50), np.zeros(100, dtype=int)])

    found = list(class_findings(labels, ["a", "b"], [[0, 1], [0, 1]], keeps_classes=False))

    assert [(each.code, each.column) for each in found] == [("lost_classes", "b")]


# The target against the champion's


def _moved(before: Any, found: Any) -> list[DataFinding]:
    reference = learn_reference(np.zeros((len(before), 1)), ["x"], None, np.asarray(before))
    return list(moved_targets(np.asarray(found), ["target"], reference, 3))


@pytest.mark.parametrize(
    ("before", "found"),
    [
        (np.repeat(["no", "yes"], [977, 23]), np.repeat(["no", "yes"], [900, 100])),
        (np.repeat([0, 1], 500), np.repeat([0, 1], [700, 300])),
        (RANDOM.normal(size=N), RANDOM.normal(0.5, 1, size=N)),
    ],
    ids=["rare label", "numbers as labels", "mean"],
)
def test_a_target_with_other_shares_or_another_mean_has_moved(before: Any, found: Any) -> None:
    assert _short(_moved(before, found)) == [("moved_target", "warning", "target")]


@pytest.mark.parametrize(
    ("before", "found"),
    [
        (np.repeat(["no", "yes"], [977, 23]), np.repeat(["no", "yes"], [970, 30])),
        (RANDOM.normal(size=N), RANDOM.normal(size=N)),
        (np.repeat([0, 1], 500), np.repeat([0, 1], [7, 3])),
    ],
    ids=["alike", "same numbers", "few rows"],
)
def test_a_target_that_is_alike_has_not_moved(before: Any, found: Any) -> None:
    assert _moved(before, found) == []


def test_a_push_has_no_target_to_compare_with() -> None:
    assert list(moved_targets(np.zeros(N), ["target"], REFERENCE, 3)) == []
