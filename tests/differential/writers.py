"""Writes frames as people write them, and keeps out the rows that a format cannot hold."""

import csv
import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from queuecast.client.row_formats.table_files import open_table
from queuecast.tables.cells import MISSING_WORDS

CSV, NDJSON, PARQUET = "text/csv", "application/x-ndjson", "application/vnd.apache.parquet"


class CannotWrite(Exception):  # noqa: N818 - names a fact
    """The writer itself refuses the frame."""


@dataclass(frozen=True)
class Written:
    """positions: of the rows of the frame that the file holds, in its order."""

    content: bytes
    media_type: str
    positions: list[int]


Writer = Callable[[Any, Mapping[str, set[str]]], Written]
"""Takes a frame, and the words that each column had at the fit."""


def words_of(frame: Any) -> dict[str, set[str]]:
    """The words of each column."""
    found = {}
    for name, values in frame.items():
        listed = values.cat.categories.tolist() if str(values.dtype) == "category" else values.tolist()
        found[name] = {value for value in listed if isinstance(value, str)}
    return found


def write_csv(frame: Any, known: Mapping[str, set[str]]) -> Written:
    """`frame.to_csv(index=False)`. CSV cannot tell an empty word from a missing value, nor a word of pandas' list that
    the model does not know; and its default quotes no lone carriage return."""
    return _csv(frame, known, csv.QUOTE_MINIMAL)


def write_quoted_csv(frame: Any, known: Mapping[str, set[str]]) -> Written:
    return _csv(frame, known, csv.QUOTE_NONNUMERIC)


def _csv(frame: Any, known: Mapping[str, set[str]], quoting: int) -> Written:
    def is_kept(name: str, value: Any) -> bool:
        if not isinstance(value, str):
            return True
        is_lone = quoting == csv.QUOTE_MINIMAL and "\r" in value and not set(value) & set(',"\n')
        return value != "" and not is_lone and (value not in MISSING_WORDS or value in known.get(name, ()))

    positions = _kept_rows(frame, is_kept)
    text = frame.iloc[positions].to_csv(index=False, quoting=quoting)
    return Written(text.encode(), CSV, positions)


def write_ndjson(frame: Any, known: Mapping[str, set[str]]) -> Written:
    """`frame.to_json(orient="records", lines=True)` with all the digits that it can write."""
    with _warnings_off():
        try:
            text = frame.to_json(orient="records", lines=True, double_precision=15, date_format="iso", date_unit="ns")
        except (TypeError, ValueError, OverflowError, NotImplementedError) as error:
            raise CannotWrite(f"to_json: {error}") from None
    lines = [line for line in text.split("\n") if line]
    positions = [at for at, line in enumerate(lines) if _says(json.loads(line), frame, at)]
    return Written("".join(lines[at] + "\n" for at in positions).encode(), NDJSON, positions)


def write_parquet(frame: Any, known: Mapping[str, set[str]]) -> Written:
    """`frame.to_parquet(index=False)`."""
    content = io.BytesIO()
    with _warnings_off():
        try:
            frame.to_parquet(content, index=False)
        except Exception as error:  # of pyarrow, and of pandas' dtypes
            raise CannotWrite(f"to_parquet: {error}") from None
    return Written(content.getvalue(), PARQUET, list(range(len(frame))))


def upload(rows: Any, known: Mapping[str, set[str]]) -> Written:
    """As the client uploads a DataFrame or an array."""
    try:
        with open_table(rows) as table:
            return Written(table.content.read(), table.media_type, list(range(rows.shape[0])))
    except ValueError as error:
        raise CannotWrite(f"the client: {error}") from None


def _kept_rows(frame: Any, is_kept: Callable[[str, Any], bool]) -> list[int]:
    kept = np.ones(len(frame), dtype=bool)
    for name, values in frame.items():
        kept &= [is_kept(name, value) for value in values.tolist()]
    return [int(at) for at in np.flatnonzero(kept)]


def _says(row: dict[str, Any], frame: Any, at: int) -> bool:
    """Whether the line has the numbers of the frame: pandas writes 15 digits at most."""
    for name, values in frame.items():
        value, written = values.iloc[at], row[name]
        if isinstance(value, float | np.floating) and np.isfinite(value):
            kind = type(value) if isinstance(value, np.floating) else float
            with np.errstate(over="ignore"):
                if written is None or kind(written) != value:
                    return False
        elif isinstance(value, int | np.integer) and written != value:
            return False
    return True


@contextmanager
def _warnings_off() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def with_target(frame: Any, target: Any, names: tuple[str, ...]) -> Any:
    """Features and target in one frame."""
    values = target.to_numpy() if hasattr(target, "to_numpy") else np.asarray(target)
    columns = zip(names, values.reshape(len(values), -1).T, strict=True)
    return pd.concat([frame, *(pd.Series(column, name=name) for name, column in columns)], axis=1)
