"""A split of rows into training and holdout that never changes: a row's side depends on the row alone.

A fresh random split at every retraining would test a champion on rows it was fitted on, and it would look
unbeatable. Hashing each row's feature values always holds out the same rows, in a notebook
on a DataFrame and in a worker on an uploaded file. The idea is the usual one of hashed identifiers
(A. Géron, Hands-On Machine Learning, 3rd ed., ch. 2), with the whole row as the identifier.
"""

from queuecast.domain.holdout.rule import (
    DEFAULT_FRACTION,
    METHOD,
    METHODS,
    TIME_METHOD,
    HoldoutRule,
    Split,
    decides_by_meaning,
    holdout,
)
from queuecast.domain.holdout.training_rules import rule_for

__all__ = [
    "DEFAULT_FRACTION",
    "METHOD",
    "METHODS",
    "TIME_METHOD",
    "HoldoutRule",
    "Split",
    "decides_by_meaning",
    "holdout",
    "rule_for",
]
