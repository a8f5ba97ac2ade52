"""How a training makes the challenger of the champion."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from queuecast.domain.errors import Finding


class FitMode(StrEnum):
    """A clone is fitted from the beginning; or a copy goes on learning with `partial_fit`."""

    REFIT = "refit"
    UPDATE = "update"


def update_faults(mode: FitMode, params: Any, search: Any, *, can_update: bool | None) -> Iterator[Finding]:
    """Why a champion is not updated. can_update: whether it has `partial_fit`; None if only a worker knows."""
    if mode is not FitMode.UPDATE:
        return
    if can_update is False:
        detail = "the champion has no partial_fit, so it cannot be updated; train with mode refit"
        yield Finding("/mode", "no_partial_fit", detail)
    for name, value in (("params", params), ("search", search)):
        if value:
            detail = f"an update keeps the champion's parameters, so {name} cannot be given; train with mode refit"
            yield Finding(f"/{name}", "not_in_update", detail)
