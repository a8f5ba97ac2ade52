"""Joins the true outcomes of a prediction job with the answers of a version, row by row."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from queuecast.domain.errors import ConflictError, InvalidInputError, mismatch, short_name
from queuecast.domain.findings.bounds import first_findings
from queuecast.domain.findings.json_texts import shown
from queuecast.domain.model import Manifest
from queuecast.domain.work import Method

WINDOW_ROWS = 5000
"""The newest rows of each version that live metrics are computed of."""

LiveRow = list[Any]
"""Of a regressor: the true number and the answered one. Of a classifier: the true label, the answered one, the
probability of the true label, and with two classes that of the second one and whether it is the true one; else None."""


@dataclass(frozen=True, slots=True)
class LiveWindow:
    """The newest rows with an outcome of one version. total: how many there were, with those that left the window."""

    rows: tuple[LiveRow, ...]
    total: int
    last_at: float


def require_outcomes(outcomes: Sequence[Any], result: Mapping[str, Any], manifest: Manifest) -> None:
    """result: of the job that the outcomes belong to. manifest: of the version that answered it.

    Raises ConflictError for a job whose answers no outcome can be compared with, and InvalidInputError for outcomes
    that are none of this job.
    """
    method = result.get("method")
    if method not in (Method.PREDICT, Method.PREDICT_PROBA):
        raise ConflictError(f"the job called {method}; outcomes are compared with predict and predict_proba only")
    if len(manifest.target) > 1 or (manifest.classes and isinstance(manifest.classes[0], list)):
        raise ConflictError(f"version {manifest.version} has several targets; outcomes are of one target only")
    if manifest.classes is None and not manifest.target:
        raise ConflictError(f"the target of version {manifest.version} is unknown, so nothing can be compared with it")
    n_rows = len(_answers(result))
    if len(outcomes) != n_rows:
        finding = mismatch("/outcomes", "wrong_length", f"{len(outcomes)} outcomes", f"{n_rows}, one for each row")
        raise InvalidInputError(f"/outcomes: {finding.detail}", (finding,))
    misfit = _no_label if manifest.classes is not None else _no_number
    found = (
        mismatch(f"/outcomes/{at}", "wrong_value", shown(outcome), expected)
        for at, outcome in enumerate(outcomes)
        if (expected := misfit(outcome, manifest.classes))
    )
    findings = first_findings(found)
    if findings.first:
        raise findings.refusal()


def live_rows(outcomes: Sequence[Any], result: Mapping[str, Any]) -> list[LiveRow]:
    """Rows without an answer are left out, and so is a result of another number of rows."""
    answers, classes = _answers(result), result.get("classes")
    if len(answers) != len(outcomes):
        return []
    if classes is None:
        pairs = zip(outcomes, answers, strict=True)
        return [[truth, answer] for truth, answer in pairs if is_number(answer)]
    rows = (_labelled(truth, answer, classes) for truth, answer in zip(outcomes, answers, strict=True))
    return [row for row in rows if row is not None]


def _answers(result: Mapping[str, Any]) -> Sequence[Any]:
    answers: Sequence[Any] = result["probabilities"] if "probabilities" in result else result["predictions"]
    return answers


def _labelled(truth: Any, answer: Any, classes: Sequence[Any]) -> LiveRow | None:
    if not isinstance(answer, list):
        return None if answer is None else [truth, answer, None, None, None]
    if len(answer) != len(classes) or not all(map(is_number, answer)):
        return None
    top = max(range(len(answer)), key=answer.__getitem__)
    of_truth = next((p for p, label in zip(answer, classes, strict=True) if is_same(label, truth)), 0.0)
    of_second = (answer[1], is_same(truth, classes[1])) if len(classes) == 2 else (None, None)
    return [truth, classes[top], of_truth, *of_second]


def _no_label(outcome: Any, classes: Any) -> str:
    """What was expected; empty if the outcome is one of the classes."""
    if any(is_same(outcome, label) for label in classes):
        return ""
    names = ", ".join(short_name(shown(label)) for label in classes[:10])
    return f"one of {names}{', ...' if len(classes) > 10 else ''}"


def _no_number(outcome: Any, _classes: Any) -> str:
    return "" if is_number(outcome) else "a number"


def is_same(one: Any, other: Any) -> bool:
    """As JSON compares: `true` is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
