"""Composition root of a worker: reads the settings, picks the adapters, hands Celery its application.

    celery -A worker.main worker -Q predict        a worker that predicts
    celery -A worker.main worker -Q train          the trainer: imports, retrainings and evaluations

The parent process runs no numeric code: a child that is forked after such code can hang in OpenMP.
"""

import math
import multiprocessing
import random
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial

from redis import Redis

import worker.thread_limits  # noqa: F401 # before numpy, which reads the limits
from queuecast.adapters.celery.doorbell import TASKS, CeleryDoorbell
from queuecast.adapters.celery.monitor import CeleryMonitor
from queuecast.adapters.celery.settings import OVERTAKING, PREDICT_QUEUE, celery_settings, lists_of
from queuecast.adapters.disk.batches import BatchFolders
from queuecast.adapters.disk.models import ModelFiles
from queuecast.adapters.disk.uploads import UploadedFiles
from queuecast.adapters.ids import new_id
from queuecast.adapters.redis.aliases import RedisAliases
from queuecast.adapters.redis.batches import RedisChunkProgress
from queuecast.adapters.redis.clock import RedisClock
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.adapters.redis.lanes import RedisLanes
from queuecast.adapters.redis.versions.live_outcomes import RedisLiveOutcomes
from queuecast.adapters.redis.versions.shadows import RedisShadows
from queuecast.adapters.redis.workers import RedisWorkers
from queuecast.config import Settings, read_settings
from queuecast.domain.errors import Failure, UnavailableError
from queuecast.domain.job import JobType
from queuecast.domain.lane import Lane
from queuecast.logs import configure_logs
from queuecast.ports.monitor import JobMonitor
from queuecast.process_tuning import freeze_objects
from worker.batches.chunk_runner import ChunkRunner
from worker.batches.planner import BatchPlanner
from worker.batches.runner import BatchRunner
from worker.celery_app import RunningTask, create_celery, is_alive, is_of, worker_name
from worker.engine.consumer import LaneConsumer
from worker.engine.contracts import ModelCall, RunLimits
from worker.evaluations.runner import EvaluationRunner
from worker.health.heartbeat import WorkerHeartbeat
from worker.imports.runner import ImportRunner
from worker.models.champion_follower import ChampionFollower, Stores
from worker.models.loading import EstimatorCache
from worker.predictions.runner import PredictionRunner
from worker.predictions.shadowing import Shadowing
from worker.trainings.cpu_quota import cpu_count, cpu_quota
from worker.trainings.runner import TrainingRunner
from worker.trainings.threads import fit_threads
from worker.trainings.turn import TrainingTurn
from worker.wiring import build_coordinator, build_recovery

settings = read_settings()
configure_logs(settings.log_level)
URL = settings.redis_url_with_password
START = uuid.uuid4().hex[:6]  # identifies this start of the worker; child processes inherit it
# Shared with the child processes: when they must have handed back their jobs. `inf` until the worker is stopped.
_stop_by = multiprocessing.RawValue("d", math.inf)
_training_turn = TrainingTurn()


def build_consumer(
    settings: Settings,
    redis: Redis,
    models: ModelFiles,
    estimators: EstimatorCache,
    monitor: JobMonitor,
    end_process: Callable[[], None],
) -> LaneConsumer:
    clock = RedisClock(redis)
    files = UploadedFiles(settings.data_dir / "files", new_id, clock)
    aliases = RedisAliases(redis)
    predictions = PredictionRunner(models, estimators, clock)
    threads = fit_threads(settings.model_threads, cpu_quota(), cpu_count())
    progress, folders = RedisChunkProgress(redis), BatchFolders(settings.data_dir / "batches")
    trainings = TrainingRunner(models, aliases, files, estimators, folders, clock, threads)
    evaluations = EvaluationRunner(models, files, estimators, folders)
    imports = ImportRunner(models, aliases, files, clock)
    coordinator = build_coordinator(settings, redis, monitor)
    planner = BatchPlanner(files, progress, folders, clock, settings.batch_chunk_rows)
    batches = BatchRunner(models, estimators, planner, coordinator, progress, folders)
    chunks = ChunkRunner(models, estimators, files, coordinator, progress, folders)
    doorbell = CeleryDoorbell(settings.redis_url_with_password)
    max_shadow_jobs = 100  # that wait for one version and method; more are skipped
    short_lanes = RedisJobs(redis, max_lane_jobs=max_shadow_jobs, monitor=monitor)
    outcomes = RedisLiveOutcomes(redis)
    shadowing = Shadowing(RedisShadows(redis), short_lanes, doorbell, models, new_id, clock, outcomes)
    runners = {
        JobType.TRAINING: lambda job, work, rows, report: trainings.run(job, work, report),
        JobType.EVALUATION: lambda job, work, rows, report: evaluations.run(job, work, report),
        JobType.IMPORT: lambda job, work, rows, report: imports.run(job, work, report),
        JobType.BATCH: lambda job, work, rows, report: batches.run(job, work, report),
        JobType.CHUNK: lambda job, work, rows, report: chunks.run(job, work),
    }
    return LaneConsumer(
        RedisJobs(redis, monitor=monitor),
        RedisLanes(redis),
        doorbell,
        runners,
        clock,
        random.random,
        worker_name(START),
        RunLimits(settings.lease_s, settings.retention_s, settings.max_result_bytes),
        stop_by=lambda: _stop_by.value,
        end_process=end_process,
        shared_runners={JobType.PREDICTION: predictions.run},
        after_call=shadowing.after_call,
    )


