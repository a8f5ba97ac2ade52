"""No problem document grows with the width of a table or the length of its names."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.http.errors import MAX_PROBLEM_BYTES, problem
from queuecast.domain.errors import Finding
from queuecast.domain.findings.bounds import MAX_FINDINGS
from queuecast.domain.model import AliasMove
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from tests.api.conftest import Gateway

WIDTH = 7000
LONG = "very long name " * 1000
NAMES = {
    "short": [f"c{at}" for at in range(WIDTH)],
    "long": [f"{LONG[:900]}{at}{LONG[:90]}" for at in range(WIDTH)],
    "not ASCII": [f"ü😀\u0001{at}" * 20 for at in range(WIDTH)],
}
CSV, NDJSON = {"Content-Type": "text/csv"}, {"Content-Type": "application/x-ndjson"}


def wide(names: list[str], layout: Layout = Layout.FRAME) -> Signature:
    columns = tuple(Column(name, ColumnType.NUMBER, nullable=False, dtype="float64") for name in names)
    return Signature(layout, columns, (Method.PREDICT,))


class Doors:
    """Requests about a wide model or a wide table, each of which is refused."""

    def __init__(self, http: FlaskClient, names: list[str]) -> None:
        self._http = http
        self._names = names
        self._others = [f"{name[:700]}?{name[-200:]}" for name in names]

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self._http.post(f"/v1/models/wide/{path}", json=body)

    def _rows(self, *rows: Any, **more: Any) -> Any:
        return self._post("predictions", {"inputs": list(rows)} | more)

    def _file(self, data: str, headers: dict[str, str]) -> str:
        file_id: str = self._http.post("/v1/files", data=data.encode(), headers=headers).json["id"]
        return file_id

    def _csv(self, names: list[str]) -> str:
        return self._file(",".join(names) + "\n" + "1," * (len(names) - 1) + "1\n", CSV)

    def a_row_without_columns(self) -> Any:
        return self._rows({})

    def a_row_of_other_columns(self) -> Any:
        return self._rows(dict.fromkeys(self._others, 1), extra_columns="refuse")

    def a_row_of_ignored_columns(self) -> Any:
        return self._rows(dict.fromkeys(self._others, 1))

    def a_row_of_wrong_cells(self) -> Any:
        return self._rows(dict.fromkeys(self._names, "x" * 100))

    def a_row_that_is_a_list(self) -> Any:
        return self._rows([1] * WIDTH)

    def a_file_without_columns(self) -> Any:
        return self._post("batches", {"file_id": self._csv(self._others)})

    def a_file_of_other_columns(self) -> Any:
        body = {"file_id": self._csv([*self._names, *self._others]), "extra_columns": "refuse"}
        return self._post("batches", body)

    def a_file_of_double_columns(self) -> Any:
        return self._post("batches", {"file_id": self._csv([*self._names, *self._names])})

    def a_file_without_its_id(self) -> Any:
        return self._post("batches", {"file_id": self._csv(self._names), "id_column": LONG[:1000]})

    def rows_without_their_id(self) -> Any:
        return self._post("batches", {"inputs": [dict.fromkeys(self._names, 1)], "id_column": LONG[:1000]})

    def a_training_without_columns_and_targets(self) -> Any:
        body = {"file_id": self._csv(self._others), "target": [f"t{at}" * 5 for at in range(WIDTH)]}
        return self._post("trainings", body)

    def a_training_on_its_features(self) -> Any:
        return self._post("trainings", {"file_id": self._csv(self._names), "target": self._names[:100]})

    def a_training_of_ndjson(self) -> Any:
        body = {"file_id": self._file(json.dumps(dict.fromkeys(self._others, 1)), NDJSON), "target": "y"}
        return self._post("trainings", body)

    def a_training_with_other_parameters(self) -> Any:
        params = {f"p{at}" if at else LONG[:900]: 1 for at in range(1000)}
        return self._post("trainings", {"file_id": "file_1", "target": "y", "params": params})

    def an_unknown_field(self) -> Any:
        return self._post("predictions", {LONG: 1})

    def an_unknown_alias(self) -> Any:
        return self._rows({}, version=LONG)

    def an_unknown_model(self) -> Any:
        return self._http.get(f"/v1/models/{LONG}")

    def an_unknown_path(self) -> Any:
        return self._http.get(f"/{LONG}")

    def an_unknown_parameter_of_a_list(self) -> Any:
        return self._http.get("/v1/jobs", query_string={LONG: LONG})


DOORS = [name for name in vars(Doors) if not name.startswith("_")]


@pytest.fixture(params=NAMES)
def names(request: pytest.FixtureRequest) -> list[str]:
    return NAMES[request.param]


@pytest.fixture
def http_of_wide(gateway: Gateway, names: list[str]) -> FlaskClient:
    app = gateway.limited(max_body_bytes=2**25, max_upload_bytes=2**26, max_files_bytes=2**30)
    gateway.publish("wide", signature=wide(names), params=tuple(f"model__{name[:50]}" for name in names))
    for at in range(300):
        present = gateway.aliases.read("wide")
        move = AliasMove(present.generation + 1, f"alias-{at}", 1, None, gateway.clock(), "set")
        gateway.aliases.move("wide", move)
    return app.test_client()


@pytest.mark.parametrize("door", DOORS)
def test_the_gateway_refuses_a_wide_table_in_few_bytes_and_soon(
    http_of_wide: FlaskClient, names: list[str], door: str
) -> None:
    call: Callable[[], Any] = getattr(Doors(http_of_wide, names), door)
    began = time.process_time()

    answer = call()

    assert 400 <= answer.status_code < 500, answer.data[:1000]
    assert len(answer.data) <= MAX_PROBLEM_BYTES
    assert answer.json["detail"]
    assert time.process_time() - began < 3


def test_the_last_findings_are_left_out_of_a_problem_that_is_too_large() -> None:
    findings = tuple(Finding(f"/{at}", "null", "\u0001" * 60, "x" * 900, "y" * 900) for at in range(MAX_FINDINGS))

    small, large = problem("c", "t", 422, "d", findings[:2]), problem("c", "t", 422, "d", findings, 70)

    assert (len(small.errors), "errors_total" in str(small)) == (2, True)
    assert [error.pointer for error in large.errors] == [f"/{at}" for at in range(len(large.errors))]
    assert (0 < len(large.errors) < MAX_FINDINGS, large.errors_total) == (True, 70)
