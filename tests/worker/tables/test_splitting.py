"""A file is split between rows, and every row is in exactly one range."""

import csv
import io
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuecast.domain.chunking import FileRange
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.file_formats import FileFormat
from worker.tables import record_scanner
from worker.tables.record_scanner import RecordScanner
from worker.tables.splitting import split_file

CSV, NDJSON, PARQUET = FileFormat.CSV, FileFormat.NDJSON, FileFormat.PARQUET


def _written(folder: Path, data: bytes) -> Path:
    path = folder / "rows"
    path.write_bytes(data)
    return path


def _pieces(path: Path, ranges: list[FileRange]) -> list[bytes]:
    data = path.read_bytes()
    return [data[span.start : span.end] for span in ranges]


def _split(folder: Path, data: bytes, max_rows: int = 1, fmt: FileFormat = CSV, max_bytes: int = 10**6) -> list[bytes]:
    path = _written(folder, data)
    return _pieces(path, list(split_file(path, fmt, max_rows, max_bytes)))


# CSV


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"a,b\n1,2\n3,4\n", [b"1,2\n", b"3,4\n"]),
        (b"a,b\n1,2\n3,4", [b"1,2\n", b"3,4"]),
        (b"a,b\r\n1,2\r\n3,4\r\n", [b"1,2\r\n", b"3,4\r\n"]),
        (b"a,b\r1,2\r3,4\r", [b"1,2\r", b"3,4\r"]),
        (b"\xef\xbb\xbfa,b\n1,2\n", [b"1,2\n"]),
        (b'a,b\n1,"x\ny"\n3,4\n', [b'1,"x\ny"\n', b"3,4\n"]),
        (b'a,b\n1,"x""\ny"\n3,4\n', [b'1,"x""\ny"\n', b"3,4\n"]),
        (b'a,b\n1,"""\n"""\n3,4\n', [b'1,"""\n"""\n', b"3,4\n"]),
        (b'a,b\n"",2\n3,4\n', [b'"",2\n', b"3,4\n"]),
        (b'a,b\n1,5" pipe\n3,4\n', [b'1,5" pipe\n', b"3,4\n"]),
        (b'a,b\n1,"x"y"\n3,4\n', [b'1,"x"y"\n', b"3,4\n"]),
        (b'"a\n","b"\n1,2\n', [b"1,2\n"]),
    ],
    ids=[
        *("plain", "no_last_newline", "windows", "old_mac", "byte_order_mark", "quoted_newline", "doubled_quote"),
        *("doubled_quotes_around_newline", "empty_quotes", "quote_in_a_cell", "quote_after_a_closed_one", "header"),
    ],
)
def test_a_record_ends_where_pyarrow_and_pandas_end_it(tmp_path: Path, data: bytes, rows: list[bytes]) -> None:
    assert _split(tmp_path, data) == rows
    assert len(pd.read_csv(io.BytesIO(data))) == len(rows)


def test_blank_lines_are_not_rows(tmp_path: Path) -> None:
    path = _written(tmp_path, b"\n\r\na,b\n\n1,2\n\r\n\n3,4\n\n")

    ranges = list(split_file(path, CSV, 1, 1000))

    assert [(span.index, span.first_row, span.n_rows) for span in ranges] == [
        (0, 1, 1),
        (1, 2, 1),
    ]
    assert [piece.strip() for piece in _pieces(path, ranges)] == [b"1,2", b"3,4"]


def test_a_line_of_spaces_is_a_row(tmp_path: Path) -> None:
    assert len(_split(tmp_path, b"a\n1\n  \n2\n")) == 3


@pytest.mark.parametrize(("max_rows", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (4, [4, 1]), (5, [5]), (6, [5])])
def test_a_range_has_at_most_max_rows_rows(tmp_path: Path, max_rows: int, sizes: list[int]) -> None:
    path = _written(tmp_path, b"a\n1\n2\n3\n4\n5\n")

    assert [span.n_rows for span in split_file(path, CSV, max_rows, 1000)] == sizes


@pytest.mark.parametrize(("max_bytes", "sizes"), [(1, [1, 1, 1, 1]), (4, [2, 1, 1]), (7, [2, 1, 1]), (8, [2, 2])])
def test_a_range_has_at_most_max_bytes_bytes_but_at_least_one_row(
    tmp_path: Path, max_bytes: int, sizes: list[int]
) -> None:
    path = _written(tmp_path, b"a\n1\n2\n33333\n4\n")

    assert [span.n_rows for span in split_file(path, CSV, 1000, max_bytes)] == sizes


cells = st.text(st.sampled_from('a,"\n\r é'), max_size=6)


