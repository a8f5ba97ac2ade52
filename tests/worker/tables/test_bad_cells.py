"""A bad row names all of its bad cells, in every format."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from queuecast.domain.file_formats import FileFormat
from queuecast.domain.findings.bounds import MAX_FINDINGS
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from worker.tables.reader import ReadRange, read_range
from worker.tables.rows import BadRow
from worker.tables.splitting import split_file

COLUMNS = (
    Column("age", ColumnType.NUMBER, nullable=True, dtype="float32"),
    Column("sibsp", ColumnType.INTEGER, nullable=False, dtype="int8"),
    Column("deck", ColumnType.STRING, nullable=True, dtype="category", categories=("A", "B")),
)
SIGNATURE = Signature(Layout.FRAME, COLUMNS, (Method.PREDICT,))
ROWS: list[list[Any]] = [[1.0, 1, "A"], [1e39, 300, "Z"], [2.0, None, "Z"], [2.5, 2, None], [1e39, 3, "B"]]
BAD = {2: ["age", "sibsp", "deck"], 3: ["sibsp", "deck"], 5: ["age"]}


def as_bytes(fmt: FileFormat, rows: list[list[Any]], names: list[str]) -> bytes:
    if fmt is FileFormat.CSV:
        lines = [names, *(["" if cell is None else str(cell) for cell in row] for row in rows)]
        return "\n".join(",".join(line) for line in lines).encode()
    if fmt is FileFormat.NDJSON:
        return "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows).encode()
    file = io.BytesIO()
    pq.write_table(pa.table({name: [row[at] for row in rows] for at, name in enumerate(names)}), file)
    return file.getvalue()


def read(path: Path, fmt: FileFormat, data: bytes, signature: Signature) -> ReadRange:
    path.write_bytes(data)
    (file_range,) = split_file(path, fmt, 1000, 2**24)
    return read_range(path, fmt, signature, file_range)


def named(bad: BadRow) -> list[str | None]:
    return [bad.column, *(fault.column for fault in bad.others)]


@pytest.mark.parametrize("fmt", FileFormat)
def test_a_bad_row_names_all_of_its_bad_cells(tmp_path: Path, fmt: FileFormat) -> None:
    part = read(tmp_path / "rows", fmt, as_bytes(fmt, ROWS, [column.name for column in COLUMNS]), SIGNATURE)

    assert {bad.row: named(bad) for bad in part.bad_rows} == BAD
    assert {bad.row: bad.total for bad in part.bad_rows} == {row: len(cells) for row, cells in BAD.items()}
    assert part.row_numbers.tolist() == [1, 4]


def test_the_missing_columns_of_an_ndjson_row_are_named_with_its_bad_cells(tmp_path: Path) -> None:
    data = as_bytes(FileFormat.NDJSON, ROWS[:1], ["age", "sibsp", "deck"]) + b'\n{"deck": 7}\n[1]'

    part = read(tmp_path / "rows", FileFormat.NDJSON, data, SIGNATURE)

    assert [(bad.row, named(bad)) for bad in part.bad_rows] == [(2, ["age", "sibsp", "deck"]), (3, [None])]
    assert [bad.code for bad in part.bad_rows] == ["missing_column", "wrong_type"]


@pytest.mark.parametrize("fmt", FileFormat)
def test_of_many_bad_cells_of_a_row_the_first_are_named_and_all_are_counted(tmp_path: Path, fmt: FileFormat) -> None:
    columns = tuple(Column(f"c{at}", ColumnType.INTEGER, nullable=False, dtype="int8") for at in range(7000))
    rows: list[list[Any]] = np.full((30, 7000), 300).tolist()
    rows[1] = [1] * 7000

    data = as_bytes(fmt, rows, [column.name for column in columns])
    part = read(tmp_path / "rows", fmt, data, Signature(Layout.FRAME, columns, (Method.PREDICT,)))

    assert [bad.row for bad in part.bad_rows] == [1, *range(3, 31)]
    assert {(tuple(named(bad)), bad.total) for bad in part.bad_rows} == {
        (tuple(f"c{at}" for at in range(MAX_FINDINGS)), 7000)
    }


def test_the_line_of_a_row_with_one_bad_cell_has_no_list() -> None:
    assert BadRow(17, "age", "null", "is empty").as_json() == {
        "row": 17,
        "column": "age",
        "code": "null",
        "detail": "is empty",
    }


@pytest.mark.parametrize(("total", "stated"), [(3, None), (7000, 7000)])
def test_the_line_of_a_row_with_several_bad_cells_lists_them(tmp_path: Path, total: int, stated: int | None) -> None:
    data = as_bytes(FileFormat.CSV, ROWS[:2], [column.name for column in COLUMNS])
    (bad,) = read(tmp_path / "rows", FileFormat.CSV, data, SIGNATURE).bad_rows

    line = BadRow.of_cells(bad.row, bad.findings, total).as_json()

    assert [error["column"] for error in line["errors"]] == ["age", "sibsp", "deck"]
    assert line["errors"][0] == {name: line[name] for name in ("column", "code", "detail")}
    assert line.get("errors_total") == stated
