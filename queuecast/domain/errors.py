"""Every way in which queuecast says no. Each kind is a fact with a stable `code`.

Owns the words; knows nothing of HTTP statuses (`api.http.rendering`) or of who logs them.
"""

from dataclasses import dataclass

MAX_SHOWN = 60
MAX_RAISED_TEXT = 500  # a sentence or two


def shortened(text: str, limit: int = MAX_SHOWN) -> str:
    """A text that somebody else wrote, such as a cell of a file, as it may be told: a record that holds it is in Redis
    and in every listing."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def raised(error: BaseException) -> str:
    """What was raised, in the words of who raised it, which may be a whole row or matrix."""
    return shortened(f"{type(error).__name__}: {error}", MAX_RAISED_TEXT)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong at one place. `pointer` is a JSON Pointer (RFC 6901) into the request.

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


def mismatch(pointer: str, code: str, found: str, expected: str, column: str | None = None) -> Finding:
    return Finding(pointer, code, f"found {found}, expected {expected}", found, expected, column)


class QueuecastError(Exception):
    """A refusal that can be explained: `detail` says what was found and what was expected."""

    code = "error"

    def __init__(self, detail: str, findings: tuple[Finding, ...] = (), *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.findings = findings
        if code is not None:
            self.code = code


class MalformedError(QueuecastError):
    """The bytes cannot be read at all: not JSON, not UTF-8, cut short."""

    code = "malformed"


class InvalidInputError(QueuecastError):
    """The bytes can be read, and say something that cannot be done."""

    code = "invalid_input"


class TooLargeError(QueuecastError):
    code = "too_large"


class UnsupportedMediaError(QueuecastError):
    code = "unsupported_media_type"


class NotAcceptableError(QueuecastError):
    """What there is, is in no form that the caller accepts."""

    code = "not_acceptable"


class LengthRequiredError(QueuecastError):
    code = "length_required"


class UnknownJobError(QueuecastError):
    code = "unknown_job"


class GoneJobError(UnknownJobError):
    """There was such a job; its record is past its retention, or was deleted."""

    code = "job_gone"


class UnknownModelError(QueuecastError):
    code = "unknown_model"


class UnknownVersionError(QueuecastError):
    code = "unknown_version"


class UnknownAliasError(QueuecastError):
    code = "unknown_alias"


class UnknownFileError(QueuecastError):
    code = "unknown_file"


class GoneResultError(QueuecastError):
    """The record of a batch is there and its file is not: the disk was lost or restored without it."""

    code = "result_gone"


class IllegalMoveError(QueuecastError):
    """A job was asked to make a move that its state does not allow."""

    code = "illegal_move"


class StaleWriteError(QueuecastError):
    """Somebody else wrote the record first; read it again and decide anew."""

    code = "stale_write"


class AliasMovedError(QueuecastError):
    """The alias that a job was to be accepted for names another version by now; look again."""

    code = "alias_moved"


class ConflictError(QueuecastError):
    """What was asked for is possible in principle and not now: one is already running, nothing to return to."""

    code = "conflict"


class KeyReusedError(QueuecastError):
    """An Idempotency-Key came a second time with another request."""

    code = "idempotency_key_reused"


class PreconditionFailedError(QueuecastError):
    code = "precondition_failed"


class PreconditionRequiredError(QueuecastError):
    code = "precondition_required"


class UnavailableError(QueuecastError):
    """The store or the queue does not answer. Nothing was accepted; the same request may go through later."""

    code = "unavailable"


class StoreFullError(UnavailableError):
    """Redis has so little memory left that it is kept for what was accepted already."""

    code = "store_full"


class LaneFullError(QueuecastError):
    """As many jobs wait in the lane as may."""

    code = "lane_full"


class FilesFullError(QueuecastError):
    """The uploaded files take as much room as they may, or the disk is full."""

    code = "files_full"


class WaitersFullError(QueuecastError):
    """Too many requests are parked already; the job itself is not touched."""

    code = "too_many_waiters"


class ModelRefusedError(QueuecastError):
    """A model file that will not be loaded, or an estimator that cannot be served."""

    code = "model_refused"


class RunFailedError(QueuecastError):
    """The estimator itself raised on accepted input, or a fit could not be done."""

    code = "run_failed"


class JobStoppedError(QueuecastError):
    """The run no longer owns its job: canceled, or taken over. Its result must not be written."""

    code = "job_stopped"


class DamagedFileError(QueuecastError):
    """A file that proves its own wholeness does not: it was cut, edited, or is no such file."""

    code = "damaged_file"


class ForkedTrailError(QueuecastError):
    """The audit trail in the file has moves that the store of aliases does not know: the store was lost or changed."""

    code = "forked_trail"
