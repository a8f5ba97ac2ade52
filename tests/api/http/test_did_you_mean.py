"""One typo in a name suggests the nearest name, in the text and as a field."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.conftest import PREDICTIONS, ROW, Gateway

CSV = {"Content-Type": "text/csv"}
JSON = {"Content-Type": "application/json"}


def renamed(old: str, new: str) -> dict[str, Any]:
    return {new if name == old else name: value for name, value in ROW.items()}


def nearest_of(answer: Any) -> dict[str, str]:
    return {error["pointer"]: error["nearest"] for error in answer.json["errors"] if "nearest" in error}


def test_a_missing_column_names_the_ignored_one_that_is_near(http: FlaskClient) -> None:
    answer = http.post(PREDICTIONS, json={"inputs": [renamed("age", "Agee")]})

    (error,) = answer.json["errors"]
    assert (answer.status_code, error["column"], error["nearest"]) == (422, "age", "Agee")
    assert answer.json["detail"] == "/inputs/0/age: column 'age' is missing (the nearest is 'Agee')"


def test_an_unknown_column_names_the_one_of_the_model(http: FlaskClient) -> None:
    answer = http.post(PREDICTIONS, json={"inputs": [renamed("age", "Agee")], "extra_columns": "refuse"})

    assert nearest_of(answer) == {"/inputs/0/Agee": "age", "/inputs/0/age": "Agee"}
    assert answer.json["detail"].endswith("; did you mean 'age'? (and 1 more)")


def test_a_column_that_resembles_none_has_no_suggestion(http: FlaskClient) -> None:
    answer = http.post(PREDICTIONS, json={"inputs": [renamed("age", "zzzz")]})

    assert nearest_of(answer) == {}
    assert "nearest" not in answer.json["detail"]


def test_the_columns_of_a_file_and_its_target_and_id_have_suggestions(http: FlaskClient) -> None:
    header = b"Agee,sex,sibsp,alone,deck,survived,passenger\n1,f,1,true,A,1,7\n"
    file_id = http.post("/v1/files", data=header, headers=CSV).json["id"]

    batch = http.post("/v1/models/titanic/batches", json={"file_id": file_id, "id_column": "pasenger"})
    training = http.post("/v1/models/titanic/trainings", json={"file_id": file_id, "target": "survive"})

    assert nearest_of(batch) == {"/file_id": "Agee", "/id_column": "passenger"}
    assert nearest_of(training) == {"/file_id": "Agee", "/target": "survived"}
    assert batch.json["detail"].startswith("the file has no column 'age' (the nearest is 'Agee') (and 1 more); it has")


@pytest.mark.parametrize("path", ["/v1/models/titanc", "/v1/models/titanc/schema", "/v1/models/titanc/versions/1"])
def test_an_unknown_model_names_the_nearest_one(gateway: Gateway, http: FlaskClient, path: str) -> None:
    gateway.publish("churn")

    answer = http.get(path)

    assert (answer.status_code, nearest_of(answer)) == (404, {"/model": "titanic"})
    assert answer.json["detail"] == "no model 'titanc'; did you mean 'titanic'?"


def test_a_model_that_resembles_none_lists_those_that_there_are(http: FlaskClient) -> None:
    answer = http.post("/v1/models/zzz/predictions", json={"inputs": [ROW]})

    assert (answer.status_code, answer.json["detail"]) == (404, "no model 'zzz'; there are titanic")
    assert "errors" not in answer.json


def test_an_unknown_alias_names_the_nearest_one(http: FlaskClient) -> None:
    predicted = http.post(PREDICTIONS, json={"inputs": [ROW], "version": "champon"})
    deleted = http.delete("/v1/models/titanic/aliases/champon", headers={"If-Match": "*"})

    assert (predicted.status_code, nearest_of(predicted)) == (404, {"/version": "champion"})
    assert predicted.json["detail"].endswith("; did you mean 'champion'?")
    assert (deleted.status_code, nearest_of(deleted)) == (404, {"/alias": "champion"})


@pytest.mark.parametrize(
    ("body", "nearest"),
    [
        ({"inputs": [ROW], "method": "predict_prob"}, {"/method": "predict_proba"}),
        ({"inputs": [ROW], "methd": "predict"}, {"/methd": "method"}),
        ({"inputs": [ROW], "priority": "hihg"}, {"/priority": "high"}),
        ({"inputs": [ROW], "method": "fit"}, {}),
    ],
)
def test_methods_fields_and_choices_have_suggestions(
    http: FlaskClient, body: dict[str, Any], nearest: dict[str, str]
) -> None:
    assert nearest_of(http.post(PREDICTIONS, json=body)) == nearest


def test_an_unknown_parameter_of_a_query_names_the_nearest_one(http: FlaskClient) -> None:
    assert nearest_of(http.get("/v1/jobs", query_string={"limt": "3"})) == {"/limt": "limit"}


def test_an_unknown_parameter_of_the_estimator_names_the_nearest_one(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish("searched", params=("model__C", "model__penalty"))
    file_id = http.post("/v1/files", data=b"age,sex,sibsp,alone,deck,y\n1,f,1,true,A,1\n", headers=CSV).json["id"]
    body = {"file_id": file_id, "target": "y", "params": {"model_penalty": 1}}

    assert nearest_of(http.post("/v1/models/searched/trainings", json=body)) == {
        "/params/model_penalty": "model__penalty"
    }
