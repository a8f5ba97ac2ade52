"""Reads rows of every kind that `Client.push` takes, and refuses the rest with the reason.

Recognizes the objects of pandas, polars, numpy and scipy by their attributes, so that no library is needed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from typing import Any

from queuecast.domain.columns.missing_values import is_missing

Cells = Iterable[tuple[str, Any]]
"""The cells of one row, by name."""

TEXT = "text"  # the name of the only column, where a row is a text
_EXPECTED = "expected a DataFrame, a 2-D array, a sparse matrix, a Series or list of texts, or a list of dicts or lists"
_SINGLE_PRECISION = ("float32", "Float32", "float16", "float[pyarrow]", "halffloat[pyarrow]", "Sparse[float32")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that have a value in every column.

    names: of the columns. blocks: of the rows, in order; takes the names of the columns that decide and the number of
    rows of a block, and gives the values of each of these columns.
    """

    names: Sequence[str]
    blocks: Callable[[Sequence[str], int], Iterator[list[Sequence[Any]]]]


@dataclass(frozen=True, slots=True)
class RaggedRows:
    """Rows of which each may have other columns.

    names: of all columns. is_named: whether a rule should list them; not for texts, sparse rows and ragged dicts.
    cells: the rows, in order. Takes the names of the columns that decide, None for all of them.
    """

    names: Sequence[str]
    cells: Callable[[Sequence[str] | None], Iterator[Cells]]
    is_named: bool = False


RowSource = Table | RaggedRows


def read_source(rows: Any) -> RowSource:
    """Raises TypeError for another kind of object, and ValueError for rows without two dimensions."""
    if isinstance(rows, str | bytes | PathLike):
        raise _refused(rows, "; read the file first, for example with pandas.read_csv")
    if isinstance(rows, Mapping) and not hasattr(rows, "tocsr"):  # a sparse matrix may be a dict
        raise _refused(rows, "; for one row write [row], and for columns pandas.DataFrame(columns)")
    if isinstance(rows, list | tuple):
        return _of_list(rows)
    if isinstance(rows, type):
        raise _refused(rows)
    if type(rows).__name__ == "matrix":  # its rows have two dimensions too, and scikit-learn refuses it
        raise _refused(rows, "; call numpy.asarray on it first")
    if hasattr(rows, "tocsr"):
        return _of_sparse(rows)
    if hasattr(rows, "iter_columns") and hasattr(rows, "iter_rows"):
        return _of_columns(list(rows.columns), [_polars_values(column) for column in rows.iter_columns()], len(rows))
    if hasattr(rows, "itertuples"):
        names = list(rows.columns)
        has_names = all(isinstance(name, str) for name in names)  # otherwise `push` sends the rows as an array
        values = [_pandas_values(rows.iloc[:, index]) for index in range(len(names))]
        return _of_columns(names if has_names else [f"x{index}" for index in range(len(names))], values, len(rows))
    if hasattr(rows, "collect"):
        raise _refused(rows, "; call .collect() on it first")
    if hasattr(rows, "to_pandas") and not hasattr(rows, "to_list"):
        raise _refused(rows, "; call .to_pandas() on it first")
    if hasattr(rows, "ndim") and hasattr(rows, "tolist"):
        return _of_array(rows)
    if hasattr(rows, "to_list"):
        return _of_list(rows.to_list(), "1")
    raise _refused(rows)


def _refused(rows: Any, hint: str = "") -> TypeError:
    found = f"the class {rows.__name__}" if isinstance(rows, type) else f"a {type(rows).__name__}"
    return TypeError(f"rows is {found}, {_EXPECTED}{hint}")


Values = Callable[[int, int], Sequence[Any]]
"""The values of a column from one row to another."""


def _of_columns(names: list[str], columns: list[Values], n_rows: int) -> Table:
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise ValueError(f"the column {twice[0]!r} occurs more than once; a row holds one value per name")
    values = dict(zip(names, columns, strict=True))

    def blocks(chosen: Sequence[str], n_block: int) -> Iterator[list[Sequence[Any]]]:
        for start in range(0, n_rows, n_block):
            yield [values[name](start, start + n_block) for name in chosen]

    return Table(names, blocks)


def _pandas_values(column: Any) -> Values:
    dtype = str(column.dtype)
    if dtype.startswith(_SINGLE_PRECISION):
        # Iterating the column itself would give doubles, with digits that the file does not have.
        dtype = "float16" if "16" in dtype or "half" in dtype else "float32"
        return lambda start, end: column.iloc[start:end].to_numpy(dtype=dtype, na_value=float("nan"))
    if dtype in ("str", "string"):  # ten times as fast as its items one by one
        return lambda start, end: column.iloc[start:end].to_numpy(dtype=object).tolist()
    return lambda start, end: column.iloc[start:end].tolist()


