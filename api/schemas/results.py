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
from api.schemas.gate import Criterion, MetricScores, ScoreInterval
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


class EvaluatedScore(Struct):
    """A version by one metric of scikit-learn. `difference`: of its score less that of the first version."""

    metric: str
    score: ScoreInterval | None
    difference: ScoreInterval | None


class EvaluatedFit(Struct):
    """What is known of rows of the file that the version was fitted on; its score on them is too good.

    `fit_side` and `held_out_side` count the scored rows by the version's holdout rule. New rows are on both sides, too.
    """

    trained_on_file: Annotated[bool, Meta(description="Whether a training of the version read one of these files.")]
    known_rows: Annotated[Count, Meta(description="Rows of the file among the few kept ones of the version's fit.")]
    fit_side: Count | None
    held_out_side: Count | None
    unknown: Annotated[str, Meta(description="Why the sides are null; else empty.")]


class EvaluatedVersion(Struct):
    """A version's scores, by the primary metric first; or the reason why it could not be scored."""

    version: Positive
    alias: Annotated[str | None, Meta(description="The alias that the request named.")]
    scored: bool
    reason: str
    scores: list[EvaluatedScore]
    not_compared: Annotated[str, Meta(description="Why there is no difference from the first version; else empty.")]
    fitted: EvaluatedFit | None


class EvaluatedRows(Struct):
    """The rows on which all versions were scored, and those that did not fit and were left out."""

    scored: Count
    bad: Count


class EvaluationResult(Struct):
    """The scores of versions on the same rows."""

    model: Name
    target: list[str]
    headline: Annotated[str, Meta(description="The comparison by the primary metric, as a sentence.")]
    metric: Annotated[str, Meta(description="The primary metric.")]
    compared_with: Annotated[int, Meta(description="The version that the differences are from.")]
    rows: EvaluatedRows
    versions: list[EvaluatedVersion]
    bad_cells: list[BadCell]
    findings: Annotated[list[DataFinding], Meta(description="The most severe 20.")]
    findings_total: Count


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
