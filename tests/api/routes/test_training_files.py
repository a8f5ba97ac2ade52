"""The files of a training, and what their columns are for: checked before anything is queued."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from queuecast.domain.columns.roles import ColumnRoles
from queuecast.domain.holdout import TIME_METHOD, HoldoutRule
from queuecast.domain.work import AcceptedFile
from tests.api.conftest import ROW, Gateway

TRAININGS = "/v1/models/titanic/trainings"
NAMES = [*ROW, "survived", "passenger", "day", "weight"]
CSV = (",".join(NAMES) + "\n29.5,female,1,false,A,1,p1,2026-01-31,2\n").encode()
NDJSON = json.dumps(ROW | {"survived": 1, "passenger": "p1", "day": "2026-01-31", "weight": 2}).encode() + b"\n"


def _upload(http: FlaskClient, data: bytes = CSV, name: str = "rows.csv") -> str:
    media_type = {"csv": "text/csv", "ndjson": "application/x-ndjson"}.get(name.rpartition(".")[2], "")
    answer = http.post(f"/v1/files?name={name}", data=data, headers={"Content-Type": media_type or "application/x"})
    file_id: str = answer.json["id"]
    return file_id


def _train(http: FlaskClient, **body: Any) -> Any:
    return http.post(TRAININGS, json={"target": "survived"} | body)


def test_several_files_are_accepted_in_their_order(gateway: Gateway, http: FlaskClient) -> None:
    ids = [_upload(http), _upload(http, NDJSON, "rows.ndjson"), _upload(http, b"PAR1", "rows.parquet")]

    answer = _train(http, file_ids=ids)

    work, _ = gateway.jobs.read_work(answer.json["id"])
    assert [each.id for each in work.files] == ids
    assert work.files[1] == AcceptedFile(ids[1], gateway.files.stat(ids[1]).sha256)


@pytest.mark.parametrize("body", [{}, {"file_id": "file_1", "file_ids": ["file_1"]}], ids=["neither", "both"])
def test_a_training_has_one_file_or_several(http: FlaskClient, body: dict[str, Any]) -> None:
    answer = _train(http, **body)

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/file_id")
    assert "expected one of file_id and file_ids" in answer.json["detail"]


def test_the_file_that_does_not_fit_is_named(gateway: Gateway, http: FlaskClient) -> None:
    lacking = CSV.replace(b"sibsp", b"spouses")

    answer = _train(http, file_ids=[_upload(http), _upload(http, lacking, "june.csv")])

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/file_ids/1")
    assert answer.json["detail"].startswith("june.csv: the file has no column 'sibsp'")
    assert gateway.doorbell.rung == []


def test_a_file_that_does_not_exist_is_named_by_its_place(http: FlaskClient) -> None:
    answer = _train(http, file_ids=[_upload(http), "file_01a217a2-dd32-717c-951f-b63840767bad"])

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/file_ids/1")


def test_the_columns_with_a_role_are_accepted_and_not_ignored(gateway: Gateway, http: FlaskClient) -> None:
    roles = {"weight_column": "weight", "group_column": "passenger", "id_column": "day"}

    answer = _train(http, file_id=_upload(http), **roles)

    work, _ = gateway.jobs.read_work(answer.json["id"])
    assert work.roles == ColumnRoles("weight", "passenger", None, "day")
    assert "ignored_columns" not in answer.json


@pytest.mark.parametrize("field", ["weight_column", "group_column", "time_column", "id_column"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.ndjson"])
def test_a_column_with_a_role_has_to_be_in_the_file(http: FlaskClient, field: str, name: str) -> None:
    file_id = _upload(http, CSV if name == "rows.csv" else NDJSON, name)

    answer = _train(http, file_id=file_id, **{field: "pasenger"})

    error = answer.json["errors"][0]
    assert (answer.status_code, error["pointer"], error["code"]) == (422, f"/{field}", "missing_column")
    assert error["nearest"] == "passenger"


def test_the_target_has_no_other_role(http: FlaskClient) -> None:
    answer = _train(http, file_id=_upload(http), weight_column="survived")

    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [("/weight_column", "is_target")]


def test_rows_are_split_by_group_or_by_time(http: FlaskClient) -> None:
    answer = _train(http, file_id=_upload(http), group_column="passenger", time_column="day")

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/group_column")
    assert "name either group_column or time_column" in answer.json["detail"]


@pytest.mark.parametrize(
    "rule", [HoldoutRule(0.2, ("cabin",)), HoldoutRule(0.2, ("cabin",), TIME_METHOD, "5.0")], ids=["hash", "time"]
)
def test_a_file_without_the_column_of_the_split_is_refused(
    gateway: Gateway, http: FlaskClient, rule: HoldoutRule
) -> None:
    gateway.publish("split", holdout=rule)
    body = {"target": "survived", "file_id": _upload(http)}

    refused = http.post("/v1/models/split/trainings", json=body)
    accepted = http.post("/v1/models/split/trainings", json=body | {"group_column": "passenger"})

    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/file_id")
    assert "no column 'cabin', by which the rows of version 1 were split" in refused.json["errors"][0]["detail"]
    assert accepted.status_code == 202


def test_a_manifest_names_the_columns_of_the_split_that_are_no_features(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish("split", holdout=HoldoutRule(0.2, ("age", "cabin")))

    body = http.get("/v1/models/split/versions/1").json

    assert (body["holdout"]["columns"], body["split_columns"]) == (["age", "cabin"], ["cabin"])


@pytest.mark.parametrize("body", [{}, {"target": []}])
def test_a_target_may_be_left_out_unless_the_champion_is_a_classifier(
    gateway: Gateway, http: FlaskClient, body: dict[str, Any]
) -> None:
    gateway.publish("segments", classes=None, target=())
    body |= {"file_id": _upload(http)}

    accepted = http.post("/v1/models/segments/trainings", json=body)
    refused = http.post(TRAININGS, json=body)

    assert (accepted.status_code, gateway.jobs.read_work(accepted.json["id"])[0].target) == (202, ())
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/target")
    assert "a classifier, which learns from a target (survived); the request names none" in refused.json["detail"]
