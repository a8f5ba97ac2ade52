"""Puts the features of a training together that were read range by range."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csc_matrix

from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from worker.models.columns.typed_columns import ARROW_TYPES, arrow_values
from worker.models.columns.widening import widened_values
from worker.models.frames import as_fitted, neutral_column, texts_of
from worker.tables.checked_columns import build_column


def without_categories(signature: Signature) -> Signature:
    """New categories are welcome in training."""
    columns = [
        replace(column, categories=None, words=tuple(word for word in column.known_words if isinstance(word, str)))
        for column in signature.columns
    ]
    return replace(signature, columns=tuple(columns))


def compact(column: Column, values: Any) -> Any:
    """The values in the type that takes the least memory until the whole file is read."""
    values = pc.cast(values, ARROW_TYPES[column.type])
    return values.dictionary_encode() if column.dtype == "category" and column.type is ColumnType.STRING else values


def collected_features(signature: Signature, features: list[list[Any]], n_rows: int) -> Any:
    """features: the chunks of each column. Empties the lists, so that memory holds one column twice at most."""
    if signature.layout is Layout.TEXT:
        return texts_of(signature.columns[0], pa.chunked_array(features[0]).to_pylist())
    if signature.layout is Layout.OBJECT:
        return list(map(msgspec.json.decode, pa.chunked_array(features[0]).to_pylist()))
    columns: dict[str, Any] = {}
    is_wide = False
    for column, chunks in zip(signature.read_columns, features, strict=True):
        values = pa.chunked_array(chunks).unify_dictionaries().combine_chunks()
        is_wide |= column.widens and values.null_count > 0
        chunks.clear()
        columns[column.name] = _with_new_categories(column, values)
        del values
        pa.default_memory_pool().release_unused()  # peak of 684 MB instead of 780 for a file of 289 MB
    if signature.layout is Layout.FRAME:
        columns |= {column.name: neutral_column(column, n_rows) for column in signature.columns if not column.read}
        return pd.DataFrame(columns, columns=[column.name for column in signature.columns], copy=False)
    dtype = "float64" if is_wide else signature.columns[0].dtype
    if signature.sparse:
        return as_fitted(signature.sparse, _sparse(dtype, columns))
    array = np.empty((len(next(iter(columns.values()))), len(columns)), dtype=dtype)
    for index, name in enumerate(list(columns)):
        array[:, index] = columns.pop(name)
    return array


def _sparse(dtype: str, columns: dict[str, Any]) -> Any:
    """Column by column, because a dense array of them all may not fit in memory. Empties the columns.

    A matrix, because scipy's arrays would keep indices of 64 bits, which scikit-learn's compiled code refuses.
    """
    shape = len(next(iter(columns.values()))), len(columns)
    indices, data = [], []
    for name in list(columns):
        values = np.asarray(columns.pop(name)).astype(dtype)
        indices.append(np.flatnonzero(values))
        data.append(values[indices[-1]])
    starts = np.cumsum([0, *map(len, indices)])
    return csc_matrix((np.concatenate(data), np.concatenate(indices), starts), shape=shape)


def _with_new_categories(column: Column, values: Any) -> Any:
    """A category column gets the new categories after the known ones, and one with missing values is widened."""
    if column.dtype != "category":
        built = build_column(column, values)
        return widened_values(column, built) if column.widens and values.null_count else built
    is_coded = pa.types.is_dictionary(values.type)
    present = (values.dictionary if is_coded else values.unique()).to_pylist()
    known = set(arrow_values(column, list(column.categories or ())).to_pylist())
    new = sorted({value for value in present if value is not None} - known)
    if column.texts is not None and column.texts.moments is not None:
        new = list(map(column.texts.moments.text, new))
    values = pc.cast(values, values.type.value_type) if is_coded else values
    return build_column(replace(column, categories=(*(column.categories or ()), *new)), values)
