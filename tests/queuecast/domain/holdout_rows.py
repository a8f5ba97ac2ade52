"""Rows for the tests of holdouts."""

import random
from typing import Any

from queuecast.domain.holdout import Split


def passengers(count: int, seed: int = 7) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    return [
        {
            "age": draw.choice([None, round(draw.uniform(0, 80), 1)]),
            "sex": draw.choice(["male", "female"]),
            "fare": draw.uniform(0, 500),
        }
        for _ in range(count)
    ]


def sides(split: Split) -> tuple[list[int], list[int]]:
    return split.train, split.test
