"""An id column of a Parquet file is written faithfully, or refused before any row is read."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from queuecast.domain.errors import InvalidInputError
from queuecast.domain.file_formats import FileFormat, OutputFormat
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from worker.batches.part_files import join_parts, write_part
from worker.tables.file_columns import require_columns
from worker.tables.reader import read_range
from worker.tables.splitting import split_file

PARQUET = FileFormat.PARQUET
SIGNATURE = Signature(Layout.FRAME, (Column("x", ColumnType.NUMBER, False, "float64"),), (Method.PREDICT,))
NS = 1_700_000_000_123_456_789
WORD = "00000000-0000-0000-0000-000000000007"


def _of(kind: Any, *numbers: int | None) -> Any:
    return pa.array(numbers, pa.int32() if kind.bit_width == 32 else pa.int64()).view(kind)


def _file(folder: Path, ids: Any) -> Path:
    path = folder / "rows.parquet"
    pq.write_table(pa.table({"x": np.zeros(len(ids)), "id": ids}), path)
    return path


def _written(folder: Path, ids: Any, output_format: OutputFormat) -> Path:
    path = _file(folder, ids)
    require_columns(path, PARQUET, SIGNATURE, "id")
    (span,) = split_file(path, PARQUET, 100, 10**6)
    part = read_range(path, PARQUET, SIGNATURE, span, "id")
    write_part(folder / "part", output_format, part, {"prediction": np.zeros(len(ids))}, "id")
    join_parts([folder / "part"], folder / "answers", output_format)
    return folder / "answers"


IDS = {
    "timestamp_ns": (_of(pa.timestamp("ns"), NS, None), "2023-11-14T22:13:20.123456789"),
    "timestamp_utc": (_of(pa.timestamp("us", "UTC"), NS // 1000, None), "2023-11-14T22:13:20.123456Z"),
    "timestamp_zone": (_of(pa.timestamp("s", "+01:30"), NS // 10**9, None), "2023-11-14T23:43:20.000+01:30"),
    "timestamp_far": (_of(pa.timestamp("s"), 400_000_000_000, None), "14645-06-30T15:06:40.000"),
    "date": (_of(pa.date32(), 1, None), "1970-01-02"),
    "time_ns": (_of(pa.time64("ns"), 1, None), "00:00:00.000000001"),
    "duration_ns": (_of(pa.duration("ns"), -90_000 * 10**9 - 1, None), "-P1DT3600.000000001S"),
    "duration_far": (_of(pa.duration("s"), 2**62, None), "P53375995583650DT27904S"),
    "uuid": (pa.ExtensionArray.from_storage(pa.uuid(), pa.array([UUID(WORD).bytes, None], pa.binary(16))), WORD),
    "string_view": (pa.array(["a", None], pa.string_view()), "a"),
    "json": (pa.ExtensionArray.from_storage(pa.json_(), pa.array(["[1]", None])), "[1]"),
    "dictionary": (pa.array(["a", None]).dictionary_encode(), "a"),
    "number": (pa.array([7, None]), 7),
}


@pytest.mark.parametrize(("ids", "expected"), IDS.values(), ids=IDS)
def test_an_id_of_any_type_is_written_in_json(tmp_path: Path, ids: Any, expected: Any) -> None:
    lines = _written(tmp_path, ids, OutputFormat.NDJSON).read_bytes().splitlines()

    assert [json.loads(line)["id"] for line in lines] == [expected, None]


@pytest.mark.parametrize("output_format", [OutputFormat.CSV, OutputFormat.PARQUET])
@pytest.mark.parametrize("ids", [ids for ids, _ in IDS.values()], ids=IDS)
def test_an_id_of_any_type_is_written_in_the_other_formats(
    tmp_path: Path, ids: Any, output_format: OutputFormat
) -> None:
    assert _written(tmp_path, ids, output_format).stat().st_size > 0


def test_an_id_that_looks_like_a_formula_is_escaped_in_csv(tmp_path: Path) -> None:
    content = _written(tmp_path, pa.array(["=1+1"], pa.string_view()), OutputFormat.CSV).read_text()

    assert content.splitlines()[1].startswith('1,"\'=1+1"')


@pytest.mark.parametrize(
    "ids",
    [
        pa.array([b"ab"], pa.binary()),
        pa.array([b"ab"], pa.large_binary()),
        pa.array([b"ab"], pa.binary_view()),
        pa.array([b"ab"], pa.binary(2)),
        pa.array([[1]]),
        pa.array([{"a": 1}]),
    ],
    ids=lambda ids: str(ids.type),
)
def test_bytes_and_nested_values_cannot_be_ids(tmp_path: Path, ids: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"column 'id' of the file holds .*, which cannot be an id; write"):
        require_columns(_file(tmp_path, ids), PARQUET, SIGNATURE, "id")
