"""Turns the parts of an estimator that skops cannot write into plain lists and dicts, for the client and the workers.

skops follows every attribute and remembers none. A frozen distribution of scipy.stats (`loguniform(1e-4, 1)`) holds
bound methods of itself, so skops follows it until Python raises RecursionError. Its state also holds source code that
scipy passes to `exec`, so a worker must never load one from a file. The file holds the name of the distribution and its
numbers instead; `worker.models.distributions` makes the distribution again.

skops has no way to write an Index, an array or a Timestamp of pandas either. A list of the same values means the same
to scikit-learn.
"""

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

DISTRIBUTION = "scipy.stats"
_LEAVES = (str, bytes, int, float, complex, type, FunctionType, BuiltinFunctionType, MethodType, ModuleType)


def savable(estimator: Any) -> Any:
    """The estimator, or a copy if a part had to be replaced. The estimator itself does not change."""
    return with_replaced_parts(estimator, _savable_part)


def with_replaced_parts(root: Any, replacement: Callable[[Any], Any]) -> Any:
    """A copy of each object on the way to a replaced part; every other object stays the same one.

    replacement: returns its argument to keep a part. Looks into attributes, dicts, lists and tuples, not into arrays.
    """
    return _Rebuilding(replacement).part(root)


class _Rebuilding:
    def __init__(self, replacement: Callable[[Any], Any]) -> None:
        self._replacement = replacement
        self._seen: dict[int, tuple[Any, Any]] = {}  # the part too, because the id of a dead object is used again

    def part(self, part: Any) -> Any:
        if part is None or isinstance(part, _LEAVES):
            return part
        if id(part) not in self._seen:
            self._seen[id(part)] = part, part  # ends a circle of references
            replaced = self._replacement(part)
            self._seen[id(part)] = part, self._with_new_children(part) if replaced is part else replaced
        return self._seen[id(part)][1]

    def _with_new_children(self, part: Any) -> Any:
        if isinstance(part, dict):
            changed = self._changed(part)
            return _copy_with(part, lambda twin: twin.update(changed)) if changed else part
        if type(part) in (list, tuple):
            children = [self.part(child) for child in part]
            return (
                type(part)(children) if any(new is not old for new, old in zip(children, part, strict=True)) else part
            )
        changed = self._changed(getattr(part, "__dict__", {}))
        return _copy_with(part, lambda twin: twin.__dict__.update(changed)) if changed else part

    def _changed(self, children: dict[Any, Any]) -> dict[Any, Any]:
        new = {name: self.part(child) for name, child in children.items()}
        return {name: child for name, child in new.items() if child is not children[name]}


def _copy_with(part: Any, change: Callable[[Any], None]) -> Any:
    twin = copy.copy(part)
    change(twin)
    return twin


def _savable_part(part: Any) -> Any:
    module = type(part).__module__
    if module.partition(".")[0] == "pandas" and hasattr(part, "tolist"):
        return part.tolist()
    if module == "numpy" and str(getattr(part, "dtype", "")) == "object":
        return _with_python_times(part)
    if module.startswith("scipy.stats.") and type(part).__name__ in ("rv_continuous_frozen", "rv_discrete_frozen"):
        numbers = [*part.args, *part.kwds.values()]
        if type(part.dist).__module__.startswith("scipy.stats.") and all(map(_is_number, numbers)):
            kwds = {name: _plain(value) for name, value in part.kwds.items()}
            return {DISTRIBUTION: part.dist.name, "args": list(map(_plain, part.args)), "kwds": kwds}
    return part


def _with_python_times(array: Any) -> Any:
    """The array with Python's times in UTC for those of pandas and of other zones, which skops cannot write. They are
    equal and have one hash, by which an encoder finds them. Nanoseconds stay, and the worker refuses them."""
    values = array.ravel().tolist()
    if not any(isinstance(value, datetime | timedelta) for value in values):
        return array
    changed = array.copy()
    for position, value in enumerate(values):
        changed.flat[position] = _python_time(value)
    return changed


def _python_time(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC)
    if type(value).__name__ == "Timestamp" and not value.nanosecond:
        return value.to_pydatetime()
    return value.to_pytimedelta() if type(value).__name__ == "Timedelta" and not value.nanoseconds else value


def _is_number(value: Any) -> bool:
    return isinstance(_plain(value), int | float)


def _plain(value: Any) -> Any:
    """A numpy scalar as a Python value."""
    return value.item() if hasattr(value, "item") and not getattr(value, "shape", ()) else value
