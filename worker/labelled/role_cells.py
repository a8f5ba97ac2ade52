"""The cells of the columns for weights, groups and times: as text, with their faults, and as arrays of the whole table.

The cells of all formats become text first, so that files of several formats make one column.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from queuecast.domain.columns.roles import ColumnRoles
from queuecast.domain.errors import Finding, InvalidInputError, mismatch, short_name, shortened
from queuecast.domain.holdout.rowhash_v2 import cell_text
from queuecast.domain.signature import ColumnType
from worker.tables.checked_columns import empty_cell
from worker.tables.faults import CellFaults
from worker.tables.ndjson_reader import json_as_text
from worker.tables.text_cells import parse_cells

TIMES_EXPECTED = "a number, or a date or time in ISO 8601, such as 2026-01-31 or 2026-01-31T12:00:00Z"


@dataclass(frozen=True, slots=True)
class Times:
    """values: (n_rows,) float64, or int64 microseconds since 1970 in UTC if they are moments."""

    values: Any
    are_moments: bool

    def text(self, value: Any) -> str:
        """One of the values, as a holdout rule records it."""
        return f"{np.datetime64(int(value), 'us')}Z" if self.are_moments else repr(float(value))

    def value(self, text: str) -> float | int | None:
        """The value of a recorded text; None if it is of the other kind."""
        if text.endswith("Z"):
            return int(np.datetime64(text.removesuffix("Z"), "us").astype(np.int64)) if self.are_moments else None
        return None if self.are_moments else float(text)


class RoleCells:
    """Collects the cells of the columns for weight, group and time, range by range.

    chunks: of each of these columns, as text.
    """

    def __init__(self, roles: ColumnRoles) -> None:
        named = {"weight": roles.weight, "group": roles.group, "time": roles.time}
        self._columns = {role: name for role, name in named.items() if name is not None}
        self.chunks: list[list[Any]] = [[] for _ in self._columns]

    @property
    def names(self) -> list[str]:
        return list(self._columns.values())

    def texts(self, cells: Mapping[str, Any]) -> list[Any]:
        """cells: of a range, by column. In the order of `chunks`."""
        return [_as_text(cells[name], name) for name in self.names]

    def faults(self, texts: list[Any]) -> Iterator[CellFaults]:
        for (role, name), text in zip(self._columns.items(), texts, strict=True):
            yield from _FAULTS[role](name, text)

    def weights(self) -> Any:
        """(n_rows,) float64, or None."""
        chunks = self._chunks_of("weight")
        return None if chunks is None else weights_of(chunks)

    def groups(self) -> Any:
        """(n_rows,) int64, or None."""
        chunks = self._chunks_of("group")
        return None if chunks is None else groups_of(chunks)

    def times(self) -> Times | None:
        """Raises InvalidInputError if some cells are numbers and others are not."""
        chunks = self._chunks_of("time")
        return None if chunks is None else times_of(chunks, self._columns["time"])

    def _chunks_of(self, role: str) -> list[Any] | None:
        return self.chunks[list(self._columns).index(role)] if role in self._columns else None


def _as_text(values: Any, name: str) -> Any:
    """The cells as text, null where they are empty. Raises InvalidInputError for values that have no plain text."""
    values = json_as_text(values)
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    try:
        return pc.cast(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        found = shortened(str(values.type))
        raise InvalidInputError(
            f"the column {short_name(name)!r} holds {found}, expected numbers, text or times"
        ) from None


def _weight_faults(name: str, text: Any) -> Iterator[CellFaults]:
    yield from _empty(name, text, "a weight")
    values, _ = parse_cells(ColumnType.NUMBER, text)
    is_negative = pc.fill_null(pc.less(values, 0.0), fill_value=False).to_numpy(zero_copy_only=False)
    yield from _wrong(name, text, is_negative | _is_valid(text) & ~_is_valid(values), "a number that is not negative")


def _group_faults(name: str, text: Any) -> Iterator[CellFaults]:
    yield from _empty(name, text, "a group")


def _time_faults(name: str, text: Any) -> Iterator[CellFaults]:
    yield from _empty(name, text, "a time")
    values, _ = parse_cells(ColumnType.NUMBER, text)
    is_neither = _is_valid(text) & ~_is_valid(values)
    if is_neither.any():
        is_neither &= _moments(text).isna().to_numpy()
    yield from _wrong(name, text, is_neither, TIMES_EXPECTED)


_FAULTS = {"weight": _weight_faults, "group": _group_faults, "time": _time_faults}


def weights_of(chunks: list[Any]) -> Any:
    """(n_rows,) float64. chunks: without faults."""
    parts = [parse_cells(ColumnType.NUMBER, chunk)[0].to_numpy(zero_copy_only=False) for chunk in chunks]
    return np.concatenate(parts).astype(np.float64)


def groups_of(chunks: list[Any]) -> Any:
    """(n_rows,) int64: the number of each row's group. Cells that mean the same are one group, as in a holdout."""
    texts = pa.chunked_array(chunks).combine_chunks().dictionary_encode()
    texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    known: dict[str, int] = {}
    numbers = [known.setdefault(cell_text(text), len(known)) for text in texts.dictionary.to_pylist()]
    return np.array(numbers, dtype=np.int64)[texts.indices.to_numpy(zero_copy_only=False)]


def times_of(chunks: list[Any], name: str) -> Times:
    """chunks: without faults. Raises InvalidInputError if some cells are numbers and others are not."""
    parts = [parse_cells(ColumnType.NUMBER, chunk)[0] for chunk in chunks]
    if not any(part.null_count for part in parts):
        return Times(np.concatenate([part.to_numpy(zero_copy_only=False) for part in parts]), are_moments=False)
    moments = pd.concat([_moments(chunk) for chunk in chunks], ignore_index=True)
    if moments.isna().any():
        raise InvalidInputError(
            f"the column {short_name(name)!r} has numbers and dates, which have no common order; expected one of them"
        )
    return Times(moments.astype("datetime64[us, UTC]").astype("int64").to_numpy(), are_moments=True)


def _moments(text: Any) -> pd.Series:
    """NaT where a cell is no moment. A moment without a zone is in UTC."""
    cells = pd.Series(text.to_pylist(), dtype=object)
    return pd.to_datetime(cells, format="ISO8601", utc=True, errors="coerce")


def _is_valid(values: Any) -> Any:
    return values.is_valid().to_numpy(zero_copy_only=False)


def _empty(name: str, text: Any, what: str) -> Iterator[CellFaults]:
    if text.null_count:
        fault = empty_cell(f"is empty; every row needs {what}", f"{what} in every row", short_name(name))
        yield CellFaults(name, "null", text.is_null().to_numpy(zero_copy_only=False), partial(_same, fault))


def _wrong(name: str, text: Any, mask: Any, expected: str) -> Iterator[CellFaults]:
    if mask.any():
        yield CellFaults(name, "wrong_type", mask, partial(_mismatch, name, text, expected))


def _same(fault: Finding, _at: int) -> Finding:
    return fault


def _mismatch(name: str, text: Any, expected: str, at: int) -> Finding:
    return mismatch("", "wrong_type", shortened(repr(text[at].as_py())), expected, short_name(name))
