"""The answers of an estimator in the process that fitted it, with which the import compares those of a worker.

Recognizes the objects of numpy, scipy and pandas by their attributes, so that the client needs none of them.
"""

import math
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from queuecast.client.row_formats.chosen_rows import length, take
from queuecast.client.row_formats.json_rows import example_positions, example_table, rows_for_width
from queuecast.client.row_formats.polars_frames import is_polars
from queuecast.client.row_formats.whole_rows import are_texts, listed_rows
from queuecast.domain.columns.missing_values import is_missing
from queuecast.domain.work import MAX_SPARSE_COLUMNS, Method
from queuecast.tables.plain_values import text_of

MAX_ROWS = 200
_MAX_CELLS = 2_000_000
_MAX_KEYS = 100  # of dicts: the words of the first keys are among the rows
ROWS_ALONE = 20  # each of them is also a call by itself: some answers depend on the other rows, or on their number

Plain = str | int | float | bool | None


def notebook_answers(estimator: Any, x: Any) -> dict[str, Any] | None:
    """Up to MAX_ROWS rows of `x`, or fewer of a wide one, and the output of each method for them, as JSON; None if no
    method has an output.

    x: a DataFrame, a 2-D array, a sparse matrix, a list of lists, or texts.
    """
    drawn = take(x, example_positions(x))
    rows = take(drawn, _positions(drawn, _rows_for_outputs(estimator, x)))
    n_rows = length(rows)
    alone = list(range(0, n_rows, max(1, n_rows // rows_for_width(ROWS_ALONE, x, 2))))
    outputs: dict[str, list[Any]] = {}
    alone_outputs: dict[str, list[Any]] = {}
    for method in Method:
        if hasattr(estimator, method.value):
            call = getattr(estimator, method.value)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    output = plain_rows(call(rows))
                    single = [answer for at in alone for answer in plain_rows(call(take(rows, [at])))]
            except Exception:  # noqa: S112 - an estimator raises what it likes; a worker does not serve such a method
                continue
            if len(output) == n_rows and len(single) == len(alone):
                outputs[method.value], alone_outputs[method.value] = output, single
    if not outputs:
        return None
    return {
        "rows": example_table(rows)["rows"],
        "outputs": outputs,
        "alone": alone,
        "alone_outputs": alone_outputs,
    }


def _rows_for_outputs(estimator: Any, x: Any) -> int:
    """MAX_ROWS, or fewer if a method has a wide sparse output, which JSON holds with all its zeros."""
    widest = 1
    for method in Method:
        with suppress(Exception):  # an estimator raises what it likes
            output = getattr(estimator, method.value)(take(x, [0]))
            if hasattr(output, "toarray") and output.shape[1] <= MAX_SPARSE_COLUMNS:
                widest = max(widest, output.shape[1])
    return max(20, min(MAX_ROWS, _MAX_CELLS // widest))


def _positions(x: Any, max_rows: int) -> list[int]:
    """The rows to compare: the first ones, two with a missing value and one with each word of each column, others."""
    most = rows_for_width(max_rows, x)
    n_rows = length(x)
    chosen = dict.fromkeys(range(min(most // 10, n_rows)))
    for values in _columns(x):
        gaps = [at for at, value in enumerate(values) if is_missing(value)]
        words = {value: at for at, value in reversed(list(enumerate(values))) if isinstance(value, str)}
        chosen |= dict.fromkeys([*gaps[:2], *words.values()])
        if len(chosen) >= most:
            break
    step = max(1, n_rows // most)
    chosen |= dict.fromkeys(range(0, n_rows, step))
    return sorted(list(chosen)[:most])


def _columns(x: Any) -> list[list[Any]]:
    listed = listed_rows(x)
    if listed is not None:
        keys = list(dict.fromkeys(key for row in listed if isinstance(row, Mapping) for key in row))[:_MAX_KEYS]
        return [list(listed)] if are_texts(listed) else [[row.get(key) for row in listed] for key in keys]
    if hasattr(x, "iloc"):
        return [x.iloc[:, at].tolist() for at in range(x.shape[1])]
    if is_polars(x):
        return [column.to_list() for column in x.iter_columns()]
    if hasattr(x, "toarray"):  # a sparse matrix has numbers only
        return []
    rows = x.tolist() if hasattr(x, "tolist") else x
    return [list(values) for values in zip(*rows, strict=False)]


def plain_rows(output: Any) -> list[Any]:
    """One plain value or list for each row; for several targets with probabilities, a list of lists."""
    if isinstance(output, list) and output and getattr(output[0], "ndim", 0) > 0:
        return [list(row) for row in zip(*map(plain_rows, output), strict=True)]
    if hasattr(output, "toarray") and output.shape[1] > MAX_SPARSE_COLUMNS:
        raise ValueError(f"the output has {output.shape[1]} columns")  # a worker does not serve it
    for convert in ("toarray", "to_numpy"):
        output = getattr(output, convert)() if hasattr(output, convert) else output
    is_moments = getattr(getattr(output, "dtype", None), "kind", "") in ("m", "M")
    values = output.tolist() if hasattr(output, "tolist") and not is_moments else output
    return [_plain(value) for value in values]


def _plain(value: Any) -> Any:
    """A value as JSON has it: no number that is not finite. Raises TypeError for other objects."""
    if isinstance(value, list | tuple) or getattr(value, "ndim", None):
        return [_plain(each) for each in value]
    text = text_of(value)
    if text is not None or is_missing(value):
        return text
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if not isinstance(value, Plain):
        raise TypeError(f"an answer is a {type(value).__name__}, which JSON cannot hold")
    return value
