"""The content of a job. The rows of a prediction travel separately, as the JSON bytes that the client sent."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from queuecast.domain.chunking import FileRange
from queuecast.domain.columns.extra_columns import ExtraColumns
from queuecast.domain.columns.roles import ColumnRoles
from queuecast.domain.file_formats import FileFormat, OutputFormat
from queuecast.domain.gate.gate_settings import GateSettings, PromotionPolicy
from queuecast.domain.holdout import HoldoutRule
from queuecast.domain.trainings.fit_mode import FitMode
from queuecast.domain.trainings.searching import Search


class Method(StrEnum):
    """The estimator methods that a job can call, in the order of the documentation."""

    PREDICT = "predict"
    PREDICT_PROBA = "predict_proba"
    DECISION_FUNCTION = "decision_function"
    TRANSFORM = "transform"
    SCORE_SAMPLES = "score_samples"


MAX_SPARSE_COLUMNS = 2**15
"""An output with more, such as the words of a corpus, is not served: JSON and CSV have all of its zeros."""


class OnError(StrEnum):
    """A row that does not fit is left out and reported, or fails the batch or the training."""

    SKIP = "skip"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class PredictionWork:
    method: Method
    n_rows: int


@dataclass(frozen=True, slots=True)
class AcceptedFile:
    """An uploaded file, and the bytes that it had when the job was accepted."""

    id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class TrainingWork:
    """more_files: are read after the first one, as one table."""

    file_id: str
    file_sha256: str
    target: tuple[str, ...]
    params: dict[str, Any] = field(default_factory=dict)
    promote: PromotionPolicy = PromotionPolicy.AUTO
    extra_columns: ExtraColumns = ExtraColumns.IGNORE
    on_error: OnError = OnError.FAIL
    gate: GateSettings = field(default_factory=GateSettings)
    more_files: tuple[AcceptedFile, ...] = ()
    roles: ColumnRoles = field(default_factory=ColumnRoles)
    mode: FitMode = FitMode.REFIT
    search: Search | None = None

    @property
    def files(self) -> tuple[AcceptedFile, ...]:
        return (AcceptedFile(self.file_id, self.file_sha256), *self.more_files)


@dataclass(frozen=True, slots=True)
class EvaluatedVersion:
    """alias: the name by which the request asked for the version; None if it gave the number."""

    version: int
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class EvaluationWork:
    """Versions to score on labelled files. The first version is the one that the others are compared with.

    metric: the primary metric; empty for the default.
    """

    files: tuple[AcceptedFile, ...]
    target: tuple[str, ...]
    versions: tuple[EvaluatedVersion, ...]
    metric: str = ""
    weight_column: str | None = None
    extra_columns: ExtraColumns = ExtraColumns.IGNORE
    on_error: OnError = OnError.FAIL

    @property
    def as_training(self) -> TrainingWork:
        """The same files, as a training reads them."""
        first, *others = self.files
        return TrainingWork(
            first.id,
            first.sha256,
            self.target,
            extra_columns=self.extra_columns,
            on_error=self.on_error,
            more_files=tuple(others),
            roles=ColumnRoles(self.weight_column),
        )


@dataclass(frozen=True, slots=True)
class ImportWork:
    """A pushed model: its stored files and their description by the caller."""

    model_file_id: str
    example_file_id: str
    target: tuple[str, ...] = ()
    holdout: HoldoutRule | None = None
    description: str = ""
    held_out_file_id: str | None = None
    """A table of held-out rows with their target, on which the version is scored."""
    gate: GateSettings = field(default_factory=GateSettings)


@dataclass(frozen=True, slots=True)
class BatchWork:
    """A file of rows to predict. resumes: an earlier batch of the same work, whose finished parts are used again."""

    method: Method
    file_id: str
    file_sha256: str
    file_format: FileFormat
    output_format: OutputFormat = OutputFormat.CSV
    on_error: OnError = OnError.SKIP
    id_column: str | None = None
    resumes: str | None = None
    extra_columns: ExtraColumns = ExtraColumns.IGNORE


def rows_file_id(batch_id: str) -> str:
    """The file of a batch that was submitted as rows. It belongs to the batch and is deleted with it."""
    return "file_" + batch_id.removeprefix("job_")


def batch_of_rows(file_id: str) -> str:
    return "job_" + file_id.removeprefix("file_")


@dataclass(frozen=True, slots=True)
class ChunkWork:
    """One range of a batch's file. plan: the number of the plan, see `queuecast.domain.chunking`."""

    batch: BatchWork
    plan: int
    file_range: FileRange


Work = PredictionWork | TrainingWork | ImportWork | BatchWork | ChunkWork | EvaluationWork


def rows_of(work: Work) -> int:
    """The number of rows that the work counts for in a claim."""
    if isinstance(work, PredictionWork):
        return work.n_rows
    return work.file_range.n_rows if isinstance(work, ChunkWork) else 1
