"""Lanes: where jobs of one kind wait, how many rows one claim may take, and when a lane needs another bell.

A bell is the message that asks a worker to serve a lane; see `queuecast.ports.doorbell`.
"""

from dataclasses import dataclass

from queuecast.domain.job import JobType, ModelRef, Priority
from queuecast.domain.work import PredictionWork, Work

ATTENDANT_GONE_S = 1.0  # without a claim; a worker that attends a lane claims several times a second
MAX_RESERVED_ROWS = 1024  # beyond some hundred rows a call costs by the row, and a larger one delays the other lanes
MAX_RESERVED_BYTES = 4 * 2**20  # of JSON rows, which take several times that in the memory of a Python process
TRAINER_TYPES = frozenset({JobType.TRAINING, JobType.IMPORT, JobType.EVALUATION})
URGENCIES = (Priority.HIGH, Priority.NORMAL, Priority.LOW)


@dataclass(frozen=True, slots=True)
class Lane:
    """A queue of jobs that the same call can answer. `str(lane)` is its name in records, in Redis and in messages.

    Predictions have one lane for each model version, method and priority, because such jobs can share one call. Chunks
    have one for each batch, so that two batches share the workers. Any other type has a single lane.
    """

    type: JobType
    model: str = ""
    version: int = 0
    method: str = ""
    batch_id: str = ""
    priority: Priority = Priority.NORMAL

    @classmethod
    def of_job(cls, job_type: JobType, model: ModelRef, work: Work, priority: Priority = Priority.NORMAL) -> "Lane":
        if not isinstance(work, PredictionWork):
            return cls(job_type)
        return cls(job_type, model.name, model.pinned_version, work.method, priority=priority)

    @classmethod
    def of_chunks(cls, batch_id: str, priority: Priority = Priority.NORMAL) -> "Lane":
        return cls(JobType.CHUNK, batch_id=batch_id, priority=priority)

    @classmethod
    def parse(cls, name: str) -> "Lane":
        """Raises ValueError for a name that is no lane's."""
        first, *rest = name.split("/")
        job_type = JobType(first)
        match job_type, rest:
            case JobType.PREDICTION, [model, version, method, *priority]:
                return cls(job_type, model, int(version), method, priority=_priority_of(priority))
            case JobType.CHUNK, [batch_id, *priority]:
                return cls(job_type, batch_id=batch_id, priority=_priority_of(priority))
            case ((JobType.TRAINING | JobType.IMPORT | JobType.BATCH | JobType.EVALUATION), []):
                return cls(job_type)
        raise ValueError(f"{name!r} is not the name of a lane")

    @classmethod
    def of_name(cls, name: str) -> "Lane":
        """Like `parse`, and accepts the name of a later version's lane, which has waiting jobs after a rollback.

        Such a lane has its type and normal priority, and `str` does not give its name back. Raises ValueError for a
        type that this version does not know.
        """
        try:
            return cls.parse(name)
        except ValueError:
            return cls(JobType(name.partition("/")[0]))

    def __str__(self) -> str:
        match self.type:
            case JobType.PREDICTION:
                name = f"{self.type}/{self.model}/{self.version}/{self.method}"
            case JobType.CHUNK:
                name = f"{self.type}/{self.batch_id}"
            case _:
                name = self.type.value
        return name if self.priority is Priority.NORMAL else f"{name}/{self.priority}"

    @property
    def is_for_trainer(self) -> bool:
        """Whether the trainer serves it: the worker that loads uploaded models, runs fits and scores versions."""
        return self.type in TRAINER_TYPES

    @property
    def urgency(self) -> int:
        """Which bell a free worker answers first: 0 before 1 before 2 before 3. Bulk work comes after single calls."""
        rank = URGENCIES.index(self.priority)
        return min(rank + 2, 3) if self.type in (JobType.BATCH, JobType.CHUNK) else rank

    def shares_workers_with(self, other: "Lane") -> bool:
        return self.is_for_trainer is other.is_for_trainer

    def next_limit(self, limit: int, rows: int, took_s: float) -> int:
        """How many rows the next claim may take, after a claim of at most `limit` rows that ran `rows` in `took_s`.

        The limit doubles while claims are quick. After a slow claim it shrinks to the rows that half of the allowed
        time is enough for: a worker that holds more than it can run soon keeps those jobs from idle workers and itself
        from other lanes. Jobs of any other type than a prediction are claimed one by one.
        """
        if self.type is not JobType.PREDICTION:
            return 1
        quick_s = 0.25
        if took_s > quick_s:
            return max(1, int(rows * quick_s / took_s / 2))
        return min(max(limit, 2 * rows), MAX_RESERVED_ROWS)


def _priority_of(rest: list[str]) -> Priority:
    return Priority("/".join(rest)) if rest else Priority.NORMAL


def is_bell_lost(age_s: float | None, messages_waiting: int) -> bool:
    """Whether no worker will answer for a lane in which jobs wait.

    age_s: since the last bell, None without one. messages_waiting: in the lane's Celery queue. A worker answers within
    two seconds, so an older bell is lost if the queue is empty: Celery on Redis takes a message off the queue before it
    acknowledges it. A bell from the future was rung before the clock was set back.
    """
    answered_within_s = 2.0
    return age_s is None or age_s < -answered_within_s or (age_s > answered_within_s and not messages_waiting)


def is_bell_late(age_s: float | None) -> bool:
    """Whether a waiting bell is so old that more urgent ones may keep overtaking it."""
    return age_s is not None and age_s > 5.0
