"""Forges each array and each scalar of a model file, and calls the model. Runs in a child process, because it may die.

Writes a line for each forgery before it is tried, so that the last line of a dead process names its cause. A model that
asks for more memory than a few rows can need gets a line of its own.
"""

import io
import json
import resource
import signal
import sys
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import redirect_stderr, suppress
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from queuecast.domain.errors import ModelRefusedError
from queuecast.domain.work import Method
from tests.worker.models.fitted_estimators import fitted
from worker.models.loading import dump_estimator, load_estimator

MAX_GROWTH_BYTES = 2**30
LARGE = 10**8
"""Fits into memory as a length, and not as the width of five rows."""
MAX_CALL_S = 20
ATE_MEMORY = "ATE MEMORY"


def forgeries(array: Any) -> Iterator[tuple[str, Any]]:
    """array: as skops stored it. Yields what was done, and the forged array."""
    if array.ndim:
        yield "emptied", array[:0]
        yield "cut", array[:-1]
        yield "lengthened", np.concatenate([array] * 3)
    else:
        yield "turned to an array", np.repeat(array, 3)
    if array.ndim > 1:
        yield "narrowed", np.ascontiguousarray(array[..., :-1])
        yield "widened", np.concatenate([array, array], axis=-1)
    for field in array.dtype.names or ():
        for value in _wrong_values(array[field].dtype):
            changed = array.copy()
            changed[field] = value
            yield f"{field} set to {value}", changed
    if array.dtype.names is None:
        for value in _wrong_values(array.dtype):
            yield f"filled with {value}", np.full_like(array, value)
        if array.dtype.kind in "iufb":
            yield "turned to another dtype", array.astype(np.int64 if array.dtype.kind == "f" else np.float32)


def _wrong_values(dtype: Any) -> list[Any]:
    if dtype.kind == "f":
        return [np.nan, 1e300 if dtype.itemsize == 8 else 1e30, -7.0]
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        wrong = [limits.max // 2, max(limits.min // 2, 0) if dtype.kind == "u" else limits.min // 2]
        return [*wrong, LARGE] if dtype.itemsize >= 4 else wrong
    return []


def forged_files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What was done, and the model file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    places = {name: index for index, name in enumerate(entries)}
    for name, content in entries.items():
        if name.endswith(".npy"):
            for done, array in forgeries(np.load(io.BytesIO(content))):
                yield f"array {places[name]} {done}", _zipped(entries | {name: _saved(array)})
        elif name.endswith(".npz"):
            with np.load(io.BytesIO(content)) as parts:
                arrays = dict(parts)
            for part in ("data", "indices", "indptr", "shape"):
                for done, array in forgeries(arrays[part]) if part in arrays else ():
                    yield (
                        f"array {places[name]} {part} {done}",
                        _zipped(entries | {name: _saved_parts(arrays | {part: array})}),
                    )


def forged_scalars(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The same for the numbers, truths, words and None of the schema: fitted ones, and parameters."""
    entries, schema = _opened(data)
    for path, node, is_fitted in list(_scalars(schema, "", False)):
        before = dict(node)
        node.pop("__id__", None)  # equal scalars share an id; without it, this one has its own value
        present = json.loads(before["content"])
        for value in _wrong_scalars(present, is_fitted):
            node["content"] = json.dumps(value)
            yield f"{path} set to {value!r}", _zipped(entries | {"schema.json": json.dumps(schema).encode()})
        node.update(before)


def with_scalar(data: bytes, place: str, value: Any) -> bytes:
    """The file with another value for the first scalar whose path ends in `place`. Raises KeyError without one."""
    entries, schema = _opened(data)
    node = next((node for path, node, _ in _scalars(schema, "", False) if path.endswith(place)), None)
    if node is None:
        raise KeyError(place)
    node.pop("__id__", None)
    node["content"] = json.dumps(value)
    return _zipped(entries | {"schema.json": json.dumps(schema).encode()})


def _opened(data: bytes) -> tuple[dict[str, bytes], Any]:
    """The entries of the archive, and the schema among them."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    return entries, json.loads(entries["schema.json"])


def _wrong_scalars(present: Any, is_fitted: bool) -> list[Any]:
    wrong: list[Any] = [-1, LARGE, np.nan, "x"]
    if is_fitted:
        wrong += [0, None, 2.5, not present] if isinstance(present, bool | int | float) else [0, None, True]
        wrong += [2**62] if type(present) is int else []
    return [value for value in wrong if type(value) is not type(present) or value != present]


def _scalars(node: Any, path: str, is_fitted: bool) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """is_fitted: below an attribute whose name begins or ends with an underscore."""
    if isinstance(node, list):
        for index, child in enumerate(node[:3] if len(node) > 13 else node):  # the state of a tree has 13 items
            yield from _scalars(child, f"{path}/{index}", is_fitted)
    elif isinstance(node, dict) and node.get("__loader__") == "JsonNode":
        yield path, node, is_fitted
    elif isinstance(node, dict):
        for key, child in node.items():
            if (key != "_sklearn_version" and not key.startswith("__")) or key == "__reduce__":
                yield from _scalars(child, f"{path}/{key}", is_fitted or key.strip("_") != key)


def _saved(array: Any) -> bytes:
    target = io.BytesIO()
    np.save(target, array)
    return target.getvalue()


def _saved_parts(arrays: dict[str, Any]) -> bytes:
    target = io.BytesIO()
    np.savez(target, **arrays)
    return target.getvalue()


def _zipped(entries: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return target.getvalue()


def try_forgeries(name: str, first: int) -> None:
    """first: the number of the forgery to begin with."""
    model = fitted(name)
    if model is None:
        return
    estimator, rows = model
    try:
        data = dump_estimator(estimator)
        load_estimator(data)
    except ModelRefusedError as error:
        print(f"{name}\t-1\trefused as it is: {str(error)[:150]}", flush=True)
        return
    for number, (done, forged) in enumerate(chain(forged_files(data), forged_scalars(data))):
        if number >= first:
            print(f"{name}\t{number}\t{done}", flush=True)
            try:
                with suppress(ModelRefusedError):
                    _call_all(load_estimator(forged), rows[:5])
            except MemoryError as error:
                # Twice the largest whole number is refused at once by the system too, and fills no memory.
                if str(LARGE) in done:
                    print(f"{name}\t{number}\t{ATE_MEMORY} {done}: {error}", flush=True)


def _call_all(model: Any, rows: Any) -> None:
    """Like `answers`, but for MemoryError."""
    for method in Method:
        if hasattr(model, method.value):
            signal.setitimer(signal.ITIMER_REAL, MAX_CALL_S)
            try:
                getattr(model, method.value)(rows)
            except MemoryError:
                raise
            except Exception:
                pass
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)


def _stop_call(*_: Any) -> None:
    raise TimeoutError("the call takes longer than a job may")


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MAX_GROWTH_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _stop_call)
    _limit_memory()
    start = int(sys.argv[1])
    with redirect_stderr(io.StringIO()):
        for each in sys.argv[2:]:
            try_forgeries(each, start)
            start = 0
