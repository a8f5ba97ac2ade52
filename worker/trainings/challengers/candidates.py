"""Draws the candidates of a search from lists and ranges, the same ones for the same file."""

import warnings
from typing import Any

from scipy.stats import loguniform, randint, uniform
from sklearn.model_selection import ParameterSampler

from queuecast.domain.trainings.searching import Search


class _WholeLogUniform:
    """Whole numbers whose logarithms are uniform. scipy has no such distribution."""

    def __init__(self, low: int, high: int) -> None:
        self._low, self._high = low, high
        self._numbers = loguniform(low - 0.5, high + 0.5)

    def rvs(self, size: Any = None, random_state: Any = None) -> int:
        """One number: ParameterSampler asks for no more."""
        return min(max(round(float(self._numbers.rvs(size=size, random_state=random_state))), self._low), self._high)


def draw_candidates(search: Search, seed: int) -> list[dict[str, Any]]:
    """The parameters as they are, which is an empty candidate, and those that are drawn, as JSON values.

    They are fewer than asked for if the lists have no more combinations.
    """
    distributions = {name: _distribution(values) for name, values in search.param_distributions.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the lists have fewer combinations
        drawn = list(ParameterSampler(distributions, search.n_candidates, random_state=seed))
    return [{}, *({name: _plain(value) for name, value in candidate.items()} for candidate in drawn)]


def _distribution(values: Any) -> Any:
    if isinstance(values, list):
        return values
    low, high = values["low"], values["high"]
    if values.get("int"):
        return _WholeLogUniform(low, high) if values.get("log") else randint(low, high + 1)
    return loguniform(low, high) if values.get("log") else uniform(low, high - low)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
