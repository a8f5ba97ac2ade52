"""Which revisions of jobs an operator gets to see: every one that tells of trouble, and a sample of the predictions.

A worker can run thousands of predictions a second, and one event costs it more than a row. So a prediction that
succeeds at its first attempt is shown if the process has room for it, and then whole: from its claim to its end. Jobs
of any other type are always shown, and so are failures, cancels and retries.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from queuecast.domain.job import Job, JobType, State
from queuecast.domain.timeline import Event


class Moment(StrEnum):
    """What an operator is shown of a job's life."""

    ACCEPTED = "accepted"
    STARTED = "started"
    RETRIED = "retried"
    ENDED = "ended"


def moment_of(job: Job) -> Moment | None:
    """The moment that this revision is about; None for a revision in between, and for a chunk, which is no job."""
    if job.type is JobType.CHUNK:
        return None
    if job.is_final:
        return Moment.ENDED
    event = job.timeline[-1].event if job.timeline else Event.ACCEPTED
    if event is Event.CLAIMED:
        is_join = job.type is JobType.BATCH and any(each.event is Event.READY_TO_JOIN for each in job.timeline[-2:])
        # The report of a run names its stage. A batch has progress before its run: the size of its file.
        is_report = job.progress is not None and job.progress.stage is not None
        return None if is_join or is_report else Moment.STARTED
    if event in (Event.RETRIED, Event.HANDED_BACK):
        return Moment.RETRIED
    return Moment.ACCEPTED if event is Event.ACCEPTED and job.type is not JobType.PREDICTION else None


@dataclass(frozen=True, slots=True)
class Sight:
    """A revision to show. has_start: its start was not shown before, and is to be shown with it.

    unlisted: how many jobs of the same model succeeded unseen since the last one that was shown.
    """

    job: Job
    moment: Moment
    has_start: bool = False
    unlisted: int = 0


class JobSample:
    """The choice for one process. One call at a time."""

    BURST = 100
    PER_S = 10.0
    """Of predictions. Flower needs about 1 ms for each."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._room = float(self.BURST)
        self._filled_at = clock()
        self._is_shown: dict[str, bool] = {}
        """Of the jobs that this process runs: whether their start was shown."""
        self._unlisted: Counter[str] = Counter()

    def sight_of(self, job: Job) -> Sight | None:
        moment = moment_of(job)
        if moment is Moment.STARTED:
            return self._started(job)
        if moment is Moment.ENDED or moment is Moment.RETRIED:
            return self._ended(job, moment)
        return None if moment is None else Sight(job, moment)

    def _started(self, job: Job) -> Sight | None:
        is_shown = job.type is not JobType.PREDICTION or job.attempt > 1 or self._has_room()
        self._is_shown[job.id] = is_shown
        if len(self._is_shown) > 10_000:  # a job that another worker took over never ends in this process
            del self._is_shown[next(iter(self._is_shown))]
        return Sight(job, Moment.STARTED) if is_shown else None

    def _ended(self, job: Job, moment: Moment) -> Sight | None:
        is_shown = self._is_shown.pop(job.id, None)  # None: another process ran it, or none did
        if is_shown is False and job.state is State.SUCCEEDED:
            self._unlisted[job.model.name] += 1
            return None
        unlisted = self._unlisted.pop(job.model.name, 0) if job.state is State.SUCCEEDED else 0
        has_start = is_shown is False or (is_shown is None and job.attempt == 0)
        return Sight(job, moment, has_start, unlisted)

    def _has_room(self) -> bool:
        now = self._clock()
        self._room = min(self._room + (now - self._filled_at) * self.PER_S, self.BURST)
        self._filled_at = now
        if self._room < 1:
            return False
        self._room -= 1
        return True
