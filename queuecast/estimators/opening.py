"""Opens a model file and its example rows in the caller's own process, which then has the model's own answers.

Only types that a worker trusts are made. CSV cannot tell None from NaN, or the word "NA" from a missing value. A model
that knows the difference is not opened, because its answers for these rows might not be those of the fit.
"""

import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import skops.io
from sklearn.exceptions import InconsistentVersionWarning

from queuecast.domain.holdout.row_source import TEXT
from queuecast.estimators.parts import parts_of
from queuecast.estimators.row_kinds import DICTS_OF_CSV, takes_dicts, takes_texts
from queuecast.estimators.trusted_types import TRUSTED_TYPES
from queuecast.tables.cells import MISSING_WORDS
from queuecast.tables.text_column import lacks_text_column, text_column


def opened(model: Path, example: bytes, target: Sequence[str]) -> tuple[Any, Any]:
    """The estimator of a skops file, and the rows of a CSV file: a frame with the columns that it takes, or texts.

    Raises ValueError with the reason if one of them cannot be opened as it was at the fit.
    """
    estimator = _estimator(model)
    for value in _ambiguous_values(estimator):
        raise ValueError(
            f"the model knows the value {value!r}, which a CSV file does not tell from another missing one"
        )
    return estimator, _rows(estimator, example, target)


def _estimator(path: Path) -> Any:
    found = set(skops.io.get_untrusted_types(file=path))
    untrusted = sorted(found - TRUSTED_TYPES)
    if untrusted:
        raise ValueError(f"the model holds types that are not trusted: {', '.join(untrusted[:10])}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", InconsistentVersionWarning)
            return skops.io.load(path, trusted=sorted(found))
    except InconsistentVersionWarning as warning:
        raise ValueError(
            f"it was fitted with scikit-learn {warning.original_sklearn_version}, this process has "
            f"{warning.current_sklearn_version}"
        ) from None


def _ambiguous_values(root: Any) -> Iterator[Any]:
    """Categories and missing values of the estimator that pandas would read from CSV as NaN."""
    for part in parts_of(root):
        attributes = getattr(part, "__dict__", {})
        known = attributes.get("categories_")
        values = [value for categories in known for value in categories] if isinstance(known, list) else []
        values += [attributes[name] for name in ("missing_values",) if name in attributes]
        yield from filter(_is_ambiguous, values)


def _is_ambiguous(value: Any) -> bool:
    if isinstance(value, str):
        return value in ("", *MISSING_WORDS)
    return value is None or value is pd.NA or value is pd.NaT


def _rows(estimator: Any, example: bytes, target: Sequence[str]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            if takes_dicts(estimator):
                raise ValueError(DICTS_OF_CSV)
            if takes_texts(estimator):
                return _texts(io.BytesIO(example), target)
            frame = pd.read_csv(io.BytesIO(example), encoding="utf-8-sig", index_col=False)
        except pd.errors.ParserWarning as warning:
            raise ValueError(f"the example cannot be read as CSV: {warning}") from None
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        rows = frame.drop(columns=list(target), errors="ignore")
    else:
        missing = [name for name in names if name not in frame.columns]
        if missing:
            raise ValueError(f"the example lacks the column {missing[0]!r}")
        rows = frame[list(names)]
    width = getattr(estimator, "n_features_in_", rows.shape[1])
    if rows.shape[1] != width:
        raise ValueError(f"the example has {rows.shape[1]} feature columns, the model was fitted on {width}")
    return rows


def _texts(example: io.BytesIO, target: Sequence[str]) -> Any:
    """Without empty cells: CSV does not tell an empty text from a missing one."""
    frame = pd.read_csv(example, encoding="utf-8-sig", index_col=False, dtype=str, keep_default_na=False)
    name = text_column(list(frame.columns), TEXT, target)
    if name is None:
        raise ValueError(lacks_text_column(TEXT).detail)
    return frame.loc[frame[name] != "", name].reset_index(drop=True)
