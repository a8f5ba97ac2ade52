"""Learns the signature of an estimator whose rows are texts, and of others by the modules for their rows."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pandas as pd

from queuecast.domain.errors import ModelRefusedError
from queuecast.domain.holdout.row_source import TEXT
from queuecast.domain.signature import Column, ColumnType, Layout, Missing, Signature
from queuecast.domain.work import Method
from worker.models.columns.column_facts import ColumnFacts, kinds_of, words_of
from worker.models.frames import MISSING_VALUES, rows_of
from worker.models.golden_rows import Golden
from worker.models.inference import infer_frame
from worker.models.learning.same_answers import is_same_answer
from worker.models.rows.object_signatures import learn_objects
from worker.models.rows.texts import form_of, texts_as_fitted
from worker.models.signatures import Naming, learn_signature, require_same_outputs, try_methods

TRIED_ROWS = 20


def learn_row_signature(
    estimator: Any,
    training_rows: Any,
    known: Mapping[str, ColumnFacts] | None = None,
    earlier: Signature | None = None,
    *,
    naming: Naming = Naming(),  # noqa: B008 - frozen
    may_be_unread: bool = True,
) -> tuple[Signature, Golden]:
    """As `learn_signature`, which learns that of tables.

    training_rows: also a list, a Series or an array of texts, or a list of dicts.
    """
    if isinstance(training_rows, list) and isinstance(training_rows[0], dict):
        facts = next(iter((known or {}).values()), ColumnFacts())
        return learn_objects(estimator, training_rows, facts.objects)
    if isinstance(training_rows, list | pd.Series) or training_rows.ndim == 1:
        return _learn_texts(estimator, training_rows, known or {})
    return learn_signature(estimator, training_rows, known, earlier, naming=naming, may_be_unread=may_be_unread)


def _learn_texts(estimator: Any, texts: Any, known: Mapping[str, ColumnFacts]) -> tuple[Signature, Golden]:
    name = next(iter(known), getattr(texts, "name", None) or TEXT)
    facts = known.get(name, ColumnFacts())
    words = tuple(dict.fromkeys([*facts.words, *words_of(texts)]))
    column = Column(name, ColumnType.STRING, nullable=False, dtype=form_of(texts), words=words)
    sample = texts[:TRIED_ROWS]
    outputs = try_methods(estimator, sample, len(sample))
    signature = Signature(Layout.TEXT, (column,), tuple(Method(method) for method in outputs))
    rows = rows_of(signature, sample)
    kinds = dict.fromkeys([*facts.missing, *kinds_of(texts)])
    column = _with_missing(estimator, signature, tuple(kinds))
    signature = replace(signature, columns=(column,), example=tuple(rows[:3]))
    present = [at for at, row in enumerate(rows) if column.nullable or row is not None]
    if not present:
        raise ModelRefusedError("the first rows of the example are missing texts, expected texts")
    rows = [rows[at] for at in present]
    outputs = {method: [output[at] for at in present] for method, output in outputs.items()}
    require_same_outputs(estimator, signature, rows, outputs)
    return signature, Golden(rows, outputs)


def _with_missing(estimator: Any, signature: Signature, kinds: Sequence[Missing]) -> Column:
    """The column; nullable if the estimator answers a missing text, and each kind of it in the same way.

    kinds: those of the fit. If there were none, a caller may mean None or NaN.
    """
    (column,) = signature.columns
    if column.dtype in ("Series[str]", "Series[string]"):
        kinds = [Missing.NAN if column.dtype == "Series[str]" else Missing.NA]
    kinds = kinds or (Missing.NAN, Missing.NONE)
    if column.dtype == "array[str]" or not _answers_alike(estimator, signature, kinds):
        return column
    return replace(column, nullable=True, missing=kinds[0])


def _answers_alike(estimator: Any, signature: Signature, kinds: Sequence[Missing]) -> bool:
    for method in signature.methods:
        answers = []
        for kind in kinds:
            with suppress(Exception):  # an estimator raises what it likes
                texts = texts_as_fitted(signature.columns[0].dtype, [None] * 2, MISSING_VALUES[kind])
                answers.append(infer_frame(estimator, method, texts))
        if len(answers) < len(kinds) or not all(is_same_answer(each, answers[0]) for each in answers):
            return False
    return True
