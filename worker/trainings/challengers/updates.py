"""An update: a copy of the champion goes on learning with `partial_fit`. Nothing in it is fitted from the beginning."""

import copy
import inspect
import warnings
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from queuecast.domain.errors import Finding, InvalidInputError, RunFailedError, exception_text, short_name
from queuecast.domain.findings.bounds import list_names
from queuecast.domain.findings.data_findings import DataFinding, Severity
from worker.models.model_output import class_labels
from worker.models.updating import can_update, last_step


def require_updatable(estimator: Any) -> None:
    """Raises InvalidInputError for an estimator without `partial_fit`."""
    if not can_update(estimator):
        name = type(last_step(estimator)).__name__
        detail = f"the champion cannot be updated: {name} has no partial_fit. Train with mode refit"
        raise InvalidInputError(detail, (Finding("/mode", "no_partial_fit", detail),))


def require_known_labels(estimator: Any, target: Any) -> None:
    """Raises InvalidInputError for labels that the champion lacks: `partial_fit` cannot add a class."""
    classes = class_labels(estimator)
    if not classes:
        return
    labels = classes if isinstance(classes[0], list) else [classes]
    for known, column in zip(labels, np.reshape(target, (len(target), -1)).T, strict=False):
        new = sorted(set(map(str, column.tolist())) - set(map(str, known)))
        if new:
            what = "label" if len(new) == 1 else "labels"
            detail = (
                f"the rows have the {what} {list_names(new)}, which the champion does not know, and an update cannot "
                "add labels. Train with mode refit"
            )
            raise InvalidInputError(detail, (Finding("/mode", "new_labels", detail),))


def updated(champion: Any, features: Any, target: Any, weights: Any = None) -> Any:
    """A copy that has learned the rows too; the champion is as it was. weights: (n_rows,), or None.

    Raises InvalidInputError if `partial_fit` takes no weights, RunFailedError if it fails, as that of an estimator with
    early stopping does.
    """
    challenger = copy.deepcopy(champion)
    last = last_step(challenger)
    known = {"classes": getattr(last, "classes_", None), "sample_weight": weights}
    given = {name: value for name, value in known.items() if value is not None}
    if weights is not None and "sample_weight" not in _parameters(last):
        detail = f"partial_fit of {type(last).__name__} takes no sample weights"
        raise InvalidInputError(detail, (Finding("/weight_column", "no_weights", detail),))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _partial_fit(challenger, features, target, given)
    except Exception as error:  # an estimator raises what it likes
        raise RunFailedError(f"partial_fit raised {exception_text(error)}", code="fit_failed") from error
    return challenger


def _parameters(part: Any) -> Collection[str]:
    return inspect.signature(part.partial_fit).parameters.keys()


def _partial_fit(part: Any, features: Any, target: Any, given: dict[str, Any]) -> None:
    """given: further arguments, of which the last step gets those that it takes."""
    if isinstance(part, Pipeline):
        if len(part.steps) > 1:
            features = part[:-1].transform(features)
        _partial_fit(part.steps[-1][1], features, target, given)
        return
    part.partial_fit(features, target, **{name: given[name] for name in given.keys() & set(_parameters(part))})


def kept_steps(estimator: Any) -> Iterator[DataFinding]:
    """A finding if the update left the earlier steps of a pipeline as they were."""
    names = _kept(estimator)
    if names:
        steps, are = ("step", "is") if len(names) == 1 else ("steps", "are")
        detail = (
            f"the {steps} {list_names(names)} {are} as the champion has fitted {'it' if len(names) == 1 else 'them'}; "
            f"an update changes the last step only"
        )
        yield DataFinding("kept_steps", Severity.INFO, detail)


def _kept(estimator: Any) -> list[str]:
    names: list[str] = []
    while isinstance(estimator, Pipeline):
        names += [short_name(name) for name, step in estimator.steps[:-1] if step not in (None, "passthrough")]
        estimator = estimator.steps[-1][1]
    return names
