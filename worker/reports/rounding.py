"""Numbers of a report with few digits: it is read by people, and each digit is a byte for every point."""

from typing import Any

import numpy as np


def rounded(values: Any, decimals: int) -> tuple[float, ...]:
    return tuple(np.round(np.asarray(values, dtype=np.float64), decimals).tolist())


def significant(values: Any) -> tuple[float, ...]:
    """With six digits."""
    return tuple(float(f"{value:.6g}") for value in np.asarray(values, dtype=np.float64).tolist())
