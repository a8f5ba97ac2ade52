"""Learns the signature of an estimator whose rows are dicts: the kinds of values that it answers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from queuecast.domain.columns.object_rows import ObjectRows, ValueKind, keys_of_rows
from queuecast.domain.errors import ModelRefusedError
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from worker.models.golden_rows import Golden
from worker.models.inference import infer_frame
from worker.models.signatures import require_same_outputs, try_methods

ROW = "row"
DICT = "dict"

_TRIED_ROWS = 20
_TRIED_KEYS = 50
_UNSEEN = "a word that no row of the fit has"
_VALUES = {
    ValueKind.STRING: _UNSEEN,
    ValueKind.NUMBER: 1.5,
    ValueKind.BOOLEAN: True,
    ValueKind.WORDS: [_UNSEEN],
    ValueKind.NULL: None,
}


def learn_objects(estimator: Any, rows: Sequence[Any], known: ObjectRows | None) -> tuple[Signature, Golden]:
    """rows: JSON objects. known: the keys of all rows of the fit, or those of the champion."""
    try:
        objects = keys_of_rows(rows, known)
    except ValueError as error:
        raise ModelRefusedError(f"the example has {error}", code="unsupported_column") from None
    sample = list(rows[:_TRIED_ROWS])
    outputs = try_methods(estimator, sample, len(sample))
    methods = tuple(Method(method) for method in outputs)
    kinds = tuple(kind for kind, value in _VALUES.items() if _answers(estimator, methods, sample, objects, value))
    column = Column(ROW, ColumnType.OBJECT, nullable=False, dtype=DICT, objects=replace(objects, kinds=kinds))
    signature = Signature(Layout.OBJECT, (column,), methods, tuple(sample[:3]))
    require_same_outputs(estimator, signature, sample, outputs)
    return signature, Golden(sample, outputs)


def _answers(estimator: Any, methods: Sequence[Method], sample: Sequence[Any], objects: ObjectRows, value: Any) -> bool:
    """Whether the estimator answers rows with the value at a known key, at each of the first ones, or at a new key."""
    names = [key.name for key in objects.keys[:_TRIED_KEYS]]
    rows = [sample[at % len(sample)] | {name: value} for at, name in enumerate([*names, _UNSEEN])]
    try:
        return all(len(infer_frame(estimator, method, rows)) == len(rows) for method in methods)
    except Exception:  # an estimator raises what it likes
        return False
