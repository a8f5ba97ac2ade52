"""Labelled rows with the answers of the versions that are compared."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from worker.scoring.answers import Answers


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """target: array (n_rows,) or (n_rows, n_targets). versions: the answers of each version to these rows, by name.

    weights: (n_rows,) float64, how much each row counts; None if all count alike. groups: (n_rows,) int64, of rows that
    belong together and are drawn together; None if each row is drawn alone.
    """

    target: Any
    versions: dict[str, Answers]
    weights: Any = None
    groups: Any = None

    @property
    def n_rows(self) -> int:
        return len(self.target)


def with_coded_labels(rows: LabelledRows) -> LabelledRows:
    """Rows with 0, 1, ... instead of labels, in their sorted order: metrics of two classes take no other labels.

    Rows of several targets, and of numbers, are as they were.
    """
    versions = [each for each in rows.versions.values() if each.is_classifier and each.classes is not None]
    if np.ndim(rows.target) != 1 or not versions:
        return rows
    known: list[Any] = []
    for version in versions:
        if version.classes and isinstance(version.classes[0], list):
            return rows
        known += [label for label in version.classes if label not in known]
    known = sorted_labels(known)
    labels = rows.target.tolist()
    codes = {label: code for code, label in enumerate(known)}
    new = sorted_labels({label for label in labels if label not in codes})  # a version cannot answer them
    codes |= {label: len(known) + at for at, label in enumerate(new)}
    coded = {name: _coded(answers, codes) for name, answers in rows.versions.items()}
    return replace(rows, target=np.array([codes[label] for label in labels], dtype=np.int64), versions=coded)


def _coded(answers: Answers, codes: dict[Any, int]) -> Answers:
    if answers.classes is None:
        return answers
    outputs = dict(answers.outputs)
    if "predict" in outputs:
        predicted = np.ravel(outputs["predict"]).tolist()
        outputs["predict"] = np.array([codes.get(label, len(codes)) for label in predicted], dtype=np.int64)
    return replace(answers, outputs=outputs, classes=[codes[label] for label in answers.classes])


def sorted_labels(labels: Any) -> list[Any]:
    """Labels of several types have no order of their own."""
    try:
        return sorted(labels)
    except TypeError:
        return sorted(labels, key=repr)
