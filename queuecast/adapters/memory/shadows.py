"""Shadows in memory, for tests."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from queuecast.domain.errors import Failure
from queuecast.domain.shadows import Shadow, ShadowRecord


class MemoryShadows:
    def __init__(self, champion_of: Callable[[str], int | None]) -> None:
        self._champion_of = champion_of
        self._shadows: dict[str, Shadow] = {}
        self._records: dict[str, tuple[int | None, ShadowRecord]] = {}

    def read(self, model: str) -> Shadow | None:
        shadow = self._shadows.get(model)
        return None if shadow is None else replace(shadow, champion=self._champion_of(model))

    def record(self, model: str) -> ShadowRecord:
        champion, record = self._records.get(model, (None, ShadowRecord()))
        return record if champion == self._champion_of(model) else ShadowRecord()

    def put(self, model: str, version: int, sample: float, now: float) -> None:
        present = self._shadows.get(model)
        if present is None or present.version != version:
            self._records.pop(model, None)
        self._shadows[model] = Shadow(version, sample, now)

    def delete(self, model: str) -> None:
        self._shadows.pop(model, None)
        self._records.pop(model, None)

    def add(
        self,
        model: str,
        champion: int,
        version: int,
        counters: Mapping[str, float],
        now: float,
        failure: Failure | None = None,
    ) -> bool:
        shadow = self.read(model)
        if shadow is None or (shadow.version, shadow.champion) != (version, champion):
            return False
        record = self.record(model)
        sums = dict(record.counters)
        for name, amount in counters.items():
            sums[name] = sums.get(name, 0.0) + amount
        record = replace(record, counters=sums)
        if "compared" in counters:
            record = replace(record, compared_at=now)
        if failure is not None:
            record = replace(record, failed_at=now, failure=failure)
        self._records[model] = champion, record
        return True
