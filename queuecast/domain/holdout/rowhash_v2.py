"""The method "rowhash-v2": the side of a row survives a file that pandas writes and reads with its defaults.

Cells count by their meaning, not by their type: 1, 1.0, True and the text "1" agree. Missing cells, empty texts, the
words that pandas reads as missing ("NA", "null", ...) and zeros do not count at all, so a sparse row costs as much as
it has values.

Whole numbers count exactly. Other numbers count as pandas' `to_json` writes them, with ten decimals, and with twelve
digits at most, because parsers differ in the last bit of a float. Below 1e-8, where ten decimals would leave too
little, and above 2**53 ten digits count; JSON with pandas' defaults does not keep the small ones.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from numbers import Integral, Real
from typing import Any

from queuecast.domain.columns.missing_values import is_missing
from queuecast.domain.errors import short_name
from queuecast.domain.findings.bounds import list_names
from queuecast.domain.holdout.row_source import Cells, RowSource, Table

_UNCOUNTED = frozenset(
    {
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A"),
        *("NA", "NULL", "NaN", "None", "n/a", "nan", "null", "NaT"),  # the words of pandas.read_csv, and NaT
        *("inf", "-inf", "+inf", "Infinity", "-Infinity", "+Infinity"),  # to_json writes null
        *("False", "false", "FALSE"),
    }
)
_TRUE = frozenset({"True", "true", "TRUE"})
_NUMBER = re.compile(r"\s*(?:([+-]?\d{1,400})|[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*", re.ASCII)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
_DURATION = re.compile(
    r"P?(-?\d+)(?: days?|D)(?:[T ]\+?(\d+)[:H](\d+)[:M](\d+)(?:\.(\d{1,9}))?S?)?", re.ASCII
)  # as str(Timedelta) and Timedelta.isoformat() write it


def hash_rows(source: RowSource, columns: Sequence[str] | None = None) -> tuple[tuple[str, ...], Iterator[int]]:
    """The columns that the rule lists and the hash of each row. Raises ValueError for a missing column."""
    known = set(source.names)
    missing = [name for name in columns or () if name not in known]
    if missing:
        raise ValueError(f"no column {short_name(missing[0])!r} in the rows; they have {list_names(source.names)}")
    if isinstance(source, Table):
        listed = source.names if columns is None else columns
        order = sorted(listed)
        return tuple(listed), _table_hashes(order, source)
    listed = columns if columns is not None else source.names if source.is_named else ()
    return tuple(listed), (row_hash(cells) for cells in source.cells(columns))


def row_hash(cells: Cells) -> int:
    """cells: sorted by name."""
    return _hash(_named_text(name, cell_text(value)) for name, value in cells)


def _hash(texts: Iterable[str]) -> int:
    """texts: of the cells, empty for those that do not count."""
    text = "\x1e".join(filter(None, texts))
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _named_text(name: str, text: str) -> str:
    return f"{name}\x1f{text}" if text else ""


def _table_hashes(names: list[str], table: Table) -> Iterator[int]:
    """The same as `row_hash` of each row, a block of rows at a time: a fifth of the time."""
    n_columns = max(1, len(names))
    columns = [_ColumnTexts(name, most=2**18 // n_columns) for name in names]
    for block in table.blocks(names, 1 + 2**16 // n_columns):
        texts = [column.texts(values) for column, values in zip(columns, block, strict=True)]
        yield from map(_hash, zip(*texts, strict=True))


class _ColumnTexts:
    """The texts of a column's cells. Values repeat, so each type keeps some of those that it has had: equal values of
    two types may differ, such as 2**60 and float(2**60)."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        types: tuple[type, ...] = (float, int, bool, str)
        self._known = {kind: _KnownTexts(name, most) for kind in types}

    def texts(self, values: Sequence[Any]) -> Iterable[str]:
        kinds = set(map(type, values))
        known = self._known.get(kinds.pop()) if len(kinds) == 1 else None
        if known is not None:
            return map(known.__getitem__, values)
        words = self._known[str]
        return [words[value] if type(value) is str else _named_text(self._name, cell_text(value)) for value in values]


class _KnownTexts(dict[Any, str]):
    def __init__(self, name: str, most: int) -> None:
        self._name, self._most = name, most

    def __missing__(self, value: Any) -> str:
        text = _named_text(self._name, cell_text(value))
        if len(self) < self._most:
            self[value] = text
        return text


def cell_text(value: Any) -> str:
    """The same text for equal values of any library, and empty for a value that does not count."""
    kind = type(value)
    if kind is float:
        return _number_text(value)
    if kind is str:
        return _word_text(value)
    if kind is int or kind is bool:
        return _whole_text(value)
    if is_missing(value):
        return ""
    nanoseconds = _duration(value)
    return _plain_text(value) if nanoseconds is None else _duration_text(nanoseconds)


