"""The findings about rows that do not fit a signature, with their places."""

from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest

from queuecast.domain.signature import INT64_MAX, INT64_MIN, Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from tests.queuecast.domain.records import MEASURES, PASSENGER, PASSENGERS

GOOD = {
    ColumnType.NUMBER: [0, -0.0, 1, 1.5, -1e308, 2**53 + 1, 10**300],
    ColumnType.INTEGER: [0, -1, 3.0, -0.0, 2.0**53, 2**63 - 1, -(2**63)],
    ColumnType.STRING: ["", "a", "1", "\x00", "ü😀"],
    ColumnType.BOOLEAN: [True, False, 1, 0, 1.0, 0.0, -0.0],
}
BAD = {
    ColumnType.NUMBER: [float("nan"), float("inf"), float("-inf"), 10**400, True, "1", "", [], {}],
    ColumnType.INTEGER: [1.5, 2.0**53 + 2, 2**63, -(2**63) - 1, False, "1", [1], {}],
    ColumnType.STRING: [0, 1.5, True, ["a"], {"a": 1}],
    ColumnType.BOOLEAN: [2, -1, 0.5, "true", "1", [], {}],
}


def signature_of(column: Column) -> Signature:
    return Signature(Layout.FRAME, (column,), (Method.PREDICT,))


def codes(signature: Signature, *rows: Any) -> list[tuple[str, str]]:
    return [(finding.pointer, finding.code) for finding in signature.findings(list(rows))]


def test_signatures_are_told_apart_by_all_of_their_columns() -> None:
    columns = [Column(name, ColumnType.NUMBER, nullable=False, dtype="float64") for name in "abc"]
    first, same, other = (
        Signature(Layout.FRAME, (*columns[:2], last), (Method.PREDICT,)) for last in columns[2:] * 2 + columns[:1]
    )

    assert hash(first) == hash(same)
    assert {first: "first", other: "other"} == {same: "first", other: "other"}
    assert first != other


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in GOOD.items() for value in values])
def test_a_value_of_the_columns_type_fits(kind: ColumnType, value: Any) -> None:
    signature = signature_of(Column("a", kind, nullable=False, dtype=""))

    assert codes(signature, {"a": value}) == []


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in BAD.items() for value in values])
def test_a_value_of_another_type_is_a_finding_with_its_pointer(kind: ColumnType, value: Any) -> None:
    signature = signature_of(Column("a", kind, nullable=False, dtype=""))

    assert codes(signature, {"a": value}) == [("/inputs/0/a", "wrong_type")]


@pytest.mark.parametrize("kind", ColumnType)
@pytest.mark.parametrize("nullable", [True, False])
def test_null_fits_a_nullable_column_only(kind: ColumnType, nullable: bool) -> None:
    signature = signature_of(Column("a", kind, nullable=nullable, dtype=""))

    assert codes(signature, {"a": None}) == ([] if nullable else [("/inputs/0/a", "null")])


@pytest.mark.parametrize(
    ("value", "code"),
    [("S", None), (None, None), ("X", "unknown_category"), (1, "wrong_type"), ("s", "unknown_category")],
)
def test_a_category_column_accepts_only_its_categories(value: Any, code: str | None) -> None:
    found = codes(PASSENGERS, PASSENGER | {"port": value})

    assert found == ([] if code is None else [("/inputs/0/port", code)])


@pytest.mark.parametrize(
    ("value", "fits"), [(1, True), (2, True), (3, False), (True, False), (1.0, True), (3.0, False)]
)
def test_integers_can_be_categories(value: Any, fits: bool) -> None:
    signature = signature_of(Column("deck", ColumnType.INTEGER, nullable=False, dtype="category", categories=(1, 2)))

    assert (codes(signature, {"deck": value}) == []) is fits


def test_a_finding_has_the_found_and_the_expected_value() -> None:
    found = PASSENGERS.findings([PASSENGER | {"age": "old", "pclass": 1.5, "port": "X"}])

    assert [finding.detail for finding in found] == [
        'found string "old", expected a finite number or null',
        "found number 1.5, expected a whole number of at most 64 bits",
        'found string "X", expected one of string "C", string "Q", string "S" or null',
    ]


def test_a_long_value_is_shortened_in_a_finding() -> None:
    (finding,) = PASSENGERS.findings([PASSENGER | {"age": "x" * 10_000}])

    assert len(finding.detail) < 120


def test_unknown_and_missing_columns_are_both_found() -> None:
    row = {"agee": 29.0} | {name: value for name, value in PASSENGER.items() if name != "age"}

    assert codes(PASSENGERS, row) == [("/inputs/0/agee", "unknown_column"), ("/inputs/0/age", "missing_column")]


@pytest.mark.parametrize("row", [[], "row", 7, None, True])
def test_a_row_that_is_not_an_object_is_one_finding(row: Any) -> None:
    assert codes(PASSENGERS, row) == [("/inputs/0", "wrong_type")]


