"""Every reason for which queuecast refuses or fails. Each kind of error has a stable `code`.

The gateway maps the kinds to HTTP statuses in `api.http.errors`.
"""

from dataclasses import dataclass


def shortened(text: str, limit: int = 60) -> str:
    """A foreign text, such as a cell of a file, cut for a message: job records hold it, and listings repeat it."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def short_name(name: str) -> str:
    """A name of a column or a parameter, cut in the middle: long names often begin alike."""
    return name if len(name) <= 60 else f"{name[:40]}...{name[-17:]}"


def exception_text(error: BaseException) -> str:
    """The type and text of an exception. The text is cut because it may contain a whole row or matrix."""
    return shortened(f"{type(error).__name__}: {error}", 500)


@dataclass(frozen=True, slots=True)
class Finding:
    """One error at one place. `pointer` is a JSON Pointer (RFC 6901) into the request.

    `detail` is for people; a program reads the facts from the fields after it, where they are known.
    """

    pointer: str
    code: str
    detail: str
    found: str | None = None
    expected: str | None = None
    column: str | None = None
    columns: tuple[str, ...] = ()
    """Of a table that lacks a column: the columns that it has and those that it needs, the first of each."""
    expected_columns: tuple[str, ...] = ()
    nearest: str | None = None
    """The known name that is the nearest to an unknown one."""


def mismatch(pointer: str, code: str, found: str, expected: str, column: str | None = None) -> Finding:
    return Finding(pointer, code, f"found {found}, expected {expected}", found, expected, column)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job ended in `failed`: the parts of a problem document that do not depend on HTTP."""

    code: str
    detail: str
    findings: tuple[Finding, ...] = ()
    total: int = 0
    """The number of all findings, if there are more than these."""


class QueuecastError(Exception):
    """An error with an explanation: `detail` gives the value found and the one expected."""

    code = "error"

    def __init__(
        self, detail: str, findings: tuple[Finding, ...] = (), *, code: str | None = None, total: int = 0
    ) -> None:
        """total: the number of all findings, if `findings` has only the first."""
        super().__init__(detail)
        self.detail = detail
        self.findings = findings
        self.total = total if total > len(findings) else 0
        if code is not None:
            self.code = code

    @property
    def failure(self) -> Failure:
        return Failure(self.code, shortened(self.detail, 2000), self.findings, self.total)


class MalformedError(QueuecastError):
    """The bytes cannot be parsed: they are not JSON, not UTF-8 or truncated."""

    code = "malformed"


class InvalidInputError(QueuecastError):
    """The bytes can be parsed, but the values are invalid."""

    code = "invalid_input"


class TooLargeError(QueuecastError):
    code = "too_large"


class UnsupportedMediaError(QueuecastError):
    code = "unsupported_media_type"


class NotAcceptableError(QueuecastError):
    """The resource has no representation that the caller accepts."""

    code = "not_acceptable"


class LengthRequiredError(QueuecastError):
    code = "length_required"


class ForeignPageError(QueuecastError):
    """A web page of another origin sent the request."""

    code = "foreign_page"


class UnknownHostError(QueuecastError):
    """The request is for a host name that is none of the gateway's."""

    code = "unknown_host"


class UnknownJobError(QueuecastError):
    code = "unknown_job"


class GoneJobError(UnknownJobError):
    """The job existed; its record was deleted, or its retention is over."""

    code = "job_gone"


class UnknownModelError(QueuecastError):
    code = "unknown_model"


class GoneModelError(UnknownModelError):
    """The model was deleted, with all of its versions."""

    code = "model_gone"


class UnknownVersionError(QueuecastError):
    code = "unknown_version"


class GoneVersionError(UnknownVersionError):
    """The version was deleted."""

    code = "version_gone"


class UnknownAliasError(QueuecastError):
    code = "unknown_alias"


class UnknownFileError(QueuecastError):
    code = "unknown_file"


class GoneResultError(QueuecastError):
    """A batch has a record but no result file: the disk was lost, or restored without it."""

    code = "result_gone"


class UnknownReportError(QueuecastError):
    """The training made its version before trainings had reports."""

    code = "unknown_report"


class IllegalMoveError(QueuecastError):
    """A job was asked to make a move that its state does not allow."""

    code = "illegal_move"


class StaleWriteError(QueuecastError):
    """Another writer changed the record first; read it and decide again."""

    code = "stale_write"


class AliasMovedError(QueuecastError):
    """The alias was moved to another version while the job was accepted; resolve it again."""

    code = "alias_moved"


class ConflictError(QueuecastError):
    """The request is valid but conflicts with the present state: a training runs already, or no move can be undone."""

    code = "conflict"


class KeyReusedError(QueuecastError):
    """An Idempotency-Key was used again with a different request."""

    code = "idempotency_key_reused"


class PreconditionFailedError(QueuecastError):
    code = "precondition_failed"


class PreconditionRequiredError(QueuecastError):
    code = "precondition_required"


class UnavailableError(QueuecastError):
    """The store or the queue does not respond. Nothing was accepted; the same request may succeed later."""

    code = "unavailable"


class StoreFullError(UnavailableError):
    """Redis is so short of memory that the rest is reserved for accepted jobs."""

    code = "store_full"


class LaneFullError(QueuecastError):
    """The lane has the maximum number of waiting jobs."""

    code = "lane_full"


class FilesFullError(QueuecastError):
    """The uploaded files take up their maximum size, or the disk is full."""

    code = "files_full"


class WaitersFullError(QueuecastError):
    """Too many requests wait for jobs already; the job itself is not affected."""

    code = "too_many_waiters"


class ModelRefusedError(QueuecastError):
    """The model file is not safe to load, or the estimator cannot be served."""

    code = "model_refused"


class RunFailedError(QueuecastError):
    """The estimator raised an exception on valid input, or a fit failed."""

    code = "run_failed"


class JobStoppedError(QueuecastError):
    """The run no longer owns its job, which was canceled or taken over. Its result must not be written."""

    code = "job_stopped"


class DamagedFileError(QueuecastError):
    """A file's checksum does not match: it was truncated or edited, or is a different kind of file."""

    code = "damaged_file"


class ForkedTrailError(QueuecastError):
    """The audit trail in the file has moves that Redis lacks: the aliases in Redis were lost or changed."""

    code = "forked_trail"
