"""The types between the engine of a worker and the code that runs a job type. They name no queue and no estimator."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from queuecast.domain.columns.extra_columns import IgnoredColumns
from queuecast.domain.job import Job, ModelRef, Progress
from queuecast.domain.work import Work
from queuecast.ports.lanes import Reservation

Report = Callable[[Progress], None]
"""Stores a run's progress. Raises JobStoppedError when the run must end."""


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that this worker holds, with its work and rows, and the reservation it is held under."""

    reservation: Reservation
    job: Job
    work: Work
    rows: bytes


@dataclass(frozen=True, slots=True)
class Result:
    """The answer of a run as JSON values, and the model version that the run created or used."""

    value: dict[str, Any]
    model: ModelRef | None = None
    ignored_columns: IgnoredColumns | None = None
    """If the run found some; the gateway finds those of rows and of files that it reads."""


@dataclass(frozen=True, slots=True)
class FanOut:
    """The run of a job that goes on as many jobs. `then` starts them, once no worker holds the job itself."""

    progress: Progress
    then: Callable[[], None]
    ignored_columns: IgnoredColumns | None = None


Runner = Callable[[Job, Work, bytes, Report], Result | FanOut]
SharedRunner = Callable[[list[ClaimedJob]], list[Result | Exception]]
"""Runs jobs of one lane in one call. The results are in the order of the jobs."""


@dataclass(frozen=True, slots=True)
class EndedJob:
    """A job whose outcome was written, with its work, its rows, and its result as JSON if it succeeded."""

    job: Job
    work: Work
    rows: bytes
    result: bytes | None


AfterCall = Callable[[list[EndedJob]], None]
"""Is called with the jobs of one call, at least one, once their outcomes are written."""


@dataclass(frozen=True, slots=True)
class RunLimits:
    """The settings that decide how runs end."""

    lease_s: float
    retention_s: float
    max_result_bytes: int


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of a model and its size, for the log and for Flower."""

    jobs: int
    rows: int