class Child:
    """The state that a child process keeps between its tasks."""

    def __init__(self, queues: tuple[str, ...]) -> None:
        redis = connect(URL)
        models = ModelFiles(settings.data_dir / "models")
        estimators = EstimatorCache(models, settings.model_cache_mb * 2**20)
        self._name = worker_name(START)
        self._turn = threading.Lock()
        """For the thread that runs jobs, or the one that follows champions."""
        clock = RedisClock(redis)
        aliases, self._reports = RedisAliases(redis), RedisWorkers(redis, clock)
        self._follower = ChampionFollower(
            self._name,
            Stores(aliases, aliases, models, self._reports),
            estimators,
            clock,
            self._turn,
            serves=PREDICT_QUEUE in queues,
        )
        self._build_consumer = partial(build_consumer, settings, redis, models, estimators)
        self._task: RunningTask | None = None
        self._monitor: CeleryMonitor | None = None
        self._consumer: LaneConsumer | None = None

    def follow_champions(self) -> None:
        follow = partial(self._follower.run, lambda name: is_of(START, name) and not is_alive(name))
        threading.Thread(target=follow, name="champions", daemon=True).start()

    def drain(self, task: RunningTask, lane: str, *, is_overtaking: bool) -> list[ModelCall]:
        self._task = task
        with self._turn:
            if self._consumer is None:
                self._monitor = CeleryMonitor(URL, task.node, is_worker=True)
                self._consumer = self._build_consumer(self._monitor, self._end_process)
            try:
                return self._consumer.drain(lane, is_overtaking=is_overtaking)
            finally:
                self._follower.follow()

    def end(self) -> None:
        if self._monitor is not None:
            self._monitor.flush()
        if _stop_by.value < math.inf:  # another process goes on in place of one that ends while the worker runs
            with suppress(UnavailableError):
                self._reports.forget_process(self._name)

    def _end_process(self) -> None:
        if self._monitor is not None and self._task is not None:
            self._monitor.flush()
            self._task.end_process()


_child: list[Child] = []
"""Of this process. The parent makes none, so a fork shares no connection and no model."""


def start_child(queues: tuple[str, ...]) -> None:
    _child[:] = [Child(queues)]
    _child[0].follow_champions()


def drain(lane: str, priority: int | None, task: RunningTask) -> list[ModelCall]:
    run = partial(_child[0].drain, task, lane, is_overtaking=priority == OVERTAKING)
    if Lane.of_name(lane).type not in (JobType.TRAINING, JobType.EVALUATION):
        return run()
    with _training_turn.taken() as has_turn:
        return run() if has_turn else []


def end_child() -> None:
    for child in _child:
        child.end()


def stop() -> None:
    _stop_by.value = time.monotonic() + settings.shutdown_grace_s


def recover(failure: Failure | None, node: str) -> None:
    """Hands back the jobs of this worker's dead child processes; at its end (None) the jobs of all of them."""
    redis = connect(URL)
    with closing(CeleryMonitor(URL, node, is_worker=True)) as monitor:
        recovery = build_recovery(settings, redis, monitor)
        for held in RedisLanes(redis).reservations():
            if is_of(START, held.worker) and (failure is None or not is_alive(held.worker)):
                recovery.recover(held, failure)


WorkerHeartbeat(
    RedisWorkers(connect(URL), time.time), lists_of, settings.health_file, RedisJobs(connect(URL)).ping
).connect()
_slack_s = 60  # the job's own timeout ends it earlier
app = create_celery(
    celery_settings(URL),
    {
        TASKS[JobType.PREDICTION]: settings.prediction_timeout_s + _slack_s,
        TASKS[JobType.TRAINING]: settings.training_timeout_s + _slack_s,
        TASKS[JobType.EVALUATION]: settings.training_timeout_s + _slack_s,
        TASKS[JobType.IMPORT]: settings.training_timeout_s + _slack_s,
        TASKS[JobType.BATCH]: settings.batch_timeout_s + _slack_s,
    },
    drain,
    stop,
    recover,
    end_child,
    start_child,
)
freeze_objects()  # before the child processes are forked
