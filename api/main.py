"""Composition root of the gateway: reads the settings and picks the adapters. `api.serve` serves it."""

import os
import time

from api.app import create_app
from api.dependencies import Dependencies, Limits
from api.services.submission import Submission
from api.services.submit_options import JobDefaults
from queuecast.adapters.celery.doorbell import CeleryDoorbell
from queuecast.adapters.celery.monitor import CeleryMonitor
from queuecast.adapters.disk.batches import BatchFolders
from queuecast.adapters.disk.models import ModelFiles
from queuecast.adapters.disk.uploads import UploadedFiles
from queuecast.adapters.ids import new_id
from queuecast.adapters.redis.aliases import RedisAliases
from queuecast.adapters.redis.clock import RedisClock
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.adapters.redis.lanes import RedisLanes
from queuecast.adapters.redis.server_check import UnsuitableServerError, check_server
from queuecast.adapters.redis.versions.live_outcomes import RedisLiveOutcomes
from queuecast.adapters.redis.versions.shadows import RedisShadows
from queuecast.adapters.redis.workers import RedisWorkers
from queuecast.config import read_settings
from queuecast.domain.job import JobType
from queuecast.logs import configure_logs, get_logger

log = get_logger()

settings = read_settings()
configure_logs(settings.log_level)
_is_durable = settings.durability == "fsync"
try:  # a Redis that is away now is checked at each connection that is made later
    check_server(settings.redis_url_with_password, durable=_is_durable)
except UnsuitableServerError as error:
    raise SystemExit(f"queuecast cannot start: {error}") from None
_redis = connect(
    settings.redis_url_with_password,
    durable=_is_durable,
    on_unsuitable=lambda reason: log.error("redis_unsuitable", reason=reason),
)
_clock = RedisClock(_redis)
_monitor = CeleryMonitor(settings.redis_url_with_password, f"gateway@{os.uname().nodename}", is_worker=False)
_jobs = RedisJobs(_redis, max_lane_jobs=settings.max_lane_jobs, durable=_is_durable, monitor=_monitor)
_models = ModelFiles(settings.data_dir / "models")
_aliases = RedisAliases(_redis)
_doorbell = CeleryDoorbell(settings.redis_url_with_password)
_files = UploadedFiles(settings.data_dir / "files", new_id, _clock, settings.max_files_bytes)

_defaults = JobDefaults(
    settings.retention_s,
    settings.max_attempts,
    {
        JobType.PREDICTION: settings.prediction_timeout_s,
        JobType.TRAINING: settings.training_timeout_s,
        JobType.IMPORT: settings.training_timeout_s,
        JobType.EVALUATION: settings.training_timeout_s,
        JobType.BATCH: settings.batch_timeout_s,
    },
)

app = create_app(
    Dependencies(
        jobs=_jobs,
        lanes=RedisLanes(_redis),
        models=_models,
        aliases=_aliases,
        shadows=RedisShadows(_redis),
        outcomes=RedisLiveOutcomes(_redis),
        batches=BatchFolders(settings.data_dir / "batches"),
        files=_files,
        workers=RedisWorkers(_redis, time.time),
        loaded_models=RedisWorkers(_redis, _clock),
        submission=Submission(_jobs, _doorbell, _models, _aliases, new_id, _clock, _defaults, _files),
        clock=_clock,
        limits=Limits(
            max_body_bytes=settings.max_body_bytes,
            max_upload_bytes=settings.max_upload_bytes,
            max_rows=settings.max_rows,
            # The other threads serve requests that do not wait: submits and cancels must always get through.
            max_waiters=settings.api_threads * 3 // 4,
            max_lane_jobs=settings.max_lane_jobs,
            max_result_bytes=settings.max_result_bytes,
            max_files_bytes=settings.max_files_bytes,
            max_timeouts_s=_defaults.timeouts_s,
        ),
        hosts=settings.own_hosts,
    )
)
