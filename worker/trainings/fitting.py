"""Fits the challenger: a clone of the champion with the job's parameters, on the rows that are not held out."""

import warnings
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils._param_validation import InvalidParameterError

from queuecast.domain.errors import Finding, InvalidInputError, RunFailedError, exception_text, short_name, shortened
from queuecast.domain.model import Manifest
from queuecast.domain.training_params import unknown_params
from worker.labelled.training_rows import TrainingRows, taken
from worker.models.frames import as_fitted, frame_of
from worker.models.learning.unread_columns import unread_columns
from worker.models.machine_parameters import reset_machine_parameters
from worker.models.signatures import try_methods
from worker.trainings.challengers.frozen_parts import require_not_frozen
from worker.trainings.challengers.updates import require_known_labels, updated
from worker.trainings.fit_arguments import fit_arguments
from worker.trainings.param_values import as_estimator_takes


def predicts_table(estimator: Any, manifest: Manifest) -> bool:
    """Whether `predict` answers a table of one column, `[[v], ...]`: then `y` was one, and has to be one again."""
    with suppress(Exception):  # an estimator raises what it likes
        signature = manifest.signature
        example = frame_of(signature, list(signature.example))
        output = estimator.predict(as_fitted(signature.sparse, example, signature.labels))
        return len(manifest.signature.example) > 0 and np.shape(output)[1:] == (1,)
    return False


def fit_challenger(champion: Any, params: dict[str, Any], rows: TrainingRows, train: list[int]) -> Any:
    """champion: its estimator. train: the positions of the rows that are not held out.

    Raises InvalidInputError for wrong parameters, RunFailedError if the fit fails.
    """
    challenger = prepared_challenger(champion, params)
    arguments = fit_arguments(challenger, taken(rows.weights, train), taken(rows.groups, train))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a ConvergenceWarning on stderr is useless; the score shows it
            # The selection copies the rows: for a large file it can run out of memory, as the fit can.
            return challenger.fit(rows.take_as_fitted(train), taken(rows.target, train), **arguments)
    except InvalidParameterError as error:
        raise _invalid_params(error) from error
    except Exception as error:  # an estimator raises what it likes
        raise RunFailedError(f"fit raised {exception_text(error)}", code="fit_failed") from error


def prepared_challenger(champion: Any, params: dict[str, Any]) -> Any:
    """An unfitted clone of the champion's estimator with the parameters. Raises InvalidInputError for wrong ones."""
    try:
        require_not_frozen(champion, params)
        challenger = clone(champion)
        challenger.set_params(**as_estimator_takes(challenger, params, champion))
    except (ValueError, TypeError, AttributeError) as error:
        raise _invalid_params(error, _unknown_parameter(champion, params)) from error
    findings = unknown_params(params, challenger.get_params())  # in the grid of a search, which only a fit reads
    if findings:
        raise InvalidInputError(f"the parameters do not fit the estimator: {findings[0].detail}", findings)
    # `n_jobs` among the parameters would be the machine's cores, not this container's, and `memory` a path in it.
    reset_machine_parameters(challenger)
    return challenger


def update_challenger(champion: Any, rows: TrainingRows, train: list[int]) -> Any:
    """A copy of the champion that goes on learning from the rows that are not held out.

    Raises InvalidInputError for labels that the champion lacks and for weights that it does not take, RunFailedError if
    `partial_fit` fails.
    """
    if rows.target is not None:
        require_known_labels(champion, rows.target)
    weights = taken(rows.weights, train)
    return updated(champion, rows.take_as_fitted(train), taken(rows.target, train), weights)


def fit_with_needs(
    champion: Manifest, estimator: Any, params: dict[str, Any], rows: TrainingRows, train: list[int]
) -> tuple[Any, frozenset[str]]:
    """The challenger, and the columns that a step of it reads and no step of the champion. They are neutral in `rows`.

    The challenger is the error of a fit that failed, perhaps because it needs values of such columns. Raises as
    `fit_challenger`.
    """
    unread = frozenset(column.name for column in champion.signature.columns if not column.read)
    try:
        challenger = fit_challenger(estimator, params, rows, train)
    except RunFailedError as error:
        if not (unread and params):
            raise
        return error, unread
    if not unread:
        return challenger, unread
    sample = rows.take_as_fitted(train[:20])
    return challenger, unread - unread_columns(challenger, sample, try_methods(challenger, sample, len(sample)))


def reading(champion: Manifest, names: frozenset[str]) -> Manifest:
    """The champion's manifest with these columns among those that are read."""
    columns = [replace(column, read=True) if column.name in names else column for column in champion.signature.columns]
    return replace(champion, signature=replace(champion.signature, columns=tuple(columns)))


def _unknown_parameter(champion: Any, params: dict[str, Any]) -> tuple[str, str] | None:
    """What was found and expected, if the estimator lacks one of the parameters."""
    with suppress(Exception):  # an estimator raises what it likes
        known = champion.get_params()
        unknown = next((name for name in params if name not in known), None)
        if unknown is not None:
            return f"an unknown parameter {short_name(unknown)!r}", shortened(f"one of {', '.join(known)}", 500)
    return None


def _invalid_params(error: Exception, facts: tuple[str, str] | None = None) -> InvalidInputError:
    """facts: what was found and expected, where it is known."""
    words = shortened(str(error), 500)  # it may quote a whole value or estimator
    finding = Finding("/params", "invalid_params", words, *(facts or ()))
    return InvalidInputError(f"the parameters do not fit the estimator: {words}", (finding,))
