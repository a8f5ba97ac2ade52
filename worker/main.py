"""Composition root of a worker: reads the settings, picks the adapters, hands Celery its application.

    celery -A worker.main worker -Q predict        a worker that predicts
    celery -A worker.main worker -Q train          the trainer: imports and retrainings

Nothing numeric runs in the parent process: children that are forked after it hang for ever in OpenMP code.
"""

import os
import time
from functools import lru_cache

from queuecast.config import read_settings
from queuecast.logs import configure_logs

settings = read_settings()
configure_logs(settings.log_level)
# Before numpy is imported: two children with a pool of threads each made a 0.3 s fit take 13.5 s on two cores.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, str(settings.model_threads))

from queuecast.adapters.celery_bells import TASKS, celery_settings  # noqa: E402
from queuecast.adapters.ids import new_id  # noqa: E402
from queuecast.adapters.model_files import ModelFiles  # noqa: E402
from queuecast.adapters.redis_aliases import RedisAliases  # noqa: E402
from queuecast.adapters.redis_jobs import RedisJobs, connect  # noqa: E402
from queuecast.adapters.redis_workers import RedisWorkers  # noqa: E402
from queuecast.adapters.uploaded_files import UploadedFiles  # noqa: E402
from queuecast.domain.job import JobType  # noqa: E402
from worker.app import create_celery, worker_name  # noqa: E402
from worker.estimators import Estimators  # noqa: E402
from worker.execution import Execution  # noqa: E402
from worker.importing import Importing  # noqa: E402
from worker.prediction import Prediction  # noqa: E402
from worker.presence import Presence  # noqa: E402
from worker.training import Training  # noqa: E402


@lru_cache(maxsize=1)
def execution_of(pid: int) -> Execution:
    """One a process: connections and loaded estimators are not shared across a fork."""
    del pid
    redis = connect(settings.redis_url_with_password)
    models = ModelFiles(settings.data_dir / "models")
    files = UploadedFiles(settings.data_dir / "files", new_id, time.time)
    aliases = RedisAliases(redis)
    estimators = Estimators(models)
    prediction = Prediction(models, estimators, time.time)
    training = Training(models, aliases, files, estimators, time.time)
    importing = Importing(models, aliases, files, time.time)
    runners = {
        JobType.PREDICTION: lambda job, work, rows, report: prediction.run(job, work, rows),
        JobType.TRAINING: lambda job, work, rows, report: training.run(job, work, report),
        JobType.IMPORT: lambda job, work, rows, report: importing.run(job, work, report),
    }
    return Execution(RedisJobs(redis), runners, time.time, worker_name(), settings.retention_s)


Presence(RedisWorkers(connect(settings.redis_url_with_password), time.time), settings.health_file).connect()
app = create_celery(
    celery_settings(settings.redis_url_with_password),
    {
        TASKS[JobType.PREDICTION]: settings.prediction_timeout_s,
        TASKS[JobType.TRAINING]: settings.training_timeout_s,
        TASKS[JobType.IMPORT]: settings.training_timeout_s,
    },
    lambda: execution_of(os.getpid()),
)
