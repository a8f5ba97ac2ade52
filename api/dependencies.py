"""The parts of the gateway. `api.main` chooses the adapters, and every class of routes takes its parts from here."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from api.http.incoming_files import Uploads
from api.services.concurrency import FairLimiter
from api.services.job_watcher import JobWatcher
from api.services.model_catalog import ModelCatalog
from api.services.queue_position import QueuePositions
from api.services.submission import Submission
from queuecast.domain.job import JobType
from queuecast.ports.aliases import AliasStore
from queuecast.ports.batches import BatchFiles
from queuecast.ports.clock import Clock
from queuecast.ports.files import FileStore
from queuecast.ports.jobs import JobStore
from queuecast.ports.lanes import Lanes
from queuecast.ports.live_outcomes import LiveOutcomeStore
from queuecast.ports.models import ModelRegistry
from queuecast.ports.shadows import ShadowStore
from queuecast.ports.workers import LoadedModels, WorkerList

CONCURRENT_REQUESTS = 16  # a request waits for Redis half of its time, and for its disk with durability `fsync`


@dataclass(frozen=True, slots=True)
class Limits:
    max_body_bytes: int
    max_upload_bytes: int
    max_rows: int
    max_waiters: int
    max_lane_jobs: int
    max_result_bytes: int
    max_files_bytes: int
    max_timeouts_s: Mapping[JobType, float]


@dataclass(frozen=True)
class Dependencies:
    jobs: JobStore
    lanes: Lanes
    models: ModelRegistry
    aliases: AliasStore
    shadows: ShadowStore
    outcomes: LiveOutcomeStore
    files: FileStore
    batches: BatchFiles
    workers: WorkerList
    loaded_models: LoadedModels
    submission: Submission
    clock: Clock
    limits: Limits
    hosts: frozenset[str] = frozenset()
    """The configured names of the gateway, in addition to those of the loopback interface."""

    @cached_property
    def limiter(self) -> FairLimiter:
        return FairLimiter(CONCURRENT_REQUESTS)

    @cached_property
    def watcher(self) -> JobWatcher:
        return JobWatcher(self.jobs, self.limits.max_waiters, self.limiter)

    @cached_property
    def catalog(self) -> ModelCatalog:
        return ModelCatalog(self.models, self.aliases, self.loaded_models, self.clock)

    @cached_property
    def positions(self) -> QueuePositions:
        return QueuePositions(self.lanes, self.clock)

    @cached_property
    def uploads(self) -> Uploads:
        return Uploads(self.files, self.limits.max_upload_bytes)
