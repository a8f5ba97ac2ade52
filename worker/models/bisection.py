"""Finds the rows that make a call fail, by halving."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from worker.models.inference import require_count


@dataclass(frozen=True, slots=True)
class Answered:
    """A job's answers, and the call that they are from."""

    found: list[Any]
    jobs: int
    rows: int
    took_ms: float


def bisect_failures(call: Callable[[list[Any]], list[Any]], parts: list[list[Any]]) -> list[Answered | Exception]:
    """The answers of `call` for each part. Calls it once for all; if it raises an error, once for each half, and so on.

    So an error is only ever that of a part's own rows: k bad ones among n cost at most 2 k log2(n) + 1 calls.
    """
    began = time.perf_counter()
    rows = [row for part in parts for row in part]
    try:
        found = call(rows)
        require_count(len(found), len(rows))
    except Exception as error:  # an estimator raises what it likes
        if len(parts) == 1:
            return [error]
        middle = len(parts) // 2
        return bisect_failures(call, parts[:middle]) + bisect_failures(call, parts[middle:])
    took_ms = (time.perf_counter() - began) * 1000
    ends = list(accumulate(map(len, parts)))
    return [
        Answered(found[end - len(part) : end], len(parts), len(rows), took_ms)
        for end, part in zip(ends, parts, strict=True)
    ]
