"""The options of a submit, the settings that become part of every job, and the answer. Names no framework."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from queuecast.domain.columns.extra_columns import IgnoredColumns
from queuecast.domain.job import Job, JobType, Priority
from queuecast.ports.jobs import IdempotencyKey


@dataclass(frozen=True, slots=True)
class JobDefaults:
    """The settings that become part of every job."""

    retention_s: float
    max_attempts: int
    timeouts_s: Mapping[JobType, float]


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """The options that every submit takes."""

    metadata: dict[str, Any] = field(default_factory=dict)
    expires_in_s: float | None = None
    timeout_s: float | None = None
    priority: Priority = Priority.NORMAL
    job_id: str | None = None
    """From `Submission.new_job_id`, where the caller registers a waiter before it submits."""
    idempotency_key: IdempotencyKey | None = None
    ignored_columns: IgnoredColumns | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    job: Job
    is_repeated: bool = False
    """Whether an earlier request with the same Idempotency-Key created the job."""
