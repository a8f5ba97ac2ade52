"""The columns that a model version accepts, and the findings about rows that do not fit them.

`Signature.findings` is the rule. The gateway checks rows with a compiled form of it for speed
(`api.http.row_decoding`) and uses this one for the findings; a test compares the two.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import Any

from queuecast.domain.columns import dtypes
from queuecast.domain.columns import values as column_values
from queuecast.domain.columns.labels import FrameLabels, numbered
from queuecast.domain.columns.object_rows import ObjectRows
from queuecast.domain.columns.row_schemas import row_schema
from queuecast.domain.columns.whole_numbers import rows_with_whole_numbers, truth, whole
from queuecast.domain.errors import Finding, mismatch, short_name
from queuecast.domain.findings.bounds import MAX_FINDINGS, list_names
from queuecast.domain.findings.json_texts import encodable, escaped, shown
from queuecast.domain.work import Method

INT64_MIN, INT64_MAX = dtypes.INT64_MIN, dtypes.INT64_MAX
WITHOUT_MISSING = frozenset({"bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))})
"""The dtypes that have no missing value."""


class ColumnType(StrEnum):
    NUMBER = "number"
    INTEGER = "integer"
    STRING = "string"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    DATE = "date"
    TIME = "time"
    DURATION = "duration"
    DECIMAL = "decimal"
    OBJECT = "object"


class Missing(StrEnum):
    """What a missing value was to the estimator when it was fitted."""

    NAN = "nan"
    NONE = "None"
    NA = "NA"
    NAT = "NaT"


class Layout(StrEnum):
    """The kind of the estimator's training rows: a DataFrame (rows are objects), an array (rows are lists), texts (rows
    are strings), or dicts (rows are objects with any keys). Texts and dicts have one column in the signature."""

    FRAME = "frame"
    ARRAY = "array"
    TEXT = "text"
    OBJECT = "object"

    @property
    def has_columns(self) -> bool:
        """Whether a row is a row of a table, and no text or dict."""
        return self in (Layout.FRAME, Layout.ARRAY)


@dataclass(frozen=True, slots=True)
class Column:
    """`dtype` is the pandas or numpy dtype the column is rebuilt with; `categories` bound a category column.

    `missing` fills the missing cells of an object column; every other dtype has a missing value of its own.
    `words` are the values that a CSV cell could also mean as missing, such as "NA": this column has them as words.
    `inner` is the dtype of the categories, or the class of Python objects other than strings and booleans.
    `objects` are the values of rows that are dicts.
    """

    name: str
    type: ColumnType
    nullable: bool
    dtype: str
    categories: tuple[str | int | float | bool, ...] | None = None
    missing: Missing = Missing.NAN
    words: tuple[str, ...] = ()
    inner: str = ""
    is_ordered: bool = False
    read: bool = True
    """Whether a step of the estimator reads it. A row may lack a column that none reads, or have anything in it."""
    objects: ObjectRows | None = None

    @property
    def known_words(self) -> tuple[str | int | float | bool, ...]:
        return (*self.words, *(self.categories or ()))

    @property
    def widens(self) -> bool:
        """Whether a missing value turns the column to another dtype: integers to float64, booleans to objects."""
        return self.read and self.nullable and self.dtype in WITHOUT_MISSING

    @property
    def value_dtype(self) -> str:
        """The dtype that bounds the values."""
        return self.inner or self.dtype

    @property
    def texts(self) -> column_values.TextValues | None:
        """The rule for the values if they travel as text: dates, times, durations and decimals."""
        return column_values.text_values(self.type, self.value_dtype)


@dataclass(frozen=True, slots=True)
class Signature:
    layout: Layout
    columns: tuple[Column, ...]
    methods: tuple[Method, ...]
    example: tuple[Any, ...] = field(default=(), compare=False)
    """A few rows that the version predicted when it was imported, as JSON values."""
    sparse: str = ""
    """The class of scipy's matrices that the estimator was fitted on, such as `csr_matrix`; empty for other rows. The
    layout is ARRAY then."""
    labels: FrameLabels | None = None
    """The names of the columns in the estimator's frame, if they are not all text."""

    def __hash__(self) -> int:
        """Of a part: every request looks its signature up, and hashing 7,000 columns takes milliseconds."""
        return hash((self.layout, len(self.columns), self.columns[:1]))

    @property
    def read_columns(self) -> tuple[Column, ...]:
        """The columns of the estimator's frame."""
        return tuple(column for column in self.columns if column.read)

    @property
    def objects(self) -> ObjectRows:
        """The values of rows that are dicts."""
        return self.columns[0].objects or ObjectRows()

    def of_read_columns(self) -> "Signature":
        columns = self.read_columns
        return self if len(columns) == len(self.columns) else replace(self, columns=columns)

    @property
    def is_named(self) -> bool:
        """Whether a row is an object with the names of the columns, and nothing else."""
        return self.layout is Layout.FRAME and self.labels is None

    @property
    def takes_lists(self) -> bool:
        """Whether a row is a list: scikit-learn takes the columns of an array by their place, and so those of a frame
        whose names are not all text."""
        return self.layout is Layout.ARRAY or self.labels is not None

    @property
    def takes_names(self) -> bool:
        """Whether a row may be an object with the names of the columns."""
        return self.layout is Layout.FRAME or [column.name for column in self.columns] != numbered(len(self.columns))

    @property
    def goes_by_order(self) -> bool:
        """Whether the columns of a file may go by their order, because those of the model are only numbered."""
        if not self.takes_lists:
            return False
        names = [column.name for column in self.columns]
        return names in (numbered(len(names)), numbered(len(names), ""))

    def findings(self, rows: Iterable[Any], limit: int = MAX_FINDINGS) -> tuple[Finding, ...]:
        """The first `limit` faults of `rows` (parsed JSON), with pointers from `/inputs`. Reads no row after those."""
        return tuple(islice(self.all_findings(rows), limit))

    def all_findings(self, rows: Iterable[Any]) -> Iterator[Finding]:
        for index, row in enumerate(rows):
            yield from self._row_findings(row, f"/inputs/{index}")

    def _row_findings(self, row: Any, at: str) -> Iterator[Finding]:
        if self.is_named:
            yield from self._object_findings(row, at)
        elif self.layout is Layout.TEXT:
            yield from column_findings(self.columns[0], row, at)
        elif self.layout is Layout.OBJECT:
            yield from self.objects.findings(row, at)
        else:
            yield from self._list_findings(row, at)

    def _object_findings(self, row: Any, at: str) -> Iterator[Finding]:
        if not isinstance(row, dict):
            expected = f"an object with the columns {list_names([column.name for column in self.columns])}"
            yield mismatch(at, "wrong_type", shown(row), expected)
            return
        known = {column.name for column in self.columns}
        listed = ""
        for name in row:
            if name not in known:
                listed = listed or list_names([column.name for column in self.columns])
                short = short_name(encodable(name))
                detail = f"unknown column {short!r}, expected one of {listed}"
                yield Finding(f"{at}/{escaped(name)}", "unknown_column", detail, column=short)
        for column in self.read_columns:
            place = f"{at}/{escaped(column.name)}"
            if column.name not in row:
                short = short_name(column.name)
                yield Finding(place, "missing_column", f"column {short!r} is missing", column=short)
            else:
                yield from column_findings(column, row[column.name], place)

    def _list_findings(self, row: Any, at: str) -> Iterator[Finding]:
        width = len(self.columns)
        if not isinstance(row, list):
            or_object = ", or objects with the names of the columns in all rows" if self.takes_names else ""
            yield mismatch(at, "wrong_type", shown(row), f"a list of {width} values{or_object}")
        elif len(row) != width:
            yield mismatch(at, "wrong_length", f"{len(row)} values", str(width))
        else:
            for index, (column, value) in enumerate(zip(self.columns, row, strict=True)):
                yield from column_findings(column, value, f"{at}/{index}")

    def with_whole_numbers(self, text: bytes, names: Sequence[str] = ()) -> bytes | None:
        """Valid rows as JSON, with `3.0` as 3 in integer and boolean columns; None if there is no such number.

        names: the names of the columns in the text, if they differ. Returns None also if a row repeats a column.
        """
        columns = self.read_columns
        places: Sequence[str | int] = range(len(columns))
        if self.is_named or names:
            places = names or [column.name for column in columns]
        whole_types = (ColumnType.INTEGER, ColumnType.BOOLEAN)
        places = [place for place, column in zip(places, columns, strict=True) if column.type in whole_types]
        return rows_with_whole_numbers(text, places) if places else None

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of one row, with examples."""
        head: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
        if self.layout is Layout.TEXT:
            body = _column_schema(self.columns[0]) | {"x-column": self.columns[0].name}
        elif self.layout is Layout.OBJECT:
            body = self.objects.json_schema()
        else:
            body = row_schema(
                {column.name: _column_schema(column) for column in self.columns},
                required=[column.name for column in self.read_columns],
                takes_lists=self.takes_lists,
                takes_names=self.takes_names,
            )
        return head | body | {"examples": list(self.example)}


def column_findings(column: Column, value: Any, at: str) -> Iterator[Finding]:
    """The fault of one value, if it has one."""
    code = fault_code(column, value)
    if code is not None:
        expected = expected_value(column, value if code == "wrong_type" else None)
        yield mismatch(at, code, shown(value), expected, short_name(column.name))


def fault_code(column: Column, value: Any) -> str | None:
    """The code of the finding about a value; None if it fits the column."""
    if column.type is ColumnType.INTEGER:
        value = whole(value)
    elif column.type is ColumnType.BOOLEAN:
        value = truth(value)
    if not column.read:
        return None
    if value is None:
        return None if column.nullable else "null"
    if not column_values.fits(column.type, column.value_dtype, value):
        return "wrong_type"
    choices = column.categories
    if choices is None or column_values.is_among(column.type, column.value_dtype, value, choices):
        return None
    return "unknown_category"


def expected_value(column: Column, value: Any = None) -> str:
    """The values that the column accepts, in words. value: one that it does not accept."""
    if column.categories is not None:
        choices = ", ".join(shown(value) for value in column.categories[:10])
        words = f"one of {choices}" + (", ..." if len(column.categories) > 10 else "")
    else:
        words = column_values.expected(column.type, column.value_dtype, value)
    return words + (" or null" if column.nullable else "")


def _column_schema(column: Column) -> dict[str, Any]:
    if not column.read:
        return {"description": "not read by the model", "x-unread": True}
    rule = column_values.schema(column.type, column.value_dtype)
    kinds = [*rule["type"], *(["null"] if column.nullable else [])]
    rule["type"] = kinds if len(kinds) > 1 else kinds[0]
    if column.categories is None:
        return rule | ({"x-words": list(column.words)} if column.words else {})
    kept = {name: rule[name] for name in ("type", "format") if name in rule}
    numbers = map(int, column.categories) if column.type is ColumnType.BOOLEAN else ()
    return kept | {"enum": [*column.categories, *numbers, *([None] if column.nullable else [])]}
