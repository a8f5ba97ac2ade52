"""The columns of a model are found in a file, and a file without them is refused."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from queuecast.domain.errors import InvalidInputError
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from worker.tables.file_columns import column_names, require_columns
from worker.tables.record_scanner import first_record

CSV, NDJSON, PARQUET = FileFormat.CSV, FileFormat.NDJSON, FileFormat.PARQUET


def _written(folder: Path, data: bytes) -> Path:
    path = folder / "rows"
    path.write_bytes(data)
    return path


TWO = Signature(
    Layout.FRAME,
    (
        Column("age", ColumnType.NUMBER, nullable=True, dtype="float64"),
        Column("sex", ColumnType.STRING, nullable=False, dtype="str"),
    ),
    (Method.PREDICT,),
)
ARRAY = Signature(
    Layout.ARRAY,
    tuple(Column(f"x{index}", ColumnType.NUMBER, nullable=False, dtype="float64") for index in range(2)),
    (Method.PREDICT,),
)


def test_a_header_may_have_a_byte_order_mark_blank_lines_and_quotes(tmp_path: Path) -> None:
    path = _written(tmp_path, b'\xef\xbb\xbf\r\n"a ""b""\nc",d,\r\n1,2,3\r\n')

    assert column_names(path, CSV) == ['a "b"\nc', "d", "Unnamed: 2"]
    assert first_record(path) == (5, 21)


def test_the_columns_of_ndjson_are_those_of_its_first_object(tmp_path: Path) -> None:
    assert column_names(_written(tmp_path, b'broken\n{"b": 1, "a": [2]}\n{"c": 3}\n'), NDJSON) == ["b", "a"]


@pytest.mark.parametrize(
    ("fmt", "data"), [(CSV, b"age,sex,age\n1,f,2\n"), (CSV, b"sex,Unnamed: 1,,age,Unnamed: 1\nf,,,1,\n")]
)
def test_a_duplicate_name_is_refused(tmp_path: Path, fmt: FileFormat, data: bytes) -> None:
    with pytest.raises(InvalidInputError, match="is in the file more than once"):
        require_columns(_written(tmp_path, data), fmt, TWO)


@pytest.mark.parametrize(
    ("fmt", "data"), [(CSV, b"name,age\nx,1\n"), (NDJSON, b'{"name": "x", "age": 1}\n')], ids=["csv", "ndjson"]
)
def test_a_missing_column_is_named_with_the_columns_of_the_file(tmp_path: Path, fmt: FileFormat, data: bytes) -> None:
    with pytest.raises(InvalidInputError, match="the file has no column 'sex'; it has name, age"):
        require_columns(_written(tmp_path, data), fmt, TWO)


def test_a_missing_id_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no column 'ticket'"):
        require_columns(_written(tmp_path, b"age,sex\n1,f\n"), CSV, TWO, "ticket")


def test_columns_outside_the_signature_are_ignored(tmp_path: Path) -> None:
    require_columns(_written(tmp_path, b"extra,sex,age\n,f,1\n"), CSV, TWO, "extra")


@pytest.mark.parametrize("header", [b",sex,age", b"Unnamed: 0,sex,age", b",,sex,age", b"sex,age,"])
def test_a_nameless_column_is_ignored_like_any_other_that_the_model_does_not_take(
    tmp_path: Path, header: bytes
) -> None:
    require_columns(_written(tmp_path, header + b"\n" + b"," * header.count(b",") + b"\n"), CSV, TWO)


def test_a_nameless_column_has_the_name_that_pandas_gives_it(tmp_path: Path) -> None:
    index = Signature(Layout.FRAME, (replace(TWO.columns[0], name="Unnamed: 0"),), (Method.PREDICT,))
    empty = Signature(Layout.FRAME, (replace(TWO.columns[0], name=""),), (Method.PREDICT,))

    for signature in (index, empty):
        require_columns(_written(tmp_path, b",sex\n1,f\n"), CSV, signature, "Unnamed: 0")
    with pytest.raises(InvalidInputError, match="no column ''; it has Unnamed: 0, Unnamed: 1, sex"):
        require_columns(_written(tmp_path, b",,sex\n1,2,f\n"), CSV, empty)


@pytest.mark.parametrize("header", [b",height,width", b"Unnamed: 0,height", b",0"])
def test_a_model_without_column_names_refuses_the_index_of_a_frame(tmp_path: Path, header: bytes) -> None:
    """The same number of columns as the model's would not make it right."""
    path = _written(tmp_path, header + b"\n" + b"1," * header.count(b",") + b"2\n")

    with pytest.raises(InvalidInputError, match=r"first column has no name.*to_csv\(index=False\).*x0, x1"):
        require_columns(path, CSV, ARRAY)


