"""Estimates when a queued job will start, from its position and the lane's recent rate. Names no framework."""

import math
import threading
from dataclasses import dataclass

from queuecast.domain.job import Job, State
from queuecast.ports.clock import Clock
from queuecast.ports.lanes import LanePosition, Lanes

RETRY_AFTER_S = 1  # a one-row job takes milliseconds; polling faster than this costs more than it gains
FORGOTTEN_AFTER_S = 120.0  # an older sample says nothing about the lane's rate now


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """1 is next. A job that is delayed before a retry has no position; the start is unknown until a rate is known."""

    position: int | None
    estimated_start_at: float | None


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    taken: int
    jobs_per_s: float | None


class StartRateEstimator:
    """Jobs a second that start in each lane, sampled when a position is read. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: dict[str, _Sample] = {}

    def note(self, lane: str, taken: int, now: float) -> float | None:
        """Adds a sample and returns the rate, None while unknown. taken: jobs taken from the lane so far."""
        with self._lock:
            last = self._samples.get(lane)
            if last is None or taken < last.taken or now - last.at > FORGOTTEN_AFTER_S:
                self._forget_old_lanes(now)
                last = self._samples[lane] = _Sample(now, taken, None)
            elif now - last.at >= 1.0:  # workers claim many jobs at once: a shorter interval sees a whole claim or none
                last = self._samples[lane] = _Sample(now, taken, _smoothed(last, taken, now))
            return last.jobs_per_s

    def _forget_old_lanes(self, now: float) -> None:
        """Every model version has lanes of its own, so the samples would grow without bound."""
        for lane in [lane for lane, sample in self._samples.items() if now - sample.at > FORGOTTEN_AFTER_S]:
            del self._samples[lane]


def _smoothed(last: _Sample, taken: int, now: float) -> float:
    """An exponential moving average over 30 s, weighted by the time since the last sample."""
    elapsed_s = now - last.at
    rate = (taken - last.taken) / elapsed_s
    if last.jobs_per_s is None:
        return rate
    weight = 1 - math.exp(-elapsed_s / 30.0)
    return last.jobs_per_s + weight * (rate - last.jobs_per_s)


class QueuePositions:
    def __init__(self, lanes: Lanes, clock: Clock) -> None:
        self._lanes = lanes
        self._clock = clock
        self._rates = StartRateEstimator()

    def of(self, job: Job) -> QueuePosition | None:
        """None unless the job is queued; one round trip if it is."""
        if job.state is not State.QUEUED:
            return None
        if job.not_before is not None:
            return QueuePosition(None, None)
        return self._estimated(self._lanes.position(job.lane, job.id), job.lane)

    def _estimated(self, in_lane: LanePosition, lane: str) -> QueuePosition:
        now = self._clock()
        rate = self._rates.note(lane, in_lane.taken, now)
        if in_lane.position is None or not rate:
            return QueuePosition(in_lane.position, None)
        return QueuePosition(in_lane.position, now + in_lane.position / rate)

    def retry_after_s(self, job: Job, position: QueuePosition | None) -> int:
        """How long the caller should wait before it polls again: 1 to 60 s."""
        start_at = (
            job.not_before if position is None or position.estimated_start_at is None else position.estimated_start_at
        )
        if job.state is not State.QUEUED or start_at is None:
            return RETRY_AFTER_S
        return min(max(math.ceil(start_at - self._clock()), RETRY_AFTER_S), 60)
