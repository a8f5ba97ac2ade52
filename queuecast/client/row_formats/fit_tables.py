"""Puts rows and their targets, which are apart as for `fit(X, y)`, into one table for a training.

Recognizes the objects of pandas, polars and numpy by their attributes, so that the client needs none of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from tempfile import TemporaryFile
from typing import Any

from queuecast.client.row_formats.chosen_rows import length
from queuecast.client.row_formats.polars_frames import is_polars, write_parquet
from queuecast.client.row_formats.table_files import PARQUET, TableFile, arrow_table, arrow_writing, write_arrow
from queuecast.client.row_formats.target_columns import target_names
from queuecast.client.row_formats.whole_rows import listed_rows
from queuecast.domain.columns.labels import numbered
from queuecast.domain.columns.missing_values import is_missing
from queuecast.tables.column_labels import text_names

Columns = dict[str, list[Any]]


def fit_target_names(x: Any, y: Any, target: str | Sequence[str] | None, champions: Sequence[str]) -> list[str]:
    """The names of the target's columns: those of `target`, else of y itself, else those that the champion learned.

    Raises ValueError if there are not as many names as targets, and for a name that is a column of x, and
    TypeError for a file.
    """
    if isinstance(x, str | PathLike):
        raise TypeError("with y, the rows are a DataFrame, an array or a list; name the target of a file with target=")
    own = target_names(y, x) or []
    names = [target] if isinstance(target, str) else list(target or ())
    if not names:
        is_named = hasattr(y, "columns") or getattr(y, "name", None) not in (None, "")
        names = own if is_named or len(champions) != len(own) else list(champions)
    if len(names) != len(own):
        raise ValueError(f"y has {len(own)} targets, and there are {len(names)} names for them: {', '.join(names)}")
    taken = set(names) & set(_feature_names(x))
    if taken:
        raise ValueError(f"{min(taken)!r} names a column of X and the target; pass target= with another name")
    return names


@contextmanager
def fit_table(x: Any, y: Any, names: Sequence[str]) -> Iterator[TableFile]:
    """A Parquet file of the rows and their targets.

    x: a DataFrame, a 2-D array, a sparse matrix, or a list of lists or dicts. y: a Series, an array, a list, or a
    DataFrame of several targets. Raises ValueError if they do not have the same length, and for a column that Parquet
    cannot hold, and ImportError without pyarrow.
    """
    targets = dict(zip(names, _target_columns(y), strict=True))
    n_rows, n_targets = length(x), len(next(iter(targets.values()), []))
    if n_rows != n_targets:
        raise ValueError(f"X has {n_rows} rows and y has {n_targets}, expected as many")
    with TemporaryFile() as content:
        if is_polars(x):
            write_parquet(x.hstack(type(x)(targets)), content)
        else:
            with arrow_writing() as pa:
                table = arrow_table(x) if hasattr(x, "to_parquet") else pa.table(_feature_arrays(pa, x))
                for name, values in targets.items():
                    table = table.append_column(name, pa.array(values))
                write_arrow(table, content)
        content.seek(0)
        yield TableFile(content, PARQUET, "fit.parquet")


def _feature_names(x: Any) -> list[str]:
    if hasattr(x, "columns"):
        return text_names(x.columns)
    listed = listed_rows(x)
    if listed is not None:
        return list(dict.fromkeys(str(name) for row in listed if isinstance(row, Mapping) for name in row))
    return numbered(x.shape[1] if hasattr(x, "shape") else len(x[0]) if len(x) else 0)


def _feature_arrays(pa: Any, x: Any) -> dict[str, Any]:
    names = _feature_names(x)
    if hasattr(x, "toarray"):
        x = x.toarray()
    if hasattr(x, "ndim"):
        columns = [x[:, index] for index in range(x.shape[1])]
        return {name: pa.array(_values(column)) for name, column in zip(names, columns, strict=True)}
    if x and isinstance(x[0], Mapping):
        rows = [{str(name): value for name, value in row.items()} for row in x]
        return {name: pa.array([row.get(name) for row in rows]) for name in names}
    return {name: pa.array(_known(values)) for name, values in zip(names, zip(*x, strict=True), strict=True)}


def _values(column: Any) -> Any:
    """column: of an array. Parquet has no floats of half precision, and numpy's objects may be any missing value."""
    if column.dtype.kind == "O":
        return _known(column.tolist())
    return column.astype("float32") if str(column.dtype) == "float16" else column


def _known(values: Sequence[Any]) -> list[Any]:
    return [None if is_missing(value) else value for value in values]


def _target_columns(y: Any) -> list[list[Any]]:
    if is_polars(y):
        columns = [column.to_list() for column in y.iter_columns()]
    elif hasattr(y, "columns"):
        columns = [column.tolist() for _, column in y.items()]
    else:
        values = y.tolist() if hasattr(y, "tolist") else y.to_list() if hasattr(y, "to_list") else list(y)
        is_table = bool(values) and isinstance(values[0], list | tuple)
        columns = [list(column) for column in zip(*values, strict=True)] if is_table else [values]
    return [_known([value.item() if hasattr(value, "item") else value for value in column]) for column in columns]
