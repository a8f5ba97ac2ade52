"""Lanes: where jobs of one kind wait, how many rows one claim may take, and when a bell must be rung again."""

from queuecast.domain.job import JobType, ModelRef, Priority
from queuecast.domain.work import PredictionWork, Work

BELL_LOST_S = 2.0
BELL_LATE_S = 5.0
ROWS_A_CLAIM = 1024  # at most; beyond some hundred a call costs by the row, and more of them only keep others waiting
BYTES_A_CLAIM = 4 * 2**20  # of rows as JSON: what a process holds of them in Python is several times that
SLOW_CLAIM_S = 0.25
URGENCIES = (Priority.HIGH, Priority.NORMAL, Priority.LOW)


def chunk_lane(batch_id: str) -> str:
    """A lane a batch for its chunks, so that two batches share the workers and neither waits for the other."""
    return f"{JobType.CHUNK}/{batch_id}"


def lane_of(kind: JobType, model: ModelRef, work: Work, priority: Priority = Priority.NORMAL) -> str:
    """One lane a model version and method for predictions: such jobs can share one call. One for all of the rest."""
    if not isinstance(work, PredictionWork):
        return kind.value
    lane = f"{kind}/{model.name}/{model.pinned_version}/{work.method}"
    return lane if priority is Priority.NORMAL else f"{lane}/{priority}"


def kind_of(lane: str) -> JobType:
    return JobType(lane.partition("/")[0])


def urgency_of(lane: str) -> int:
    """Whose bell is answered first when a worker is free: 0 before 1 before 2. Nobody waits for a single chunk."""
    if kind_of(lane) in (JobType.BATCH, JobType.CHUNK):
        return len(URGENCIES) - 1
    last = lane.rpartition("/")[2]
    return next((rank for rank, priority in enumerate(URGENCIES) if last == priority), 1)


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
    """Whether a lane in which jobs wait must be rung for again. age_s: since the last bell, None when there is none.

    messages_waiting: in the lane's Celery queue. While it is empty, a bell that is older than a worker needs to
    answer it is gone: Celery on Redis takes a message before it notes that it has it. Behind other messages a bell is
    probably on its way, but it may be one that more urgent ones keep passing: then it is rung again as one of those.
    """
    if age_s is None:
        return True
    return age_s > (BELL_LATE_S if messages_waiting else BELL_LOST_S)
