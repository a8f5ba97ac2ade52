"""What a file is read as, by what its sender says of it."""

import pytest

from queuecast.domain.batch import FileFormat, file_format, training_format
from queuecast.domain.errors import UnsupportedMediaError


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
def test_the_media_type_says_what_a_file_is_and_else_its_name(name: str, media_type: str, found: FileFormat) -> None:
    assert file_format(name, media_type) is found


@pytest.mark.parametrize("name", ["rows.xlsx", "csv.", "rows", ""])
def test_a_file_that_is_no_table_is_refused_with_what_is_taken(name: str) -> None:
    with pytest.raises(UnsupportedMediaError, match=r"application/octet-stream.*text/csv or \.csv; .*parquet"):
        file_format(name, "application/octet-stream")


def test_a_training_file_of_unknown_type_is_taken_for_csv() -> None:
    assert training_format("rows", "application/octet-stream") is FileFormat.CSV
    assert training_format("rows.jsonl", "application/octet-stream") is FileFormat.NDJSON
