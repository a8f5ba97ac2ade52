"""Lanes: where jobs of one kind wait, how many one claim may take, and when a bell must be rung again."""

from queuecast.domain.job import JobType, ModelRef
from queuecast.domain.work import PredictionWork, Work

BELL_LOST_S = 2.0
BELL_LATE_S = 60.0
PREDICTIONS_A_CLAIM = 16  # at most; they are run one after the other
SLOW_CLAIM_S = 0.25


def chunk_lane(batch_id: str) -> str:
    """A lane a batch for its chunks, so that two batches share the workers and neither waits for the other."""
    return f"{JobType.CHUNK}/{batch_id}"


def lane_of(kind: JobType, model: ModelRef, work: Work) -> str:
    """One lane a model version and method for predictions: such jobs can share one call. One for all of the rest."""
    if isinstance(work, PredictionWork):
        return f"{kind}/{model.name}/{model.pinned_version}/{work.method}"
    return kind.value


def kind_of(lane: str) -> JobType:
    return JobType(lane.partition("/")[0])


def next_limit(lane: str, limit: int, took_s: float) -> int:
    """How many jobs the next claim may take, after one of `limit` took so long.

    Doubled while a claim is quick, and one when it is slow: whoever holds what it cannot run soon keeps it from a
    worker that is free. A training is always long.
    """
    if kind_of(lane) is not JobType.PREDICTION or took_s > SLOW_CLAIM_S:
        return 1
    return min(2 * limit, PREDICTIONS_A_CLAIM)


def is_bell_lost(age_s: float | None, messages_waiting: int) -> bool:
    """Whether a lane in which jobs wait must be rung for again. age_s: since the last bell, None when there is none.

    messages_waiting: in the lane's Celery queue. While it is empty, a bell that is older than a worker needs to
    answer it is gone: Celery on Redis takes a message before it notes that it has it. Behind other messages a bell is
    probably on its way; a doubled one costs one look at an empty lane.
    """
    if age_s is None:
        return True
    return age_s > (BELL_LATE_S if messages_waiting else BELL_LOST_S)
