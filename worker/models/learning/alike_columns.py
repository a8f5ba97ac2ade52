"""Groups the columns that an estimator most likely treats alike, so that a few trials can speak for many columns."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from queuecast.domain.signature import Signature
from worker.models.columns.known_values import names_after, parts_on_same_columns


def group_alike(estimator: Any, signature: Signature, rows: Sequence[Any], columns: Sequence[int]) -> list[list[int]]:
    """The positions `columns` in groups of one dtype and type, whose columns the same transformers read, and which all
    have or all lack a missing value among the rows."""
    names = [column.name for column in signature.columns]
    readers: dict[str, tuple[str, ...]] = {}
    _collect_readers(estimator, names, (), readers)
    groups: defaultdict[Any, list[int]] = defaultdict(list)
    for at in columns:
        key = at if signature.takes_lists else names[at]
        is_missing = any(row[key] is None for row in rows)
        column = signature.columns[at]
        groups[readers.get(names[at], ()), column.dtype, column.type, is_missing].append(at)
    return list(groups.values())


def _collect_readers(part: Any, names: list[str], path: tuple[str, ...], readers: dict[str, tuple[str, ...]]) -> None:
    """Adds the names of the transformers that read each column, the outermost first."""
    if isinstance(part, Pipeline):
        for _, step in part.steps:
            _collect_readers(step, names, path, readers)
            if isinstance(step, ColumnTransformer):
                return  # later steps read its output
            names = names_after(step, names)
    elif isinstance(part, ColumnTransformer):
        positions = getattr(part, "_transformer_to_input_indices", {})
        for name, inner, _ in getattr(part, "transformers_", ()):
            inner_names = [names[at] for at in positions.get(name, ()) if at < len(names)]
            for each in inner_names:
                readers[each] = (*readers.get(each, path), name)
            _collect_readers(inner, inner_names, (*path, name), readers)
    elif isinstance(part, BaseEstimator):
        inner = next(parts_on_same_columns(part, len(names)), None)  # the members of an ensemble are alike
        if inner is not None:
            _collect_readers(inner, names, path, readers)
