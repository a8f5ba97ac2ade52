"""A whole worker for tests: the real use cases on in-memory jobs and aliases and on folders under `root`."""

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from queuecast.adapters.disk.batches import BatchFolders
from queuecast.adapters.disk.models import ModelFiles
from queuecast.adapters.disk.uploads import SHARED, UploadedFiles
from queuecast.adapters.ids import new_id
from queuecast.adapters.memory.aliases import MemoryAliases
from queuecast.adapters.memory.doorbell import MemoryDoorbell
from queuecast.adapters.memory.jobs import MemoryJobs
from queuecast.adapters.memory.lanes import MemoryLanes
from queuecast.client.fitted_form import form_of_fit
from queuecast.client.row_formats.json_rows import TABLE_MEDIA_TYPE, example_table, json_rows
from queuecast.domain.errors import Failure
from queuecast.domain.gate import GateSettings, PromotionPolicy
from queuecast.domain.holdout import HoldoutRule
from queuecast.domain.job import Job, JobType, ModelRef
from queuecast.domain.lane import Lane
from queuecast.domain.model import CHAMPION, AliasMove, Manifest
from queuecast.domain.work import ImportWork, Method, PredictionWork, TrainingWork, Work
from queuecast.ports.files import StoredFile
from queuecast.skops_files import skops_bytes
from worker.engine.consumer import LaneConsumer
from worker.engine.contracts import RunLimits, Runner
from worker.evaluations.runner import EvaluationRunner
from worker.imports.runner import ImportRunner
from worker.models.loading import EstimatorCache
from worker.predictions.runner import PredictionRunner
from worker.trainings.runner import TrainingRunner

MODEL = "model"
RETENTION_S = 3600.0
MAX_ATTEMPTS = 3
TIMEOUT_S = 60.0
MAX_RESULT_BYTES = 10_000_000


