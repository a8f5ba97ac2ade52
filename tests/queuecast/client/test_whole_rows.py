"""The client sends texts of a list, a Series or an array as rows."""

import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from queuecast.client import Client
from queuecast.client.row_formats.json_rows import example_table, json_rows
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job

TEXTS = ["a text", "NA", "", "två"]
TRAININGS = "POST /v1/models/reviews/trainings"


@pytest.mark.parametrize(
    "rows",
    [
        TEXTS,
        tuple(TEXTS),
        pd.Series(TEXTS),
        pd.Series(TEXTS, dtype=object, index=[3, 1, 2, 0]),
        np.array(TEXTS, dtype=object),
        np.array(TEXTS),
        pl.Series(TEXTS),
    ],
)
def test_texts_are_rows(rows: Any) -> None:
    assert json_rows(rows) == TEXTS


def test_a_missing_text_is_null() -> None:
    assert json_rows(pd.Series(["a", None, np.nan], dtype=object)) == ["a", None, None]


@pytest.mark.parametrize("other", [3, ["b"], {"text": "b"}, b"b"])
def test_a_row_of_another_kind_is_refused_with_its_place(other: Any) -> None:
    with pytest.raises(TypeError, match=f"row 1 is a {type(other).__name__}, expected a text like the other rows"):
        json_rows(["a", other])


@pytest.mark.parametrize(
    ("rows", "name", "form"),
    [
        (TEXTS, "text", "list"),
        (pd.Series(TEXTS, name="review"), "review", "Series[str]"),
        (pd.Series(TEXTS, dtype="string"), "text", "Series[string]"),
        (pd.Series(TEXTS, dtype=object, name=0), "text", "Series[object]"),
        (np.array(TEXTS, dtype=object), "text", "array[object]"),
        (np.array(TEXTS), "text", "array[str]"),
        (pl.Series("review", TEXTS), "review", "list"),
    ],
)
def test_an_example_names_the_column_and_the_form_of_the_texts(rows: Any, name: str, form: str) -> None:
    assert example_table(rows) == {
        "layout": "text",
        "columns": [{"name": name, "dtype": form, "words": ["NA"]}],
        "rows": [[text] for text in TEXTS],
    }


def test_an_example_of_long_texts_has_fewer_of_them() -> None:
    assert len(example_table(["x" * 80_000] * 600)["rows"]) == 50


def test_lists_of_different_lengths_are_refused_in_plain_words() -> None:
    with pytest.raises(ValueError, match="row 2 has 3 values, expected 2 like row 0"):
        example_table([[1, 2], [3, 4], [5, 6, 7]])


def test_a_training_on_texts_sends_them_with_their_targets(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on(TRAININGS, Answer(job(type="training"), 202))

    client.train("reviews", ["good", "bad"], pd.Series(["yes", "NA"], name="liked"))

    request = gateway.only_request("POST /v1/files")
    assert request.headers["content-type"] == "application/x-ndjson"
    assert list(map(json.loads, request.body.splitlines())) == [
        {"text": "good", "liked": "yes"},
        {"text": "bad", "liked": "NA"},
    ]
    assert gateway.only_request(TRAININGS).json["target"] == ["liked"]


def test_targets_without_a_name_get_that_of_the_champion(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models/reviews", {"aliases": {"champion": 3}})
    gateway.on("GET /v1/models/reviews/versions/3", {"target": ["text"]})
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on(TRAININGS, Answer(job(type="training"), 202))

    client.train("reviews", np.array(["good", "bad"], dtype=object), [1, 0])

    lines = gateway.only_request("POST /v1/files").body.splitlines()
    assert list(map(json.loads, lines)) == [{"text_of_row": "good", "text": 1}, {"text_of_row": "bad", "text": 0}]
    assert gateway.only_request(TRAININGS).json["target"] == ["text"]


@pytest.mark.parametrize("texts", [["good", "bad"], pd.Series(["good", "bad"])])
def test_a_training_on_texts_may_name_their_targets(texts: Any, client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on(TRAININGS, Answer(job(type="training"), 202))

    client.train("reviews", texts, target="liked", y=[1, 0])

    lines = gateway.only_request("POST /v1/files").body.splitlines()
    assert list(map(json.loads, lines)) == [{"text": "good", "liked": 1}, {"text": "bad", "liked": 0}]
    assert gateway.only_request(TRAININGS).json["target"] == ["liked"]


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        ("liked", TypeError, "the target is 'liked', expected a label or a number for each row"),
        ([1, 0, 1], ValueError, "there are 2 rows and 3 targets"),
    ],
)
def test_a_training_on_texts_without_their_targets_is_refused(
    client: Client, gateway: ScriptedGateway, target: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        client.train("reviews", ["good", "bad"], target)

    assert [request for request in gateway.requests if request.method == "POST"] == []
