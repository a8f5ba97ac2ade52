"""Composition root of a worker: reads the settings, picks the adapters, hands Celery its application.

    celery -A worker.main worker -Q predict        a worker that predicts
    celery -A worker.main worker -Q train          the trainer: imports and retrainings

Nothing numeric runs in the parent process: children that are forked after it hang for ever in OpenMP code.
"""

import gc
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
# raises it for itself where it may: see worker/threads.py.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, str(settings.model_threads or 1))
# pandas imports pyarrow, which brings an allocator with a thread of its own; a parent that forks has none.
os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")

from queuecast.adapters.batch_files import BatchFolders  # noqa: E402
from queuecast.adapters.celery_bells import TASKS, CeleryBells, queue_of  # noqa: E402
from queuecast.adapters.celery_settings import OVERDUE, celery_settings, lists_of  # noqa: E402
from queuecast.adapters.ids import new_id  # noqa: E402
from queuecast.adapters.model_files import ModelFiles  # noqa: E402
from queuecast.adapters.redis_aliases import RedisAliases  # noqa: E402
from queuecast.adapters.redis_batches import RedisBatches  # noqa: E402
from queuecast.adapters.redis_clock import RedisClock  # noqa: E402
from queuecast.adapters.redis_jobs import RedisJobs, connect  # noqa: E402
from queuecast.adapters.redis_lanes import RedisLanes  # noqa: E402
from queuecast.adapters.redis_workers import RedisWorkers  # noqa: E402
from queuecast.adapters.uploaded_files import UploadedFiles  # noqa: E402
from queuecast.domain.job import Failure, JobType  # noqa: E402
from worker.app import create_celery, is_alive, is_of, worker_name  # noqa: E402
from worker.batches import Batches, BatchRules  # noqa: E402
from worker.chunks import Chunks  # noqa: E402
from worker.cpu_quota import cpu_count, cpu_quota  # noqa: E402
from worker.estimators import Estimators  # noqa: E402
from worker.execution import Execution  # noqa: E402
from worker.importing import Importing  # noqa: E402
from worker.joining import BatchRuns  # noqa: E402
from worker.orders import Rules, summary_of  # noqa: E402
from worker.planning import Planning  # noqa: E402
from worker.prediction import Prediction  # noqa: E402
from worker.presence import Presence  # noqa: E402
from worker.recovery import Recovery, RecoveryRules  # noqa: E402
from worker.threads import fit_threads  # noqa: E402
from worker.training import Training  # noqa: E402

URL = settings.redis_url_with_password
INSTANCE = uuid.uuid4().hex[:6]  # of this start; children inherit it
# Shared with the children: when they must have given back what they run. `inf` while nobody stops the worker.
_stop_by = multiprocessing.RawValue("d", math.inf)


@lru_cache(maxsize=1)
def execution_of(pid: int) -> Execution:
    """One a process: connections and loaded estimators are not shared across a fork."""
    redis = connect(URL)
    clock = RedisClock(redis)
    models = ModelFiles(settings.data_dir / "models")
    files = UploadedFiles(settings.data_dir / "files", new_id, clock)
    aliases = RedisAliases(redis)
    estimators = Estimators(models, settings.model_cache_mb * 2**20)
    prediction = Prediction(models, estimators, clock)
    threads = fit_threads(settings.model_threads, cpu_quota(), cpu_count())
    training = Training(models, aliases, files, estimators, clock, threads)
    importing = Importing(models, aliases, files, clock)
    boards, folders = RedisBatches(redis), BatchFolders(settings.data_dir / "batches")
    rules = BatchRules(settings.retention_s, settings.prediction_timeout_s)
    batches = Batches(RedisJobs(redis), boards, folders, CeleryBells(URL), clock, rules)
    planning = Planning(files, boards, folders, clock, settings.batch_chunk_rows)
    batch_runs = BatchRuns(models, estimators, planning, batches, boards, folders)
    chunks = Chunks(models, estimators, files, batches, boards, folders)
    runners = {
        JobType.TRAINING: lambda job, work, rows, report: training.run(job, work, report),
        JobType.IMPORT: lambda job, work, rows, report: importing.run(job, work, report),
        JobType.BATCH: lambda job, work, rows, report: batch_runs.run(job, work, report),
        JobType.CHUNK: lambda job, work, rows, report: chunks.run(job, work),
    }
    return Execution(
        RedisJobs(redis),
        RedisLanes(redis),
        CeleryBells(URL),
        runners,
        clock,
        random.random,
        worker_name(INSTANCE),
        Rules(settings.lease_s, settings.retention_s, settings.max_result_bytes),
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
    recovery = Recovery(
        RedisJobs(redis),
        lanes,
        CeleryBells(URL),
        lambda lane: workers.waiting(lists_of(queue_of(lane))),
        clock,
        RecoveryRules(settings.lease_s, settings.retention_s),
    )
    for held in lanes.reserved():
        if is_of(INSTANCE, held.worker) and (failure is None or not is_alive(held.worker)):
            recovery.recover(held, failure)


Presence(RedisWorkers(connect(URL), time.time), settings.health_file, RedisJobs(connect(URL)).ping).connect()
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
# What is imported stays. The collector went through all of it in the middle of a call (50 ms and more), and each child
# had its own copy of the pages afterwards.
gc.collect()
gc.freeze()
