"""A CSV file means the same to the client, which sends its rows, and to a worker, which reads it as a batch."""

from pathlib import Path
from typing import Any

import pytest

from queuecast.client.csv import parsed_csv_rows
from queuecast.domain.batch import FileFormat
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from queuecast.tables.cells import MISSING_WORDS
from worker.models.frames import frame_of
from worker.tables.reader import read_cut
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
    *("true", "False", "TRUE", "tRuE", " false ", "yes", "male", "\u0662", "99999999999999999999"),
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
    return read_cut(path, FileFormat.CSV, signature, cut)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", COLUMNS)
def test_a_cell_is_the_same_to_both(tmp_path: Path, kind: str, cell: str) -> None:
    signature = Signature(Layout.FRAME, (COLUMNS[kind],), (Method.PREDICT,))
    text = f'x0\n"{cell}"\n'

    sent, _ = parsed_csv_rows(text, signature.json_schema())
    read = worker_rows(tmp_path, text, signature)

    assert bool(signature.findings(sent)) == bool(read.bad)
    if not read.bad:
        assert frame_of(signature, sent).equals(read.frame)


@pytest.mark.parametrize("header", ["0,1", "x1,x0", "x1,other,x0", "a,b", "1.5,2.5", "a,b,c", "x0"])
def test_a_header_is_the_same_to_both(tmp_path: Path, header: str) -> None:
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
