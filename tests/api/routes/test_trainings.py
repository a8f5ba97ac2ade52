"""Starting a retraining: a file with an unsuitable header is refused before anything is queued."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from queuecast.domain.gate import PromotionPolicy
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.trainings.fit_mode import FitMode
from queuecast.domain.trainings.searching import Search
from queuecast.domain.work import Method, OnError
from tests.api.conftest import Gateway

TRAININGS = "/v1/models/titanic/trainings"
HEADER = b"age,sex,sibsp,alone,deck,survived,port\n"
LINE = b"29.5,female,1,false,A,1,S\n"


def upload(http: FlaskClient, data: bytes = HEADER + LINE) -> str:
    file_id: str = http.post("/v1/files", data=data, headers={"Content-Type": "text/csv"}).json["id"]
    return file_id


def test_a_training_is_accepted_with_its_file_and_parameters(gateway: Gateway, http: FlaskClient) -> None:
    file_id = upload(http)

    answer = http.post(
        TRAININGS, json={"file_id": file_id, "target": "survived", "params": {"C": 2}, "promote": "manual"}
    )

    work, _ = gateway.jobs.read_work(answer.json["id"])
    assert (answer.status_code, answer.json["type"], answer.json["model"]["version"]) == (202, "training", 1)
    assert (work.file_sha256, work.target, work.params) == (gateway.files.stat(file_id).sha256, ("survived",), {"C": 2})
    assert work.promote is PromotionPolicy.MANUAL
    assert gateway.doorbell.rung == ["training"]


@pytest.mark.parametrize(("body", "expected"), [({}, OnError.FAIL), ({"on_error": "skip"}, OnError.SKIP)])
def test_bad_rows_fail_a_training_unless_it_is_told_to_skip_them(
    gateway: Gateway, http: FlaskClient, body: dict[str, str], expected: OnError
) -> None:
    answer = http.post(TRAININGS, json={"file_id": upload(http), "target": "survived"} | body)

    work, _ = gateway.jobs.read_work(answer.json["id"])
    assert work.on_error is expected


def test_the_rows_that_a_training_left_out_are_listed(gateway: Gateway, http: FlaskClient) -> None:
    job_id = http.post(TRAININGS, json={"file_id": upload(http), "target": "survived"}).json["id"]
    before = http.get(f"/v1/jobs/{job_id}/errors")
    path = gateway.batches.bad_rows_of_training(job_id)
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"row":3,"column":"age","code":"null","detail":"is empty"}\n')

    after = http.get(f"/v1/jobs/{job_id}/errors")

    assert (before.status_code, before.data, after.data) == (200, b"", path.read_bytes())


@pytest.mark.parametrize(
    ("params", "pointer"),
    [({"c": 2}, "/params/c"), ({"search__param_grid": {"c": [2]}}, "/params/search__param_grid/c")],
    ids=["name", "name in a grid"],
)
def test_a_parameter_that_the_champion_lacks_is_refused_before_it_is_queued(
    gateway: Gateway, http: FlaskClient, params: dict[str, Any], pointer: str
) -> None:
    gateway.publish("searched", params=("C", "search__param_grid", "search__estimator__C"))

    body = {"file_id": upload(http), "target": "survived", "params": params}
    answer = http.post("/v1/models/searched/trainings", json=body)

    assert answer.status_code == 422
    assert answer.json["errors"][0] == {
        "pointer": pointer,
        "code": "invalid_params",
        "detail": "found an unknown parameter 'c', expected 'C'",
        "found": "an unknown parameter 'c'",
        "expected": "'C'",
        "nearest": "C",
    }
    assert gateway.doorbell.rung == []


SEARCH = {"param_distributions": {"C": {"low": 0.1, "high": 10, "log": True}}}


def test_a_search_is_accepted_with_its_defaults(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish("other", params=("C",))

    body = {"file_id": upload(http), "target": "survived", "search": SEARCH}
    answer = http.post("/v1/models/other/trainings", json=body)

    work, _ = gateway.jobs.read_work(answer.json["id"])
    assert work.search == Search({"C": {"low": 0.1, "high": 10, "log": True}})


@pytest.mark.parametrize(
    ("search", "pointer"),
    [
        ({}, "/search/param_distributions"),
        (SEARCH | {"n_candidates": 201}, "/search/n_candidates"),
        (SEARCH | {"cv": 1}, "/search/cv"),
        (SEARCH | {"max_s": 0}, "/search/max_s"),
        (SEARCH | {"kind": "grid"}, "/search/kind"),
        (SEARCH | {"metric": "roc"}, "/search/metric"),
        ({"param_distributions": [1]}, "/search/param_distributions"),
        ({"param_distributions": {"c": [1]}}, "/search/param_distributions/c"),
        ({"param_distributions": {"C": "1"}}, "/search/param_distributions/C"),
        ({"param_distributions": {"C": ["x" * 20_000]}}, "/search/param_distributions"),
    ],
)
def test_an_unsound_search_is_refused_before_it_is_queued(
    gateway: Gateway, http: FlaskClient, search: dict[str, Any], pointer: str
) -> None:
    gateway.publish("other", params=("C",))

    body = {"file_id": upload(http), "target": "survived", "search": search}
    answer = http.post("/v1/models/other/trainings", json=body)

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)


@pytest.mark.parametrize(
    ("can_update", "body", "expected"),
    [
        (True, {}, None),
        (None, {}, None),
        (False, {}, ("/mode", "no_partial_fit")),
        (True, {"params": {"C": 2}}, ("/params", "not_in_update")),
        (True, {"search": SEARCH}, ("/search", "not_in_update")),
    ],
    ids=["it can", "unknown", "it cannot", "parameters", "search"],
)
def test_an_update_that_cannot_be_is_refused_before_it_is_queued(
    gateway: Gateway, http: FlaskClient, can_update: bool | None, body: dict[str, Any], expected: tuple[str, str] | None
) -> None:
    gateway.publish("other", params=("C",), can_update=can_update)

    request = {"file_id": upload(http), "target": "survived", "mode": "update"} | body
    answer = http.post("/v1/models/other/trainings", json=request)

    if expected is None:
        assert gateway.jobs.read_work(answer.json["id"])[0].mode is FitMode.UPDATE
    else:
        assert (answer.status_code, answer.json["errors"][0]["pointer"], answer.json["errors"][0]["code"]) == (
            422,
            *expected,
        )


@pytest.mark.parametrize(
    ("data", "target", "pointer", "words"),
    [
        (HEADER + LINE, "boat", "/target", "no column 'boat'"),
        (HEADER + LINE, ["survived", "boat"], "/target", "no column 'boat'"),
        (HEADER + LINE, "age", "/target", "a column that the model takes"),
        (b"age,sex,survived\n1,m,0\n", "survived", "/file_id", "no column 'sibsp'"),
        (b"\n", "survived", "/file_id", "the file is empty"),
        (HEADER, "survived", "/file_id", "a header and no rows"),
        (HEADER.replace(b"port", b"sex") + LINE, "survived", "/file_id", "'sex' is in the file more than once"),
        (b"\xff\xfe\x00a,b\n", "survived", "/file_id", "not CSV in UTF-8"),
    ],
    ids=[
        "no target",
        "no second target",
        "target is a feature",
        "no feature",
        "empty file",
        "no rows",
        "doubled name",
        "not text",
    ],
)
def test_a_file_that_cannot_train_is_refused_before_it_is_queued(
    gateway: Gateway, http: FlaskClient, data: bytes, target: str | list[str], pointer: str, words: str
) -> None:
    answer = http.post(TRAININGS, json={"file_id": upload(http, data), "target": target})

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)
    assert words in answer.json["errors"][0]["detail"]
    assert (gateway.recorded(), gateway.doorbell.rung) == ([], [])


def test_a_byte_order_mark_is_not_part_of_the_first_column(http: FlaskClient) -> None:
    file_id = upload(http, b"\xef\xbb\xbf" + HEADER + LINE)

    assert http.post(TRAININGS, json={"file_id": file_id, "target": "survived"}).status_code == 202


@pytest.mark.parametrize("blank", [b"\n", b"\r\n\r\n", b"\xef\xbb\xbf\n"])
def test_blank_lines_before_the_first_row_are_skipped(http: FlaskClient, blank: bytes) -> None:
    rows = b'{"age":1,"sex":"m","sibsp":0,"alone":true,"deck":null,"survived":0}\n'
    as_lines = http.post("/v1/files", data=blank + rows, headers={"Content-Type": "application/x-ndjson"}).json["id"]

    for file_id in (upload(http, blank + HEADER + LINE), as_lines):
        answer = http.post(TRAININGS, json={"file_id": file_id, "target": "survived"})

        assert answer.status_code == 202
        http.post(f"/v1/jobs/{answer.json['id']}/cancel")


ORDINARY = {
    "text/csv": b"length,width,kind\n1.5,2,0\n",
    "application/x-ndjson": b'{"length":1.5,"width":2,"kind":0}\n',
}


@pytest.mark.parametrize("media_type", ORDINARY)
@pytest.mark.parametrize(("n_columns", "status"), [(1, 422), (2, 202), (3, 422)])
def test_a_model_without_column_names_is_trained_on_as_many_columns_as_it_has(
    gateway: Gateway, http: FlaskClient, media_type: str, n_columns: int, status: int
) -> None:
    columns = tuple(Column(f"x{index}", ColumnType.NUMBER, False, "float64") for index in range(n_columns))
    gateway.publish("measures", signature=Signature(Layout.ARRAY, columns, (Method.PREDICT,)))
    stored = http.post("/v1/files", data=ORDINARY[media_type], headers={"Content-Type": media_type}).json["id"]

    answer = http.post("/v1/models/measures/trainings", json={"file_id": stored, "target": "kind"})

    assert answer.status_code == status
    assert status == 202 or f"the file has 2 feature columns, expected {n_columns}" in answer.json["detail"]


def test_an_unknown_file_is_refused_with_a_pointer(http: FlaskClient) -> None:
    answer = http.post(TRAININGS, json={"file_id": "file_x", "target": "survived"})

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/file_id")


def test_a_second_training_is_refused_until_the_first_has_ended(gateway: Gateway, http: FlaskClient) -> None:
    request = {"file_id": upload(http), "target": "survived"}

    first = http.post(TRAININGS, json=request)
    second = http.post(TRAININGS, json=request)
    http.post(f"/v1/jobs/{first.json['id']}/cancel")
    third = http.post(TRAININGS, json=request)

    assert (first.status_code, second.status_code, third.status_code) == (202, 409, 202)
    assert first.json["id"] in second.json["detail"]


def test_a_model_without_a_champion_cannot_be_retrained(http: FlaskClient) -> None:
    answer = http.post("/v1/models/nope/trainings", json={"file_id": "file_x", "target": "y"})

    assert (answer.status_code, answer.json["code"]) == (404, "unknown_model")


@pytest.mark.parametrize(
    "request_body", [{}, {"file_id": 1, "target": "y"}, {"file_id": "f", "target": []}, {"file_id": "f", "target": ""}]
)
def test_an_invalid_request_is_a_422(http: FlaskClient, request_body: dict[str, object]) -> None:
    assert http.post(TRAININGS, json=request_body).status_code == 422


def test_a_refusal_of_many_targets_lists_the_first_twenty(http: FlaskClient) -> None:
    targets = [f"t{index}" for index in range(10_000)]

    answer = http.post(TRAININGS, json={"file_id": upload(http), "target": targets})

    assert answer.status_code == 422
    assert [error["column"] for error in answer.json["errors"]] == targets[:20]


@pytest.mark.parametrize("path", ["trainings", "batches"])
def test_an_unknown_file_is_an_error_of_the_request(http: FlaskClient, path: str) -> None:
    body = {"file_id": "file_" + "0" * 36} | ({"target": "y"} if path == "trainings" else {})

    answer = http.post(f"/v1/models/titanic/{path}", json=body)

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_input")
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [("/file_id", "unknown_file")]
