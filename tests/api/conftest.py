"""The gateway on in-memory stores and real folders, with one model version published directly."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.app import create_app
from api.dependencies import Dependencies, Limits
from api.services.submission import Submission
from api.services.submit_options import JobDefaults
from queuecast.adapters.disk.batches import BatchFolders
from queuecast.adapters.disk.models import ModelFiles
from queuecast.adapters.disk.uploads import SHARED, UploadedFiles
from queuecast.adapters.memory.aliases import MemoryAliases
from queuecast.adapters.memory.doorbell import MemoryDoorbell
from queuecast.adapters.memory.jobs import MemoryJobs
from queuecast.adapters.memory.lanes import MemoryLanes
from queuecast.adapters.memory.live_outcomes import MemoryLiveOutcomes
from queuecast.adapters.memory.shadows import MemoryShadows
from queuecast.adapters.memory.workers import MemoryLoadedModels
from queuecast.domain.job import JobType
from queuecast.domain.model import AliasMove, Manifest
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method

ROW = {"age": 29.5, "sex": "female", "sibsp": 1, "alone": False, "deck": None}
PREDICTIONS = "/v1/models/titanic/predictions"
DEFAULTS = JobDefaults(
    retention_s=3600.0,
    max_attempts=3,
    timeouts_s={
        JobType.PREDICTION: 300,
        JobType.BATCH: 86400,
        **dict.fromkeys((JobType.TRAINING, JobType.EVALUATION, JobType.IMPORT), 7200),
    },
)
COLUMNS = (
    Column("age", ColumnType.NUMBER, True, "float64"),
    Column("sex", ColumnType.STRING, False, "str"),
    Column("sibsp", ColumnType.INTEGER, False, "int64"),
    Column("alone", ColumnType.BOOLEAN, False, "bool"),
    Column("deck", ColumnType.STRING, True, "category", ("A", "B")),
)


class Clock:
    """Time that only a test moves."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class FakeWorkerList:
    def count_by_queue(self) -> dict[str, int]:
        return {"predict": 2}


class Gateway:
    """The application and its stores, which a test may inspect."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.jobs = MemoryJobs()
        self.doorbell = MemoryDoorbell()
        self.batches = BatchFolders(folder / "batches")
        self.aliases = MemoryAliases()
        self.shadows = MemoryShadows(lambda model: self.aliases.read(model).versions.get("champion"))
        self.outcomes = MemoryLiveOutcomes(self.jobs)
        self.loaded_models = MemoryLoadedModels()
        self.models = ModelFiles(folder / "models")
        numbers = itertools.count(1)
        self.new_id = lambda kind: f"{kind}_{next(numbers):08x}-0000-7000-8000-000000000000"
        self.limits = Limits(
            max_body_bytes=200_000,
            max_upload_bytes=300_000,
            max_rows=50,
            max_waiters=2,
            max_lane_jobs=10_000,
            max_result_bytes=1_000_000,
            max_files_bytes=10_000_000,
            max_timeouts_s=DEFAULTS.timeouts_s,
        )
        self.files = UploadedFiles(folder / "files", self.new_id, self.clock, self.limits.max_files_bytes)

    def limited(self, **limits: int) -> Flask:
        """The application with other limits."""
        self.limits = replace(self.limits, **limits)
        self.jobs = MemoryJobs(self.limits.max_lane_jobs)
        self.files = UploadedFiles(self.folder / "files", self.new_id, self.clock, self.limits.max_files_bytes)
        return self.app()

    def app(self, **replacements: Any) -> Flask:
        """The application; `replacements` replace its dependencies, for example by an unreachable store."""
        jobs, doorbell = replacements.get("jobs", self.jobs), replacements.get("doorbell", self.doorbell)
        aliases = replacements.get("aliases", self.aliases)
        if isinstance(self.aliases, MemoryAliases):
            self.aliases.share_with(self.jobs)
        jobs.alias_of, jobs.deleted_of = self.jobs.alias_of, self.jobs.deleted_of
        submission = Submission(jobs, doorbell, self.models, aliases, self.new_id, self.clock, DEFAULTS, self.files)
        dependencies = Dependencies(
            jobs=jobs,
            lanes=replacements.get("lanes", MemoryLanes(self.jobs)),
            models=self.models,
            aliases=aliases,
            shadows=self.shadows,
            outcomes=MemoryLiveOutcomes(jobs) if jobs is not self.jobs else self.outcomes,
            files=self.files,
            batches=self.batches,
            workers=FakeWorkerList(),  # type: ignore[arg-type]
            loaded_models=self.loaded_models,
            submission=submission,
            clock=self.clock,
            limits=self.limits,
            hosts=replacements.get("hosts", frozenset()),
        )
        return create_app(dependencies)

    def publish(self, model: str = "titanic", **changes: Any) -> Manifest:
        """Publishes a version as a worker does; the first one becomes champion."""
        signature = Signature(Layout.FRAME, COLUMNS, (Method.PREDICT, Method.PREDICT_PROBA), (ROW,))
        manifest = Manifest(
            model=model,
            version=0,
            sha256="0" * 64,
            size_bytes=1,
            created_at=self.clock(),
            job_id=self.new_id("job"),
            source="push",
            estimator="LogisticRegression()",
            environment={"sklearn": "1.9.1"},
            signature=signature,
            target=("survived",),
            classes=[0, 1],
        )
        published = self.models.publish(replace(manifest, **changes), {"model.skops": b"x"})
        present = self.aliases.read(model)
        if "champion" not in present.versions:
            move = AliasMove(present.generation + 1, "champion", published.version, None, self.clock(), "import")
            self.aliases.move(model, move)
        return published

    def recorded(self) -> list[str]:
        """The ids of all jobs in the store."""
        from queuecast.ports.jobs import JobFilter  # noqa: PLC0415

        return [job.id for job in self.jobs.page(JobFilter(), None, 1000).jobs]

    def stored_files(self) -> list[str]:
        folder = self.folder / "files"
        names = (path.name for path in folder.iterdir()) if folder.exists() else ()
        return sorted(name for name in names if not name.startswith(SHARED))


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    made = Gateway(tmp_path)
    made.publish()
    return made


@pytest.fixture
def http(gateway: Gateway) -> FlaskClient:
    return gateway.app().test_client()
