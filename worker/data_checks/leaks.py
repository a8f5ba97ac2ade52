"""Finds a column that gives the target away.

Alone it answers nearly all rows, and the champion, which has the column, does not. If the champion does as well,
the target is as easy as that, and nothing leaks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from queuecast.domain.errors import short_name
from queuecast.domain.findings.data_findings import DataFinding, Severity
from worker.data_checks.check_bounds import BOUNDS
from worker.data_checks.feature_columns import Values
from worker.data_checks.references import targets_of

Predict = Callable[[Any], Any]
"""The champion's answers to the rows at these places of the sample."""


@dataclass(frozen=True, slots=True)
class _Halves:
    """Places of the sample: those that a model of one column is fitted on, and those that it is scored on."""

    fitted: Any
    scored: Any


def leak_findings(
    columns: Mapping[str, Values], target: Any, names: Sequence[str], predict: Predict, *, are_classes: bool
) -> Iterator[DataFinding]:
    """columns, target: of a sample of rows. names: of the targets."""
    n_rows = len(target)
    if n_rows < BOUNDS.few_rows or len(columns) < 2:
        return
    order = np.random.default_rng(0).permutation(n_rows)
    halves = _Halves(order[: n_rows // 2], order[n_rows // 2 :])
    for index, (name, column) in enumerate(zip(names, targets_of(target), strict=False)):
        codes = _codes(column) if are_classes else _numbers(column)
        if codes is None:
            continue
        scores = {
            each: _score_alone(values, codes, halves, are_classes=are_classes)
            for each, values in columns.items()
            if len(values.present)
        }
        leaking = [each for each, score in scores.items() if score >= BOUNDS.leak]
        if leaking:
            champion = _score_of_champion(predict, column, halves.scored[:2000], index, are_classes=are_classes)
            for each in leaking:
                yield from _finding(each, name, scores[each], champion, are_classes=are_classes)


def _finding(column: str, target: str, alone: float, champion: float, *, are_classes: bool) -> Iterator[DataFinding]:
    metric = "balanced accuracy" if are_classes else "R2"
    sentence = (
        f"the column {short_name(column)!r} alone gives the target {short_name(target)!r} away ({metric} {alone:.4f}"
    )
    found, expected = f"{alone:.4f}", f"less than {BOUNDS.leak}"
    if champion >= alone - 0.01:
        detail = f"{sentence}), and the champion answers as well"
        yield DataFinding("target_from_column", Severity.INFO, detail, short_name(column), found, expected)
    else:
        detail = f"{sentence}; the champion, which has the column, {max(champion, 0):.4f}); it may hold the answer"
        yield DataFinding("leaking_column", Severity.ERROR, detail, short_name(column), found, expected)


def _codes(labels: Any) -> Any:
    """Labels as 0, 1, ...; None if a class has too few rows for a score, or if the classes are too many."""
    present, codes = np.unique(labels.astype(str), return_inverse=True)
    counts = np.bincount(codes)
    if not 2 <= len(present) <= BOUNDS.categories or counts.min() < 10:
        return None
    return codes


def _numbers(target: Any) -> Any:
    """None for texts: an estimator that is no classifier may have them as its target."""
    return target.astype("float64") if target.dtype.kind in "biuf" else None


def _score_alone(values: Values, target: Any, halves: _Halves, *, are_classes: bool) -> float:
    answers = (_answers_of_tree if values.are_numbers else _answers_by_value)(
        values, target, halves, are_classes=are_classes
    )
    return _score(target[halves.scored], answers, are_classes=are_classes)


def _score(target: Any, answers: Any, *, are_classes: bool) -> float:
    """Balanced accuracy, or R2."""
    if are_classes:
        is_right = answers == target
        return float(np.mean([is_right[target == label].mean() for label in np.unique(target)]))
    spread = ((target - target.mean()) ** 2).sum()
    return float(1 - ((target - answers) ** 2).sum() / spread) if spread > 0 else 0.0


def _answers_of_tree(values: Values, target: Any, halves: _Halves, *, are_classes: bool) -> Any:
    tree: Any = (
        DecisionTreeClassifier(max_depth=6, class_weight="balanced", random_state=0)
        if are_classes
        else DecisionTreeRegressor(max_depth=6, random_state=0)
    )
    numbers = values.numbers.reshape(-1, 1).clip(-1e30, 1e30)  # a tree takes single precision
    return tree.fit(numbers[halves.fitted], target[halves.fitted]).predict(numbers[halves.scored])


def _answers_by_value(values: Values, target: Any, halves: _Halves, *, are_classes: bool) -> Any:
    """For each value the most frequent label, weighted by the classes' sizes, or the mean. For a new value, of all."""
    places = values.codes + 1  # a missing value is a value
    n_values = len(values.texts) + 1
    fitted, scored = places[halves.fitted], places[halves.scored]
    known = target[halves.fitted]
    rows = np.bincount(fitted, minlength=n_values)
    if are_classes:
        n_classes = int(target.max()) + 1
        table = np.bincount(fitted * n_classes + known, minlength=n_values * n_classes).reshape(n_values, n_classes)
        sizes = np.maximum(np.bincount(known, minlength=n_classes), 1)
        answers, default = (table / sizes).argmax(axis=1), sizes.argmax()
    else:
        answers = np.bincount(fitted, weights=known, minlength=n_values) / np.maximum(rows, 1)
        default = known.mean()
    return np.where(rows > 0, answers, default)[scored]


def _score_of_champion(predict: Predict, target: Any, at: Any, index: int, *, are_classes: bool) -> float:
    """Below every score if the champion cannot answer."""
    try:
        answers = np.asarray(predict(at))
        answers = answers.reshape(len(at), -1)[:, index]
        if are_classes:
            return _score(target[at].astype(str), answers.astype(str), are_classes=are_classes)
        return _score(target[at].astype("float64"), answers.astype("float64"), are_classes=are_classes)
    except Exception:  # an estimator raises what it likes
        return -np.inf
