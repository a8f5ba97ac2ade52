"""Findings about single columns: constant, more or fewer missing values, values never seen, drift."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from queuecast.domain.errors import short_name, shortened
from queuecast.domain.findings.data_findings import DataFinding, Severity
from queuecast.domain.trainings.reference import Distribution, Reference
from worker.data_checks.check_bounds import BOUNDS
from worker.data_checks.drift import are_significant, drift_of
from worker.data_checks.feature_columns import Values


def column_findings(columns: Mapping[str, Values], reference: Reference | None, version: int) -> Iterator[DataFinding]:
    """reference: of the champion; None if it has none. version: its number."""
    before = {} if reference is None else reference.columns
    for name, values in columns.items():
        yield from _constant(name, values, before.get(name))
    if reference is None:
        return
    origin = f"version {version} ({reference.counted_rows:,} rows)"
    for name, values in columns.items():
        if name in before:
            yield from _null_rate(name, values, before[name], reference.counted_rows, origin)
            yield from _unseen(name, values, before[name], origin)
    yield from _drifted(columns, reference, origin)


def _constant(name: str, values: Values, before: Distribution | None) -> Iterator[DataFinding]:
    if values.n_rows < 2 or not values.is_constant or 0 < values.missing < 1:
        return
    was_constant = before is not None and sum(share > 0 for share in before.shares) < 2
    value = "missing values only" if values.missing else f"one value only: {_first(values)}"
    severity = Severity.INFO if was_constant else Severity.WARNING
    detail = f"the column {short_name(name)!r} has {value}"
    yield DataFinding("constant_column", severity, detail, short_name(name), value, "several values")


def _first(values: Values) -> str:
    return f"{values.numbers[0]:.6g}" if values.are_numbers else shortened(values.texts[values.codes[0]])


def _null_rate(name: str, values: Values, before: Distribution, n_before: int, origin: str) -> Iterator[DataFinding]:
    """By ten points or more, and by four standard errors of the difference."""
    found, expected = values.missing, before.missing
    pooled = (found * values.n_rows + expected * n_before) / (values.n_rows + n_before)
    error = np.sqrt(pooled * (1 - pooled) * (1 / values.n_rows + 1 / n_before))
    if abs(found - expected) < max(0.1, 4 * error):
        return
    detail = (
        f"the column {short_name(name)!r} has no value in {found:.1%} of the rows; in {origin} it had none in "
        f"{expected:.1%}"
    )
    severity = Severity.WARNING if found > expected else Severity.INFO
    yield DataFinding("null_rate", severity, detail, short_name(name), f"{found:.1%}", f"{expected:.1%}")


def _unseen(name: str, values: Values, before: Distribution, origin: str) -> Iterator[DataFinding]:
    """Of columns whose reference has all values."""
    if values.are_numbers or before.are_numbers or not before.categories or before.shares[-1] > 0:
        return
    known = set(before.categories)
    unseen = {text: count for text, count in values.counts() if short_name(text) not in known}
    if not unseen:
        return
    share = sum(unseen.values()) / values.n_rows
    shown = ", ".join(shortened(repr(text)) for text in list(unseen)[:5])
    detail = (
        f"the column {short_name(name)!r} has {_counted_values(len(unseen))} that {origin} did not have, in "
        f"{share:.1%} of the rows: {shown}{', ...' if len(unseen) > 5 else ''}"
    )
    severity = Severity.WARNING if share >= 0.05 else Severity.INFO
    yield DataFinding("unseen_values", severity, detail, short_name(name), shown)


def _counted_values(count: int) -> str:
    return "a value" if count == 1 else f"{count} values"


def _drifted(columns: Mapping[str, Values], reference: Reference, origin: str) -> Iterator[DataFinding]:
    drifts: dict[str, Any] = {}
    for name, values in columns.items():
        if name in reference.columns:
            drift = drift_of(reference.columns[name], reference.counted_rows, values)
            if drift is not None:
                drifts[name] = drift
    for (name, drift), is_significant in zip(drifts.items(), are_significant(list(drifts.values())), strict=True):
        if is_significant and drift.index >= BOUNDS.large_shift:
            detail = f"the column {short_name(name)!r} is distributed differently than in {origin}: {drift.text}"
            yield DataFinding(
                "drifted_column",
                Severity.WARNING,
                detail,
                short_name(name),
                f"{drift.index:.2f}",
                f"less than {BOUNDS.large_shift}",
            )
