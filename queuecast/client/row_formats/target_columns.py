"""The names of the targets that a caller hands over without a file."""

from typing import Any

from queuecast.client.row_formats.chosen_rows import is_frame
from queuecast.domain.columns.labels import numbered
from queuecast.tables.column_labels import text_names


def target_names(y: Any, x: Any = None) -> list[str] | None:
    """The names of the columns that `y` has in a training file. None without a `y` (clustering, PCA).

    x: the rows, whose columns have other names.
    """
    names = _own_target_names(y)
    taken = set(map(str, x.columns)) if x is not None and hasattr(x, "columns") else set()
    if names is None or not taken.intersection(names):
        return names
    prefix = "target"
    while taken.intersection(names := [prefix] if len(names) == 1 else numbered(len(names), prefix)):
        prefix += "_"
    return names


def _own_target_names(y: Any) -> list[str] | None:
    if y is None:
        return None
    if is_frame(y):
        return text_names(y.columns)
    name = getattr(y, "name", None)
    if name == "" and hasattr(y, "to_physical"):  # a Series of polars without a name
        name = None
    if name is not None:
        return [str(name)]
    shape: tuple[int, ...] = getattr(y, "shape", ())
    if len(shape) == 2 and shape[1] > 1:
        return numbered(shape[1], "target")
    if not shape and isinstance(y, list | tuple) and y and isinstance(y[0], list | tuple) and len(y[0]) > 1:
        return numbered(len(y[0]), "target")
    return ["target"]
