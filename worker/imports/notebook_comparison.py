"""Compares a worker's answers with those of the process that fitted the model, before a version exists.

The rows are written by each format's own writer and read by the worker's reader, so a difference in types, missing
values or words shows here and not in an answer.
"""

import csv
import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from queuecast.domain.errors import Finding, ModelRefusedError, exception_text, shortened
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.signature import Layout, Signature
from queuecast.domain.work import Method
from queuecast.tables.plain_values import plain_dtypes
from worker.imports.written_objects import can_hold_object, write_objects
from worker.models.columns.widening import answer_in_parts
from worker.models.frames import frame_of
from worker.models.golden_rows import Golden
from worker.models.learning.same_answers import first_difference
from worker.models.learning.shared_steps import encoders_shared
from worker.models.model_output import output_rows
from worker.tables.reader import read_range
from worker.tables.splitting import split_file

_SINGLE = ("float32", "float16")


class NotebookAnswers(msgspec.Struct, forbid_unknown_fields=True):
    """rows: of the example, as lists of JSON values. outputs: method -> one output for each row, of a call with all.

    alone_outputs: those of a call for each of the rows at the positions `alone`.
    """

    rows: list[list[Any]]
    outputs: dict[Method, list[Any]]
    alone: list[int]
    alone_outputs: dict[Method, list[Any]]

    def __post_init__(self) -> None:
        """Raises ValueError unless there is an output for each row; msgspec reports it like any other mismatch."""
        n_rows, n_alone = len(self.rows), len(self.alone)
        is_whole = self.outputs.keys() == self.alone_outputs.keys() and all(0 <= at < n_rows for at in self.alone)
        is_whole &= all(len(output) == n_rows for output in self.outputs.values())
        is_whole &= all(len(output) == n_alone for output in self.alone_outputs.values())
        if not is_whole or len({len(row) for row in self.rows}) > 1:
            raise ValueError("the answers do not have an output for each row")

    def bounded(self, max_cells: int = 200_000) -> "NotebookAnswers":
        """With fewer rows of a wide table, so that the cost of the comparison does not grow with its width."""
        width = len(self.rows[0]) if self.rows else 0
        max_rows = max(20, max_cells // max(width, 1))
        calls = _spread(len(self.alone), max(2, max_rows // 10))
        if len(self.rows) <= max_rows and len(calls) == len(self.alone):
            return self
        kept = sorted({*_spread(len(self.rows), max_rows), *(self.alone[call] for call in calls)})
        places = {at: place for place, at in enumerate(kept)}
        return NotebookAnswers(
            [self.rows[at] for at in kept],
            {method: [output[at] for at in kept] for method, output in self.outputs.items()},
            [places[self.alone[call]] for call in calls],
            {method: [output[call] for call in calls] for method, output in self.alone_outputs.items()},
        )

    def of_columns(self, positions: list[int]) -> "NotebookAnswers":
        """With these cells of each row."""
        rows = [[row[at] for at in positions] for row in self.rows]
        return NotebookAnswers(rows, self.outputs, self.alone, self.alone_outputs)


def _spread(count: int, limit: int) -> list[int]:
    """At most `limit` of the numbers below `count`, with equal steps."""
    return list(range(0, count, max(1, math.ceil(count / limit))))


@dataclass(frozen=True, slots=True)
class _Sent:
    """Rows as they arrive at the estimator. positions: of the rows among all that are compared."""

    way: str
    frame: Any
    positions: Sequence[int]
    expected: dict[Method, list[Any]]


def compare_answers(estimator: Any, signature: Signature, answers: NotebookAnswers) -> Golden:
    """The rows that were compared, with their outputs in the notebook: those that the signature accepts, and fewer of
    a wide table.

    Raises ModelRefusedError for the first answer of this worker that differs.
    """
    answers = answers.bounded()
    rows = [_row(signature, values) for values in answers.rows]
    accepted = [at for at, row in enumerate(rows) if not signature.findings([row], limit=1)]
    tolerances = {method: _tolerance(signature, answers, method) for method in answers.outputs}
    if accepted:
        with encoders_shared(estimator, len(signature.columns)):
            for sent in _ways(signature, rows, accepted, answers):
                _compare(estimator, signature, sent, rows, tolerances)
    outputs = {method.value: [output[at] for at in accepted] for method, output in answers.outputs.items()}
    return Golden([rows[at] for at in accepted], outputs)


def _compare(
    estimator: Any, signature: Signature, sent: _Sent, rows: list[Any], tolerances: dict[Method, float]
) -> None:
    for method, expected in sent.expected.items():
        found, dtype = _answers(estimator, signature, method, sent.frame)
        at = first_difference(found, expected, 1e-5 if dtype in _SINGLE else tolerances[method])
        if at is not None:
            answer = found[at] if isinstance(found, list) and len(found) == len(expected) else _summary(found)
            row = rows[sent.positions[at]]
            column = _changed_column(signature, sent, row, at)
            raise _refusal(sent.way, row, method, answer, expected[at], column)


def _tolerance(signature: Signature, answers: NotebookAnswers, method: Method) -> float:
    """Relative, for floats.

    Wider for single precision, and for an estimator whose answers in the notebook depend on the number of rows in a
    call: rounding does that to an ill-conditioned one.
    """
    together = [answers.outputs[method][at] for at in answers.alone]
    is_exact = first_difference(answers.alone_outputs[method], together, 1e-9) is None
    is_single = any(column.dtype.lower() in _SINGLE for column in signature.read_columns)
    return 1e-9 if is_exact and not is_single else 1e-5


def _summary(found: list[Any] | str) -> str:
    return found if isinstance(found, str) else f"{len(found)} answers"


def _row(signature: Signature, values: list[Any]) -> Any:
    if signature.takes_lists:
        return values
    if not signature.layout.has_columns:
        return values[0]
    return dict(zip((column.name for column in signature.columns), values, strict=True))


def _ways(signature: Signature, rows: list[Any], accepted: list[int], answers: NotebookAnswers) -> Iterator[_Sent]:
    def sent(way: str, frame: Any, positions: Sequence[int]) -> _Sent:
        expected = {method: [output[at] for at in positions] for method, output in answers.outputs.items()}
        return _Sent(way, frame, positions, expected)

    as_json = frame_of(signature, [rows[at] for at in accepted])
    yield sent("as JSON", as_json, accepted)
    for index, at in enumerate(answers.alone):
        if at in accepted:
            expected = {method: [output[index]] for method, output in answers.alone_outputs.items()}
            yield _Sent("alone as JSON", frame_of(signature, [rows[at]]), [at], expected)
    with TemporaryDirectory() as folder:
        for fmt in FileFormat:
            positions = [at for at in accepted if _can_hold(fmt, signature, rows[at])]
            path = Path(folder) / fmt.value
            if positions and _write(path, fmt, signature, [rows[at] for at in positions]):
                frame = _read(path, fmt, signature, [rows[at] for at in positions])
                if positions == accepted and _is_same_frame(frame, as_json):
                    continue  # another call would only repeat the answers
                yield sent(f"as {fmt.value.upper()}", frame, positions)


def _is_same_frame(left: Any, right: Any) -> bool:
    """Whether an estimator can find no difference: the same dtypes and values, None and NaN told apart."""
    if isinstance(left, list | pd.Series):
        return repr(list(left)) == repr(list(right))
    if not isinstance(left, pd.DataFrame):
        return left.dtype == right.dtype and repr(left.tolist()) == repr(right.tolist())
    columns = zip(left.items(), right.items(), strict=True)
    return all(
        ours.dtype == theirs.dtype and repr(ours.tolist()) == repr(theirs.tolist())
        for (_, ours), (_, theirs) in columns
    )


def _can_hold(fmt: FileFormat, signature: Signature, row: Any) -> bool:
    if signature.layout is Layout.OBJECT:
        return can_hold_object(fmt, signature.objects, row)
    return fmt is not FileFormat.CSV or not _has_empty_word(row)


def _has_empty_word(row: Any) -> bool:
    """CSV cannot tell an empty word from a missing value."""
    if row is None or isinstance(row, str):
        return row == ""
    return "" in (row.values() if isinstance(row, dict) else row)


def _write(path: Path, fmt: FileFormat, signature: Signature, rows: list[Any]) -> bool:
    """Whether the format can hold the rows: Parquet has no categories of booleans, for example."""
    if fmt is FileFormat.NDJSON:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return True
    if signature.layout is Layout.OBJECT:
        return write_objects(path, fmt, rows)
    frame = frame_of(signature, rows)
    names = [column.name for column in signature.read_columns]
    frame = {names[0]: frame} if signature.layout is Layout.TEXT else frame
    table = pd.DataFrame(frame, columns=names)
    if fmt is FileFormat.CSV:
        table.to_csv(path, index=False, quoting=csv.QUOTE_NONNUMERIC)  # a word may hold a lone carriage return
        return True
    with suppress(pa.ArrowException, TypeError, ValueError):
        table = table.astype(plain_dtypes(table))
        pyarrow.parquet.write_table(pa.Table.from_pandas(table, preserve_index=False), path)
        return True
    return False


def _read(path: Path, fmt: FileFormat, signature: Signature, rows: list[Any]) -> Any:
    (file_range,) = split_file(path, fmt, len(rows), sys.maxsize)
    read = read_range(path, fmt, signature, file_range)
    if read.bad_rows:
        bad = read.bad_rows[0]
        way, row = f"as {fmt.value.upper()}", rows[bad.row - 1]
        raise _refusal(way, row, signature.methods[0], bad.detail, "an answer", bad.column)
    return read.frame


def _answers(estimator: Any, signature: Signature, method: Method, frame: Any) -> tuple[list[Any] | str, str]:
    """The outputs, or the error of the estimator in words; and the dtype of the outputs."""
    dtypes = [""]

    def call(part: Any) -> list[Any]:
        output = getattr(estimator, method.value)(part)
        first = output[0] if isinstance(output, list) and output else output
        dtypes.append(str(getattr(first, "dtype", "")))
        return output_rows(output)

    try:
        return answer_in_parts(signature, frame, call), dtypes[-1]
    except Exception as error:  # an estimator raises what it likes
        return exception_text(error), ""


def _changed_column(signature: Signature, sent: _Sent, row: Any, at: int) -> str | None:
    """The first column with another value than in JSON, if the format changed one."""
    if not signature.layout.has_columns:
        return None
    as_json = frame_of(signature, [row])
    for index, column in enumerate(signature.read_columns):
        left, right = (
            frame.iloc[row_index, index] if isinstance(frame, pd.DataFrame) else frame[row_index, index]
            for frame, row_index in ((sent.frame, at), (as_json, 0))
        )
        if (type(left), repr(left)) != (type(right), repr(right)):
            return column.name
    return None


def _refusal(way: str, row: Any, method: str, found: Any, expected: Any, column: str | None) -> ModelRefusedError:
    found, expected, sent = (shortened(_text(value), 200) for value in (found, expected, row))
    of_column = f"; column {column!r} does not arrive as it was" if column is not None else ""
    detail = (
        f"{method} of the row {sent}, sent {way}: found {found}, expected {expected} as in the process that fitted the "
        f"model{of_column}"
    )
    finding = Finding("", "not_reproducible", detail, found, expected, column)
    return ModelRefusedError(detail, (finding,), code="not_reproducible")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
