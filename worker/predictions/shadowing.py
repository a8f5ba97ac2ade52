"""Lets the shadow of a model answer a sample of the champion's jobs again, and counts how the answers compare.

A job is sampled after its answer was written, so its caller does not wait for the shadow. The shadow's job is a job of
its own, with low priority and the caller's job as its parent. A failure here is counted or logged, and harms no job.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from queuecast.domain.errors import Failure, LaneFullError, QueuecastError, StoreFullError, UnavailableError
from queuecast.domain.job import Job, JobType, ModelRef, Priority, State
from queuecast.domain.lane import Lane
from queuecast.domain.shadows import SHADOW_PREFIX, Shadow, compare, is_sampled
from queuecast.domain.timeline import accepted_at
from queuecast.domain.work import Method, PredictionWork
from queuecast.ports.clock import Clock
from queuecast.ports.doorbell import Doorbell
from queuecast.ports.jobs import JobStore
from queuecast.ports.live_outcomes import LiveOutcomeStore
from queuecast.ports.models import ModelRegistry
from queuecast.ports.shadows import ShadowStore
from worker.engine.contracts import EndedJob

MAX_KEPT_BYTES = 64 * 1024  # of an answer, which is kept as long as the caller's job in case an outcome comes
MAX_SENT_PER_CALL = 32  # each is a round trip, which the next call of the lane waits for


@dataclass(slots=True)
class _Counts:
    counters: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    failure: Failure | None = None

    def add(self, counters: dict[str, float]) -> None:
        for name, amount in counters.items():
            self.counters[name] += amount

    def add_failure(self, failure: Failure, jobs: int = 1) -> None:
        self.counters["failed"] += jobs
        self.failure = failure


class Shadowing:
    def __init__(
        self,
        shadows: ShadowStore,
        jobs: JobStore,
        doorbell: Doorbell,
        models: ModelRegistry,
        new_id: Callable[[str], str],
        clock: Clock,
        outcomes: LiveOutcomeStore,
    ) -> None:
        """jobs: a store whose lanes are short, so that shadows that are slow do not pile up."""
        self._shadows = shadows
        self._jobs = jobs
        self._doorbell = doorbell
        self._models = models
        self._new_id = new_id
        self._clock = clock
        self._outcomes = outcomes
        self._read: dict[str, tuple[float, Shadow | None]] = {}  # by model: when it was read
        self._memory = (float("-inf"), False)  # when it was read, whether it is short

    def after_call(self, ended: list[EndedJob]) -> None:
        """To be called with the jobs of one call once their answers are written."""
        model = ended[0].job.model
        if shadowed := [each for each in ended if each.job.parent is not None]:
            self._count_shadowed(model, shadowed)
        shadow = self._shadow_of(model.name)
        if shadow is None or shadow.is_paused or model.version != shadow.champion:
            return
        sampled = [each for each in ended if each.job.parent is None and each.job.state is State.SUCCEEDED]
        sampled = [each for each in sampled if is_sampled(each.job.id, shadow.sample)]
        if sampled:
            counts = self._send(model, shadow, sampled)
            self._add(model.name, model.pinned_version, shadow.version, counts)

    def _shadow_of(self, model: str) -> Shadow | None:
        """Read once a second at most, so that models without a shadow cost nothing else."""
        now = time.monotonic()
        read_at, shadow = self._read.get(model, (float("-inf"), None))
        if now - read_at > 1.0:
            shadow = self._shadows.read(model)
            self._read[model] = now, shadow
        return shadow

    def _is_memory_short(self) -> bool:
        """Long before the gateway refuses jobs of callers."""
        now = time.monotonic()
        read_at, is_short = self._memory
        if now - read_at > 1.0:
            used, limit = self._jobs.memory()
            is_short = bool(limit) and used > 0.6 * limit
            self._memory = now, is_short
        return is_short

    def _send(self, model: ModelRef, shadow: Shadow, sampled: list[EndedJob]) -> _Counts:
        counts = _Counts()
        max_rows_bytes = 256 * 1024
        small = [each for each in sampled if len(each.rows) <= max_rows_bytes][:MAX_SENT_PER_CALL]
        if self._is_memory_short():
            small = []
        try:
            method = _method_of(sampled[0])
            manifest = self._models.manifest(model.name, shadow.version)
            if method not in manifest.signature.methods:
                raise QueuecastError(f"version {shadow.version} has no method {method}", code="unknown_method")
            for each in small:
                self._create(each, ModelRef(model.name, shadow.version, None, manifest.sha256))
                counts.counters["sent"] += 1
        except (LaneFullError, StoreFullError):
            pass
        except UnavailableError:
            raise
        except QueuecastError as error:  # the version was deleted, or cannot answer
            failed = len(sampled) - int(counts.counters["sent"])
            counts.counters["sent"] += failed
            counts.add_failure(error.failure, failed)
        counts.counters["skipped"] += len(sampled) - counts.counters["sent"]
        return counts

    def _create(self, answered: EndedJob, ref: ModelRef) -> None:
        now = self._clock()
        job = Job(
            id=self._new_id(SHADOW_PREFIX.rstrip("_")),
            type=JobType.PREDICTION,
            model=ref,
            created_at=now,
            max_attempts=1,
            lane=str(Lane.of_job(JobType.PREDICTION, ref, answered.work, Priority.LOW)),
            timeout_s=answered.job.timeout_s,
            priority=Priority.LOW,
            parent=answered.job.id,
            metadata={"champion": answered.job.model.pinned_version},
            **accepted_at(now),
        )
        if self._jobs.create(job, answered.work, answered.rows).must_ring:
            self._doorbell.ring(job.lane)

    def _count_shadowed(self, model: ModelRef, shadowed: list[EndedJob]) -> None:
        by_champion: dict[int, _Counts] = defaultdict(_Counts)
        parents = self._jobs.read_many_with_results([str(each.job.parent) for each in shadowed])
        kept: dict[str, bytes] = {}
        for each, parent in zip(shadowed, parents, strict=True):
            counts = by_champion[each.job.metadata["champion"]]
            if each.job.failure is not None:
                counts.add_failure(each.job.failure)
            elif each.result is None or parent is None or parent[1] is None:  # canceled, or deleted by the caller
                counts.add({"not_compared": 1})
            else:
                counts.add(compare(msgspec.json.decode(parent[1]), msgspec.json.decode(each.result)))
                if len(each.result) <= MAX_KEPT_BYTES:
                    kept[parent[0].id] = each.result
        if kept and not self._is_memory_short():
            self._outcomes.keep_answers(model.pinned_version, kept)
        for champion, counts in by_champion.items():
            self._add(model.name, champion, model.pinned_version, counts)

    def _add(self, model: str, champion: int, version: int, counts: _Counts) -> None:
        self._shadows.add(model, champion, version, counts.counters, self._clock(), counts.failure)


def _method_of(ended: EndedJob) -> Method:
    if not isinstance(ended.work, PredictionWork):
        raise TypeError(f"job {ended.job.id} has {type(ended.work).__name__}, expected PredictionWork")
    return ended.work.method