def test_the_order_of_the_columns_in_a_row_does_not_matter() -> None:
    assert codes(PASSENGERS, dict(reversed(PASSENGER.items()))) == []


@pytest.mark.parametrize(
    ("name", "pointer"), [("a/b", "a~1b"), ("a~b", "a~0b"), ("~1", "~01"), ("", ""), ("%", "%"), ("ü m", "ü m")]
)
def test_a_columns_name_is_escaped_in_the_pointer(name: str, pointer: str) -> None:
    signature = signature_of(Column(name, ColumnType.NUMBER, nullable=False, dtype="float64"))

    assert codes(signature, {name: "x"}) == [(f"/inputs/0/{pointer}", "wrong_type")]


@pytest.mark.parametrize(("rows", "reported"), [(19, 19), (20, 20), (21, 20), (5000, 20)])
def test_the_first_twenty_findings_are_reported(rows: int, reported: int) -> None:
    found = PASSENGERS.findings([PASSENGER | {"age": "x"}] * rows)

    assert [finding.pointer for finding in found] == [f"/inputs/{row}/age" for row in range(reported)]


def test_the_limit_applies_within_a_row() -> None:
    found = PASSENGERS.findings([{}], limit=2)

    assert [finding.pointer for finding in found] == ["/inputs/0/age", "/inputs/0/pclass"]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([1.5, 2.5], []),
        ([1, None], []),
        ([None, 1], [("/inputs/0/0", "null")]),
        (["a", True], [("/inputs/0/0", "wrong_type"), ("/inputs/0/1", "wrong_type")]),
        ([1.5], [("/inputs/0", "wrong_length")]),
        ([1.5, 2.5, 3.5], [("/inputs/0", "wrong_length")]),
        ([], [("/inputs/0", "wrong_length")]),
        ({"x0": 1.5, "x1": 2.5}, [("/inputs/0", "wrong_type")]),
        (None, [("/inputs/0", "wrong_type")]),
    ],
)
def test_an_array_model_accepts_lists_of_its_width(row: Any, expected: list[tuple[str, str]]) -> None:
    assert codes(MEASURES, row) == expected


def test_no_rows_have_no_findings() -> None:
    assert codes(PASSENGERS) == []


@pytest.mark.parametrize("signature", [PASSENGERS, MEASURES], ids=lambda signature: signature.layout)
def test_the_json_schema_is_valid_and_accepts_its_examples(signature: Signature) -> None:
    schema = signature.json_schema()
    jsonschema_rs.meta.validate(schema)

    assert schema["examples"] == list(signature.example)
    assert all(jsonschema_rs.is_valid(schema, row) for row in schema["examples"])


ROWS: list[tuple[Signature, Any]] = [
    (PASSENGERS, PASSENGER),
    (PASSENGERS, PASSENGER | {"age": None, "port": None}),
    (PASSENGERS, PASSENGER | {"sex": None}),
    (PASSENGERS, PASSENGER | {"age": "1"}),
    (PASSENGERS, PASSENGER | {"alone": 1}),
    (PASSENGERS, PASSENGER | {"alone": 0.0}),
    (PASSENGERS, PASSENGER | {"alone": 2}),
    (PASSENGERS, PASSENGER | {"alone": "true"}),
    (PASSENGERS, PASSENGER | {"pclass": 1.5}),
    (PASSENGERS, PASSENGER | {"pclass": INT64_MIN}),
    (PASSENGERS, PASSENGER | {"pclass": INT64_MIN - 1}),
    (PASSENGERS, PASSENGER | {"pclass": INT64_MAX}),
    (PASSENGERS, PASSENGER | {"pclass": INT64_MAX + 1}),
    (PASSENGERS, PASSENGER | {"port": "X"}),
    (PASSENGERS, {"age": 1}),
    (PASSENGERS, []),
    (MEASURES, [1, None]),
    (MEASURES, [None, 1]),
    (MEASURES, [1]),
    (MEASURES, [1, 2, 3]),
    (MEASURES, {}),
]


@pytest.mark.parametrize(("signature", "row"), ROWS)
def test_the_json_schema_and_the_findings_agree(signature: Signature, row: Any) -> None:
    fits = not signature.findings([row])

    assert jsonschema_rs.is_valid(signature.json_schema(), row) is fits


NAMED_MEASURES = replace(
    MEASURES, columns=tuple(replace(column, name=f"{column.name}_cm") for column in MEASURES.columns)
)


@pytest.mark.parametrize("signature", [PASSENGERS, NAMED_MEASURES], ids=lambda signature: signature.layout)
def test_the_json_schema_takes_columns_that_are_ignored(signature: Signature) -> None:
    row = PASSENGER | {column.name: 1 for column in NAMED_MEASURES.columns}

    assert jsonschema_rs.is_valid(signature.json_schema(), row | {"note": "x"})
    assert not jsonschema_rs.is_valid(signature.json_schema(), {"note": "x"})
