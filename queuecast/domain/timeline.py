"""The timeline of a job: what happened to it and when, as every listing and `queuecast job` show it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MAX_EVENTS = 64  # a job that is handed back at every deploy for weeks must not grow without end


class Event(StrEnum):
    """The value is what the API and the stored record call the event."""

    ACCEPTED = "accepted"
    CLAIMED = "claimed"
    LOST = "lost"
    HANDED_BACK = "given_back"
    RETRIED = "retried"
    CANCELING = "canceling"
    FANNED_OUT = "fanned_out"
    READY_TO_JOIN = "gathered"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    event: Event
    at: float
    attempt: int = 0
    worker: str | None = None
    detail: str = ""


def accepted_at(now: float, detail: str = "") -> dict[str, Any]:
    """The fields that `Job.accepted` sets. The gateway passes them to the constructor: half the time of a `replace`."""
    return {"queued_at": now, "timeline": (TimelineEntry(Event.ACCEPTED, now, detail=detail),)}


def with_entry(timeline: tuple[TimelineEntry, ...], entry: TimelineEntry) -> tuple[TimelineEntry, ...]:
    """The timeline with one more entry; of too many, the first and the latest stay."""
    return (*timeline[:1], *timeline[1:][-(MAX_EVENTS - 2) :], entry)
