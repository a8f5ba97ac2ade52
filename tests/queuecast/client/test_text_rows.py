"""A CSV file means the same to the client, which sends its rows, and to a worker, which reads it as a batch."""

from pathlib import Path
from typing import Any

import pytest

from queuecast.client.row_formats.text_rows import csv_head, parsed_csv_rows, parsed_ndjson_rows
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from queuecast.tables.cells import MISSING_WORDS
from worker.models.frames import frame_of
from worker.tables.reader import read_range
from worker.tables.splitting import split_file

CELLS = [
    *MISSING_WORDS,
    *(
        "",
        "1",
        "0",
        "007",
        "-3.0",
        "+4",
        "4.5",
        ".5",
        "1e3",
        "1E400",
        "inf",
        "nAn",
        "1_000",
        "0x1F",
        " 5 ",
        "9007199254740993",
    ),
    *(
        "1.0",
        "0.0",
        "+1",
        "1e0",
        "true",
        "False",
        "TRUE",
        "tRuE",
        " false ",
        "yes",
        "male",
        "\u0662",
        "99999999999999999999",
    ),
]
COLUMNS = {
    "number": Column("x0", ColumnType.NUMBER, nullable=True, dtype="float64"),
    "integer": Column("x0", ColumnType.INTEGER, nullable=True, dtype="Int64"),
    "boolean": Column("x0", ColumnType.BOOLEAN, nullable=True, dtype="boolean"),
    "string": Column("x0", ColumnType.STRING, nullable=True, dtype="object"),
}


def worker_rows(folder: Path, text: str, signature: Signature) -> Any:
    path = folder / "rows.csv"
    path.write_text(text, newline="")
    (cut,) = split_file(path, FileFormat.CSV, 10_000, 2**20)
    return read_range(path, FileFormat.CSV, signature, cut)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", COLUMNS)
def test_client_and_worker_read_a_cell_alike(tmp_path: Path, kind: str, cell: str) -> None:
    signature = Signature(Layout.FRAME, (COLUMNS[kind],), (Method.PREDICT,))
    text = f'x0\n"{cell}"\n'

    sent, _ = parsed_csv_rows(text, signature.json_schema())
    read = worker_rows(tmp_path, text, signature)

    assert bool(signature.findings(sent)) == bool(read.bad_rows)
    if not read.bad_rows:
        assert frame_of(signature, sent).equals(read.frame)


@pytest.mark.parametrize("header", ["0,1", "x1,x0", "x1,other,x0", "a,b", "1.5,2.5", "a,b,c", "x0"])
def test_client_and_worker_read_a_header_alike(tmp_path: Path, header: str) -> None:
    columns = tuple(Column(f"x{index}", ColumnType.NUMBER, nullable=True, dtype="float64") for index in range(2))
    signature = Signature(Layout.ARRAY, columns, (Method.PREDICT,))
    text = f"{header}\n{','.join(str(at) for at in range(header.count(',') + 1))}\n"

    try:
        read = worker_rows(tmp_path, text, signature).frame.tolist()
    except InvalidInputError as error:
        with pytest.raises(ValueError, match=str(error).partition(", expected ")[2].partition(" (")[0]):
            parsed_csv_rows(text, signature.json_schema())
    else:
        assert parsed_csv_rows(text, signature.json_schema())[0] == read


def test_the_head_of_a_csv_file_counts_records_and_not_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b'name,age\r\n"two\nlines \xe9",1\r\n' + b"x,2\r\n" * 60_000)

    assert csv_head(path) == b'name,age\r\n"two\nlines \xe9",1\r\n' + b"x,2\r\n" * 49_999


def test_the_head_of_a_wide_csv_file_has_fewer_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([",".join(f"c{at}" for at in range(5000)), *[",".join(["1"] * 5000)] * 2500]))

    assert csv_head(path).count(b"\n") == 2001


def test_the_head_of_a_csv_file_may_end_its_lines_with_carriage_returns(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"name,age\r" + b"x,2\r" * 60_000)

    assert csv_head(path) == b"name,age\r" + b"x,2\r" * 50_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PAR1\x15\x04", r"rows.csv is a Parquet file, expected CSV: pandas.read_parquet\("),
        (b'name\n"' + b"x" * 200_000, "line 2 of .*rows.csv cannot be read as CSV: field larger"),
        ("\ufeffgrün,age,grün\n1,2,3\n".encode(), "the column 'grün' is in the file more than once"),
    ],
    ids=["parquet", "endless", "twice"],
)
def test_an_example_that_is_not_a_csv_file_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "rows.csv").write_bytes(content)

    with pytest.raises(ValueError, match=words):
        csv_head(tmp_path / "rows.csv")


@pytest.mark.parametrize("line", ["1", "true", "null"])
def test_a_line_that_is_no_row_is_refused_without_words_of_a_type_checker(line: str) -> None:
    with pytest.raises(ValueError, match=r"^line 2 is not a JSON object, list or text$"):
        parsed_ndjson_rows(f'{{"a": 1}}\n{line}\n')
