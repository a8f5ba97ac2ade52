"""When a queued job will start: its place in the lane, and how fast that was taken from lately. Names no framework."""

import math
import threading
from dataclasses import dataclass

from queuecast.domain.job import Job, State
from queuecast.ports.clock import Clock
from queuecast.ports.lanes import LanePosition, Lanes

RETRY_AFTER_S = 1  # a one-row job takes milliseconds; polling faster than this costs more than it gains
MOST_RETRY_AFTER_S = 60
SAMPLE_EVERY_S = 1.0  # jobs are taken many at a time; a shorter look sees all of a claim or nothing
FORGOTTEN_AFTER_S = 120.0  # what was measured before that says nothing of now
SMOOTHED_OVER_S = 30.0


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """Where a queued job stands. Neither is known of one that waits out a delay, and no start before a rate is."""

    position: int | None
    estimated_start_at: float | None


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    taken: int
    jobs_per_s: float | None


class StartRateEstimator:
    """How many jobs a second are taken from each lane, learned from whoever looks. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: dict[str, _Sample] = {}

    def note(self, lane: str, taken: int, now: float) -> float | None:
        """Jobs a second after this look; None while unknown. taken: from the lane so far."""
        with self._lock:
            last = self._samples.get(lane)
            if last is None or taken < last.taken or now - last.at > FORGOTTEN_AFTER_S:
                self._forget_others(now)
                last = self._samples[lane] = _Sample(now, taken, None)
            elif now - last.at >= SAMPLE_EVERY_S:
                last = self._samples[lane] = _Sample(now, taken, _smoothed(last, taken, now))
            return last.jobs_per_s

    def _forget_others(self, now: float) -> None:
        """A lane goes with its model version, so there would be ever more."""
        for lane in [lane for lane, each in self._samples.items() if now - each.at > FORGOTTEN_AFTER_S]:
            del self._samples[lane]


def _smoothed(last: _Sample, taken: int, now: float) -> float:
    """An exponential average in which a look weighs by the time since the last one."""
    passed_s = now - last.at
    seen = (taken - last.taken) / passed_s
    if last.jobs_per_s is None:
        return seen
    weight = 1 - math.exp(-passed_s / SMOOTHED_OVER_S)
    return last.jobs_per_s + weight * (seen - last.jobs_per_s)


class QueuePositions:
    """Answers where a job stands."""

    def __init__(self, lanes: Lanes, clock: Clock) -> None:
        self._lanes = lanes
        self._clock = clock
        self._rates = StartRateEstimator()

    def of(self, job: Job) -> QueuePosition | None:
        """None for a job that is not queued; for one that is, one round trip."""
        if job.state is not State.QUEUED:
            return None
        if job.not_before is not None:
            return QueuePosition(None, None)
        return self._seen(self._lanes.position(job.lane, job.id), job.lane)

    def _seen(self, standing: LanePosition, lane: str) -> QueuePosition:
        now = self._clock()
        rate = self._rates.note(lane, standing.taken, now)
        if standing.position is None or not rate:
            return QueuePosition(standing.position, None)
        return QueuePosition(standing.position, now + standing.position / rate)

    def retry_after_s(self, job: Job, place: QueuePosition | None) -> int:
        """When it is worth asking again."""
        start_at = job.not_before if place is None or place.estimated_start_at is None else place.estimated_start_at
        if job.state is not State.QUEUED or start_at is None:
            return RETRY_AFTER_S
        return min(max(math.ceil(start_at - self._clock()), RETRY_AFTER_S), MOST_RETRY_AFTER_S)
