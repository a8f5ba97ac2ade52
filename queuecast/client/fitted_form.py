"""Finds out in which form an estimator was fitted on a polars frame: on the frame itself, or on its `to_pandas()`.

A null in a column of texts is None in the one and NaN in the other, and dates have other classes. An estimator does not
say which form it was fitted on, so its answers to both are compared.
"""

import math
from dataclasses import dataclass
from itertools import chain
from typing import Any

from queuecast.client.notebook_answers import notebook_answers
from queuecast.client.row_formats.polars_frames import has_categories, is_polars
from queuecast.domain.columns.missing_values import missing_kind
from queuecast.tables.column_labels import have_text_names


@dataclass(frozen=True, slots=True)
class FittedForm:
    """rows: as the estimator takes them. answers: its own, for some of them. is_sure: whether the other form of a
    polars frame has other answers, or cannot be made here."""

    rows: Any
    answers: dict[str, Any] | None
    is_sure: bool = True


def form_of_fit(estimator: Any, x: Any) -> FittedForm:
    """x: the rows that the estimator was fitted on. Raises ValueError if both forms of a polars frame are possible,
    with different answers."""
    other = _to_pandas(x) if is_polars(x) else None
    answers = notebook_answers(estimator, as_fitted(estimator, x))
    if other is None:
        return FittedForm(_as_texts(estimator, x) if is_polars(x) else x, answers)
    others = notebook_answers(estimator, other)
    if answers is None and others is not None:
        return FittedForm(other, others)
    if answers is None or others is None:
        return FittedForm(_as_texts(estimator, x), answers)
    learned = {kind for words in _learned_words(estimator) for kind in map(missing_kind, words) if kind is not None}
    if len(learned) == 1:
        return FittedForm(_as_texts(estimator, x), answers) if "None" in learned else FittedForm(other, others)
    if _outputs_are_same(answers, others):
        return FittedForm(x, answers, is_sure=False)
    raise ValueError(
        "the estimator answers X and X.to_pandas() differently, and it is not known which of them it was fitted on. "
        "If it was X.to_pandas(), push with that. Otherwise fit on a frame without nulls in texts and without dates"
    )


def as_fitted(estimator: Any, x: Any) -> Any:
    """The array of a frame with text names, if the estimator was fitted without names: then it got an array."""
    is_named = hasattr(x, "iloc") and hasattr(x, "columns") and have_text_names(x.columns)
    if is_named and hasattr(estimator, "n_features_in_") and not hasattr(estimator, "feature_names_in_"):
        return x.to_numpy()
    return x


def _to_pandas(frame: Any) -> Any:
    """None where pandas and pyarrow are not installed, and for a frame that pandas cannot hold."""
    try:
        return frame.to_pandas()
    except Exception:  # ModuleNotFoundError, and the errors of three libraries
        return None


def _outputs_are_same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return all(_is_same(left[part], right[part]) for part in ("outputs", "alone_outputs"))


def _is_same(left: Any, right: Any) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_is_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_is_same, left, right))
    if isinstance(left, float) and isinstance(right, float):
        # polars turns small integers with nulls to single precision, and pandas to double.
        return math.isclose(left, right, rel_tol=1e-5, abs_tol=1e-8)
    return bool(left == right)


def _as_texts(estimator: Any, frame: Any) -> Any:
    """The frame of polars, with texts for its categories where an encoder has learned their null: that is None to the
    encoder, and a category of pandas would have NaN."""
    learned = [set(words) for words in _learned_words(estimator) if None in words]
    columns = {column.name: column for column in frame.iter_columns() if has_categories(column)}
    seen = {name: set(column.unique().to_list()) for name, column in columns.items() if column.null_count()}
    texts = {name: columns[name].cast(str) for name, words in seen.items() if any(words <= each for each in learned)}
    return frame.with_columns(**texts) if texts else frame


def _learned_words(estimator: Any) -> list[list[Any]]:
    """The categories that encoders have learned of columns of texts, among them missing values."""
    from queuecast.estimators.parts import parts_of  # noqa: PLC0415 - needs numpy, which a client may lack

    attributes = (getattr(part, "__dict__", {}).get("categories_") for part in parts_of(estimator))
    found = chain.from_iterable(each for each in attributes if isinstance(each, list))
    listed = [categories.tolist() for categories in found if hasattr(categories, "tolist")]
    return [values for values in listed if any(isinstance(value, str) for value in values)]
