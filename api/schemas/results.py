"""The result of each type of job. The workers write these results; the gateway passes them on as they are."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from api.schemas.fields import (
    Answers,
    BadCell,
    Classes,
    Count,
    DataFinding,
    Milliseconds,
    Name,
    Positive,
    Probabilities,
    Sha256,
)
from api.schemas.gate import Criterion, MetricScores
from queuecast.domain.file_formats import OutputFormat
from queuecast.domain.gate import Verdict
from queuecast.domain.work import Method


class ResultModel(Struct):
    """The version that answered."""

    name: Name
    version: Positive
    sha256: Sha256
    sklearn: Annotated[str, Meta(description="The version of scikit-learn.")]


class PredictionTimings(Struct):
    """How long the job waited, and the call of the estimator that it shared with other jobs."""

    queue_ms: Milliseconds
    batch_jobs: Annotated[int, Meta(description="Jobs that shared the call.", extra_json_schema={"minimum": 1})]
    batch_rows: Annotated[int, Meta(description="Rows of the call.", extra_json_schema={"minimum": 1})]
    predict_ms: Milliseconds


class PredictionResult(Struct):
    """A prediction's answers: `probabilities` for the method `predict_proba`, `predictions` for all others."""

    method: Method
    model: ResultModel
    timings: PredictionTimings
    predictions: Answers | UnsetType = UNSET
    probabilities: Probabilities | UnsetType = UNSET
    classes: Classes | UnsetType = UNSET


class VersionScore(Struct):
    """The score of a version on the held-out rows; null if it cannot be compared."""

    version: Positive
    score: float | None


class TrainingRows(Struct):
    """How many rows the version was fitted on, and how many both were scored on."""

    train: Count | UnsetType = UNSET
    holdout: Count | UnsetType = UNSET
    bad: Annotated[Count, Meta(description="Rows that did not fit and were left out.")] | UnsetType = UNSET


class TrainingResult(Struct):
    """The version that a training made, and whether it became champion."""

    model: Name
    version: Positive
    verdict: Verdict
    promoted: bool
    reason: str
    metric: str | None
    champion: VersionScore
    challenger: VersionScore
    rows: TrainingRows
    criteria: list[Criterion] = []
    scores: Annotated[list[MetricScores], Meta(description="On the held-out rows of the file.")] = []
    remembered: Annotated[list[MetricScores], Meta(description="On held-out rows of earlier files.")] = []
    bad_cells: list[BadCell] = []
    findings: Annotated[list[DataFinding], Meta(description="The most severe 20.")] = []
    findings_total: Count = 0


class ImportResult(Struct):
    """The version that a push became."""

    model: Name
    version: Positive
    sha256: Sha256
    promoted: bool
    methods: list[Method]


class ResultFile(Struct):
    """The file with a batch's answers; `GET /v1/jobs/{job_id}/result` returns its bytes."""

    format: OutputFormat
    size_bytes: Count
    sha256: Sha256


class BatchTimings(Struct):
    """How long each step of a batch took."""

    queue_ms: Milliseconds
    plan_ms: Milliseconds
    predict_ms: Milliseconds
    join_ms: Milliseconds


class BatchResult(Struct):
    """A summary of a batch; the answers are in its file. `errors` of the `rows` have no answer."""

    method: Method
    rows: Count
    errors: Count
    file: ResultFile
    model: ResultModel
    chunks: Count
    timings: BatchTimings
