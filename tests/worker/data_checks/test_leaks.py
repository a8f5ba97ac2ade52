"""A column that gives the target away is found, and one that does not is not."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from queuecast.domain.findings.data_findings import Severity
from worker.data_checks.feature_columns import values_of
from worker.data_checks.leaks import leak_findings

N = 2000
RANDOM = np.random.default_rng(0)
NOISE = RANDOM.normal(size=N)
LABELS = RANDOM.choice(["no", "yes"], N, p=[0.9, 0.1])
NUMBERS = RANDOM.normal(size=N)
GUESSES = {True: np.full(N, "no", dtype=object), False: np.zeros(N)}


def _found(column: Any, target: Any, answers: Any = None, *, are_classes: bool = True) -> list[tuple[str, str | None]]:
    columns = {"noise": values_of(NOISE), "tested": values_of(pd.Series(column))}
    champion = GUESSES[are_classes] if answers is None else answers
    found = leak_findings(columns, target, ["target"], lambda at: champion[at], are_classes=are_classes)
    return [(finding.code, finding.column) for finding in found]


LEAKS = {
    "a number": np.where(LABELS == "yes", 5.0, 1.0) + NOISE / 100,
    "a word": np.where(LABELS == "yes", "closed", "open").astype(object),
    "one of several words": np.where(LABELS == "yes", RANDOM.choice(["x", "y"], N), RANDOM.choice(["u", "v"], N)),
    "a missing number": np.where(LABELS == "yes", NOISE, np.nan),
    "a missing word": np.where(LABELS == "yes", "reason", None),
}


@pytest.mark.parametrize("column", LEAKS.values(), ids=LEAKS)
def test_a_column_that_gives_the_label_away_is_an_error(column: Any) -> None:
    assert _found(column, LABELS) == [("leaking_column", "tested")]


@pytest.mark.parametrize(
    "column",
    [
        np.arange(N),
        np.array([f"id {index}" for index in range(N)]),
        np.where(RANDOM.random(N) < 0.05, "no", LABELS),
        np.full(N, np.nan),
        np.full(N, "same"),
    ],
    ids=["row number", "id", "5 % wrong", "missing", "constant"],
)
def test_a_column_that_does_not_give_it_away_is_no_finding(column: Any) -> None:
    assert _found(column, LABELS) == []


def test_a_champion_that_answers_as_well_makes_it_an_easy_target() -> None:
    assert _found(LEAKS["a number"], LABELS, LABELS) == [("target_from_column", "tested")]


def test_a_champion_that_cannot_answer_knows_nothing() -> None:
    assert _found(LEAKS["a word"], LABELS, {}) == [("leaking_column", "tested")]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (NUMBERS * 3 + 7, [("leaking_column", "tested")]),
        (np.exp(NUMBERS), [("leaking_column", "tested")]),
        (NUMBERS + RANDOM.normal(size=N) / 3, []),
    ],
    ids=["linear", "monotonic", "noisy"],
)
def test_numbers_are_given_away_by_a_column_that_determines_them(column: Any, expected: Any) -> None:
    assert _found(column, NUMBERS, are_classes=False) == expected


def test_a_word_may_determine_a_number() -> None:
    words = RANDOM.choice(["a", "b", "c"], N)
    target = np.select([words == "a", words == "b"], [1.0, 2.0], 5.0)

    assert _found(words, target, are_classes=False) == [("leaking_column", "tested")]


def test_each_of_several_targets_is_checked() -> None:
    target = np.column_stack([NOISE > 0, LABELS == "yes"]).astype(int)

    columns = {"noise": values_of(RANDOM.normal(size=N)), "tested": values_of(LEAKS["a word"])}
    found = list(leak_findings(columns, target, ["a", "b"], lambda at: np.zeros((len(at), 2)), are_classes=True))

    assert [(finding.code, finding.severity) for finding in found] == [("leaking_column", Severity.ERROR)]
    assert "the target 'b'" in found[0].detail


@pytest.mark.parametrize("n_rows", [99, 100])
def test_few_rows_prove_nothing(n_rows: int) -> None:
    labels = np.tile(["no", "yes"], n_rows)[:n_rows]
    columns = {"a": values_of(NOISE[:n_rows]), "b": values_of((labels == "yes").astype(float))}

    found = list(leak_findings(columns, labels, ["t"], lambda at: np.full(len(at), "no"), are_classes=True))

    assert bool(found) is (n_rows == 100)
