"""What a run is given and what it says: the words between the engine of a worker and its model code. Names no queue."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from queuecast.domain.job import Job, ModelRef, Progress
from queuecast.domain.work import Work

SHOWN_CALLS = 20

Report = Callable[[Progress], None]
"""Stores a run's progress. Raises JobStoppedError when the run must end."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run has to say, as JSON values, and the version that it made or ran on."""

    value: dict[str, Any]
    model: ModelRef | None = None


@dataclass(frozen=True, slots=True)
class FanOut:
    """A run whose job goes on as many. `then` starts them, once no worker holds the job any more."""

    progress: Progress
    then: Callable[[], None]


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A claimed job with what it asks for."""

    job: Job
    work: Work
    rows: bytes


Runner = Callable[[Job, Work, bytes, Report], Result | FanOut]
SharedRunner = Callable[[list[ClaimedJob]], list[Result | Exception]]
"""Runs jobs of one lane in one call; says of each what came of it, in their order."""


@dataclass(frozen=True, slots=True)
class RunLimits:
    """The settings that say how runs end."""

    lease_s: float
    retention_s: float
    max_result_bytes: int


@dataclass(frozen=True, slots=True)
class ModelCall:
    """What was answered at once, for the log and for Flower."""

    jobs: int
    rows: int


def summary_of(calls: list[ModelCall]) -> str:
    """What Flower shows of an answered bell: each call with its jobs and rows, where they are few."""
    jobs, rows = sum(call.jobs for call in calls), sum(call.rows for call in calls)
    told = ", ".join(f"{call.jobs}/{call.rows}" for call in calls[:SHOWN_CALLS])
    more = ", ..." if len(calls) > SHOWN_CALLS else ""
    return f"{jobs} jobs, {rows} rows in {len(calls)} calls" + (f" (jobs/rows: {told}{more})" if calls else "")
