"""Composition root of the reaper: the single process that repairs. Loads neither Celery's worker nor scikit-learn.

    python -m worker.reaper

Several may run: one leads by a lock in Redis, and the others stand by.
"""

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from queuecast.adapters.celery.doorbell import CeleryDoorbell, queue_of
from queuecast.adapters.celery.settings import lists_of
from queuecast.adapters.disk.audit import AuditFiles
from queuecast.adapters.disk.batches import BatchFolders
from queuecast.adapters.disk.models import ModelFiles
from queuecast.adapters.disk.uploads import UploadedFiles
from queuecast.adapters.ids import new_id
from queuecast.adapters.redis.aliases import RedisAliases
from queuecast.adapters.redis.batches import RedisChunkProgress
from queuecast.adapters.redis.clock import RedisClock
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.job_maintenance import RedisJobMaintenance
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.adapters.redis.lanes import RedisLanes
from queuecast.adapters.redis.leader import RedisLeader
from queuecast.adapters.redis.workers import RedisWorkers
from queuecast.config import Settings
from queuecast.domain.errors import GoneJobError, UnavailableError, UnknownFileError, UnknownJobError
from queuecast.domain.work import rows_file_id
from queuecast.logs import get_logger
from worker.batches.coordinator import BatchLimits, ChunkCoordinator
from worker.engine.recovery import JobRecovery, RecoveryLimits
from worker.reaper.audit_export import AuditExport

log = get_logger()

SWEEP_EVERY_S = 1.0
REPAIR_EVERY_S = 5.0  # a look at a batch reads its board
TIDY_EVERY_S = 60.0
TERM_S = 10.0  # a leader that died is replaced after so long


class Reaper:
    def __init__(self, settings: Settings) -> None:
        redis = connect(settings.redis_url_with_password)
        workers, self._clock = RedisWorkers(redis, time.time), RedisClock(redis)
        self._jobs, self._lanes = RedisJobs(redis), RedisLanes(redis)
        self._maintenance = RedisJobMaintenance(redis)
        self._leader = RedisLeader(redis, "reaper", TERM_S)
        self._models = ModelFiles(settings.data_dir / "models")
        self._files = UploadedFiles(settings.data_dir / "files", new_id, self._clock)
        self._file_retention_s = settings.file_retention_s
        self._recovery = JobRecovery(
            self._jobs,
            self._lanes,
            CeleryDoorbell(settings.redis_url_with_password),
            lambda lane: workers.queue_lengths(lists_of(queue_of(lane))),
            self._clock,
            RecoveryLimits(settings.lease_s, settings.retention_s),
        )
        self._folders = BatchFolders(settings.data_dir / "batches")
        self._retention_s = settings.retention_s
        self._batches = ChunkCoordinator(
            self._jobs,
            RedisChunkProgress(redis),
            self._folders,
            CeleryDoorbell(settings.redis_url_with_password),
            self._clock,
            BatchLimits(settings.retention_s, settings.prediction_timeout_s),
        )
        self._audit = AuditExport(RedisAliases(redis), AuditFiles(settings.data_dir / "models"), self._models)
        self._tidied_at = self._repaired_at = float("-inf")

    def step(self) -> None:
        """One round, when this process leads. Raises UnavailableError when Redis is away."""
        if not self._leader.leads():
            return
        self._recovery.sweep()
        if time.monotonic() - self._repaired_at > REPAIR_EVERY_S:
            self._repaired_at = time.monotonic()
            self._batches.repair()
        self._audit.export()
        if time.monotonic() - self._tidied_at > TIDY_EVERY_S:
            self._tidied_at = time.monotonic()
            self._maintenance.drop_past_retention(self._clock())
            self._lanes.forget_workers()
            self._audit.export_all()
            self._models.sweep()
            self._files.sweep(self._clock() - self._file_retention_s)
            for batch_id in self._folders.sweep(self._is_past, self._clock() - self._retention_s):
                with suppress(UnknownFileError):  # most batches have none of their own
                    self._files.delete(rows_file_id(batch_id))

    def _is_past(self, batch_id: str, *, is_old: bool) -> bool:
        """Whether a batch's folder may go. A job that Redis does not know may be one that a restore brings back."""
        try:
            self._jobs.read(batch_id)
        except GoneJobError:
            return True
        except UnknownJobError:
            return is_old
        return False

    def resign(self) -> None:
        self._leader.resign()


def run(reaper: Any, stop: threading.Event, health_file: Path | None) -> None:
    """Steps until `stop`. A step that fails is logged, and the next one tries again."""
    while not stop.is_set():
        try:
            reaper.step()
        except UnavailableError as error:
            log.warning("sweep_failed", reason=error.detail)
        except Exception:  # the disk is full, a folder cannot be read: the lanes need their reaper all the same
            log.exception("sweep_crashed")
        else:
            if health_file is not None:
                health_file.touch()
        stop.wait(SWEEP_EVERY_S)
    try:
        reaper.resign()
    except UnavailableError:
        log.warning("office_not_resigned")
