"""Forges each array of a model file, and calls the model. Run in a child process, because a forgery may end it.

Writes a line for each forgery before it is tried, so that the last line of a dead process names its cause.
"""

import io
import resource
import sys
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import redirect_stderr, suppress
from typing import Any

import numpy as np

from queuecast.domain.errors import ModelRefusedError
from tests.worker.models.fitted_estimators import answers, fitted
from worker.models.loading import dump_estimator, load_estimator

MAX_BYTES = 6 * 2**30


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
        return [limits.max // 2, max(limits.min // 2, 0) if dtype.kind == "u" else limits.min // 2]
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
    for number, (done, forged) in enumerate(forged_files(data)):
        if number >= first:
            print(f"{name}\t{number}\t{done}", flush=True)
            with suppress(ModelRefusedError, MemoryError):
                answers(load_estimator(forged), rows[:5])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    start = int(sys.argv[1])
    with redirect_stderr(io.StringIO()):
        for each in sys.argv[2:]:
            try_forgeries(each, start)
            start = 0
