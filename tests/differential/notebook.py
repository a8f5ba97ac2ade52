"""The expected answers: those of the fitted estimator in this process, on the frame that a person would build."""

import warnings
from collections.abc import Sequence
from typing import Any

from tests.differential.cases import Case
from tests.differential.comparison import EXACT, SINGLE, call, different_rows, different_texts

METHODS = ("predict", "predict_proba", "decision_function", "transform", "score_samples")
_TRIED_ALONE = 4
_SINGLE_DTYPES = ("float16", "float32", "Float32")


class Notebook:
    """rows: the frame to ask for. methods: those that answer it with values that JSON has."""

    def __init__(self, case: Case, estimator: Any, rows: Any) -> None:
        self._case = case
        self._estimator = estimator
        self._rows = rows
        self._together: dict[str, list[Any]] = {}
        self._tolerances: dict[str, float] = {}
        for method in METHODS:
            if hasattr(estimator, method):
                try:
                    answers = self.answers(method, range(len(rows)))
                    self._tolerances[method] = self._tolerance(method, answers)
                except Exception:  # an estimator raises what it likes
                    continue
                if len(answers) == len(rows) and all(_is_plain(cell) for row in answers for cell in row):
                    self._together[method] = answers

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(self._together)

    def answers(self, method: str, positions: Sequence[int]) -> list[Any]:
        """Those of one call with these rows, in this order."""
        if list(positions) == list(range(len(self._rows))) and method in self._together:
            return self._together[method]
        return call(self._estimator, method, self._case.given(self._rows.iloc[list(positions)]))

    def differences(
        self, method: str, positions: Sequence[int], found: list[list[Any]], *, are_texts: bool
    ) -> list[tuple[int, Any, Any]]:
        """Position, found and expected answer of the rows that differ.

        A row that the estimator answers differently alone and in a call with more rows has two right answers.
        """
        differ = different_texts if are_texts else different_rows
        expected = self.answers(method, positions)
        tolerance = self._tolerances[method]
        wrong = []
        for at in differ(found, expected, tolerance):
            position = positions[at] if at < len(positions) else positions[-1]
            if len(found) == len(expected):
                alone = self.answers(method, [position])
                scaled = [*expected[:at], alone[0], *expected[at + 1 :]]
                if at not in differ(found, scaled, tolerance):
                    continue
            answer = found[at] if at < len(found) else f"{len(found)} answers"
            wrong.append((position, answer, expected[at] if at < len(expected) else "no answer"))
        return wrong

    def _tolerance(self, method: str, answers: list[Any]) -> float:
        """Wider for single precision, and where rounding makes the answer depend on the number of rows."""
        tried = range(min(_TRIED_ALONE, len(answers)))
        alone = [self.answers(method, [at])[0] for at in tried]
        has_single = any(str(dtype) in _SINGLE_DTYPES for dtype in self._rows.dtypes)
        is_exact = not different_rows(alone, [answers[at] for at in tried], EXACT)
        return EXACT if is_exact and not has_single else SINGLE


def error_of(estimator: Any, method: str, rows: Any) -> str | None:
    """The error that the notebook raises for the rows, in words."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call(estimator, method, rows)
    except Exception as error:  # an estimator raises what it likes
        return f"{type(error).__name__}: {error}"
    return None


def _is_plain(cell: Any) -> bool:
    return cell is None or isinstance(cell, str | int | float)
