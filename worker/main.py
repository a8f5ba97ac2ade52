"""Composition root of a worker: reads the settings, picks the adapters, hands Celery its application.

    celery -A worker.main worker -Q predict        a worker that predicts
    celery -A worker.main worker -Q train          the trainer: imports and retrainings

Nothing numeric runs in the parent process: children that are forked after it hang for ever in OpenMP code.
"""

import math
import multiprocessing
import os
import random
import signal
import time
import uuid
from functools import lru_cache

from queuecast.config import read_settings
from queuecast.logs import configure_logs

settings = read_settings()
configure_logs(settings.log_level)
# Before numpy is imported: two children with a pool of threads each made a 0.3 s fit take 13.5 s on two cores. A fit
# raises it for itself where it may: see worker/trainings/threads.py.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, str(settings.model_threads or 1))
# pandas imports pyarrow, which brings an allocator with a thread of its own; a parent that forks has none.
os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")

from queuecast.adapters.celery.doorbell import TASKS, CeleryDoorbell, queue_of  # noqa: E402
from queuecast.adapters.celery.settings import OVERDUE, celery_settings, lists_of  # noqa: E402
from queuecast.adapters.disk.batches import BatchFolders  # noqa: E402
from queuecast.adapters.disk.models import ModelFiles  # noqa: E402
from queuecast.adapters.disk.uploads import UploadedFiles  # noqa: E402
from queuecast.adapters.ids import new_id  # noqa: E402
from queuecast.adapters.redis.aliases import RedisAliases  # noqa: E402
from queuecast.adapters.redis.batches import RedisChunkProgress  # noqa: E402
from queuecast.adapters.redis.clock import RedisClock  # noqa: E402
from queuecast.adapters.redis.connection import connect  # noqa: E402
from queuecast.adapters.redis.jobs import RedisJobs  # noqa: E402
from queuecast.adapters.redis.lanes import RedisLanes  # noqa: E402
from queuecast.adapters.redis.workers import RedisWorkers  # noqa: E402
from queuecast.domain.job import Failure, JobType  # noqa: E402
from queuecast.process import freeze_objects  # noqa: E402
from worker.batches.chunk_runner import ChunkRunner  # noqa: E402
from worker.batches.coordinator import BatchLimits, ChunkCoordinator  # noqa: E402
from worker.batches.planner import BatchPlanner  # noqa: E402
from worker.batches.runner import BatchRunner  # noqa: E402
from worker.celery_app import create_celery, is_alive, is_of, worker_name  # noqa: E402
from worker.engine.consumer import LaneConsumer  # noqa: E402
from worker.engine.contracts import RunLimits, summary_of  # noqa: E402
from worker.engine.recovery import JobRecovery, RecoveryLimits  # noqa: E402
from worker.health.heartbeat import WorkerHeartbeat  # noqa: E402
from worker.imports.runner import ImportRunner  # noqa: E402
from worker.models.loading import EstimatorCache  # noqa: E402
from worker.predictions.runner import PredictionRunner  # noqa: E402
from worker.trainings.cpu_quota import cpu_count, cpu_quota  # noqa: E402
from worker.trainings.runner import TrainingRunner  # noqa: E402
from worker.trainings.threads import fit_threads  # noqa: E402

URL = settings.redis_url_with_password
INSTANCE = uuid.uuid4().hex[:6]  # of this start; children inherit it
# Shared with the children: when they must have given back what they run. `inf` while nobody stops the worker.
_stop_by = multiprocessing.RawValue("d", math.inf)


@lru_cache(maxsize=1)
def execution_of(pid: int) -> LaneConsumer:
    """One a process: connections and loaded estimators are not shared across a fork."""
    redis = connect(URL)
    clock = RedisClock(redis)
    models = ModelFiles(settings.data_dir / "models")
    files = UploadedFiles(settings.data_dir / "files", new_id, clock)
    aliases = RedisAliases(redis)
    estimators = EstimatorCache(models, settings.model_cache_mb * 2**20)
    prediction = PredictionRunner(models, estimators, clock)
    threads = fit_threads(settings.model_threads, cpu_quota(), cpu_count())
    training = TrainingRunner(models, aliases, files, estimators, clock, threads)
    importing = ImportRunner(models, aliases, files, clock)
    boards, folders = RedisChunkProgress(redis), BatchFolders(settings.data_dir / "batches")
    rules = BatchLimits(settings.retention_s, settings.prediction_timeout_s)
    batches = ChunkCoordinator(RedisJobs(redis), boards, folders, CeleryDoorbell(URL), clock, rules)
    planning = BatchPlanner(files, boards, folders, clock, settings.batch_chunk_rows)
    batch_runs = BatchRunner(models, estimators, planning, batches, boards, folders)
    chunks = ChunkRunner(models, estimators, files, batches, boards, folders)
    runners = {
        JobType.TRAINING: lambda job, work, rows, report: training.run(job, work, report),
        JobType.IMPORT: lambda job, work, rows, report: importing.run(job, work, report),
        JobType.BATCH: lambda job, work, rows, report: batch_runs.run(job, work, report),
        JobType.CHUNK: lambda job, work, rows, report: chunks.run(job, work),
    }
    return LaneConsumer(
        RedisJobs(redis),
        RedisLanes(redis),
        CeleryDoorbell(URL),
        runners,
        clock,
        random.random,
        worker_name(INSTANCE),
        RunLimits(settings.lease_s, settings.retention_s, settings.max_result_bytes),
        stop_by=lambda: _stop_by.value,
        # SIGKILL, because nothing else ends compiled code; the main process starts another child.
        end_process=lambda: os.kill(pid, signal.SIGKILL),
        shared_runners={JobType.PREDICTION: prediction.run},
    )


def stop() -> None:
    _stop_by.value = time.monotonic() + settings.shutdown_grace_s


def recover(failure: Failure | None) -> None:
    """Gives back what this worker's dead children held; at its end (None) what any of them holds still."""
    redis = connect(URL)
    lanes, workers, clock = RedisLanes(redis), RedisWorkers(redis, time.time), RedisClock(redis)
    recovery = JobRecovery(
        RedisJobs(redis),
        lanes,
        CeleryDoorbell(URL),
        lambda lane: workers.waiting(lists_of(queue_of(lane))),
        clock,
        RecoveryLimits(settings.lease_s, settings.retention_s),
    )
    for held in lanes.reserved():
        if is_of(INSTANCE, held.worker) and (failure is None or not is_alive(held.worker)):
            recovery.recover(held, failure)


WorkerHeartbeat(RedisWorkers(connect(URL), time.time), settings.health_file, RedisJobs(connect(URL)).ping).connect()
SLACK_S = 60  # a job's own timeout ends it first
app = create_celery(
    celery_settings(URL),
    {
        TASKS[JobType.PREDICTION]: settings.prediction_timeout_s + SLACK_S,
        TASKS[JobType.TRAINING]: settings.training_timeout_s + SLACK_S,
        TASKS[JobType.IMPORT]: settings.training_timeout_s + SLACK_S,
        TASKS[JobType.BATCH]: settings.batch_timeout_s + SLACK_S,
    },
    lambda lane, priority: summary_of(execution_of(os.getpid()).answer(lane, is_second=priority == OVERDUE)),
    stop,
    recover,
)
freeze_objects()  # before the children are forked
