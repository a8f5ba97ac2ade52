"""Composition root of the reaper: the process that repairs. It loads neither Celery's worker nor scikit-learn.

    python -m worker.reaper

Several may run: one leads, by a lock in Redis, and the rest stand by.
"""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from queuecast.adapters.celery.monitor import CeleryMonitor
from queuecast.adapters.disk.audit import AuditFiles
from queuecast.adapters.disk.batches import BatchFolders
from queuecast.adapters.disk.models import ModelFiles
from queuecast.adapters.disk.uploads import UploadedFiles
from queuecast.adapters.ids import new_id
from queuecast.adapters.redis import keys
from queuecast.adapters.redis.aliases import RedisAliases
from queuecast.adapters.redis.clock import RedisClock
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.job_maintenance import RedisJobMaintenance
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.adapters.redis.lanes import RedisLanes
from queuecast.adapters.redis.leader import RedisLeader
from queuecast.config import Settings
from queuecast.domain.errors import GoneJobError, UnavailableError, UnknownFileError, UnknownJobError
from queuecast.domain.work import rows_file_id
from queuecast.logs import get_logger
from worker.reaper.audit_export import AuditExport
from worker.wiring import build_coordinator, build_recovery

log = get_logger()


class Reaper:
    def __init__(self, settings: Settings) -> None:
        redis = connect(settings.redis_url_with_password)
        self._clock = RedisClock(redis)
        self._jobs, self._lanes = RedisJobs(redis), RedisLanes(redis)
        self._maintenance = RedisJobMaintenance(redis)
        self._leader = RedisLeader(redis, keys.REAPER, 10.0)  # seconds until another reaper replaces a dead leader
        self._models = ModelFiles(settings.data_dir / "models")
        self._files = UploadedFiles(settings.data_dir / "files", new_id, self._clock)
        self._file_retention_s = settings.file_retention_s
        monitor = CeleryMonitor(settings.redis_url_with_password, f"reaper@{os.uname().nodename}", is_worker=False)
        self._recovery = build_recovery(settings, redis, monitor)
        self._folders = BatchFolders(settings.data_dir / "batches")
        self._retention_s = settings.retention_s
        self._batches = build_coordinator(settings, redis, monitor)
        self._audit = AuditExport(RedisAliases(redis), AuditFiles(settings.data_dir / "models"), self._models)
        self._tidied_at = self._repaired_at = float("-inf")

    def step(self) -> None:
        """One round, if this process leads. Raises UnavailableError when Redis is away."""
        if not self._leader.leads():
            return
        self._recovery.sweep()
        if time.monotonic() - self._repaired_at > 5.0:  # it reads the progress of every batch
            self._repaired_at = time.monotonic()
            self._batches.repair()
        self._audit.export()
        if time.monotonic() - self._tidied_at > 60.0:
            self._tidied_at = time.monotonic()
            self._maintenance.drop_past_retention(self._clock())
            self._lanes.forget_workers(silent_s=3600.0)
            self._audit.export_all()
            self._models.sweep()
            self._files.sweep(self._clock() - self._file_retention_s)
            for batch_id in self._folders.sweep(self._is_past, self._clock() - self._retention_s):
                with suppress(UnknownFileError):  # only a batch of rows that were sent inline has a file of its own
                    self._files.delete(rows_file_id(batch_id))

    def _is_past(self, batch_id: str, *, is_old: bool) -> bool:
        """Whether a batch's folder may be deleted. A job that Redis does not know may come back with a restore."""
        try:
            self._jobs.read(batch_id)
        except GoneJobError:
            return True
        except UnknownJobError:
            return is_old
        return False

    def release_leadership(self) -> None:
        self._leader.resign()


class Steps(Protocol):
    def step(self) -> None: ...

    def release_leadership(self) -> None: ...


def run_until(stop: threading.Event, reaper: Steps, health_file: Path | None, pause_s: float = 1.0) -> None:
    """A step that fails is logged, and the next one tries again."""
    while not stop.is_set():
        try:
            reaper.step()
        except UnavailableError as error:
            log.warning("sweep_failed", reason=error.detail)
        except Exception:  # a full disk or an unreadable folder must not keep the reaper from the lanes
            log.exception("sweep_crashed")
        else:
            if health_file is not None:
                health_file.touch()
        stop.wait(pause_s)
    try:
        reaper.release_leadership()
    except UnavailableError:
        log.warning("leadership_not_released")
