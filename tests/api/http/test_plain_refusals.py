"""No refusal of a body, a form or a query shows the words of a type checker, whatever is wrong and wherever."""

import json
import re
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from api.http.decoding import decode_json
from api.http.incoming_files import decode_form_field
from api.http.validation_errors import query_error
from api.schemas import requests
from queuecast.domain.errors import InvalidInputError
from tests.api.conftest import PREDICTIONS, ROW

CHECKER_WORDS = re.compile(
    r"`|\$\.|Expected|\bgot\b|length [<>=]|\b(str|int|float|bool|NoneType|dict|list\[|Object|enum)\b"
)
WRONG: list[Any] = [None, True, 1.5, -1, 0, 10**30, "", "x" * 20_000, "Not A Name", [], [1], [""], {}, {"a": 1}, [[]]]
BODIES = {
    requests.PredictionRequest: {"inputs": [{}]},
    requests.TrainingRequest: {"file_id": "file_1", "target": "y"},
    requests.BatchRequest: {"file_id": "file_1"},
    requests.PushMetadata: {"holdout": {"method": "rowhash-v1"}},
    requests.AliasRequest: {"version": 1},
    requests.RollbackRequest: {"reason": "why"},
}
QUERIES = [requests.JobQuery, requests.ModelQuery, requests.VersionQuery, requests.PartQuery, requests.UploadQuery]


def wrong_bodies(kind: Any, body: dict[str, Any]) -> list[Any]:
    fields = [field.encode_name for field in msgspec.structs.fields(kind)]
    changed = [body | {name: value} for name in fields for value in WRONG]
    incomplete = [{name: value for name, value in body.items() if name != left_out} for left_out in body]
    nested = (
        [{"holdout": {"fraction": value, "columns": value}} for value in WRONG] if kind is requests.PushMetadata else []
    )
    return [*WRONG, *changed, *incomplete, *nested, body | {"more": 1}]


def said_by(refused: InvalidInputError) -> str:
    facts = [(finding.detail, finding.found, finding.expected) for finding in refused.findings]
    return json.dumps([refused.detail, facts])


@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.__name__)
def test_every_wrong_body_is_refused_in_plain_words(kind: Any) -> None:
    refusals = 0
    for body in wrong_bodies(kind, BODIES[kind]):
        for decode in (
            lambda data: decode_json(kind, data),
            lambda data: decode_form_field(kind, data.decode(), "metadata"),
        ):
            try:
                decode(json.dumps(body).encode())
            except InvalidInputError as refused:
                refusals += 1
                assert not CHECKER_WORDS.search(said_by(refused)), said_by(refused)

    assert refusals > 20


@pytest.mark.parametrize("kind", QUERIES, ids=lambda kind: kind.__name__)
def test_every_wrong_query_is_refused_in_plain_words(kind: Any) -> None:
    refusals = 0
    for name in [field.encode_name for field in msgspec.structs.fields(kind)]:
        for value in ("", "x", "-1", "0", "1.5", "x" * 2000, "Not A Name", "9" * 400):
            values = {name: value}
            try:
                msgspec.convert(values, kind, strict=False)
            except msgspec.ValidationError as error:
                refusals += 1
                said = said_by(query_error(error, kind, values))
                assert not CHECKER_WORDS.search(said), said

    assert refusals > 0


@pytest.mark.parametrize("value", WRONG, ids=range(len(WRONG)))
def test_every_wrong_row_is_refused_in_plain_words(http: FlaskClient, value: Any) -> None:
    bodies = [{"inputs": value}, {"inputs": [value]}, *({"inputs": [ROW | {name: value}]} for name in ROW)]
    answers = [http.post(PREDICTIONS, json=body) for body in bodies]

    for answer in answers:
        assert answer.status_code in (202, 400, 422)
        assert answer.status_code == 202 or not CHECKER_WORDS.search(json.dumps(answer.json)), answer.json
