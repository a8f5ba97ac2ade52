"""The response headers and links of the OpenAPI document. Each is written out once and referred to by its name."""

from typing import Any, NamedTuple

from api.schemas.fields import FILE_ID, JOB_ID


class Header(NamedTuple):
    name: str
    component: str
    """The name in the document, where one header may have several descriptions."""
    description: str
    schema: dict[str, Any]
    is_required: bool = False


class Link(NamedTuple):
    """An operation that an answer leads to, and where its parameters are in the answer."""

    name: str
    operation: str
    description: str
    parameters: dict[str, str]
    body: dict[str, str] | None = None


def _path(pattern: str) -> dict[str, Any]:
    return {"type": "string", "format": "uri-reference", "pattern": pattern}


def _text(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern}


_RETRY_AFTER = {"type": "integer", "minimum": 1, "maximum": 60}

REQUEST_ID = Header(
    "X-Request-ID", "RequestId", "The request's `X-Request-ID`, or a new one.", {"type": "string"}, is_required=True
)
JOB_LOCATION = Header(
    "Location", "JobLocation", "The path of the job.", _path(JOB_ID.replace("^", "^/v1/jobs/")), is_required=True
)
FILE_LOCATION = Header(
    "Location", "FileLocation", "The path of the file.", _path(FILE_ID.replace("^", "^/v1/files/")), is_required=True
)
JOB_TAG = Header("ETag", "JobTag", "The job's revision.", _text('^W/"[0-9]+"$'), is_required=True)
MODEL_TAG = Header(
    "ETag",
    "ModelTag",
    "The model's generation: how often an alias of it has moved.",
    _text('^"[0-9]+"$'),
    is_required=True,
)
FILE_TAG = Header("ETag", "FileTag", "The sha256 of a batch's file.", _text('^"[0-9a-f]{64}"$'))
RETRY_AFTER = Header(
    "Retry-After", "RetryAfter", "Seconds to wait before asking again.", _RETRY_AFTER, is_required=True
)
RETRY_AFTER_OF_OPEN_JOB = Header(
    "Retry-After",
    "RetryAfterOfOpenJob",
    "Seconds to wait before asking again, while the job has not ended.",
    _RETRY_AFTER,
)
PREFERENCE_APPLIED = Header(
    "Preference-Applied",
    "PreferenceApplied",
    "The wait that was applied, if the request preferred one.",
    _text("^wait=[0-9]+([.][0-9]+)?$"),
)
IDEMPOTENCY_REPLAYED = Header(
    "Idempotency-Replayed",
    "IdempotencyReplayed",
    "Present when an earlier request with the same Idempotency-Key led to this job.",
    {"type": "string", "const": "true"},
)
CONTENT_DISPOSITION = Header(
    "Content-Disposition", "ContentDisposition", "A name to save the file under.", {"type": "string"}
)
ACCEPT_RANGES = Header(
    "Accept-Ranges",
    "AcceptRanges",
    "A batch's file can be read in ranges of bytes.",
    {"type": "string", "const": "bytes"},
)
CONTENT_RANGE = Header(
    "Content-Range",
    "ContentRange",
    "The range of bytes, and the size of the file.",
    _text("^bytes [0-9]+-[0-9]+/[0-9]+$"),
    is_required=True,
)
UNSATISFIED_RANGE = Header("Content-Range", "UnsatisfiedRange", "The size of the file.", _text("^bytes \\*/[0-9]+$"))
CONTENT_SECURITY_POLICY = Header(
    "Content-Security-Policy",
    "ContentSecurityPolicy",
    "Of a page: it has its own styles, runs no scripts and loads nothing.",
    {"type": "string"},
)
NO_STORE = Header(
    "Cache-Control", "NoStore", "Events are not cached.", {"type": "string", "const": "no-store"}, is_required=True
)

_JOB = {"job_id": "$response.body#/id"}
_FILE = {"file_id": "$response.body#/id"}
_MODEL = {"model": "$response.body#/name"}

READ_JOB = Link("ReadJob", "jobs_read", "The job as it is by then.", _JOB)
FOLLOW_JOB = Link("FollowJob", "jobs_events", "The job's changes as they happen.", _JOB)
READ_RESULT = Link("ReadResult", "jobs_result", "The job's result.", _JOB)
READ_ERRORS = Link("ReadErrors", "jobs_errors", "The bad rows of a batch.", _JOB)
CANCEL_JOB = Link("CancelJob", "jobs_cancel", "Cancels the job.", _JOB)
RETRY_JOB = Link("RetryJob", "jobs_retry", "Runs the job's work again.", _JOB)
DELETE_JOB = Link("DeleteJob", "jobs_delete", "Deletes the ended job.", _JOB)
READ_FILE = Link("ReadFile", "files_read", "The file's name, size and sha256.", _FILE)
DELETE_FILE = Link("DeleteFile", "files_delete", "Deletes the file.", _FILE)
READ_VERSIONS = Link("ReadVersions", "models_list_versions", "The model's versions.", _MODEL)
READ_LATEST = Link(
    "ReadLatest",
    "models_read_version",
    "The model's newest version.",
    _MODEL | {"version": "$response.body#/latest"},
)
READ_SCHEMA = Link("ReadSchema", "models_read_schema", "The JSON Schema of the model's rows.", _MODEL)
READ_HISTORY = Link("ReadHistory", "models_read_history", "The moves of the model's aliases.", _MODEL)
MOVE_ALIAS = Link(
    "MoveAlias",
    "models_move_alias",
    "Points an alias at the newest version, unless an alias has moved since.",
    _MODEL | {"If-Match": "$response.header.ETag"},
    {"version": "$response.body#/latest"},
)
DELETE_ALIAS = Link(
    "DeleteAlias",
    "models_delete_alias",
    "Deletes an alias, unless an alias has moved since.",
    _MODEL | {"If-Match": "$response.header.ETag"},
)
ROLL_BACK = Link("RollBack", "models_rollback", "Goes back to the previous champion.", _MODEL)
SUBMIT_LINKS = (READ_JOB, FOLLOW_JOB, READ_RESULT, CANCEL_JOB, DELETE_JOB)
JOB_HEADERS = (JOB_LOCATION, JOB_TAG, RETRY_AFTER)
