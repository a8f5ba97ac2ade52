"""The shadows of models and their counters."""

from collections.abc import Mapping
from typing import Protocol

from queuecast.domain.errors import Failure
from queuecast.domain.shadows import Shadow, ShadowRecord


class ShadowStore(Protocol):
    """A model has one shadow at most. Its counters start again when the shadow's version or the champion changes."""

    def read(self, model: str) -> Shadow | None: ...

    def record(self, model: str) -> ShadowRecord:
        """The counters since the shadow or the champion changed."""

    def put(self, model: str, version: int, sample: float, now: float) -> None:
        """Sets the shadow. The counters of the same version go on."""

    def delete(self, model: str) -> None:
        """Does nothing for a model without a shadow."""

    def add(
        self,
        model: str,
        champion: int,
        version: int,
        counters: Mapping[str, float],
        now: float,
        failure: Failure | None = None,
    ) -> bool:
        """Adds to the counters, unless the model has another champion or shadow by now; whether it did."""
