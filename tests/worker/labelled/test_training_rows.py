"""A training file is read by the champion's signature; cells that do not fit are reported with their place."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuecast.domain.errors import Finding, InvalidInputError, mismatch
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.findings.bounds import MAX_FINDINGS
from queuecast.domain.model import Manifest
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method, TrainingWork
from worker.labelled.training_files import TrainingFile
from worker.labelled.training_rows import TrainingRows, read_training_rows

TYPES = {
    "float64": ColumnType.NUMBER,
    "float32": ColumnType.NUMBER,
    "int64": ColumnType.INTEGER,
    "int8": ColumnType.INTEGER,
    "uint8": ColumnType.INTEGER,
    "Int64": ColumnType.INTEGER,
    "bool": ColumnType.BOOLEAN,
    "boolean": ColumnType.BOOLEAN,
    "str": ColumnType.STRING,
    "object": ColumnType.STRING,
    "category": ColumnType.STRING,
}


def _column(
    dtype: str, name: str = "c", nullable: bool = False, categories: Any = None, kind: ColumnType | None = None
) -> Column:
    return Column(name, kind or TYPES[dtype], nullable, dtype, categories)


def _champion(*columns: Column, classes: Any = None, layout: Layout = Layout.FRAME) -> Manifest:
    signature = Signature(layout, columns, (Method.PREDICT,))
    return Manifest("model", 1, "0" * 64, 10, 1.0, "job_1", "push", "E()", {}, signature, ("y",), classes)


def _read(folder: Path, content: str | bytes, champion: Manifest, target: tuple[str, ...] = ("y",)) -> TrainingRows:
    path = folder / "rows.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_training_rows([TrainingFile(path)], champion, TrainingWork("file_1", "0" * 64, target))


def _cells(folder: Path, column: Column, *cells: str) -> Any:
    """The column after reading a file with these cells."""
    lines = "".join(f"{cell},{index}\n" for index, cell in enumerate(cells))
    return _read(folder, "c,y\n" + lines, _champion(column)).features["c"]


def _findings(folder: Path, column: Column, *cells: str) -> tuple[Finding, ...]:
    with pytest.raises(InvalidInputError) as refused:
        _cells(folder, column, *cells)
    return refused.value.findings


def _target(folder: Path, classes: Any, *cells: str) -> list[Any]:
    lines = "".join(f"{index},{cell}\n" for index, cell in enumerate(cells))
    return _read(folder, "c,y\n" + lines, _champion(_column("int64"), classes=classes)).target.tolist()


# Numbers

doubles = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(doubles, min_size=1, max_size=50))
@settings(max_examples=100, deadline=None)
def test_a_double_is_read_back_to_the_last_bit(tmp_path_factory: pytest.TempPathFactory, numbers: list[float]) -> None:
    folder = tmp_path_factory.getbasetemp()
    lines = "".join(f"{number!r},{number!r}\n" for number in numbers)

    rows = _read(folder, "c,y\n" + lines, _champion(_column("float64")))

    assert rows.features["c"].tolist() == numbers
    assert rows.target.tolist() == numbers


def test_a_hundred_thousand_random_doubles_are_read_back_to_the_last_bit(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    numbers = random.standard_normal(100_000) * 10.0 ** random.integers(-300, 300, 100_000)

    read = _cells(tmp_path, _column("float64"), *map(repr, numbers.tolist()))

    assert int((read.to_numpy() != numbers).sum()) == 0


def test_a_float32_column_gets_the_nearest_float32(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).random(1000).astype("float32")

    read = _cells(tmp_path, _column("float32"), *map(str, numbers.tolist()))

    assert (read.dtype, read.tolist()) == (np.dtype("float32"), numbers.tolist())


@pytest.mark.parametrize(
    ("cell", "value"), [("1", 1.0), ("-0.5", -0.5), (".5", 0.5), ("1e3", 1000.0), (" 2 ", 2.0), ("+3", 3.0)]
)
def test_the_usual_notations_of_a_number_are_read(tmp_path: Path, cell: str, value: float) -> None:
    assert _cells(tmp_path, _column("float64"), cell, "7").tolist() == [value, 7.0]


@pytest.mark.parametrize("cell", ["abc", "1.2.3", "1_000", "0x1F", "True", "1;2", "inf", "-Infinity", "1e400", "12 kg"])
def test_a_cell_that_is_not_a_finite_number_is_reported_by_row_and_column(tmp_path: Path, cell: str) -> None:
    (finding,) = _findings(tmp_path, _column("float64"), "1.5", "2.5", cell)

    assert finding == mismatch("row 3, column c", "wrong_type", repr(cell), "a number", "c")


@pytest.mark.parametrize("dtype", ["int64", "Int64"])
@pytest.mark.parametrize("cell", ["1.5", "abc", "1e400", "99999999999999999999", "-99999999999999999999"])
def test_a_cell_that_is_not_a_64_bit_integer_is_reported_by_row_and_column(
    tmp_path: Path, dtype: str, cell: str
) -> None:
    (finding,) = _findings(tmp_path, _column(dtype), "1", cell, "3")

    assert (finding.pointer, finding.code) == ("row 2, column c", "wrong_type")
    assert repr(cell) in finding.detail


@pytest.mark.parametrize(("dtype", "cell"), [("int8", "128"), ("uint8", "256"), ("uint8", "-1")])
def test_a_number_that_its_dtype_cannot_hold_is_refused_and_does_not_wrap(
    tmp_path: Path, dtype: str, cell: str
) -> None:
    (finding,) = _findings(tmp_path, _column(dtype), "1", cell)

    assert finding.pointer == "row 2, column c"


def test_integers_may_have_a_decimal_point(tmp_path: Path) -> None:
    read = _cells(tmp_path, _column("int64"), "1.0", "2", "3e0")

    assert (str(read.dtype), read.tolist()) == ("int64", [1, 2, 3])


def test_integers_beyond_the_exact_range_of_floats_are_read_exactly(tmp_path: Path) -> None:
    big = [2**53 + 1, 2**63 - 1, -(2**63)]

    assert _cells(tmp_path, _column("int64"), *map(str, big)).tolist() == big


def test_integers_beyond_the_exact_range_of_floats_are_read_exactly_next_to_a_missing_one(tmp_path: Path) -> None:
    read = _cells(tmp_path, _column("Int64", nullable=True), str(2**53 + 1), "")

    assert read.tolist() == [2**53 + 1, pd.NA]


# Booleans, strings, categories


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        *(("True", True), ("true", True), ("TRUE", True), ("1", True), ("1.0", True)),
        *(("False", False), ("false", False), ("0", False), ("0.0", False)),
    ],
)
def test_booleans_are_read_in_their_usual_spellings(tmp_path: Path, cell: str, value: bool) -> None:
    read = _cells(tmp_path, _column("bool"), cell, "true")

    assert (str(read.dtype), read.tolist()) == ("bool", [value, True])


@pytest.mark.parametrize("cell", ["yes", "2", "t", "0.5"])
def test_a_cell_that_is_not_a_boolean_is_reported_by_row_and_column(tmp_path: Path, cell: str) -> None:
    (finding,) = _findings(tmp_path, _column("bool"), "true", cell)

    assert finding == mismatch("row 2, column c", "wrong_type", repr(cell), "a boolean", "c")


@pytest.mark.parametrize("dtype", ["str", "object"])
def test_strings_are_unchanged_even_if_they_could_be_numbers(tmp_path: Path, dtype: str) -> None:
    read = _cells(tmp_path, _column(dtype), "007", "1e5", "True", '"a, b"', " x ")

    assert (str(read.dtype), read.tolist()) == (dtype, ["007", "1e5", "True", "a, b", " x "])


MISSING = {
    "float64": _column("float64", nullable=True),
    "float32": _column("float32", nullable=True),
    "Int64": _column("Int64", nullable=True),
    "boolean": _column("boolean", nullable=True),
    "str": _column("str", nullable=True),
    "object": _column("object", nullable=True),
    "category": _column("category", nullable=True, categories=("1", "0")),
}


@pytest.mark.parametrize("cell", ["", "NA", "nan", "null", "None"])
@pytest.mark.parametrize("dtype", MISSING)
def test_a_missing_cell_is_the_missing_value_of_its_dtype(tmp_path: Path, dtype: str, cell: str) -> None:
    read = _cells(tmp_path, MISSING[dtype], "1", cell, "0")

    assert str(read.dtype) == dtype
    assert read.isna().tolist() == [False, True, False]
    assert read.to_numpy(dtype=object)[1] is not None


@pytest.mark.parametrize("column", [*MISSING.values(), _column("int64"), _column("bool")], ids=lambda each: each.dtype)
def test_a_missing_cell_of_a_column_without_null_is_reported(tmp_path: Path, column: Column) -> None:
    strict = Column(column.name, column.type, nullable=False, dtype=column.dtype, categories=column.categories)

    finding = _findings(tmp_path, strict, "1", "", "0")[0]

    assert (finding.pointer, finding.code) == ("row 2, column c", "null")


def test_new_categories_come_after_the_known_ones(tmp_path: Path) -> None:
    read = _cells(tmp_path, _column("category", nullable=True, categories=("m", "s")), "xl", "s", "", "l")

    assert read.cat.categories.tolist() == ["m", "s", "l", "xl"]
    assert read.isna().tolist() == [False, False, True, False]


NUMBERED = _column("category", nullable=True, categories=(3, 1), kind=ColumnType.INTEGER)


@pytest.mark.parametrize(
    ("cells", "categories"),
    [
        (["1", "3", "1"], [3, 1]),
        (["1", "7", "3"], [3, 1, 7]),
        (["1", "", "3"], [3, 1]),
        (["1", "", "7"], [3, 1, 7]),
    ],
    ids=["known", "new", "missing", "new_and_missing"],
)
def test_integer_categories_stay_integers(tmp_path: Path, cells: list[str], categories: list[int]) -> None:
    read = _cells(tmp_path, NUMBERED, *cells)

    assert [repr(each) for each in read.cat.categories.tolist()] == [repr(each) for each in categories]
    assert read.tolist() == [int(cell) if cell else pytest.approx(np.nan, nan_ok=True) for cell in cells]


def test_a_fraction_is_not_a_new_integer_category(tmp_path: Path) -> None:
    (finding,) = _findings(tmp_path, NUMBERED, "1", "1.5")

    assert finding.pointer == "row 2, column c"


def test_a_string_is_not_a_new_integer_category(tmp_path: Path) -> None:
    (finding,) = _findings(tmp_path, NUMBERED, "1", "three")

    assert finding == mismatch("row 2, column c", "wrong_type", "'three'", "an integer", "c")


def test_boolean_categories_are_read(tmp_path: Path) -> None:
    column = _column("category", categories=(False, True), kind=ColumnType.BOOLEAN)

    assert _cells(tmp_path, column, "True", "False", "True").tolist() == [True, False, True]


# The target


@pytest.mark.parametrize(
    ("classes", "cells", "values"),
    [
        (["no", "yes"], ["yes", "no"], ["yes", "no"]),
        (["0", "1"], ["1", "0"], ["1", "0"]),
        (["01", "02"], ["02", "01"], ["02", "01"]),
        (["no", "yes"], ["yes", "maybe"], ["yes", "maybe"]),
        ([0, 1], ["1", "0"], [1, 0]),
        ([0, 1], ["1.0", "0.0"], [1, 0]),
        ([0.0, 1.0], ["1", "0"], [1.0, 0.0]),
        ([False, True], ["True", "false"], [True, False]),
        ([False, True], ["1", "0"], [True, False]),
        (None, ["1.5", "2"], [1.5, 2.0]),
        (None, ["1", "2"], [1, 2]),
    ],
)
def test_a_target_has_the_type_of_the_champions_labels(
    tmp_path: Path, classes: Any, cells: list[str], values: list[Any]
) -> None:
    assert [repr(value) for value in _target(tmp_path, classes, *cells)] == [repr(value) for value in values]


def test_a_target_of_strings_stays_strings_for_a_champion_with_number_labels(tmp_path: Path) -> None:
    assert _target(tmp_path, [0, 1], "low", "1") == ["low", "1"]


@pytest.mark.parametrize("classes", [["a", "b"], [0, 1], None])
def test_a_missing_target_is_reported_by_row_and_column(tmp_path: Path, classes: Any) -> None:
    with pytest.raises(InvalidInputError) as refused:
        _target(tmp_path, classes, "1", "", "1")

    facts = ("an empty cell", "a target in every row", "y")
    assert refused.value.findings == (Finding("row 2, column y", "null", "is empty; every row needs a target", *facts),)


def test_several_targets_are_columns_of_one_array_each_with_its_own_type(tmp_path: Path) -> None:
    champion = _champion(_column("int64"), classes=[["a", "b"], ["0", "1"]])

    target = _read(tmp_path, "c,y,z\n1,a,1\n2,b,0\n", champion, ("y", "z")).target

    assert target.tolist() == [["a", "1"], ["b", "0"]]


# The file


TWO = _champion(_column("float64", "age"), _column("str", "sex"))


def test_columns_are_found_by_name_among_other_columns(tmp_path: Path) -> None:
    rows = _read(tmp_path, "id,y,sex,age\n9,1,f,3.5\n8,0,m,4\n", TWO)

    assert list(rows.features.columns) == ["age", "sex"]
    assert rows.features.to_numpy().tolist() == [[3.5, "f"], [4.0, "m"]]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfage,sex,y\n3.5,f,1\n",
        b"age,sex,y\r\n3.5,f,1\r\n",
        b'"age","sex","y"\n"3.5","f","1"\n',
        b"age,sex,y\n3.5,f,1",
    ],
    ids=["byte_order_mark", "windows", "quoted", "no_last_newline"],
)
def test_csv_from_other_programs_is_read(tmp_path: Path, content: bytes) -> None:
    rows = _read(tmp_path, content, TWO)

    assert (rows.features.to_numpy().tolist(), rows.target.tolist()) == ([[3.5, "f"]], [1])


@pytest.mark.parametrize("lacking", ["age", "sex", "y"])
def test_a_missing_column_is_reported(tmp_path: Path, lacking: str) -> None:
    header = [name for name in ("age", "sex", "y") if name != lacking]

    with pytest.raises(InvalidInputError, match=f"the file has no column '{lacking}'; it has {', '.join(header)}"):
        _read(tmp_path, ",".join(header) + "\n1,1\n", TWO)


@pytest.mark.parametrize(
    "content",
    [b"", b"age,sex,y\n", b"age,sex,y\n\xff\xfe,f,1\n", b'age,sex,y\n"3.5,f,1\n', b"age,sex,y\n1,f,1\n1,f,1,9\n"],
    ids=["empty", "header_only", "not_utf8", "open_quote", "a_cell_too_many"],
)
def test_a_file_that_cannot_be_split_into_rows_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InvalidInputError):
        _read(tmp_path, content, TWO)


@pytest.mark.parametrize("cell", ["", "9"], ids=["empty", "filled"])
def test_an_extra_cell_in_every_row_does_not_shift_values_to_other_columns(tmp_path: Path, cell: str) -> None:
    """pandas would read the first column as row labels, and age would silently hold fares."""
    champion = _champion(_column("float64", "age"), _column("float64", "fare", nullable=True))
    try:
        rows = _read(tmp_path, f"y,age,fare\n1,30,7.5,{cell}\n0,40,8.5,{cell}\n", champion)
    except InvalidInputError:
        return  # a refusal is fine too

    assert (rows.features.to_numpy().tolist(), rows.target.tolist()) == ([[30.0, 7.5], [40.0, 8.5]], [1, 0])


def test_all_columns_that_do_not_fit_are_reported_at_once(tmp_path: Path) -> None:
    champion = _champion(_column("float64", "age"), _column("int64", "sibsp"), _column("bool", "alone"))

    with pytest.raises(InvalidInputError) as refused:
        _read(tmp_path, "age,sibsp,alone,y\nold,1.5,maybe,\n1,1,1,1\n", champion)

    assert [finding.pointer for finding in refused.value.findings] == [
        "row 1, column age",
        "row 1, column sibsp",
        "row 1, column alone",
        "row 1, column y",
    ]


def test_the_number_of_findings_is_limited(tmp_path: Path) -> None:
    names = [f"x{index}" for index in range(MAX_FINDINGS + 5)]
    champion = _champion(*(_column("float64", name) for name in names))

    with pytest.raises(InvalidInputError) as refused:
        _read(tmp_path, ",".join([*names, "y"]) + "\n" + "bad," * len(names) + "1\n", champion)

    assert (len(refused.value.findings), refused.value.total) == (MAX_FINDINGS, len(names))
    assert refused.value.detail.endswith(f" (and {len(names) - 1} more)")


@pytest.mark.parametrize("range_rows", [1, 3, 100])
def test_all_bad_cells_of_a_file_are_reported_in_the_order_of_its_rows(
    tmp_path: Path, range_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.labelled.training_rows.RANGE_ROWS", range_rows)
    champion = _champion(_column("float64", "age"), _column("int64", "sibsp"))

    with pytest.raises(InvalidInputError) as refused:
        _read(tmp_path, "age,sibsp,y\nold,1.5,1\n1,1,1\nolder,1,\n1,1\n1,x,1\n", champion)

    places = ["row 1, column age", "row 1, column sibsp", "row 3, column age", "row 3, column y", "row 4"]
    assert [finding.pointer for finding in refused.value.findings] == [*places, "row 5, column sibsp"]
    assert refused.value.detail.endswith("expected a number (and 5 more)")


@pytest.mark.parametrize("range_rows", [7, 1000])
def test_of_many_bad_cells_each_kind_in_each_column_is_reported(
    tmp_path: Path, range_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.labelled.training_rows.RANGE_ROWS", range_rows)
    champion = _champion(_column("float64", "age"), _column("int64", "sibsp"))
    lines = ["x,1,1"] * 100 + ["1,,1", "1,x,1"]

    with pytest.raises(InvalidInputError) as refused:
        _read(tmp_path, "\n".join(["age,sibsp,y", *lines]), champion)

    found = [finding.pointer for finding in refused.value.findings]
    assert found[: MAX_FINDINGS - 2] == [f"row {row}, column age" for row in range(1, MAX_FINDINGS - 1)]
    assert found[MAX_FINDINGS - 2 :] == ["row 101, column sibsp", "row 102, column sibsp"]
    assert refused.value.total == 102


# Other formats


@pytest.mark.parametrize("classes", [[0, 1], [False, True], [0.0, 1.0], ["no", "yes"], None])
def test_ndjson_and_parquet_are_read_like_csv(tmp_path: Path, classes: Any) -> None:
    columns = (
        _column("float64", "age", nullable=True),
        _column("Int64", "sibsp", nullable=True),
        _column("str", "sex"),
        _column("category", "deck", nullable=True, categories=("B", "A")),
    )
    champion = _champion(*columns, classes=classes)
    rows = pd.DataFrame(
        {
            "age": [1.5, None, 3.0],
            "sibsp": pd.array([2**53 + 1, None, 3], dtype="Int64"),
            "sex": ["f", "m", "f"],
            "deck": ["C", None, "A"],
            "y": classes[:1] * 2 + classes[1:] if classes else [0.1, 2.0, 3.0],
        }
    )
    rows.to_csv(tmp_path / "rows.csv", index=False)
    rows.to_json(tmp_path / "rows.ndjson", orient="records", lines=True)
    rows.to_parquet(tmp_path / "rows.parquet", row_group_size=2)
    work = TrainingWork("file_1", "0" * 64, ("y",))

    read = {
        fmt: read_training_rows([TrainingFile(tmp_path / f"rows.{fmt}", fmt)], champion, work) for fmt in FileFormat
    }

    expected = read.pop(FileFormat.CSV)
    assert expected.features["deck"].cat.categories.tolist() == ["B", "A", "C"]
    for found in read.values():
        pd.testing.assert_frame_equal(found.features, expected.features)
        assert [repr(value) for value in found.target.tolist()] == [repr(value) for value in expected.target.tolist()]
    assert expected.target.tolist() == rows["y"].tolist()


@pytest.mark.parametrize("cut_rows", [1, 2, 100])
def test_a_target_of_mixed_types_in_ndjson_becomes_the_text_of_csv(
    tmp_path: Path, cut_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.labelled.training_rows.RANGE_ROWS", cut_rows)
    targets = ('"a"', "1", "2.5", "true", '"1"')
    (tmp_path / "rows.ndjson").write_text("".join(f'{{"c": 1.5, "y": {each}}}\n' for each in targets))

    found = read_training_rows(
        [TrainingFile(tmp_path / "rows.ndjson", FileFormat.NDJSON)],
        _champion(_column("float64"), classes=["a", "b"]),
        TrainingWork("file_1", "0" * 64, ("y",)),
    )

    assert found.target.tolist() == ["a", "1", "2.5", "true", "1"]


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        ([0, 1], ["True", "False"]),
        (["no", "yes"], ["True", "False"]),
        (["False", "True"], ["True", "False"]),
        (["false", "true"], ["true", "false"]),
        ([False, True], [True, False]),
    ],
)
def test_booleans_are_the_same_labels_in_every_format(tmp_path: Path, classes: Any, labels: Any) -> None:
    rows = pd.DataFrame({"c": [1.5, 2.5], "y": [True, False]})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    rows.to_json(tmp_path / "rows.ndjson", orient="records", lines=True)
    rows.to_parquet(tmp_path / "rows.parquet")
    champion, work = _champion(_column("float64"), classes=classes), TrainingWork("file_1", "0" * 64, ("y",))

    read = [
        read_training_rows([TrainingFile(tmp_path / f"rows.{fmt}", fmt)], champion, work).target.tolist()
        for fmt in FileFormat
    ]

    assert read == [labels] * 3


def test_a_bad_line_of_ndjson_is_reported_by_its_row(tmp_path: Path) -> None:
    (tmp_path / "rows.ndjson").write_text('{"c": 1.5, "y": 1}\n{"c": "1", "y": 1}\n')

    with pytest.raises(InvalidInputError) as refused:
        read_training_rows(
            [TrainingFile(tmp_path / "rows.ndjson", FileFormat.NDJSON)],
            _champion(_column("float64")),
            TrainingWork("file_1", "0" * 64, ("y",)),
        )

    assert [(each.pointer, each.code) for each in refused.value.findings] == [("row 2, column c", "wrong_type")]


@pytest.mark.parametrize("cut_rows", [1, 2, 100])
def test_columns_are_the_same_for_any_size_of_the_ranges(
    tmp_path: Path, cut_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.labelled.training_rows.RANGE_ROWS", cut_rows)
    column = _column("category", "c", nullable=True, categories=("m", "s"))

    rows = _read(tmp_path, "c,y\nxl,1\n,2\ns,low\nl,4\n", _champion(column))

    assert rows.features["c"].cat.categories.tolist() == ["m", "s", "l", "xl"]
    assert rows.features["c"].isna().tolist() == [False, True, False, False]
    assert rows.target.tolist() == ["1", "2", "low", "4"]


# Arrays


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_a_champion_fitted_on_an_array_gets_an_array_of_its_dtype(tmp_path: Path, dtype: str) -> None:
    champion = _champion(_column(dtype, "x0"), _column(dtype, "x1"), layout=Layout.ARRAY)

    features = _read(tmp_path, "x1,x0,y\n2,1,0\n4,3,1\n", champion).features

    assert (features.dtype, features.tolist()) == (np.dtype(dtype), [[1, 2], [3, 4]])


def test_features_of_rows_are_in_the_given_order(tmp_path: Path) -> None:
    frame = _read(tmp_path, "age,sex,y\n1,a,0\n2,b,0\n3,c,0\n", TWO)
    array = TrainingRows(np.array([[1], [2], [3]]), np.zeros(3))

    assert frame.take_features([2, 0])["age"].tolist() == [3, 1]
    assert array.take_features([2, 0]).tolist() == [[3], [1]]
