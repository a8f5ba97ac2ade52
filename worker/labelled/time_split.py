"""Splits rows by their time: the oldest are fitted on, and the newest are held out."""

from dataclasses import replace

import numpy as np

from queuecast.domain.errors import InvalidInputError, short_name
from queuecast.domain.holdout import HoldoutRule, Split
from worker.labelled.role_cells import Times


def split_by_time(times: Times, rule: HoldoutRule) -> Split:
    """Holds out the newest rows, at least the rule's fraction of them: rows of the same time stay together.

    Raises InvalidInputError if all rows have the same time.
    """
    values = times.values
    n_held_out = max(1, round(rule.fraction * len(values)))
    cutoff = np.partition(values, len(values) - n_held_out)[len(values) - n_held_out]
    if cutoff == values.min():  # so many rows have the oldest time that none would be left
        newer = values[values > cutoff]
        if not len(newer):
            raise InvalidInputError(
                f"all rows have the same {short_name(rule.columns[0])!r}, so none is before the others"
            )
        cutoff = newer.min()
    is_held_out = values >= cutoff
    recorded = replace(rule, cutoff=times.text(cutoff))
    return Split(np.flatnonzero(~is_held_out).tolist(), np.flatnonzero(is_held_out).tolist(), recorded)


def reason_against_times(times: Times, known: HoldoutRule, split: Split, version: int) -> str:
    """Why the champion may have been fitted on held-out rows; empty if it was not. known: its rule, by time."""
    before, now = times.value(known.cutoff), times.value(split.rule.cutoff)
    if before is None or now is None:
        return (
            f"version {version} was fitted on rows before {known.cutoff}, and the times of this file are "
            f"{'moments' if times.are_moments else 'numbers'}, so its score means nothing"
        )
    if now < before:
        return (
            f"version {version} was fitted on rows before {known.cutoff}, and this file has rows held out from "
            f"{split.rule.cutoff} on, so its score means nothing. Train on a file with newer rows"
        )
    return ""
