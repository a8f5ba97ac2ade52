"""The errors that several operations have in common."""

from queuecast.domain import errors

EVERY_REQUEST = (errors.ForeignPageError, errors.UnknownHostError)
READING_A_BODY = (
    errors.MalformedError,
    errors.LengthRequiredError,
    errors.TooLargeError,
    errors.UnsupportedMediaError,
)
FINDING_A_JOB = (errors.UnknownJobError, errors.GoneJobError, errors.UnavailableError)
CHANGING_A_JOB = (*FINDING_A_JOB, errors.InvalidInputError, errors.PreconditionFailedError)
FINDING_A_MODEL = (errors.UnknownModelError, errors.GoneModelError, errors.UnavailableError)
FINDING_A_VERSION = (*FINDING_A_MODEL, errors.UnknownVersionError, errors.GoneVersionError)
SUBMITTING = (
    *READING_A_BODY,
    errors.InvalidInputError,
    errors.KeyReusedError,
    errors.GoneJobError,  # that an earlier request with the same key led to
    errors.UnavailableError,
    errors.StoreFullError,
    errors.LaneFullError,
)
RUNNING_AGAIN = (
    *CHANGING_A_JOB,
    errors.IllegalMoveError,
    errors.ConflictError,
    errors.GoneVersionError,
    errors.StoreFullError,
    errors.LaneFullError,
    errors.FilesFullError,
)
