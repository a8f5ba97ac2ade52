"""The gateway refuses a value beyond its column's dtype at submit, and takes dates, times and decimals as text."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.http.row_decoding import require_rows
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from tests.api.conftest import Gateway
from tests.queuecast.domain.column_bounds import BOUNDS


def _signature(*columns: Column) -> Signature:
    return Signature(Layout.FRAME, columns, (Method.PREDICT,))


@pytest.mark.parametrize(("kind", "dtype", "good", "bad"), BOUNDS)
@pytest.mark.parametrize("nullable", [False, True])
def test_the_decoder_takes_exactly_the_values_that_fit(
    kind: ColumnType, dtype: str, good: list[Any], bad: list[Any], nullable: bool
) -> None:
    signature = _signature(Column("a", kind, nullable, dtype))

    assert require_rows(signature, json.dumps([{"a": value} for value in good]).encode(), 50)[0] == len(good)
    for value in bad:
        with pytest.raises(InvalidInputError) as refused:
            require_rows(signature, json.dumps([{"a": value}]).encode(), 50)
        assert [finding.code for finding in refused.value.findings] == ["wrong_type"]


@pytest.mark.parametrize(
    ("kind", "categories", "good", "bad"),
    [
        (ColumnType.NUMBER, (1.0, 2.5), [1, 2.5, None], 2),
        (ColumnType.BOOLEAN, (True, False), [True, 0, None], 2),
        (ColumnType.INTEGER, (1, 2), [1, 2.0, None], 3),
        (ColumnType.DATE, ("2026-01-31",), ["2026-01-31", "2026-01-31T00:00:00", None], "2026-02-01"),
    ],
)
def test_categories_may_be_of_every_kind(
    kind: ColumnType, categories: tuple[Any, ...], good: list[Any], bad: Any
) -> None:
    signature = _signature(Column("a", kind, True, "category", categories, inner="date" if kind == "date" else ""))

    assert require_rows(signature, json.dumps([{"a": value} for value in good]).encode(), 50)[0] == len(good)
    with pytest.raises(InvalidInputError):
        require_rows(signature, json.dumps([{"a": bad}]).encode(), 50)


def test_a_number_beyond_the_dtype_is_refused_at_submit_with_found_and_expected(
    gateway: Gateway, http: FlaskClient
) -> None:
    gateway.publish("small", signature=_signature(Column("n", ColumnType.INTEGER, False, "uint8")))

    refused = http.post("/v1/models/small/predictions", json={"inputs": [{"n": 255}, {"n": 300}]})

    assert refused.status_code == 422
    (error,) = refused.json["errors"]
    assert (error["pointer"], error["found"]) == ("/inputs/1/n", "number 300")
    assert error["expected"] == "a whole number from 0 to 255"


def test_the_schema_of_a_row_has_the_bounds_and_formats(gateway: Gateway, http: FlaskClient) -> None:
    columns = (
        Column("n", ColumnType.INTEGER, False, "uint8"),
        Column("x", ColumnType.NUMBER, True, "float32"),
        Column("at", ColumnType.DATETIME, True, "datetime64[us, UTC]"),
    )
    gateway.publish("small", signature=_signature(*columns))

    schema = http.get("/v1/models/small/versions/1/schema").json

    properties = schema["properties"]
    assert properties["n"] == {"type": "integer", "minimum": 0, "maximum": 255}
    assert properties["x"]["exclusiveMaximum"] == 2.0**128 - 2.0**103
    assert (properties["at"]["type"], properties["at"]["format"]) == (["string", "null"], "date-time")


def test_a_version_shows_the_kind_of_its_columns(gateway: Gateway, http: FlaskClient) -> None:
    column = Column("c", ColumnType.DATE, True, "category", ("2026-01-31",), inner="date", is_ordered=True)
    gateway.publish("dated", signature=_signature(column))

    (shown,) = http.get("/v1/models/dated/versions/1").json["signature"]["columns"]

    assert (shown["type"], shown["inner"], shown["is_ordered"]) == ("date", "date", True)
