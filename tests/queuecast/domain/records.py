"""Real records, in the shape that the product makes them, for the tests of domain, adapters and gateway."""

from typing import Any

from queuecast.adapters.ids import new_id
from queuecast.domain.chunking import FileRange
from queuecast.domain.file_formats import FileFormat, OutputFormat
from queuecast.domain.holdout import HoldoutRule
from queuecast.domain.job import Job, JobType, ModelRef
from queuecast.domain.lane import Lane
from queuecast.domain.model import AliasMove, Manifest
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import (
    AcceptedFile,
    BatchWork,
    ChunkWork,
    EvaluatedVersion,
    EvaluationWork,
    ImportWork,
    Method,
    OnError,
    PredictionWork,
    TrainingWork,
    Work,
)

NOW = 4_000_000_000.0
"""In 2096: Redis goes by its own clock, and must not take an ended record away in the middle of a test."""
RETENTION_S = 3600.0

PASSENGERS = Signature(
    Layout.FRAME,
    (
        Column("age", ColumnType.NUMBER, nullable=True, dtype="float64"),
        Column("pclass", ColumnType.INTEGER, nullable=False, dtype="int64"),
        Column("sex", ColumnType.STRING, nullable=False, dtype="str"),
        Column("alone", ColumnType.BOOLEAN, nullable=False, dtype="bool"),
        Column("port", ColumnType.STRING, nullable=True, dtype="category", categories=("C", "Q", "S")),
    ),
    (Method.PREDICT, Method.PREDICT_PROBA),
    ({"age": 29.0, "pclass": 1, "sex": "female", "alone": True, "port": "S"},),
)
PASSENGER: dict[str, Any] = {"age": 29.0, "pclass": 1, "sex": "female", "alone": True, "port": "S"}

A_BATCH = BatchWork(
    Method.PREDICT_PROBA, "file_1", "cd" * 32, FileFormat.CSV, OutputFormat.NDJSON, OnError.FAIL, "id", "job_0"
)

MEASURES = Signature(
    Layout.ARRAY,
    (
        Column("x0", ColumnType.NUMBER, nullable=False, dtype="float64"),
        Column("x1", ColumnType.NUMBER, nullable=True, dtype="float64"),
    ),
    (Method.PREDICT,),
    ([1.5, 2.5],),
)


def a_job(kind: JobType = JobType.PREDICTION, model: str = "titanic", version: int | None = 1, **given: Any) -> Job:
    ref = ModelRef(model, version, "champion", "ab" * 32)
    lane = str(Lane.of_job(kind, ref, work_of(kind)))
    given = {"id": new_id("job"), "created_at": NOW, "max_attempts": 3, "lane": lane, "timeout_s": 60.0} | given
    return Job(type=kind, model=ref, **given)


def work_of(kind: JobType) -> Work:
    return {
        JobType.PREDICTION: PredictionWork(Method.PREDICT, 1),
        JobType.EVALUATION: EvaluationWork(
            (AcceptedFile("file_1", "cd" * 32),), ("survived",), (EvaluatedVersion(3, "champion"), EvaluatedVersion(1))
        ),
        JobType.TRAINING: TrainingWork("file_1", "cd" * 32, ("survived",), {"C": 0.5}),
        JobType.IMPORT: ImportWork("file_1", "file_2", ("survived",), HoldoutRule(), "first try"),
        JobType.BATCH: A_BATCH,
        JobType.CHUNK: ChunkWork(A_BATCH, 1, FileRange(2, 201, 100, 5_000, 7_500)),
    }[kind]


def a_manifest(model: str = "titanic", signature: Signature = PASSENGERS, **given: Any) -> Manifest:
    given = {
        "version": 0,
        "sha256": "ab" * 32,
        "size_bytes": 5,
        "created_at": NOW,
        "job_id": "job_1",
        "source": "push",
        "estimator": "LogisticRegression",
        "environment": {"python": "3.13.1", "sklearn": "1.9.1"},
        "target": ("survived",),
        "classes": [0, 1],
        "holdout": HoldoutRule(0.2, ("age",)),
        "metrics": {"accuracy": 0.81},
    } | given
    return Manifest(model=model, signature=signature, **given)


def a_move(generation: int, version: int, alias: str = "champion", action: str = "put", **given: Any) -> AliasMove:
    given = {"previous": None, "at": NOW} | given
    return AliasMove(generation, alias, version, action=action, **given)
