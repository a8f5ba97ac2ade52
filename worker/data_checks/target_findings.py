"""Findings about rows and targets: too few, repeated, classes lost or new, a target that has moved."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from queuecast.domain.errors import short_name
from queuecast.domain.findings.bounds import list_names
from queuecast.domain.findings.data_findings import DataFinding, Severity
from queuecast.domain.trainings.reference import Distribution, Reference
from queuecast.plurals import counted
from worker.data_checks.check_bounds import BOUNDS
from worker.data_checks.drift import are_significant, drift_of
from worker.data_checks.feature_columns import values_of
from worker.data_checks.references import targets_of


def row_findings(n_fitted: int, repeated: tuple[float, float], reference: Reference | None) -> Iterator[DataFinding]:
    """repeated: the shares of `repeated_rows`."""
    if n_fitted < BOUNDS.few_rows:
        detail = f"the version is fitted on {counted(n_fitted, 'row')}, expected {BOUNDS.few_rows} or more"
        yield DataFinding("few_rows", Severity.WARNING, detail, None, str(n_fitted), f"{BOUNDS.few_rows} or more")
    yield from repeated_findings(repeated, reference, "the champion's file")


def repeated_findings(repeated: tuple[float, float], reference: Reference | None, origin: str) -> Iterator[DataFinding]:
    """repeated: the shares of `repeated_rows`. origin: the file of the reference, in words."""
    known = (None, None) if reference is None else (reference.duplicates, reference.conflicts)
    texts = (
        ("duplicate_rows", "repeat an earlier row"),
        ("conflicting_rows", "have the same features as another row and a different label"),
    )
    for (code, text), found, before in zip(texts, repeated, known, strict=True):
        if found >= 0.01:
            more = "" if before is None else f"; in {origin} it was {before:.1%}"
            severity = Severity.WARNING if found - (before or 0.0) >= 0.1 else Severity.INFO
            yield DataFinding(code, severity, f"{found:.1%} of the rows {text}{more}", None, f"{found:.1%}")


def class_findings(fitted: Any, names: Sequence[str], classes: Any, *, keeps_classes: bool) -> Iterator[DataFinding]:
    """fitted: the target of the rows that are fitted on. classes: the champion's, a list for each of several targets.

    keeps_classes: whether the challenger has the champion's classes, whatever the rows have.
    """
    labels = classes if classes and isinstance(classes[0], list) else [classes or []]
    for name, known, column in zip(names, labels, targets_of(fitted), strict=False):
        present, counts = np.unique(column.astype(str), return_counts=True)
        lost = [text for text in map(str, known) if text not in set(present)]
        new = [text for text in present.tolist() if text not in set(map(str, known))]
        if known and lost and not keeps_classes:
            detail = f"no row to fit on has the {_labels(lost)}, which the champion answers"
            yield DataFinding("lost_classes", Severity.ERROR, detail, short_name(name), "none", list_names(lost))
        if known and new:
            detail = f"the rows have the {_labels(new)}, which the champion does not know"
            yield DataFinding("new_classes", Severity.WARNING, detail, short_name(name), list_names(new))
        few = [
            f"{short_name(text)} ({n})" for text, n in zip(present, counts, strict=True) if n < BOUNDS.few_of_a_class
        ]
        if few:
            detail = f"some labels have fewer than {BOUNDS.few_of_a_class} rows to fit on: {list_names(few)}"
            yield DataFinding("few_class_rows", Severity.WARNING, detail, short_name(name), list_names(few))


def _labels(texts: list[str]) -> str:
    return f"{'label' if len(texts) == 1 else 'labels'} {list_names(texts)}"


def moved_targets(
    target: Any, names: Sequence[str], reference: Reference | None, version: int
) -> Iterator[DataFinding]:
    """Whether the shares of the labels, or the numbers, are different from those that the champion was fitted on."""
    if reference is None:
        return
    for name, before, column in zip(names, reference.target, targets_of(target), strict=False):
        values = values_of(column)
        drift = drift_of(before, reference.target_rows, values)
        if drift is None or not are_significant([drift])[0]:
            continue
        found, expected, has_moved = _middle(before, values) if values.are_numbers else ("", "", False)
        if drift.index >= BOUNDS.moved_target or has_moved:
            means = f" (mean {found}, before {expected})" if found else ""
            detail = f"the target {short_name(name)!r} is distributed differently than in version {version}{means}"
            yield DataFinding(
                "moved_target",
                Severity.WARNING,
                f"{detail}: {drift.text}",
                short_name(name),
                found or f"{drift.index:.2f}",
                expected or f"less than {BOUNDS.moved_target}",
            )


def _middle(before: Distribution, values: Any) -> tuple[str, str, bool]:
    """Both means, and whether they are a quarter of a standard deviation apart."""
    found = float(values.present.mean())
    expected, std = before.mean or 0.0, before.std or 0.0
    return f"{found:.6g}", f"{expected:.6g}", abs(found - expected) >= 0.25 * std > 0
