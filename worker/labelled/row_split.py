"""Splits the rows of a file by the rule of a version: those on the side of its fit, and those that it holds out."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from queuecast.domain.columns.labels import numbered
from queuecast.domain.columns.outside_columns import require_known_meaning
from queuecast.domain.columns.roles import ColumnRoles
from queuecast.domain.errors import InvalidInputError, RunFailedError
from queuecast.domain.holdout import METHODS, HoldoutRule, Split, decides_by_meaning, holdout, rule_for
from queuecast.domain.model import Manifest
from queuecast.domain.signature import Layout
from worker.labelled.first_digits import with_digits_of_split
from worker.labelled.holdout_columns import features_for_rule, table_for_rule
from worker.labelled.time_split import split_by_time
from worker.labelled.training_rows import TrainingRows
from worker.models.frames import frame_of


def split_rows(rows: TrainingRows, champion: Manifest, roles: ColumnRoles, fitted: Sequence[Any] = ()) -> Split:
    """Splits by the champion's rule, so that both versions are scored on rows that neither was fitted on; or by the
    group or the time of the rows, if the request names their column.

    fitted: some of the rows that the champion, or the version that it comes from, was fitted on, as JSON rows.
    Raises RunFailedError for an unknown method, InvalidInputError if all rows are held out.
    """
    rule = rule_for(champion.holdout, roles)
    split = split_by_time(rows.times, rule) if rows.times is not None else sides_of(rows, champion, rule, fitted)
    if not split.train:
        raise InvalidInputError(f"all {len(split.test)} rows of the file are held out; nothing is left to fit on")
    return split


def sides_of(rows: TrainingRows, champion: Manifest, rule: HoldoutRule, fitted: Sequence[Any] = ()) -> Split:
    """The side of each row by a rule that is not by time, of which one may be empty. champion, fitted: as for
    `split_rows`."""
    if rule.method not in METHODS:
        known = " and ".join(map(repr, METHODS))
        raise RunFailedError(f"version {champion.version} was split by {rule.method!r}; this worker knows {known}")
    require_known_meaning(rule, champion.signature)
    if rows.outside:
        table = table_for_rule(rows.split_features(), champion.signature, rule.columns, rows.outside)
        return holdout(table, rule.fraction, rule.columns, rule.method)
    if champion.signature.layout.has_columns:
        features, names = features_for_rule(rows.split_features(), champion.signature, rule.columns)
        read_names = [column.name for column in champion.signature.read_columns]
        deciding = [name for name in names if name not in rows.lacking] or read_names
        if fitted and _may_have_other_digits(champion):
            named, fitted_rows = _named(features, fitted, champion, deciding)
            changed = with_digits_of_split(named, fitted_rows, deciding, rule)
            features = features if changed is named else changed
        return holdout(features, rule.fraction, deciding, rule.method)
    return _split_whole_rows(rows.features, rule)


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
