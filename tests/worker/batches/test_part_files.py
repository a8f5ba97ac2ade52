"""Parts are written and joined to one file with the same numbers, in every format."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuecast.domain.file_formats import OutputFormat
from queuecast.domain.work import Method
from worker.batches.part_files import join_bad_rows, join_parts, write_bad_rows, write_part
from worker.models.model_output import output_columns
from worker.tables.reader import ReadRange
from worker.tables.rows import BadRow

CSV, NDJSON, JSON, PARQUET = OutputFormat.CSV, OutputFormat.NDJSON, OutputFormat.JSON, OutputFormat.PARQUET


def _part(first_row: int, n_rows: int, ids: Any = None) -> ReadRange:
    row_numbers = np.arange(first_row, first_row + n_rows)
    return ReadRange(None, row_numbers, None if ids is None else pa.array(ids), [], n_rows)


def _joined(folder: Path, output_format: OutputFormat, parts: list[tuple[dict[str, Any], Any]]) -> Path:
    """parts: the output columns and the ids of each part."""
    paths, row = [], 1
    for index, (columns, ids) in enumerate(parts):
        n_rows = len(next(iter(columns.values()))) if columns else 0
        paths.append(folder / f"part-{index}")
        write_part(paths[-1], output_format, _part(row, n_rows, ids), columns, "id" if ids is not None else None)
        row += n_rows
    join_parts(paths, folder / "result", output_format)
    return folder / "result"


def _rows(path: Path, output_format: OutputFormat) -> list[dict[str, Any]]:
    if output_format is PARQUET:
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    text = path.read_text()
    if output_format is CSV:
        return [
            {key: float(cell) if key == "prediction" else int(cell) for key, cell in row.items()}
            for row in csv.DictReader(io.StringIO(text))
        ]
    return json.loads(text) if output_format is JSON else [json.loads(line) for line in text.splitlines()]


finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize("output_format", OutputFormat)
@given(parts=st.lists(st.lists(finite, max_size=5), max_size=5))
@settings(max_examples=40, deadline=None)
def test_every_number_is_read_back_to_the_last_bit_in_the_order_of_the_parts(
    tmp_path_factory: pytest.TempPathFactory, output_format: OutputFormat, parts: list[list[float]]
) -> None:
    columns = [({"prediction": np.array(part)} if part else {}, None) for part in parts]
    numbers = [number for part in parts for number in part]

    path = _joined(tmp_path_factory.getbasetemp(), output_format, columns)

    assert _rows(path, output_format) == [{"row": row, "prediction": each} for row, each in enumerate(numbers, start=1)]


def test_a_float32_is_the_same_number_in_every_format(tmp_path: Path) -> None:
    columns = output_columns(Method.PREDICT, np.array([0.1], dtype="float32"), None)

    found = {
        output_format: _rows(_joined(tmp_path, output_format, [(columns, None)]), output_format)[0]["prediction"]
        for output_format in OutputFormat
    }

    assert set(found.values()) == {0.10000000149011612}


def test_nan_and_infinity_are_null_in_json(tmp_path: Path) -> None:
    path = _joined(tmp_path, NDJSON, [({"prediction": np.array([np.nan, np.inf])}, None)])

    assert [row["prediction"] for row in _rows(path, NDJSON)] == [None, None]


# Text in CSV


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd", "'+cmd"),
        ("-x", "'-x"),
        ("@sum", "'@sum"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("-5", "-5"),
        ("+4.5e3", "+4.5e3"),
        ("a=b", "a=b"),
        ('a "b", c\n', 'a "b", c\n'),
        ("", ""),
    ],
)
def test_text_that_a_spreadsheet_would_run_is_quoted_and_a_number_is_not(
    tmp_path: Path, word: str, written: str
) -> None:
    path = _joined(tmp_path, CSV, [({"prediction": np.array([word, "no"])}, [word, None])])

    rows = list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))
    assert rows == [["row", "id", "prediction"], ["1", written, written], ["2", "", "no"]]


def test_a_negative_number_is_never_quoted(tmp_path: Path) -> None:
    path = _joined(tmp_path, CSV, [({"prediction": np.array([-1.5])}, [-7])])

    assert path.read_text().splitlines()[1] == "1,-7,-1.5"


@pytest.mark.parametrize("output_format", [NDJSON, JSON, PARQUET])
def test_other_formats_hold_text_unchanged(tmp_path: Path, output_format: OutputFormat) -> None:
    path = _joined(tmp_path, output_format, [({"prediction": np.array(["=1\n+1", "b"], dtype=object)}, ["-a", None])])

    assert _rows(path, output_format) == [
        {"row": 1, "id": "-a", "prediction": "=1\n+1"},
        {"row": 2, "id": None, "prediction": "b"},
    ]


# Parts


@pytest.mark.parametrize(
    ("output_format", "content"), [(CSV, b'"row"\n'), (NDJSON, b""), (JSON, b"[]\n")], ids=["csv", "ndjson", "json"]
)
def test_parts_without_a_good_row_join_to_an_empty_table(
    tmp_path: Path, output_format: OutputFormat, content: bytes
) -> None:
    assert _joined(tmp_path, output_format, [({}, None), ({}, None)]).read_bytes() == content


def test_parquet_parts_without_a_good_row_join_to_an_empty_table(tmp_path: Path) -> None:
    table = pq.read_table(_joined(tmp_path, PARQUET, [({}, None), ({}, None)]))

    assert (table.num_rows, table.column_names) == (0, ["row"])


@pytest.mark.parametrize("ids", [([1, 2], ["a", None]), (["a", "b"], [None, None])], ids=["mixed", "missing"])
def test_parquet_parts_whose_ids_are_of_different_types_join(tmp_path: Path, ids: tuple[list[Any], list[Any]]) -> None:
    columns = {"prediction": np.array([0.5, 1.5])}

    path = _joined(tmp_path, PARQUET, [(columns, ids[0]), (columns, ids[1])])

    assert pq.read_table(path)["id"].to_pylist() == [None if each is None else str(each) for each in [*ids[0], *ids[1]]]


def test_writing_a_part_again_gives_the_same_bytes(tmp_path: Path) -> None:
    columns = {"prediction": np.array([0.5])}
    for output_format in OutputFormat:
        written = []
        for _ in range(2):
            write_part(tmp_path / "part", output_format, _part(1, 1), columns)
            written.append((tmp_path / "part").read_bytes())
        assert written[0] == written[1]


def test_a_failed_write_leaves_the_earlier_part_and_no_other_file(tmp_path: Path) -> None:
    write_part(tmp_path / "part", CSV, _part(1, 1), {"prediction": np.array([0.5])})
    before = (tmp_path / "part").read_bytes()

    with pytest.raises(pa.ArrowInvalid):
        write_part(tmp_path / "part", CSV, _part(1, 1), {"prediction": np.array([0.5, 1.5])})
    with pytest.raises(FileNotFoundError):
        join_parts([tmp_path / "part", tmp_path / "gone"], tmp_path / "part", NDJSON)

    assert [path.name for path in tmp_path.iterdir()] == ["part"]
    assert (tmp_path / "part").read_bytes() == before


def test_an_id_column_with_the_name_of_an_output_column_gets_a_prefix(tmp_path: Path) -> None:
    write_part(tmp_path / "part", NDJSON, _part(1, 1, ["a"]), {"prediction": np.array([1])}, "row")

    assert json.loads((tmp_path / "part").read_text()) == {"row": 1, "id_row": "a", "prediction": 1}


@pytest.mark.parametrize("output_format", [NDJSON, JSON])
def test_a_name_that_json_must_escape_is_escaped(tmp_path: Path, output_format: OutputFormat) -> None:
    columns = {'probability_say "yes"': np.array([0.5, np.nan]), "probability_\\\n": np.array([0.25, 1.0])}

    path = _joined(tmp_path, output_format, [(columns, [1, 2])])

    assert _rows(path, output_format) == [
        {"row": 1, "id": 1, 'probability_say "yes"': 0.5, "probability_\\\n": 0.25},
        {"row": 2, "id": 2, 'probability_say "yes"': None, "probability_\\\n": 1.0},
    ]


def test_a_header_with_a_newline_is_written_once(tmp_path: Path) -> None:
    columns = {"probability_a\nb": np.array([0.5])}

    path = _joined(tmp_path, CSV, [(columns, None), (columns, None)])

    assert pd.read_csv(path)["probability_a\nb"].tolist() == [0.5, 0.5]


def test_errors_are_joined_in_order_and_counted(tmp_path: Path) -> None:
    bad = [BadRow(17, "age", "wrong_type", "found 'x\n', expected a number"), BadRow(18, None, "malformed", "é")]
    write_bad_rows(tmp_path / "0", bad)
    write_bad_rows(tmp_path / "1", [])
    write_bad_rows(tmp_path / "2", bad[:1])

    count = join_bad_rows([tmp_path / name for name in "012"], tmp_path / "errors")

    lines = [json.loads(line) for line in (tmp_path / "errors").read_text().splitlines()]
    assert count == 3
    assert [line["row"] for line in lines] == [17, 18, 17]
    assert lines[0] == {"row": 17, "column": "age", "code": "wrong_type", "detail": "found 'x\n', expected a number"}
