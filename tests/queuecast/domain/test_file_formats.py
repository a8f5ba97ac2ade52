"""The format of a file, from its media type and name."""

import pytest

from queuecast.domain.errors import UnsupportedMediaError
from queuecast.domain.file_formats import FileFormat, file_format, training_format


@pytest.mark.parametrize(
    ("name", "media_type", "found"),
    [
        ("rows.txt", "text/csv", FileFormat.CSV),
        ("rows", "Text/CSV; charset=utf-8", FileFormat.CSV),
        ("rows.csv", "application/x-ndjson", FileFormat.NDJSON),
        ("rows", "application/jsonl", FileFormat.NDJSON),
        ("rows", "application/vnd.apache.parquet", FileFormat.PARQUET),
        ("rows.CSV", "application/octet-stream", FileFormat.CSV),
        ("a.b.jsonl", "", FileFormat.NDJSON),
        ("rows.parquet", "application/octet-stream", FileFormat.PARQUET),
    ],
)
def test_the_format_follows_from_the_media_type_or_else_the_name(name: str, media_type: str, found: FileFormat) -> None:
    assert file_format(name, media_type) is found


@pytest.mark.parametrize("name", ["rows.xlsx", "csv.", "rows", ""])
def test_a_file_that_is_not_a_table_is_refused_with_the_accepted_formats(name: str) -> None:
    with pytest.raises(UnsupportedMediaError, match=r"application/octet-stream.*text/csv or \.csv; .*parquet"):
        file_format(name, "application/octet-stream")


def test_a_training_file_of_unknown_type_is_read_as_csv() -> None:
    assert training_format("rows", "application/octet-stream") is FileFormat.CSV
    assert training_format("rows.jsonl", "application/octet-stream") is FileFormat.NDJSON
