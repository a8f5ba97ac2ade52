"""Builds the use cases that a worker and the reaper share. Loads no estimator and no Celery worker."""

import time

from redis import Redis

from queuecast.adapters.celery.doorbell import CeleryDoorbell, queue_of
from queuecast.adapters.celery.settings import lists_of
from queuecast.adapters.disk.batches import BatchFolders
from queuecast.adapters.redis.batches import RedisChunkProgress
from queuecast.adapters.redis.clock import RedisClock
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.adapters.redis.lanes import RedisLanes
from queuecast.adapters.redis.workers import RedisWorkers
from queuecast.config import Settings
from queuecast.ports.monitor import JobMonitor
from worker.batches.coordinator import BatchLimits, ChunkCoordinator
from worker.engine.recovery import JobRecovery, RecoveryLimits


def build_recovery(settings: Settings, redis: Redis, monitor: JobMonitor) -> JobRecovery:
    workers = RedisWorkers(redis, time.time)
    return JobRecovery(
        RedisJobs(redis, monitor=monitor),
        RedisLanes(redis),
        CeleryDoorbell(settings.redis_url_with_password),
        lambda lane: workers.queue_lengths(lists_of(queue_of(lane))),
        RedisClock(redis),
        RecoveryLimits(settings.lease_s, settings.retention_s),
    )


def build_coordinator(settings: Settings, redis: Redis, monitor: JobMonitor) -> ChunkCoordinator:
    return ChunkCoordinator(
        RedisJobs(redis, monitor=monitor),
        RedisChunkProgress(redis),
        BatchFolders(settings.data_dir / "batches"),
        CeleryDoorbell(settings.redis_url_with_password),
        RedisClock(redis),
        BatchLimits(settings.retention_s, settings.prediction_timeout_s),
    )