class LocalService:
    """Submits jobs like the gateway and runs them like a worker, one after the other."""

    def __init__(self, root: Path) -> None:
        self._seconds = itertools.count(1_000.0)
        self.jobs = MemoryJobs()
        self.lanes = MemoryLanes(self.jobs)
        self.doorbell = MemoryDoorbell()
        self.aliases = MemoryAliases(self.jobs)
        self.models = ModelFiles(root / "models")
        self.files = UploadedFiles(root / "files", new_id, self.clock)
        self.file_folder = root / "files"
        self.model_folder = root / "models"
        self.estimators = EstimatorCache(self.models)
        prediction = PredictionRunner(self.models, self.estimators, self.clock)
        self.folders = BatchFolders(root / "batches")
        self.training = TrainingRunner(self.models, self.aliases, self.files, self.estimators, self.folders, self.clock)
        self.evaluating = EvaluationRunner(self.models, self.files, self.estimators, self.folders)
        self.importing = ImportRunner(self.models, self.aliases, self.files, self.clock)
        self.runners: dict[JobType, Runner] = {
            JobType.TRAINING: lambda job, work, rows, report: self.training.run(job, work, report),
            JobType.EVALUATION: lambda job, work, rows, report: self.evaluating.run(job, work, report),
            JobType.IMPORT: lambda job, work, rows, report: self.importing.run(job, work, report),
        }
        self.ended_processes = 0
        self.consumer = LaneConsumer(
            self.jobs,
            self.lanes,
            self.doorbell,
            self.runners,
            self.clock,
            jitter=lambda: 0.5,
            worker="worker-1",
            limits=RunLimits(lease_s=30.0, retention_s=RETENTION_S, max_result_bytes=MAX_RESULT_BYTES),
            stop_by=lambda: math.inf,
            end_process=self.end_process,
            shared_runners={JobType.PREDICTION: prediction.run},
        )

    def end_process(self) -> None:
        """Called where a real worker's process would end."""
        self.ended_processes += 1

    def clock(self) -> float:
        """One second later at each call."""
        return next(self._seconds)

    def submitted(self, kind: JobType, model: ModelRef, work: Work, rows: bytes = b"") -> Job:
        lane = str(Lane.of_job(kind, model, work))
        job = Job(new_id("job"), kind, model, self.clock(), MAX_ATTEMPTS, lane, TIMEOUT_S).accepted()
        self.jobs.create(job, work, rows)
        return job

    def started(self, kind: JobType, model: ModelRef, work: Work) -> Job:
        """A job that another worker is running."""
        return self._claimed(self.submitted(kind, model, work), "worker-8")

    def lost(self, job: Job) -> Job:
        """The job after its worker died and another worker claimed it."""
        failure = Failure("worker_lost", "the process died")
        self.rewritten(job, lambda running: running.lost(failure, self.clock(), 0.0, RETENTION_S))
        self.lanes.enqueue_due(math.inf)
        return self._claimed(job, "worker-9")

    def _claimed(self, job: Job, worker: str) -> Job:
        self.lanes.reserve(job.lane, worker, 1, clears_bell=True)
        return self.rewritten(job, lambda queued: queued.claimed(worker, self.clock()))

    def ran(self, kind: JobType, model: ModelRef, work: Work, rows: bytes = b"") -> Job:
        """The job after its run."""
        job = self.submitted(kind, model, work, rows)
        self.consumer.drain(job.lane)
        return self.jobs.read(job.id)

    def result(self, job: Job) -> dict[str, Any]:
        current, result = self.jobs.read_with_result(job.id)
        assert result is not None, f"{current.state}: {current.failure}"
        return json.loads(result)

    def stored(self, content: bytes, media_type: str = "text/csv", name: str = "file") -> StoredFile:
        incoming = self.files.receive()
        incoming.stream.write(content)
        return incoming.keep(name, media_type)

    def file_count(self) -> int:
        return sum(not path.name.startswith(SHARED) for path in self.file_folder.iterdir())

    def import_work(
        self,
        model_bytes: bytes,
        example: Any,
        target: tuple[str, ...] = ("target",),
        holdout: HoldoutRule | None = None,
        estimator: Any = None,
        held_out: Any = None,
    ) -> ImportWork:
        """example: rows like those for `Client.push`, or the bytes of a CSV file.

        estimator: its answers are sent with the rows. held_out: a DataFrame of held-out rows with their target.
        """
        model_file = self.stored(model_bytes, "application/octet-stream")
        if isinstance(example, bytes):
            example_file = self.stored(example)
        else:
            if estimator is None:
                table = example_table(example)
            else:
                fitted = form_of_fit(estimator, example)
                table = example_table(fitted.rows, is_sure=fitted.is_sure) | {"answers": fitted.answers}
            example_file = self.stored(json.dumps(table, allow_nan=False).encode(), TABLE_MEDIA_TYPE)
        held_out_file = None if held_out is None else self.stored(held_out.to_csv(index=False).encode()).id
        return ImportWork(model_file.id, example_file.id, target, holdout, "", held_out_file)

    def pushed(
        self,
        estimator: Any,
        example: Any,
        target: tuple[str, ...] = ("target",),
        holdout: HoldoutRule | None = None,
        model: str = MODEL,
        held_out: Any = None,
    ) -> Job:
        """The ended import job. estimator: a fitted one, or the bytes of a file. held_out: as for `import_work`."""
        data = estimator if isinstance(estimator, bytes) else skops_bytes(estimator)
        fitted = None if isinstance(estimator, bytes) else estimator
        work = self.import_work(data, example, target, holdout, fitted, held_out)
        return self.ran(JobType.IMPORT, ModelRef(model), work)

    def predicted(self, rows: Any, method: Method, version: int = 1, model: str = MODEL) -> Job:
        listed = json_rows(rows)
        work = PredictionWork(method, len(listed))
        return self.ran(JobType.PREDICTION, ModelRef(model, version), work, json.dumps(listed).encode())

    def answers(self, rows: Any, method: Method, version: int = 1, model: str = MODEL) -> list[Any]:
        result = self.result(self.predicted(rows, method, version, model))
        return result["probabilities" if method is Method.PREDICT_PROBA else "predictions"]

    def training_work(
        self,
        rows: Any,
        target: tuple[str, ...] = ("target",),
        params: dict[str, Any] | None = None,
        promote: PromotionPolicy = PromotionPolicy.AUTO,
        gate: GateSettings = GateSettings(),  # noqa: B008 - frozen
    ) -> TrainingWork:
        """rows: features and target in one DataFrame, or the bytes of a CSV file."""
        stored = self.stored(rows if isinstance(rows, bytes) else rows.to_csv(index=False).encode())
        return TrainingWork(stored.id, stored.sha256, target, params or {}, promote, gate=gate)

    def trained(self, work: TrainingWork, version: int = 1, model: str = MODEL) -> Job:
        """The ended training job, started from `version`."""
        return self.ran(JobType.TRAINING, ModelRef(model, version), work)

    def manifest(self, version: int, model: str = MODEL) -> Manifest:
        return self.models.manifest(model, version)

    def champion(self, model: str = MODEL) -> int | None:
        return self.aliases.read(model).versions.get(CHAMPION)

    def point(self, alias: str, version: int, model: str = MODEL) -> None:
        """A person moves an alias."""
        present = self.aliases.read(model)
        previous = present.versions.get(alias)
        move = AliasMove(present.generation + 1, alias, version, previous, self.clock(), "set", "by hand")
        self.aliases.move(model, move)

    def rewritten(self, job: Job, change: Callable[[Job], Job]) -> Job:
        """Another process writes the record. change: a move of the job from its current state."""
        moved = change(self.jobs.read(job.id))
        self.jobs.replace(moved)
        return moved


def with_target(features: Any, target: Any, name: str = "target") -> pd.DataFrame:
    """Features and target in one frame, like a training file; the columns of an array are x0, x1 ..."""
    if not isinstance(features, pd.DataFrame):
        features = pd.DataFrame(features, columns=[f"x{index}" for index in range(features.shape[1])])
    target = np.asarray(target)
    if target.ndim == 1:
        return features.assign(**{name: target})
    return features.assign(**{f"{name}{index}": target[:, index] for index in range(target.shape[1])})


def plain_outputs(estimator: Any, method: Method, rows: Any) -> Any:
    """The outputs of the estimator in this process, one for each row."""
    raw = getattr(estimator, method.value)(rows)
    if isinstance(raw, list):
        return np.stack(raw, axis=1)
    return raw.toarray() if hasattr(raw, "toarray") else np.asarray(raw)


def assert_same_answers(found: Any, expected: Any) -> None:
    """Labels identical, floats within 1e-9 relative."""
    found, expected = np.asarray(found), np.asarray(expected)
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(found.astype(float), expected, rtol=1e-9, atol=1e-12)
    else:
        assert found.tolist() == expected.tolist()