def _polars_values(column: Any) -> Values:
    if str(column.dtype) == "Float32":
        return lambda start, end: column[start:end].to_numpy()
    return lambda start, end: column[start:end].to_list()


def _of_array(array: Any) -> RowSource:
    if array.ndim == 1:
        return _of_list(array.tolist(), str(array.shape[0]))
    if array.ndim != 2:
        raise ValueError(_shape_text("x".join(str(length) for length in array.shape)))
    names = [f"x{index}" for index in range(array.shape[1])]
    # numpy turns a date of nanoseconds into an integer, and a float32 into a double with other digits.
    is_exact = array.dtype.kind in "biuOSU" or str(array.dtype) == "float64"
    return _of_rows(names, lambda: (row.tolist() for row in array) if is_exact else iter(array))


def _of_rows(names: list[str], rows: Callable[[], Iterator[Sequence[Any]]]) -> Table:
    places = {name: index for index, name in enumerate(names)}

    def blocks(chosen: Sequence[str], n_block: int) -> Iterator[list[Sequence[Any]]]:
        order, remaining = [places[name] for name in chosen], rows()
        while block := list(islice(remaining, n_block)):
            yield [[row[index] for row in block] for index in order]

    return Table(names, blocks)


def _of_sparse(rows: Any) -> RaggedRows:
    """Cells that are not stored are zeros, which do not count, so they are not visited."""
    if len(rows.shape) != 2:
        raise ValueError(_shape_text(str(rows.shape[0])))
    names = [f"x{index}" for index in range(rows.shape[1])]
    table = rows.tocsr(copy=True)
    table.sum_duplicates()

    def cells(chosen: Sequence[str] | None) -> Iterator[Cells]:
        wanted = None if chosen is None else set(chosen)
        for start, end in zip(table.indptr, table.indptr[1:], strict=False):
            stored = zip(table.indices[start:end].tolist(), table.data[start:end], strict=True)
            named = ((names[index], value) for index, value in stored)
            yield sorted((cell for cell in named if wanted is None or cell[0] in wanted), key=lambda cell: cell[0])

    return RaggedRows(names, cells)


def _of_list(rows: Sequence[Any], shape: str = "") -> RowSource:
    first = next((row for row in rows if not is_missing(row)), None)
    if isinstance(first, str):
        _require_all(rows, lambda row: isinstance(row, str) or is_missing(row), "a text like the rows before it")
        return RaggedRows((TEXT,), lambda _: (((TEXT, row),) for row in rows))
    if isinstance(first, Mapping) or hasattr(first, "to_dict"):
        return _of_dicts([row.to_dict() if hasattr(row, "to_dict") else row for row in rows])
    lists = [row.tolist() if hasattr(row, "tolist") else row for row in rows]
    if rows and not isinstance(lists[0], list | tuple):
        if shape:
            raise ValueError(_shape_text(shape))
        raise TypeError(f"row 0 is a {type(rows[0]).__name__}, expected a dict, a list of values or a text")
    width = len(lists[0]) if lists else 0
    _require_all(lists, lambda row: isinstance(row, list | tuple), "a list of values like row 0")
    for position, row in enumerate(lists):
        if len(row) != width:
            raise ValueError(f"row {position} has {len(row)} values, expected {width} like row 0")
    return _of_rows([f"x{index}" for index in range(width)], lambda: iter(lists))


def _of_dicts(rows: list[Any]) -> RaggedRows:
    """The rows may have different names, as for DictVectorizer: a name that a row lacks is missing there."""
    _require_all(rows, lambda row: isinstance(row, Mapping), "a dict like row 0")
    names = dict.fromkeys(str(name) for row in rows for name in row)
    is_uniform = all(len(row) == len(names) for row in rows)

    def cells(chosen: Sequence[str] | None) -> Iterator[Cells]:
        wanted = names.keys() if chosen is None else set(chosen)
        for row in rows:
            named = ((str(name), value) for name, value in row.items())
            yield sorted((cell for cell in named if cell[0] in wanted), key=lambda cell: cell[0])

    return RaggedRows(list(names), cells, is_named=is_uniform)


def _require_all(rows: Sequence[Any], is_same: Callable[[Any], bool], expected: str) -> None:
    for position, row in enumerate(rows):
        if not is_same(row):
            raise TypeError(f"row {position} is a {type(row).__name__}, expected {expected}")


def _shape_text(shape: str) -> str:
    return f"rows have the shape {shape}, expected 2 dimensions (rows, columns), or texts or dicts in 1 dimension"
