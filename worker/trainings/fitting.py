"""Fits the challenger: a clone of the champion with the job's parameters, on the rows that are not held out."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils._param_validation import InvalidParameterError

from queuecast.domain.columns.labels import numbered
from queuecast.domain.columns.outside_columns import require_known_meaning
from queuecast.domain.columns.roles import ColumnRoles
from queuecast.domain.errors import Finding, InvalidInputError, RunFailedError, exception_text, short_name, shortened
from queuecast.domain.holdout import METHODS, HoldoutRule, Split, decides_by_meaning, holdout, rule_for
from queuecast.domain.model import Manifest
from queuecast.domain.signature import Layout
from queuecast.domain.training_params import unknown_params
from worker.labelled.training_rows import TrainingRows, taken
from worker.models.frames import as_fitted, frame_of
from worker.models.learning.unread_columns import unread_columns
from worker.models.machine_parameters import reset_machine_parameters
from worker.models.signatures import try_methods
from worker.trainings.challengers.frozen_parts import require_not_frozen
from worker.trainings.challengers.updates import require_known_labels, updated
from worker.trainings.first_digits import with_digits_of_split
from worker.trainings.fit_arguments import fit_arguments
from worker.trainings.holdout_columns import features_for_rule, table_for_rule
from worker.trainings.param_values import as_estimator_takes
from worker.trainings.time_split import split_by_time


def split_rows(rows: TrainingRows, champion: Manifest, roles: ColumnRoles, fitted: Sequence[Any] = ()) -> Split:
    """Splits by the champion's rule, so that both versions are scored on rows that neither was fitted on; or by the
    group or the time of the rows, if the request names their column.

    fitted: some of the rows that the champion, or the version that it comes from, was fitted on, as JSON rows.
    Raises RunFailedError for an unknown method, InvalidInputError if all rows are held out.
    """
    rule = rule_for(champion.holdout, roles)
    if not rule.is_by_time and rule.method not in METHODS:
        known = " and ".join(map(repr, METHODS))
        raise RunFailedError(f"version {champion.version} was split by {rule.method!r}; this worker knows {known}")
    if rows.times is not None:
        return split_by_time(rows.times, rule)
    require_known_meaning(rule, champion.signature)
    if rows.outside:
        table = table_for_rule(rows.split_features(), champion.signature, rule.columns, rows.outside)
        split = holdout(table, rule.fraction, rule.columns, rule.method)
    elif champion.signature.layout.has_columns:
        features, names = features_for_rule(rows.split_features(), champion.signature, rule.columns)
        read_names = [column.name for column in champion.signature.read_columns]
        deciding = [name for name in names if name not in rows.lacking] or read_names
        if fitted and _may_have_other_digits(champion):
            named, fitted_rows = _named(features, fitted, champion, deciding)
            changed = with_digits_of_split(named, fitted_rows, deciding, rule)
            features = features if changed is named else changed
        split = holdout(features, rule.fraction, deciding, rule.method)
    else:
        split = _split_whole_rows(rows.features, rule)
    if not split.train:
        raise InvalidInputError(f"all {len(split.test)} rows of the file are held out; nothing is left to fit on")
    return split


def _may_have_other_digits(champion: Manifest) -> bool:
    """Whether the rows are arrays, which may have been split as frames."""
    signature, rule = champion.signature, champion.holdout
    is_dense = signature.layout is Layout.ARRAY and not signature.sparse
    return is_dense and rule is not None and decides_by_meaning(rule)


def _named(features: Any, fitted: Sequence[Any], champion: Manifest, names: list[str]) -> list[pd.DataFrame]:
    """The features of the file and the fitted rows, as frames with the names of the rule."""
    arrays = (features, features_for_rule(frame_of(champion.signature, fitted), champion.signature, names)[0])
    return [
        each if isinstance(each, pd.DataFrame) else pd.DataFrame(each, columns=numbered(each.shape[1]))
        for each in arrays
    ]


def _split_whole_rows(features: Any, rule: HoldoutRule) -> Split:
    """Of texts, whose side does not depend on a name, or of dicts: a key that no row has is missing in all of them."""
    names = None
    if rule.columns and len(features) and isinstance(features[0], dict):
        present = {name for row in features for name in row}
        names = [name for name in rule.columns if name in present]
    try:
        split = holdout(features, rule.fraction, names, rule.method)
    except (TypeError, ValueError) as error:  # an older method takes no rows with different keys
        raise InvalidInputError(f"the rows of the file cannot be split: {error}") from None
    return Split(split.train, split.test, rule)


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
