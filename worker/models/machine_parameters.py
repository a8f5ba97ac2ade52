"""Resets what an estimator says about the machine that it was fitted on: threads, folders, files.

A parameter is reset wherever a fit can find it: in the estimator and its fitted parts, among the candidates of a
search, among the arguments of a function. A test walks scikit-learn's lists for parameters that take any text, and
says of each why it names no path, command or host.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from sklearn.base import BaseEstimator

from queuecast.domain.errors import ModelRefusedError
from queuecast.estimators.parts import parts_of

# n_jobs: with -1, each process of a worker would start a thread for each core of the machine. None means one thread in
# a prediction, and those of `worker.trainings.threads` in a fit.
# memory: a fit would write files into that folder of the worker.
_RESET = ("n_jobs", "memory")
# The number of threads that KMeans found on the machine of its fit; OpenMP ends the process if it cannot start them.
_THREADS = "_n_threads"
# Attributes that hold candidates for parameters of inner estimators, and arguments of a function.
_SEARCHED = ("param_grid", "param_distributions")
_ARGUMENTS = ("kw_args", "inv_kw_args", "metric_params", "kernel_params")


def reset_machine_parameters(estimator: Any) -> None:
    """Changes the estimator. Raises ModelRefusedError if its rows would be names of files."""
    for part in parts_of(estimator):
        if isinstance(part, partial):
            _reset(part.keywords, None)
        if isinstance(part, BaseEstimator):
            attributes = vars(part)
            _reset(attributes, None)
            if _THREADS in attributes:
                attributes[_THREADS] = 1
            _require_rows_as_input(part, attributes.get("input"))
            for arguments in _dicts(attributes, _ARGUMENTS):
                _reset(arguments, None)
            for candidates in _dicts(attributes, _SEARCHED):
                _reset(candidates, [None])
                _require_rows_as_input(part, *_candidates_for_input(candidates))


def _reset(values: dict[str, Any], to: Any) -> None:
    """values: by the name of a parameter, which may be one of a step (`model__n_jobs`)."""
    found = [name for name, value in values.items() if str(name).rpartition("__")[2] in _RESET and value is not None]
    values.update(dict.fromkeys(found, to))


def _dicts(attributes: dict[str, Any], names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for value in map(attributes.get, names):
        yield from (each for each in (value if isinstance(value, list | tuple) else [value]) if isinstance(each, dict))


def _candidates_for_input(candidates: dict[str, Any]) -> Iterator[Any]:
    for name, values in candidates.items():
        if str(name).rpartition("__")[2] == "input":
            yield from values


def _require_rows_as_input(part: BaseEstimator, *found: Any) -> None:
    for value in found:
        if isinstance(value, str) and value in ("file", "filename"):
            raise ModelRefusedError(
                f"{type(part).__name__} has input={value!r}, so its rows would be files of the worker; expected "
                "input='content'"
            )
