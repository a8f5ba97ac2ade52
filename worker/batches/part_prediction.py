"""Predicts the rows of one part. A row on which the estimator raises an error becomes a bad row."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from queuecast.domain.errors import RunFailedError, exception_text
from queuecast.domain.model import Manifest
from queuecast.domain.work import Method
from worker.models.bisection import Failed, Succeeded, bisect_failures
from worker.models.columns.widening import split_frame
from worker.models.frames import as_fitted, frame_of
from worker.models.model_output import output_columns, require_length
from worker.tables.reader import ReadRange
from worker.tables.rows import BadRow

Columns = dict[str, Any]
"""Name -> array (n,)."""

MAX_FAILED_ROWS = 100  # more failed rows than this in one part mean that the model is broken, not the rows


def predict_part(estimator: Any, manifest: Manifest, method: Method, read: ReadRange) -> tuple[ReadRange, Columns]:
    """The range without the rows that failed, and the output for the rows that it still has.

    Raises RunFailedError if more than MAX_FAILED_ROWS failed.
    """
    call = getattr(estimator, method.value)  # an estimator without the method is no fault of the rows

    def predict(rows: Sequence[int]) -> Columns:
        frame = read.frame if len(rows) == len(read.row_numbers) else read.frame[rows[0] : rows[-1] + 1]
        parts = []
        for positions, part in split_frame(manifest.signature, frame):
            columns = output_columns(method, call(part), manifest.classes)
            for values in columns.values():
                require_length(len(values), len(positions))
            parts.append((positions, columns))
        return _in_order(parts)

    predicted: list[Succeeded[int, Columns]] = []
    failed: list[Failed[int]] = []
    for outcome in bisect_failures(predict, range(len(read.row_numbers))):
        if isinstance(outcome, Succeeded):
            predicted.append(outcome)
            continue
        failed.append(outcome)
        if len(failed) > MAX_FAILED_ROWS:
            raise _too_many_failed(manifest, method, read, outcome.error) from outcome.error
    good = _without(read, failed) if failed else read
    if not predicted:
        return good, _no_rows(call, manifest, method)
    return good, _join([each.value for each in predicted])


def _in_order(parts: list[tuple[Any, Columns]]) -> Columns:
    """The output for rows that were called in parts."""
    if len(parts) == 1:
        return parts[0][1]
    order = np.argsort(np.concatenate([positions for positions, _ in parts]))
    return {name: values[order] for name, values in _join([columns for _, columns in parts]).items()}


def _join(pieces: list[Columns]) -> Columns:
    if len(pieces) == 1:
        return pieces[0]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _no_rows(call: Callable[[Any], Any], manifest: Manifest, method: Method) -> Columns:
    """The columns of the model's output without rows, learned from its example rows; none if it fails on those too."""
    with suppress(Exception):  # an estimator raises what it likes, and an example may not fit its own signature
        signature = manifest.signature
        example = as_fitted(signature.sparse, frame_of(signature, list(signature.example)), signature.labels)
        columns = output_columns(method, call(example), manifest.classes)
        return {name: values[:0] for name, values in columns.items()}
    return {}


def _without(read: ReadRange, failed: list[Failed[int]]) -> ReadRange:
    """The range with the failed rows among its bad ones."""
    bad = [
        BadRow(int(read.row_numbers[each.item]), None, "prediction_failed", exception_text(each.error))
        for each in failed
    ]
    kept = np.delete(np.arange(len(read.row_numbers)), [each.item for each in failed])
    return replace(
        read,
        row_numbers=read.row_numbers[kept],
        ids=None if read.ids is None else read.ids.take(kept),
        bad_rows=sorted([*read.bad_rows, *bad], key=lambda row: row.row),
    )


def _too_many_failed(manifest: Manifest, method: Method, read: ReadRange, error: Exception) -> RunFailedError:
    detail = (
        f"{method} of {manifest.model} version {manifest.version} raised on more than {MAX_FAILED_ROWS} of rows "
        f"{read.row_numbers[0]:,} to {read.row_numbers[-1]:,}, at last {exception_text(error)}"
    )
    return RunFailedError(detail, code="prediction_failed")
