"""The client sends rows that are dicts, or refuses them."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from queuecast.client import Client
from queuecast.client.row_formats.json_rows import example_table, json_rows
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job

DICTS = [{"city": "Ulm", "age": np.int64(3)}, {"tags": ("a", "b"), "vip": True, "age": np.nan}]
PREDICTIONS = "POST /v1/models/shops/predictions"
SCHEMA = "GET /v1/models/shops/schema"
OF_DICTS = {"type": "object", "properties": {}, "x-always": []}


@pytest.mark.parametrize("rows", [DICTS, pd.Series(DICTS), np.array(DICTS, dtype=object)])
def test_dicts_are_rows_with_their_own_keys(rows: Any) -> None:
    assert json_rows(rows) == [
        {"city": "Ulm", "age": 3},
        {"tags": ["a", "b"], "vip": True, "age": None},
    ]


def test_an_example_has_the_keys_of_all_rows_and_the_kinds_of_their_values() -> None:
    rows = [*DICTS * 300, {"age": "old", "late": 1.5}]

    table = example_table(rows)

    (column,) = table["columns"]
    assert (table["layout"], len(table["rows"])) == ("object", 500)
    assert column == {
        "name": "row",
        "dtype": "dict",
        "objects": {
            "kinds": (),
            "keys": (
                {"name": "city", "kinds": ("string",), "is_always": False},
                {"name": "age", "kinds": ("string", "number", "null"), "is_always": True},
                {"name": "tags", "kinds": ("words",), "is_always": False},
                {"name": "vip", "kinds": ("boolean",), "is_always": False},
                {"name": "late", "kinds": ("number",), "is_always": False},
            ),
            "has_more_keys": False,
        },
    }


def test_an_example_knows_a_thousand_keys() -> None:
    objects = example_table([{f"k{at}": 1} for at in range(1_500)])["columns"][0]["objects"]

    assert (len(objects["keys"]), objects["has_more_keys"]) == (1_000, True)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"a": {"b": 1}}, "row 1, key 'a': a dict cannot be sent"),
        ({"a": [1]}, "row 1, key 'a': a list cannot be sent"),
        ({"a": date(2026, 1, 31)}, "row 1, key 'a': a date cannot be sent"),
        ({"a": Decimal("1.5")}, "row 1, key 'a': a Decimal cannot be sent"),
        ({"a": float("inf")}, "row 1, key 'a': inf cannot be sent"),
        ({3: 1}, "row 1 has the key 3, expected a text"),
    ],
)
def test_a_push_refuses_what_a_vectorizer_of_dicts_does_not_take(row: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        example_table([{"a": 1}, row])


def test_a_decimal_is_refused_for_a_model_that_was_fitted_on_dicts(client: Client, gateway: ScriptedGateway) -> None:
    """It would arrive as a word."""
    gateway.on(SCHEMA, OF_DICTS)

    with pytest.raises(ValueError, match=r"row 1, key 'price': a Decimal cannot be sent to a model"):
        client.predict("shops", [{"price": 1}, {"price": Decimal("1.5")}])

    assert [request.method for request in gateway.requests] == ["GET"]


def test_a_decimal_in_a_dict_is_sent_to_a_model_that_was_fitted_on_a_table(
    client: Client, gateway: ScriptedGateway
) -> None:
    gateway.on(SCHEMA, {"type": "object", "properties": {"price": {"type": "string"}}})
    gateway.on(PREDICTIONS, Answer(job(), 202))

    client.predict("shops", [{"price": Decimal("1.5")}])

    assert gateway.only_request(PREDICTIONS).json["inputs"] == [{"price": "1.5"}]


def test_a_file_of_dicts_has_one_per_line(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on("POST /v1/models/shops/batches", Answer(job(type="batch"), 202))

    client.predict_file("shops", DICTS)

    lines = gateway.only_request("POST /v1/files").body.splitlines()
    assert list(map(json.loads, lines)) == json_rows(DICTS)


@pytest.mark.parametrize("name_of_argument", ["target", "y"])
def test_a_training_on_dicts_sends_them_with_their_targets(
    client: Client, gateway: ScriptedGateway, name_of_argument: str
) -> None:
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on("POST /v1/models/shops/trainings", Answer(job(type="training"), 202))

    client.train("shops", [{"city": "Ulm"}, {}], **{name_of_argument: pd.Series([1, 0], name="open")})

    lines = gateway.only_request("POST /v1/files").body.splitlines()
    assert list(map(json.loads, lines)) == [{"city": "Ulm", "open": 1}, {"open": 0}]


def test_a_training_on_dicts_may_name_their_targets(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on("POST /v1/models/shops/trainings", Answer(job(type="training"), 202))

    client.train("shops", [{"city": "Ulm"}, {}], target="is_open", y=pd.Series([1, 0], name="open"))

    lines = gateway.only_request("POST /v1/files").body.splitlines()
    assert list(map(json.loads, lines)) == [{"city": "Ulm", "is_open": 1}, {"is_open": 0}]
    assert gateway.only_request("POST /v1/models/shops/trainings").json["target"] == ["is_open"]


@pytest.mark.parametrize("form", [list, pd.Series])
def test_dicts_may_have_their_target_as_a_key(form: Any, client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on("POST /v1/models/shops/trainings", Answer(job(type="training"), 202))
    rows = [{"city": "Ulm", "open": 1}, {"open": 0}]

    client.train("shops", form(rows), target="open")

    assert list(map(json.loads, gateway.only_request("POST /v1/files").body.splitlines())) == rows
    assert gateway.only_request("POST /v1/models/shops/trainings").json["target"] == ["open"]


@pytest.mark.parametrize("names", [{}, {"target": "city"}])
def test_a_key_with_the_name_of_the_target_is_refused(
    names: dict[str, str], client: Client, gateway: ScriptedGateway
) -> None:
    name = names.get("target", "open")
    with pytest.raises(ValueError, match=f"'{name}' names a column of X and the target; pass target= with another"):
        client.train("shops", [{"open": 1}, {"city": "Ulm"}], y=pd.Series([1, 0], name="open"), **names)
