"""Rows that are texts, in the form that the estimator was fitted on: a list, a Series or an array of one dimension.

The form is the dtype of the signature's only column: "list", "Series[str]", "array[object]" and so on.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

_FORM = re.compile(r"(Series|array)\[(object|str|string)\]")
LIST = "list"
FORMS_OF_OBJECTS = frozenset({LIST, "Series[object]", "array[object]"})
"""Those whose missing texts are None or NaN."""


def is_form(dtype: str) -> bool:
    return dtype == LIST or (_FORM.fullmatch(dtype) is not None and dtype != "array[string]")


def form_of(texts: Any) -> str:
    """texts: a list, a Series or an array of texts."""
    if isinstance(texts, pd.Series):
        dtype = str(texts.dtype)
        return f"Series[{dtype if is_form(f'Series[{dtype}]') else 'str' if dtype.startswith('str') else 'object'}]"
    if isinstance(texts, np.ndarray):
        return "array[str]" if texts.dtype.kind == "U" else "array[object]"
    return LIST


def texts_as_fitted(form: str, texts: Sequence[str | None], missing: Any, name: str | None = None) -> Any:
    """texts: None for a missing one. missing: what it was at the fit. name: of the Series."""
    filled = [missing if text is None else text for text in texts]
    if form == LIST:
        return filled
    container, _, dtype = form.removesuffix("]").partition("[")
    if container == "Series":
        # A Series of objects keeps its kind of missing value; one of strings has its own.
        return pd.Series(filled, dtype=dtype, name=name)
    array = np.empty(len(filled), dtype=object)
    array[:] = filled
    return array if dtype == "object" else array.astype(str)


def take_texts(texts: Any, positions: Sequence[int]) -> Any:
    """Some of the rows, in the order of `positions`."""
    if isinstance(texts, pd.Series):
        return texts.iloc[list(positions)]
    return texts[list(positions)] if isinstance(texts, np.ndarray) else [texts[at] for at in positions]
