"""The search of a training: which parameters are tried, how many candidates, and for how long."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from math import isfinite
from typing import Any

from queuecast.domain.errors import Finding, mismatch, short_name
from queuecast.domain.findings.bounds import first_findings
from queuecast.domain.findings.json_texts import escaped, shown
from queuecast.domain.findings.nearest_names import NearestNames
from queuecast.domain.gate.metric_names import METRIC_NAMES
from queuecast.domain.training_params import grid_prefix, unknown_params

_RANGE_FIELDS = frozenset({"low", "high", "log", "int"})


class SearchKind(StrEnum):
    """All candidates on all rows; or rounds, each with a third of the candidates and three times the rows."""

    RANDOM = "random"
    HALVING = "halving"


@dataclass(frozen=True, slots=True)
class Search:
    """param_distributions: by the name of a parameter, a list of values, or a range `{low, high, log?, int?}`.

    n_candidates: that are drawn; the parameters as they are now are a further one. cv: folds of the cross-validation.
    metric: a scorer of scikit-learn; empty for the one by which the gate decides.
    max_s: after which no candidate is started; None for half of the job's timeout.
    """

    param_distributions: dict[str, Any]
    kind: SearchKind = SearchKind.RANDOM
    n_candidates: int = 20
    cv: int = 5
    metric: str = ""
    max_s: float | None = None


@dataclass(frozen=True, slots=True)
class SearchSummary:
    """The outcome of a search. candidates: that were tried, of `planned`. failed: that could not be fitted or scored.

    cv: the folds; fewer than asked for if a class has fewer rows. best_score: None if no candidate has one.
    """

    kind: SearchKind
    candidates: int
    planned: int
    failed: int
    metric: str
    cv: int
    best_score: float
    seconds: float


def require_sound_search(search: Search, known: Collection[str]) -> None:
    """Raises InvalidInputError for unknown names, values that are no candidates, and an unknown metric.

    known: the names of the champion's parameters; empty if they are not known.
    """
    found = first_findings(_unsound(search, known))
    if found.first:
        raise found.refusal()


def _unsound(search: Search, known: Collection[str]) -> Iterator[Finding]:
    pointer = "/search/param_distributions"
    yield from unknown_params(search.param_distributions, known, pointer)
    yield from unsound_distributions(search.param_distributions, known, pointer)
    if search.metric and search.metric not in METRIC_NAMES:
        nearest = NearestNames(METRIC_NAMES).of(search.metric)
        expected = "a scorer of scikit-learn" if nearest is None else repr(nearest)
        finding = mismatch("/search/metric", "unknown_metric", f"the metric {short_name(search.metric)!r}", expected)
        yield replace(finding, nearest=nearest)


def unsound_distributions(distributions: Mapping[str, Any], known: Collection[str], pointer: str) -> Iterator[Finding]:
    """A finding for each entry that is no list and no range, or that the champion's own search sets.

    known: the names of the champion's parameters; their names are checked by `unknown_params`.
    """
    if not distributions:
        yield mismatch(pointer, "wrong_length", "no parameter", "at least one")
    prefixes = [prefix for name in known if (prefix := grid_prefix(name)) is not None]
    for name, values in distributions.items():
        place = f"{pointer}/{escaped(name)}"
        if any(name.startswith(prefix) for prefix in prefixes):
            detail = f"the champion has a search of its own, which sets {short_name(name)!r}; change its grid by params"
            yield Finding(place, "own_search", detail)
        elif isinstance(values, Mapping):
            yield from _unsound_range(values, place)
        elif not isinstance(values, list) or not values:
            expected = "a list of values or a range {low, high}"
            yield mismatch(place, "wrong_type", "an empty list" if values == [] else shown(values), expected)


def _unsound_range(values: Mapping[str, Any], place: str) -> Iterator[Finding]:
    unknown = [name for name in values if name not in _RANGE_FIELDS]
    if unknown:
        found, expected = f"an unknown field {short_name(unknown[0])!r}", "low, high, log and int"
        yield mismatch(f"{place}/{escaped(unknown[0])}", "unknown_field", found, expected)
        return
    for name in ("log", "int"):
        if not isinstance(values.get(name, False), bool):
            yield mismatch(f"{place}/{name}", "wrong_type", shown(values[name]), "a boolean")
    bounds = [values.get("low"), values.get("high")]
    kinds = (int,) if values.get("int") is True else (int, float)
    for name, bound in zip(("low", "high"), bounds, strict=True):
        if isinstance(bound, bool) or not isinstance(bound, kinds) or not isfinite(bound):
            yield mismatch(f"{place}/{name}", "wrong_type", shown(bound), _expected(values))
            return
    low, high = values["low"], values["high"]
    if not low < high:
        yield mismatch(f"{place}/high", "out_of_range", shown(high), f"a number above {low}")
    elif values.get("log") is True and low <= 0:
        yield mismatch(f"{place}/low", "out_of_range", shown(low), "a number above 0, because of log")


def _expected(values: Mapping[str, Any]) -> str:
    return "a whole number" if values.get("int") is True else "a number"
