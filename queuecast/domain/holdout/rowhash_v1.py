"""The method "rowhash-v1". Manifests of older versions name it, so it never changes, not even where it is weak.

Its weak places, which "rowhash-v2" mends: whole numbers of more than twelve digits fall together, and a row changes
sides if a file rounds its numbers.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any

from queuecast.domain.errors import short_name
from queuecast.domain.findings.bounds import list_names

METHOD = "rowhash-v1"


def hash_rows(rows: Any, columns: Sequence[str] | None = None) -> tuple[tuple[str, ...], Iterator[int]]:
    """The columns that decide and the hash of each row.

    rows: a pandas DataFrame, a 2-D array, or a list of dicts or lists. Raises ValueError for a missing column.
    """
    names, values = _table(rows)
    chosen = list(names) if columns is None else list(columns)
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    missing = [name for name in chosen if name not in places]
    if missing:
        raise ValueError(f"no column {short_name(missing[0])!r} in the rows; they have {list_names(names)}")
    order = [(name, places[name]) for name in sorted(chosen)]
    return tuple(chosen), (_row_hash(row, order) for row in values)


def _row_hash(row: Sequence[Any], order: list[tuple[str, int]]) -> int:
    text = "\x1e".join(f"{name}\x1f{_canonical(row[index])}" for name, index in order)
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _canonical(value: Any) -> str:
    """The same text for equal values of any library: 1, 1.0 and True agree, and so do None, NaN and NA.

    Twelve significant digits, because CSV parsers differ in the last bit of a float.
    """
    if isinstance(value, str):
        return "s" + value
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return ""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return "s" + str(value)
    return "" if math.isnan(number) else f"n{number + 0.0:.12g}"  # + 0.0 makes -0.0 and 0.0 one


def _table(rows: Any) -> tuple[list[str], Iterable[Sequence[Any]]]:
    if hasattr(rows, "iter_rows") or hasattr(rows, "tocsr") or getattr(rows, "ndim", 2) != 2:
        raise TypeError(f"{METHOD} takes no {type(rows).__name__}, expected a pandas DataFrame, a 2-D array or a list")
    if hasattr(rows, "itertuples"):  # a DataFrame
        return [str(name) for name in rows.columns], rows.itertuples(index=False, name=None)
    listed = rows.tolist() if hasattr(rows, "tolist") else list(rows)
    if listed and isinstance(listed[0], dict):
        names = list(listed[0])
        return names, _dict_rows(listed, names)
    if listed and not isinstance(listed[0], list | tuple):
        listed = [list(row) if hasattr(row, "tolist") else _refused(row) for row in listed]
    width = len(listed[0]) if listed else 0
    return [f"x{index}" for index in range(width)], listed


def _dict_rows(rows: list[dict[str, Any]], names: list[str]) -> Iterator[list[Any]]:
    for position, row in enumerate(rows):
        if row.keys() != set(names):
            raise ValueError(f"row {position} has the columns {list_names(row)}, expected {list_names(names)}")
        yield [row[name] for name in names]


def _refused(row: Any) -> Any:
    raise TypeError(f"{METHOD} takes no rows of {type(row).__name__}, expected dicts or lists of values")
