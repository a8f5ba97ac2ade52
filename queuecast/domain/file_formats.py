"""The formats of uploaded tables and of result files, and how an uploaded file shows its format."""

from enum import StrEnum

from queuecast.domain.errors import UnsupportedMediaError


class FileFormat(StrEnum):
    """The formats of an uploaded table."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


class OutputFormat(StrEnum):
    """The formats of a result file."""

    CSV = "csv"
    NDJSON = "ndjson"
    JSON = "json"
    PARQUET = "parquet"


_MEDIA_TYPES = {
    "text/csv": FileFormat.CSV,
    "application/x-ndjson": FileFormat.NDJSON,
    "application/ndjson": FileFormat.NDJSON,
    "application/jsonl": FileFormat.NDJSON,
    "application/jsonlines": FileFormat.NDJSON,
    "application/x-jsonlines": FileFormat.NDJSON,
    "application/vnd.apache.parquet": FileFormat.PARQUET,
    "application/x-parquet": FileFormat.PARQUET,
}
_SUFFIXES = {
    ".csv": FileFormat.CSV,
    ".ndjson": FileFormat.NDJSON,
    ".jsonl": FileFormat.NDJSON,
    ".parquet": FileFormat.PARQUET,
}


def file_format(name: str, media_type: str) -> FileFormat:
    """By the media type, or by the file name if the type says nothing: many clients send octet-stream for all files.

    Raises UnsupportedMediaError.
    """
    known = _MEDIA_TYPES.get(media_type.partition(";")[0].strip().lower())
    known = known or _SUFFIXES.get("." + name.rpartition(".")[2].lower())
    if known is None:
        accepted = "; ".join(_describe(each) for each in FileFormat)
        raise UnsupportedMediaError(
            f"found a file {name[:80]!r} of media type {media_type[:80]!r}, expected a table: {accepted}"
        )
    return known


def training_format(name: str, media_type: str) -> FileFormat:
    """CSV if nothing is known: earlier versions trained on CSV only, whatever the file name."""
    try:
        return file_format(name, media_type)
    except UnsupportedMediaError:
        return FileFormat.CSV


def _describe(wanted: FileFormat) -> str:
    first = next(media_type for media_type, known in _MEDIA_TYPES.items() if known is wanted)
    return " or ".join([first, *(suffix for suffix, known in _SUFFIXES.items() if known is wanted)])
