"""Asking for an evaluation: a request that cannot be met is refused before anything is queued."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from queuecast.domain.holdout import HoldoutRule
from queuecast.domain.model import AliasMove
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import EvaluatedVersion, Method, OnError
from tests.api.conftest import Gateway
from tests.api.routes.test_trainings import HEADER, LINE, upload

EVALUATIONS = "/v1/models/titanic/evaluations"
OTHER = Signature(Layout.FRAME, (Column("height", ColumnType.NUMBER, False, "float64"),), (Method.PREDICT,))


def _sent(http: FlaskClient, **fields: Any) -> Any:
    return http.post(EVALUATIONS, json={"file_id": upload(http), "target": "survived"} | fields)


def _point(gateway: Gateway, alias: str, version: int) -> None:
    generation = gateway.aliases.read("titanic").generation + 1
    gateway.aliases.move("titanic", AliasMove(generation, alias, version, None, 1.0, "set"))


def test_an_evaluation_is_accepted_for_the_champion(gateway: Gateway, http: FlaskClient) -> None:
    answer = _sent(http, on_error="skip", metric="roc_auc")

    work, _ = gateway.jobs.read_work(answer.json["id"])
    assert (answer.status_code, answer.json["type"], answer.json["model"]["version"]) == (202, "evaluation", 1)
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json['id']}"
    assert work.versions == (EvaluatedVersion(1, "champion"),)
    assert (work.target, work.on_error, work.metric) == (("survived",), OnError.SKIP, "roc_auc")
    assert gateway.doorbell.rung == ["evaluation"]


def test_the_challenger_is_scored_too_if_there_is_one(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish("titanic")
    _point(gateway, "challenger", 2)

    work, _ = gateway.jobs.read_work(_sent(http).json["id"])

    assert work.versions == (EvaluatedVersion(1, "champion"), EvaluatedVersion(2, "challenger"))


def test_versions_are_named_by_number_or_alias_and_each_is_scored_once(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish("titanic")

    work, _ = gateway.jobs.read_work(_sent(http, versions=[2, "champion", 1, 2]).json["id"])

    assert work.versions == (EvaluatedVersion(2), EvaluatedVersion(1, "champion"))


def test_an_idempotency_key_gives_the_same_evaluation(gateway: Gateway, http: FlaskClient) -> None:
    body = {"file_id": upload(http), "target": "survived"}
    first, second = (http.post(EVALUATIONS, json=body, headers={"Idempotency-Key": "k"}) for _ in range(2))

    assert first.json["id"] == second.json["id"]
    assert second.headers["Idempotency-Replayed"] == "true"


def test_two_evaluations_of_a_model_may_wait(gateway: Gateway, http: FlaskClient) -> None:
    assert [_sent(http).status_code, _sent(http).status_code] == [202, 202]


@pytest.mark.parametrize(
    ("fields", "status", "code", "pointer"),
    [
        ({"versions": ["champion", 9]}, 404, "unknown_version", "/versions/1"),
        ({"versions": ["best"]}, 404, "unknown_alias", "/versions/0"),
        ({"versions": []}, 422, "wrong_length", "/versions"),
        ({"versions": list(range(1, 12))}, 422, "wrong_length", "/versions"),
        ({"target": "boat"}, 422, None, "/target"),
        ({"target": []}, 422, "wrong_length", "/target"),
        ({"target": "age"}, 422, None, "/target"),
        ({"weight_column": "w"}, 422, "missing_column", "/weight_column"),
        ({"metric": "rocauc"}, 422, None, "/metric"),
        ({"file_id": "file_01a217a2-dd32-717c-951f-b63840767bad"}, 422, None, "/file_id"),
        ({"file_id": None}, 422, "invalid", "/file_id"),
        ({"params": {}}, 422, None, "/params"),
    ],
)
def test_a_bad_request_is_refused_before_it_is_queued(
    gateway: Gateway, http: FlaskClient, fields: dict[str, Any], status: int, code: str | None, pointer: str
) -> None:
    answer = _sent(http, **fields)

    error = answer.json["errors"][0]
    assert (answer.status_code, error["pointer"]) == (status, pointer)
    assert code in (None, error["code"])
    assert gateway.doorbell.rung == []


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", HEADER, b"age,sex\n1,male\n"])
def test_a_file_that_is_no_table_with_the_columns_is_refused(gateway: Gateway, http: FlaskClient, data: bytes) -> None:
    answer = http.post(EVALUATIONS, json={"file_id": upload(http, data or b"\n"), "target": "survived"})

    assert answer.status_code == 422
    assert gateway.doorbell.rung == []


def test_a_file_that_suits_one_of_the_versions_is_accepted(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish("titanic", signature=OTHER)

    assert _sent(http, versions=[2, 1]).status_code == 202
    assert _sent(http, versions=[2]).status_code == 422


def test_another_target_is_refused_if_no_version_has_it(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish("titanic", target=("boat",))

    answer = _sent(http, versions=[2])

    assert answer.json["errors"][0]["code"] == "other_target"
    assert _sent(http, versions=[2, 1]).status_code == 202


def test_a_file_may_lack_the_column_of_the_split_and_it_is_no_column_to_ignore(
    gateway: Gateway, http: FlaskClient
) -> None:
    gateway.publish("titanic", holdout=HoldoutRule(columns=("cabin",)))
    with_cabin = upload(http, HEADER.replace(b"\n", b",cabin\n") + LINE.replace(b"\n", b",C1\n"))

    without = _sent(http, versions=[2])
    known = _sent(http, versions=[2], file_id=with_cabin)

    assert (without.status_code, known.status_code) == (202, 202)
    assert known.json["ignored_columns"]["names"] == ["port"]


def test_the_rows_that_an_evaluation_left_out_are_listed(gateway: Gateway, http: FlaskClient) -> None:
    job_id = _sent(http, on_error="skip").json["id"]
    path = gateway.batches.bad_rows_of_training(job_id)
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"row":3,"column":"age","code":"null","detail":"is empty"}\n')

    assert http.get(f"/v1/jobs/{job_id}/errors").data == path.read_bytes()
