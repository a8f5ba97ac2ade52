"""Walks through an estimator."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np


def parts_of(root: Any) -> Iterator[Any]:
    """Every object reachable through attributes and containers, each once."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, str | bytes | int | float | None):
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list | tuple | set):
            waiting.extend(part)
        elif isinstance(part, partial):
            waiting.extend([part.func, *part.args, *part.keywords.values()])
        elif isinstance(part, np.ndarray):
            waiting.extend(part.ravel().tolist() if part.dtype == object else ())
        else:
            waiting.extend(getattr(part, "__dict__", {}).values())
