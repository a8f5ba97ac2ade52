"""Lanes: where jobs of one kind wait, how many rows one claim may take, and when a bell must be rung again."""

from queuecast.domain.job import JobType, ModelRef, Priority
from queuecast.domain.work import PredictionWork, Work

BELL_LOST_S = 2.0
BELL_LATE_S = 5.0
ATTENDANT_GONE_S = 1.0  # since its last claim; whoever attends a lane claims several times a second
ROWS_A_CLAIM = 1024  # at most; beyond some hundred a call costs by the row, and more of them only keep others waiting
BYTES_A_CLAIM = 4 * 2**20  # of rows as JSON: what a process holds of them in Python is several times that
SLOW_CLAIM_S = 0.25
TRAINER_KINDS = frozenset({JobType.TRAINING, JobType.IMPORT})
URGENCIES = (Priority.HIGH, Priority.NORMAL, Priority.LOW)


def chunk_lane(batch_id: str, priority: Priority = Priority.NORMAL) -> str:
    """A lane a batch for its chunks, so that two batches share the workers and neither waits for the other."""
    return _with(priority, f"{JobType.CHUNK}/{batch_id}")


def lane_of(kind: JobType, model: ModelRef, work: Work, priority: Priority = Priority.NORMAL) -> str:
    """One lane a model version and method for predictions: such jobs can share one call. One for all of the rest."""
    if not isinstance(work, PredictionWork):
        return kind.value
    return _with(priority, f"{kind}/{model.name}/{model.pinned_version}/{work.method}")


def _with(priority: Priority, lane: str) -> str:
    return lane if priority is Priority.NORMAL else f"{lane}/{priority}"


def kind_of(lane: str) -> JobType:
    return JobType(lane.partition("/")[0])


def shares_workers(lane: str, other: str) -> bool:
    """Whether the same workers serve both; the trainer serves what loads foreign bytes or fits."""
    return (kind_of(lane) in TRAINER_KINDS) is (kind_of(other) in TRAINER_KINDS)


def urgency_of(lane: str) -> int:
    """Whose bell is answered first when a worker is free: 0 before 1 before 2 before 3.

    What somebody may wait for goes before bulk.
    """
    last = lane.rpartition("/")[2]
    rank = next((rank for rank, priority in enumerate(URGENCIES) if last == priority), 1)
    return min(rank + 2, 3) if kind_of(lane) in (JobType.BATCH, JobType.CHUNK) else rank


def next_limit(lane: str, limit: int, rows: int, took_s: float) -> int:
    """How many rows the next claim may take, after one of at most `limit` ran `rows` in so long.

    Twice as many while claims are quick, and fewer in proportion after a slow one: whoever holds what it cannot run
    soon keeps it from a worker that is free, and itself from other lanes. A training is always long.
    """
    if kind_of(lane) is not JobType.PREDICTION:
        return 1
    if took_s > SLOW_CLAIM_S:
        return max(1, int(rows * SLOW_CLAIM_S / took_s / 2))
    return min(max(limit, 2 * rows), ROWS_A_CLAIM)


def is_bell_lost(age_s: float | None, messages_waiting: int) -> bool:
    """Whether nobody will answer for a lane in which jobs wait. age_s: since the last bell, None when there is none.

    messages_waiting: in the lane's Celery queue. While it is empty, a bell that is older than a worker needs to
    answer it is gone: Celery on Redis takes a message before it notes that it has it. One from the future is from
    before the clock was set back.
    """
    return age_s is None or age_s < -BELL_LOST_S or (age_s > BELL_LOST_S and not messages_waiting)


def is_bell_late(age_s: float | None) -> bool:
    """Whether a bell that waits among others may be one that more urgent ones keep passing."""
    return age_s is not None and age_s > BELL_LATE_S
