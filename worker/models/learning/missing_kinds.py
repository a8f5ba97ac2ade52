"""Columns that held several kinds of missing values at the fit, such as None and NaN.

JSON, CSV and Parquet have one missing value, so a column is refused if the estimator answers its kinds differently: it
could not be known which of them a row had. A column that had none of them only refuses missing values then. An encoder
that learned them as two categories is refused even if all answers are the same: a retraining could not repeat its fit.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from queuecast.domain.errors import ModelRefusedError
from queuecast.domain.signature import Missing, Signature
from queuecast.domain.work import Method
from worker.models.columns.column_facts import ColumnFacts, kinds_of
from worker.models.columns.known_values import known_values
from worker.models.frames import as_fitted, frame_of
from worker.models.inference import infer_frame
from worker.models.learning.same_answers import is_same_answer

Kinds = dict[int, tuple[Missing, ...]]
"""The position of a column -> the kinds of missing values that it held."""


def with_one_missing_value(
    estimator: Any, signature: Signature, rows: Sequence[Any], facts: Mapping[str, ColumnFacts]
) -> Signature:
    """The signature, in which a column may not be missing if it had no missing value and the kinds that one could be
    have different answers.

    Raises ModelRefusedError for a column that may be missing, and that had kinds with different answers or categories.
    """
    _require_one_category(estimator, signature)
    kinds: Kinds = {
        at: facts[column.name].missing
        for at, column in enumerate(signature.columns)
        if column.nullable and len(facts[column.name].missing) > 1
    }
    columns = [at for at in kinds if facts[signature.columns[at].name].is_sure]
    unsure = [at for at in kinds if at not in set(columns)]
    method = _differing_method(estimator, signature, rows, kinds, columns) if columns else None
    if method is None:
        return _without_unsure(estimator, signature, rows, kinds, unsure)
    while len(columns) > 1:
        half, rest = columns[: len(columns) // 2], columns[len(columns) // 2 :]
        differs = _differing_method(estimator, signature, rows, kinds, half) is not None
        columns = half if differs else rest
    raise _refused(signature.columns[columns[0]].name, kinds[columns[0]], f"{method} answers differently")


def _require_one_category(estimator: Any, signature: Signature) -> None:
    for name, values in known_values(estimator, [column.name for column in signature.columns]).items():
        kinds = kinds_of(values)
        if len(kinds) > 1:
            raise _refused(name, kinds, "an encoder learned as different categories")


def _refused(name: str, kinds: Sequence[Missing], difference: str) -> ModelRefusedError:
    return ModelRefusedError(
        f"column {name!r} holds {' and '.join(kinds)}, which {difference}; a row that is sent has one missing value "
        f"only. Fit on one of them: frame[{name!r}].fillna(float('nan'))",
        code="unsupported_column",
    )


def _without_unsure(
    estimator: Any, signature: Signature, rows: Sequence[Any], kinds: Kinds, columns: list[int], max_alone: int = 50
) -> Signature:
    if not columns or _differing_method(estimator, signature, rows, kinds, columns) is None:
        return signature
    differing = columns
    if len(columns) <= max_alone:
        alone = [at for at in columns if _differing_method(estimator, signature, rows, kinds, [at]) is not None]
        differing = alone or columns
    changed = list(signature.columns)
    for at in differing:
        changed[at] = replace(changed[at], nullable=False)
    return replace(signature, columns=tuple(changed))


def _differing_method(
    estimator: Any, signature: Signature, rows: Sequence[Any], kinds: Kinds, columns: Sequence[int]
) -> Method | None:
    """The first method with other answers if the columns have another kind of missing value."""
    emptied = _emptied(signature, rows, columns)
    most = max(len(kinds[at]) for at in columns)
    each_kind = zip(*((*kinds[at], *kinds[at][-1:] * most)[:most] for at in columns), strict=True)
    first, *others = (_answers(estimator, _with_kinds(signature, columns, chosen), emptied) for chosen in each_kind)
    for method in signature.methods:
        if not all(is_same_answer(other[method], first[method]) for other in others):
            return method
    return None


def _emptied(signature: Signature, rows: Sequence[Any], columns: Sequence[int]) -> list[Any]:
    """Rows in which the columns are missing in turn: each of them in five rows that have values in most others."""
    turns = min(len(columns), 20)
    emptied = []
    for index in range(5 * turns):
        row = rows[index // turns % len(rows)].copy()
        for at in columns[index % turns :: turns]:
            row[at if signature.takes_lists else signature.columns[at].name] = None
        emptied.append(row)
    return emptied


def _with_kinds(signature: Signature, columns: Sequence[int], kinds: Sequence[Missing]) -> Signature:
    changed = list(signature.columns)
    for at, kind in zip(columns, kinds, strict=True):
        changed[at] = replace(changed[at], missing=kind)
    return replace(signature, columns=tuple(changed))


def _answers(estimator: Any, signature: Signature, rows: list[Any]) -> dict[Method, list[Any] | None]:
    answers: dict[Method, list[Any] | None] = {}
    frame = as_fitted(signature.sparse, frame_of(signature, rows), signature.labels)
    for method in signature.methods:
        answers[method] = None
        with suppress(Exception):  # an estimator raises what it likes
            answers[method] = infer_frame(estimator, method, frame)
    return answers
