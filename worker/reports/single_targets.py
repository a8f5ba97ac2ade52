"""The answers to labelled rows, one target at a time, with codes for labels and a column for each label."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from queuecast.domain.errors import short_name
from worker.scoring.answers import Answers
from worker.scoring.labelled_rows import LabelledRows, sorted_labels


@dataclass(frozen=True, slots=True)
class SingleTarget:
    """target, fitted: arrays of the target of the held-out and of the fitted rows. versions: answers by role."""

    name: str
    target: Any
    fitted: Any
    versions: dict[str, Answers]


@dataclass(frozen=True, slots=True)
class ClassAnswers:
    """predictions: codes (n_rows,), -1 for an unknown label. probabilities: (n_rows, n_labels).

    ranks: (n_rows, n_labels), greater where the label is more likely. Each is None where a version does not answer it.
    """

    predictions: Any
    probabilities: Any
    ranks: Any


@dataclass(frozen=True, slots=True)
class CodedTarget:
    """labels: texts in the order of the codes. target, fitted: codes, (n_rows,)."""

    labels: tuple[str, ...]
    target: Any
    fitted: Any
    versions: dict[str, ClassAnswers]


def single_targets(names: Sequence[str], rows: LabelledRows, fitted: Any) -> Iterator[SingleTarget]:
    """Each target. fitted: the target of the fitted rows, in the shape of `rows.target`."""
    if np.ndim(rows.target) == 1:
        yield SingleTarget(names[0], rows.target, fitted, rows.versions)
        return
    for at, name in zip(range(rows.target.shape[1]), names, strict=False):
        versions = {role: _of_one(answers, at, rows.target.shape[1]) for role, answers in rows.versions.items()}
        yield SingleTarget(name, rows.target[:, at], fitted[:, at], versions)


def coded(single: SingleTarget) -> CodedTarget:
    """Of a classifier's target. Labels that no version answers have codes too."""
    present = [*single.target.tolist(), *single.fitted.tolist()]
    known = dict.fromkeys(label for answers in single.versions.values() for label in answers.classes or ())
    labels = sorted_labels(known | dict.fromkeys(present))
    codes = {label: code for code, label in enumerate(labels)}
    return CodedTarget(
        tuple(short_name(str(label)) for label in labels),
        _codes(single.target, codes),
        _codes(single.fitted, codes),
        {role: _coded_answers(answers, codes) for role, answers in single.versions.items()},
    )


def _of_one(answers: Answers, at: int, n_targets: int) -> Answers:
    outputs: dict[str, Any] = {}
    for method, output in answers.outputs.items():
        if isinstance(output, list):
            outputs[method] = output[at]
        elif n_targets == 1:
            outputs[method] = output if method != "predict" else np.ravel(output)
        elif np.ndim(output) == 2 and output.shape[1] == n_targets:
            column = output[:, at]
            # Labels that are there or not: the estimator answers the probability that each is there.
            outputs[method] = np.column_stack([1 - column, column]) if method == "predict_proba" else column
    classes = answers.classes
    if classes and isinstance(classes[0], list):
        classes = classes[at]
    elif classes and n_targets > 1:
        classes = [0, 1]
    return replace(answers, outputs=outputs, classes=classes)


def _codes(labels: Any, codes: dict[Any, int]) -> Any:
    return np.array([codes.get(label, -1) for label in np.ravel(labels).tolist()], dtype=np.int64)


def _coded_answers(answers: Answers, codes: dict[Any, int]) -> ClassAnswers:
    predictions = None if answers.predictions is None else _codes(answers.predictions, codes)
    probabilities = _by_label(answers.probabilities, answers.classes, codes, 0.0)
    ranks = probabilities
    if ranks is None:
        ranks = _by_label(_two_columns(answers.outputs.get("decision_function")), answers.classes, codes, -np.inf)
    return ClassAnswers(predictions, probabilities, ranks)


def _two_columns(decision: Any) -> Any:
    """The decision function of two classes has one number a row, greater for the second class."""
    return np.column_stack([-decision, decision]) if decision is not None and np.ndim(decision) == 1 else decision


def _by_label(output: Any, classes: Any, codes: dict[Any, int], absent: float) -> Any:
    """A column for each label; None if the output has none for each class, or numbers that are not finite."""
    if output is None or classes is None or np.ndim(output) != 2 or np.shape(output)[1] != len(classes):
        return None
    if not np.isfinite(output).all():
        return None
    columns = np.full((len(output), len(codes)), absent)
    columns[:, [codes[label] for label in classes]] = output
    return columns
