"""Refuses an estimator whose parts were forged, before any of them is used."""

from typing import Any

from queuecast.domain.errors import ModelRefusedError
from queuecast.estimators.parts import parts_of
from worker.models.file_checks.array_checks import array_problem
from worker.models.file_checks.count_checks import count_problem
from worker.models.file_checks.tree_checks import tree_problem


def require_sound_parts(estimator: Any) -> None:
    """Raises ModelRefusedError for the first part with numbers that do not fit one another.

    All trees come before the arrays, because a check of arrays may call a part that has trees.
    """
    parts = list(parts_of(estimator))
    for problem_of in (tree_problem, array_problem, count_problem):
        for part in parts:
            try:
                problem = problem_of(part)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
                problem = f"a part of it is missing or of the wrong kind ({error})"
            if problem:
                raise ModelRefusedError(f"the model holds a {type(part).__name__} that is not sound: {problem}")
