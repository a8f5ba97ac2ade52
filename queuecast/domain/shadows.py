"""Shadows: a version that answers a sample of the champion's jobs again, and how its answers compare.

The counters of a shadow belong to one champion and one shadow. They are plain sums, so that any worker can add to them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from queuecast.domain.errors import Failure, InvalidInputError, mismatch

SHADOW_PREFIX = "shadow_"
"""The beginning of a shadow job's id. Such a job is in no listing."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """The shadow of a model as it is set, and the model's champion now."""

    version: int
    sample: float
    since: float
    champion: int | None = None

    @property
    def is_paused(self) -> bool:
        """A version does not shadow itself, and without a champion there is nothing to compare with."""
        return self.champion in (None, self.version)


@dataclass(frozen=True, slots=True)
class ShadowRecord:
    """counters: sums by name, see `compare`. failure: the last one, at `failed_at`."""

    counters: dict[str, float] = field(default_factory=dict)
    compared_at: float | None = None
    failed_at: float | None = None
    failure: Failure | None = None

    @property
    def is_failing(self) -> bool:
        """Whether the last shadow job that ended failed."""
        return self.failed_at is not None and (self.compared_at is None or self.failed_at >= self.compared_at)

    def count(self, name: str) -> int:
        return int(self.counters.get(name, 0))

    @property
    def unfinished(self) -> int:
        """Shadow jobs that wait or run, or were lost with their worker."""
        return max(0, self.count("sent") - self.count("compared") - self.count("not_compared") - self.count("failed"))

    @property
    def agreement(self) -> float | None:
        rows = self.count("rows")
        return self.count("agreeing_rows") / rows if rows else None

    @property
    def mean_difference(self) -> float | None:
        numbers = self.count("numbers")
        return self.counters.get("difference", 0.0) / numbers if numbers else None

    def latency_ms(self, side: str, share: float) -> float | None:
        """The run time of a row that `share` of the jobs did not exceed. side: `champion` or `shadow`."""
        prefix = f"{side}:"
        found = {int(name.removeprefix(prefix)): n for name, n in self.counters.items() if name.startswith(prefix)}
        wanted = share * sum(found.values())
        seen = 0.0
        for bucket in sorted(found):
            seen += found[bucket]
            if seen >= wanted:
                return round(_upper_bound_ms(bucket), 4)
        return None


def require_sample(sample: float) -> float:
    """Raises InvalidInputError for a share that is not above 0 and at most 1."""
    if 0 < sample <= 1:
        return sample
    finding = mismatch("/sample", "out_of_range", f"{sample:g}", "a share above 0 and at most 1")
    raise InvalidInputError(finding.detail, (finding,))


def is_sampled(job_id: str, sample: float) -> bool:
    """The same answer for the same job, in every process."""
    return crc32(job_id.encode()) < sample * 2**32


def compare(champion: Mapping[str, Any], shadow: Mapping[str, Any]) -> dict[str, float]:
    """The counters of one compared job, by the results of the two jobs. They are results of the same method.

    Labels agree if they are equal, numbers within 1e-9 relative. Probabilities agree in the most probable class.
    """
    key = "probabilities" if "probabilities" in champion else "predictions"
    rows, other_rows = champion[key], shadow[key]
    same_classes = champion.get("classes") == shadow.get("classes")
    counters: dict[str, float] = {"compared": 1, "rows": len(rows), "agreeing_rows": 0, "numbers": 0, "difference": 0.0}
    for row, other in zip(rows, other_rows, strict=True):
        if key == "probabilities" and _is_flat(row) and _is_flat(other):
            counters["agreeing_rows"] += _top(row, champion) == _top(other, shadow)
        else:
            counters["agreeing_rows"] += _agree(row, other)
        if key != "probabilities" or same_classes:
            n, difference = _differences(row, other)
            counters["numbers"] += n
            counters["difference"] += difference
    for side, result in (("champion", champion), ("shadow", shadow)):
        timings = result["timings"]
        counters[f"{side}:{_bucket(timings['predict_ms'] / max(1, timings['batch_rows']))}"] = 1
    return counters


def _is_flat(row: Any) -> bool:
    return isinstance(row, list) and bool(row) and not any(isinstance(value, list) or value is None for value in row)


def _top(row: list[float], result: Mapping[str, Any]) -> Any:
    at = max(range(len(row)), key=row.__getitem__)
    classes = result.get("classes") or []
    return classes[at] if at < len(classes) else at


def _agree(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_agree, one, other))
    if _is_number(one) and _is_number(other):
        return math.isclose(one, other, rel_tol=1e-9)
    return bool(one == other)


def _differences(one: Any, other: Any) -> tuple[int, float]:
    """How many pairs of numbers there are, and the sum of their absolute differences."""
    if isinstance(one, list) and isinstance(other, list):
        pairs = [_differences(*pair) for pair in zip(one, other, strict=False)]
        return sum(n for n, _ in pairs), sum(difference for _, difference in pairs)
    if _is_number(one) and _is_number(other):
        difference = abs(one - other)
        return (1, difference) if math.isfinite(difference) else (0, 0.0)
    return 0, 0.0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bucket(row_ms: float) -> int:
    """Four buckets for each doubling, from a microsecond on."""
    return max(0, math.ceil(math.log2(max(row_ms * 1000, 1.0)) * 4))


def _upper_bound_ms(bucket: int) -> float:
    return float(2 ** (bucket / 4)) / 1000
