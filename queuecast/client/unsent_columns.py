"""Columns with values that cannot be sent, such as lists: they are sent as None where the model does not read them.

Recognizes the frames of pandas and polars by their attributes, so that the client needs neither library.
"""

import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any

from queuecast.client.notebook_answers import plain_rows
from queuecast.client.row_formats.json_rows import example_table
from queuecast.client.row_formats.polars_frames import is_polars
from queuecast.domain.work import Method

Send = Callable[[Any], object]
"""Raises ValueError for rows with a value that cannot be sent."""


def without_unread(estimator: Any, x: Any) -> Any:
    """The rows of a push, with None in the columns that cannot be sent and without which the estimator has the same
    answers; x itself if there are none."""
    unsent = _unsent_columns(x, example_table, ())
    if not unsent:
        return x
    head = x.head(20)
    answers = _answers(estimator, head)

    def is_unread(names: list[str]) -> bool:
        return bool(answers) and answers == _answers(estimator, _without(head, names))

    unread = unsent if is_unread(unsent) else [name for name in unsent if is_unread([name])]
    return _with_none(x, unread) if unread else x


def is_frame(rows: Any) -> bool:
    return hasattr(rows, "iloc") or is_polars(rows)


def have_names(rows: Any) -> bool:
    """Whether the values of rows have the names of columns, as those of a DataFrame or of dicts have."""
    return is_frame(rows) or (isinstance(rows, list) and any(isinstance(row, Mapping) for row in rows))


def with_sent_values(rows: Any, send: Send, read: Collection[str]) -> Any:
    """Rows to predict or a table to upload, with None for the values that cannot be sent, except in the columns `read`.

    rows: a DataFrame or a list of dicts; other rows have no names.
    """
    unsent = _unsent_columns(rows, send, read)
    if unsent:
        return _with_none(rows, unsent)
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        return rows
    return [
        {name: value if name in read or _can_send([{name: value}], send) else None for name, value in row.items()}
        for row in rows
    ]


def _unsent_columns(rows: Any, send: Send, read: Collection[str]) -> list[str]:
    if not is_frame(rows) or not all(isinstance(name, str) for name in getattr(rows, "columns", [None])):
        return []
    return [name for name in rows.columns if name not in read and not _can_send(rows[[name]], send)]


def _with_none(frame: Any, names: list[str]) -> Any:
    nothing = dict.fromkeys(names)
    return frame.with_columns(**nothing) if is_polars(frame) else frame.assign(**nothing)


def _without(frame: Any, names: list[str]) -> Any:
    return frame.drop(names) if is_polars(frame) else frame.drop(columns=names)


def _can_send(rows: Any, send: Send) -> bool:
    try:
        send(rows)
    except (ValueError, TypeError):
        return False
    return True


def _answers(estimator: Any, rows: Any) -> dict[str, list[Any]]:
    answers: dict[str, list[Any]] = {}
    for method in Method:
        if hasattr(estimator, method.value):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    answers[method.value] = plain_rows(getattr(estimator, method.value)(rows))
            except Exception:  # noqa: S112 - an estimator raises what it likes; a worker does not serve such a method
                continue
    return answers