@given(
    st.lists(st.tuples(cells, cells), min_size=1, max_size=30),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 40),
    st.integers(1, 7),
    st.integers(1, 60),
)
@settings(max_examples=300, deadline=None)
def test_the_rows_are_those_of_the_csv_module_for_any_blocks_and_ranges(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    newline: str,
    block_bytes: int,
    max_rows: int,
    max_bytes: int,
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=newline, quoting=csv.QUOTE_ALL).writerows([("h", "i"), *rows])
    path = _written(tmp_path_factory.getbasetemp(), text.getvalue().encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RecordScanner.__init__, "__kwdefaults__", {"first_row": 1, "block_bytes": block_bytes})
        ranges = list(split_file(path, CSV, max_rows, max_bytes))

    read = [row for piece in _pieces(path, ranges) for row in csv.reader(io.StringIO(piece.decode(), newline=""))]
    assert read == [list(row) for row in rows]
    assert [span.first_row for span in ranges] == [
        1 + sum(before.n_rows for before in ranges[:at]) for at in range(len(ranges))
    ]
    assert all(span.n_rows <= max_rows for span in ranges)


@given(st.binary(max_size=60).map(lambda data: bytes(b'a,"\n\r'[byte % 5] for byte in data)), st.integers(1, 20))
@settings(max_examples=500, deadline=None)
def test_the_records_of_a_file_do_not_depend_on_the_block_size(data: bytes, block_bytes: int) -> None:
    def scanned(size: int) -> Any:
        try:
            return [
                pair
                for ends in RecordScanner(io.BytesIO(data), 0, has_quotes=True, block_bytes=size)
                for pair in zip(ends.offsets.tolist(), ends.is_blank.tolist(), strict=True)
            ]
        except InvalidInputError:
            return "refused"

    assert scanned(block_bytes) == scanned(1000)


# NDJSON and Parquet


def test_ndjson_is_split_between_lines(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbf{"a": "\\"\\n"}\n\n{"a": "x"}\r\n[]'

    assert [piece.strip() for piece in _split(tmp_path, data, fmt=NDJSON)] == [b'{"a": "\\"\\n"}', b'{"a": "x"}', b"[]"]


def test_parquet_is_split_within_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": range(10)}), path, row_group_size=4)

    found = [(span.first_row, span.start, span.end) for span in split_file(path, PARQUET, 3, 10**6)]

    assert found == [(1, 0, 3), (4, 3, 4), (5, 4, 7), (8, 7, 8), (9, 8, 10)]


@pytest.mark.parametrize(
    ("max_rows", "max_bytes", "sizes"),
    [
        (1, 10**6, [1] * 9),
        (2, 10**6, [2, 2, 2, 2, 1]),
        (5, 10**6, [4, 5]),
        (100, 10**6, [9]),
        (100, 250, [4, 4, 1]),
    ],
)
def test_small_row_groups_share_a_range(tmp_path: Path, max_rows: int, max_bytes: int, sizes: list[int]) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": range(9)}), path, row_group_size=2)

    ranges = list(split_file(path, PARQUET, max_rows, max_bytes))

    assert [span.n_rows for span in ranges] == sizes
    assert [span.start for span in ranges] == [sum(sizes[:at]) for at in range(len(sizes))]


# Refused files


@pytest.mark.parametrize(
    ("fmt", "data", "words"),
    [
        (CSV, b"", "the file is empty"),
        (CSV, b"\n\n", "the file is empty"),
        (CSV, b"a,b\n", "a header and no rows"),
        (CSV, b"a,b\n\n\n", "a header and no rows"),
        (CSV, b'a,b\n1,2\n3,"4\n5,6\n', "the quote opened in row 2 of the file is never closed"),
        (CSV, b"a,b\n1,\xff\n", "byte 6 of the file is not UTF-8"),
        (CSV, "a,b\n1,é\n".encode("utf-16"), "byte 0 of the file is not UTF-8"),
        (NDJSON, b"", "the file has no rows"),
        (PARQUET, b"a,b\n1,2\n", "cannot be read as Parquet"),
    ],
)
def test_a_file_without_rows_or_with_unreadable_bytes_is_refused(
    tmp_path: Path, fmt: FileFormat, data: bytes, words: str
) -> None:
    with pytest.raises(InvalidInputError, match=words):
        _split(tmp_path, data, fmt=fmt)


def test_a_character_may_span_two_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RecordScanner.__init__, "__kwdefaults__", {"first_row": 1, "block_bytes": 1})

    assert _split(tmp_path, "a\né€\n".encode()) == ["é€\n".encode()]


def test_a_record_that_is_too_long_is_refused_with_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_scanner, "MAX_RECORD_BYTES", 10)

    with pytest.raises(InvalidInputError, match="row 2 of the file has more than 10 bytes; is a quote left open"):
        _split(tmp_path, b'a\n1\n"2345678901234')


def test_a_row_group_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": range(1000)}), path)
    monkeypatch.setattr("worker.tables.parquet_files.MAX_ROW_GROUP_BYTES", 1000)

    with pytest.raises(InvalidInputError, match="row group 0 of the file has"):
        list(split_file(path, PARQUET, 10, 10**6))