def test_an_index_that_is_the_id_or_beside_the_names_of_an_array_is_no_fault(tmp_path: Path) -> None:
    require_columns(_written(tmp_path, b",height,width\n7,1,2\n"), CSV, ARRAY, "Unnamed: 0")
    require_columns(_written(tmp_path, b",x0,x1\n7,1,2\n"), CSV, ARRAY)


def test_the_index_of_a_parquet_file_is_ignored_by_names_and_refused_without_them(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"age": [1.0, 2.0], "sex": ["f", "m"]}, index=["a", "b"]).to_parquet(path)
    assert "__index_level_0__" in column_names(path, PARQUET)

    require_columns(path, PARQUET, TWO)
    with pytest.raises(
        InvalidInputError, match=r"'__index_level_0__' is the index of a frame.*to_parquet\(index=False\)"
    ):
        require_columns(path, PARQUET, ARRAY)


@pytest.mark.parametrize("names", [b"x1,x0,id", b"height,width,id"], ids=["known", "in_order"])
def test_a_model_without_column_names_takes_x0_x1_or_the_order_of_the_file(tmp_path: Path, names: bytes) -> None:
    require_columns(_written(tmp_path, names + b"\n1,2,3\n"), CSV, ARRAY, "id")


@pytest.mark.parametrize(
    "data",
    [b'{"age": 1}\n{"age": 1, "sex": "f", "ticket": 7}\n', b'{"ticket": 1, "age": 1}\n\n{"sex": "f"}\n'],
    ids=["second", "spread"],
)
def test_a_key_that_only_the_first_line_lacks_is_a_column_of_the_file(tmp_path: Path, data: bytes) -> None:
    require_columns(_written(tmp_path, data), NDJSON, TWO, "ticket")


@pytest.mark.parametrize("at", [99, 100])
def test_a_key_that_the_first_hundred_lines_lack_is_not_a_column_of_the_file(tmp_path: Path, at: int) -> None:
    lines = [b'{"age": 1, "sex": "f"}'] * at + [b'{"age": 1, "sex": "f", "ticket": 7}']
    path = _written(tmp_path, b"\n".join(lines))

    if at < 100:
        require_columns(path, NDJSON, TWO, "ticket")
    else:
        with pytest.raises(InvalidInputError, match="no column 'ticket'; it has age, sex"):
            require_columns(path, NDJSON, TWO, "ticket")


def test_rows_that_are_lists_have_no_id_column(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="lists without names, so there is no column 'id'"):
        require_columns(_written(tmp_path, b"[1, 2]\n"), NDJSON, ARRAY, "id")


def test_a_model_without_column_names_refuses_the_wrong_number_of_columns(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"has 3 feature columns, expected 2 .* or the names x0, x1"):
        require_columns(_written(tmp_path, b"height,width,depth\n1,2,3\n"), CSV, ARRAY)


def test_a_parquet_column_of_the_wrong_type_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"age": ["old"], "sex": ["f"]}), path)

    with pytest.raises(InvalidInputError, match="column 'age' of the file holds string, expected number"):
        require_columns(path, PARQUET, TWO)