def _duration(value: Any) -> int | None:
    """Nanoseconds of a duration; None for another value. numpy counts a duration among the integers."""
    if isinstance(value, timedelta):
        return (value // timedelta(microseconds=1)) * 1000 + getattr(value, "nanoseconds", 0)
    if type(value).__name__ != "timedelta64":
        return None
    return 0 if str(value) == "NaT" else int(value.astype("timedelta64[ns]").astype("int64"))


def _plain_text(value: Any) -> str:
    """The text of a value that is no missing value and no duration."""
    kind = type(value).__name__
    if hasattr(value, "tolist") and hasattr(value, "ndim") and value.ndim:
        value = value.tolist()
    if isinstance(value, Integral) or kind in ("bool", "bool_"):  # numpy's boolean is no Integral
        text = _whole_text(int(value))
    elif kind in ("float32", "float16"):
        text = _number_text(float(str(value)))  # the shortest digits, as a CSV file has them
    elif isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        text = _whole_text(int(value))
    elif isinstance(value, Real | Decimal):
        text = _number_text(float(value))
    elif isinstance(value, date | time):
        text = _word_text(value.isoformat())
    elif isinstance(value, Mapping):
        text = f"s{sorted((str(name), cell_text(item)) for name, item in value.items())}"
    elif isinstance(value, list | tuple):
        text = f"s{[cell_text(item) for item in value]}"
    else:
        text = _word_text(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))
    return text


def _whole_text(value: int) -> str:
    # Python refuses to write more than 4,300 decimal digits.
    return (f"n{value:d}" if value.bit_length() < 4096 else f"n{value:x}") if value else ""


def _number_text(value: float) -> str:
    size = abs(value)
    if size <= 2**53 and value == int(value):
        return _whole_text(int(value))
    if not size < float("inf"):
        return ""
    if size > 2**53 or size < 1e-8:
        return f"n{value:.9e}"  # ten digits, as to_json writes a large number
    tens = _ten_decimals(size)
    sign = "-" if value < 0 else ""
    if tens % 10**10 == 0:
        return f"n{sign}{tens // 10**10}"
    surplus = len(str(tens)) - 12
    if surplus > 0:
        step = 10**surplus
        tens = (tens + step // 2) // step * step
    return f"n{sign}{tens}e-10"


def _ten_decimals(size: float) -> int:
    """The number in units of 1e-10, rounded by the same arithmetic as pandas' JSON writer.

    Correct rounding would differ from it near a half, and such a row would change sides
    (pandas, Buffer_AppendDoubleUnchecked in vendored/ujson/lib/ultrajsonenc.c).
    """
    whole = int(size)
    scaled = (size - whole) * 1e10
    fraction = int(scaled)
    rest = scaled - fraction
    if rest > 0.5 or (rest == 0.5 and (fraction == 0 or fraction % 2)):
        fraction += 1
    return whole * 10**10 + fraction


@lru_cache(maxsize=2**14)  # words of a column repeat
def _word_text(text: str) -> str:
    if text in _UNCOUNTED:
        return ""
    if text in _TRUE:
        return _whole_text(1)
    number = _NUMBER.fullmatch(text)
    if number is not None:
        return _whole_text(int(number[1])) if number[1] else _number_text(float(text))
    moment = _MOMENT.fullmatch(text)
    if moment is not None:
        return _moment_text(moment) or f"s{text}"
    duration = _DURATION.fullmatch(text)
    if duration is not None:
        days, hours, minutes, seconds = (int(part or 0) for part in duration.group(1, 2, 3, 4))
        whole_s = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
        return _duration_text(whole_s * 10**9 + int((duration[5] or "").ljust(9, "0")))
    return "s" + text.replace("\r\n", "\n").replace("\r", "\n")


def _moment_text(moment: re.Match[str]) -> str:
    """A date and time, in UTC if it has a zone. Midnight is the date alone, as in a CSV file of dates."""
    day, minute, second, fraction, zone = moment.groups()
    if zone and not minute:
        return ""
    try:
        at = datetime.fromisoformat(f"{day}T{minute or '00:00'}:{second or '00'}{zone or ''}")
        at = at.astimezone(UTC) if zone else at
    except (ValueError, OverflowError):
        return ""
    fraction = (fraction or "").rstrip("0")
    is_midnight = not zone and not fraction and at.time() == time()
    clock = "" if is_midnight else f"T{at:%H:%M:%S}.{fraction}{'Z' if zone else ''}"
    return f"t{at:%Y-%m-%d}{clock}"


def _duration_text(nanoseconds: int) -> str:
    return f"d{nanoseconds}" if nanoseconds else ""
