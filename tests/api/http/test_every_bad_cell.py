"""A refusal names each of the first bad cells, and says how many there are."""

import json
import time
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from api.http.row_decoding import require_rows
from queuecast.domain.errors import Failure, Finding, InvalidInputError
from queuecast.domain.findings.bounds import MAX_COUNTED, MAX_FINDINGS
from queuecast.domain.signature import Column, ColumnType, Layout, Signature, fault_code
from queuecast.domain.work import Method
from tests.api.conftest import COLUMNS, PREDICTIONS, ROW, Gateway
from tests.api.job_states import claimed, submitted

BAD = ROW | {"age": "29", "sibsp": 1.5, "deck": "Z"}
SIGNATURE = Signature(Layout.FRAME, COLUMNS, (Method.PREDICT,))


def refused(http: FlaskClient, *rows: Any) -> dict[str, Any]:
    answer = http.post(PREDICTIONS, json={"inputs": list(rows)})
    assert answer.status_code == 422
    problem: dict[str, Any] = answer.json
    return problem


def test_all_bad_cells_of_all_rows_are_named(http: FlaskClient) -> None:
    problem = refused(http, ROW, BAD, ROW, BAD)

    assert [error["pointer"] for error in problem["errors"]] == [
        f"/inputs/{row}/{column}" for row in (1, 3) for column in ("age", "sibsp", "deck")
    ]
    assert problem["detail"] == '/inputs/1/age: found string "29", expected a finite number or null (and 5 more)'
    assert "errors_total" not in problem


def test_of_many_bad_cells_the_first_are_named_and_all_are_counted(http: FlaskClient) -> None:
    problem = refused(http, *[BAD] * 40)

    assert (len(problem["errors"]), problem["errors_total"]) == (MAX_FINDINGS, 120)
    assert problem["detail"].endswith(" (and 119 more)")


def test_a_value_that_a_later_one_hides_is_named_with_the_others() -> None:
    row = '{"age": "a", "sex": "f", "sibsp": "b", "alone": true, "deck": null, "age": 1, "sibsp": 2}'

    with pytest.raises(InvalidInputError) as caught:
        require_rows(SIGNATURE, f"[{row}, {row}]".encode(), 10)

    assert [finding.pointer for finding in caught.value.findings] == [
        f"/inputs/{index}/{column}" for index in (0, 1) for column in ("age", "sibsp")
    ]


CELLS = st.sampled_from([0, 1, 1.5, -1e40, 2**70, "A", "Z", "1", None, True, [], {}])


@given(rows=st.lists(st.fixed_dictionaries({column.name: CELLS for column in COLUMNS}), min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
def test_the_named_and_counted_cells_are_those_that_do_not_fit(rows: list[dict[str, Any]]) -> None:
    bad = [
        f"/inputs/{index}/{column.name}"
        for index, row in enumerate(rows)
        for column in COLUMNS
        if fault_code(column, row[column.name]) is not None
    ]
    try:
        require_rows(SIGNATURE, json.dumps(rows).encode(), 100)
    except InvalidInputError as refusal:
        assert [finding.pointer for finding in refusal.findings] == bad[:MAX_FINDINGS]
        assert (refusal.total or len(refusal.findings)) == len(bad)
    else:
        assert bad == []


@pytest.mark.parametrize("width", [1, 7000])
def test_the_count_of_a_body_in_which_every_cell_is_wrong_stops_in_time(width: int) -> None:
    columns = tuple(Column(f"c{at}", ColumnType.INTEGER, nullable=False, dtype="int64") for at in range(width))
    row = json.dumps({column.name: "x" for column in columns}).encode()
    rows = b"[" + b",".join([row] * (8 * 2**20 // len(row))) + b"]"
    began = time.process_time()

    with pytest.raises(InvalidInputError) as caught:
        require_rows(Signature(Layout.FRAME, columns, (Method.PREDICT,)), rows, 10**9)

    assert (len(caught.value.findings), caught.value.total) == (MAX_FINDINGS, MAX_COUNTED)
    assert caught.value.detail.endswith(f" (and at least {MAX_COUNTED - 1} more)")
    assert time.process_time() - began < 2


def test_all_missing_columns_of_a_file_are_named_and_counted(http: FlaskClient) -> None:
    table = {"data": b"age,alone\n1,true\n", "headers": {"Content-Type": "text/csv"}}
    file_id = http.post("/v1/files", **table).json["id"]

    batch = http.post("/v1/models/titanic/batches", json={"file_id": file_id, "id_column": "id"}).json
    training = http.post("/v1/models/titanic/trainings", json={"file_id": file_id, "target": ["y", "z"]}).json

    assert [(error["pointer"], error["column"]) for error in batch["errors"]] == [
        *(("/file_id", name) for name in ("sex", "sibsp", "deck")),
        ("/id_column", "id"),
    ]
    assert batch["detail"] == "the file has no column 'sex' (and 3 more); it has age, alone"
    assert [error["column"] for error in training["errors"]] == ["y", "z", "sex", "sibsp", "deck"]


def test_of_many_missing_columns_the_first_are_named(gateway: Gateway) -> None:
    columns = tuple(Column(f"c{at}", ColumnType.NUMBER, nullable=False, dtype="float64") for at in range(300))
    gateway.publish("wide", signature=Signature(Layout.FRAME, columns, (Method.PREDICT,)))
    http = gateway.app().test_client()
    file_id = http.post("/v1/files", data=b"x\n1\n", headers={"Content-Type": "text/csv"}).json["id"]

    problem = http.post("/v1/models/wide/batches", json={"file_id": file_id}).json

    assert (len(problem["errors"]), problem["errors_total"]) == (MAX_FINDINGS, 300)
    assert problem["detail"] == "the file has no column 'c0' (and 299 more); it has x"


def test_all_duplicate_columns_of_a_file_are_named(http: FlaskClient) -> None:
    table = {"data": b"age,sex,age,sex,deck\n1,2,3,4,5\n", "headers": {"Content-Type": "text/csv"}}
    file_id = http.post("/v1/files", **table).json["id"]

    problem = http.post("/v1/models/titanic/batches", json={"file_id": file_id}).json

    assert [error["column"] for error in problem["errors"]] == ["age", "sex"]
    assert problem["detail"] == "the column 'age' is in the file more than once (and 1 more)"


def test_a_failed_job_says_how_many_cells_were_bad(gateway: Gateway, http: FlaskClient) -> None:
    job = claimed(gateway, submitted(http))
    failure = Failure("invalid_input", "no", (Finding("row 1, column a", "null", "no"),), total=500)
    gateway.jobs.replace(job.failed(failure, gateway.clock(), 60))

    problem = http.get(f"/v1/jobs/{job.id}/result").json

    assert (problem["status"], problem["errors_total"]) == (409, 500)
    assert http.get(f"/v1/jobs/{job.id}").json["error"]["errors_total"] == 500
