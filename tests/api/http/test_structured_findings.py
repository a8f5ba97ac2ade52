"""The facts of a refusal are fields of their own, and do not depend on the words of msgspec."""

import json
import re
from typing import Any

import msgspec
import msgspec.inspect
import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from api.http.decoding import decode_json
from api.http.type_mismatches import mismatches
from api.http.validation_errors import body_error, query_error
from api.schemas.requests import AliasRequest, JobQuery, PredictionRequest, PushMetadata, TrainingRequest
from queuecast.adapters.job_codec import decode_job, encode
from queuecast.domain.errors import Failure, Finding, InvalidInputError
from queuecast.tables.decoding_errors import plain_words
from tests.api.conftest import PREDICTIONS, ROW, Gateway
from tests.api.job_states import claimed, submitted

JSON = {"Content-Type": "application/json"}
TRAINING = {"file_id": "file_1", "target": "y"}


class FreeFields(msgspec.Struct):
    metadata: dict[str, Any]


BODIES = {
    "unknown field": (
        PredictionRequest,
        {"inputs": [], "methd": 1},
        "/methd",
        "unknown_field",
        "an unknown field 'methd'",
    ),
    "missing field": (AliasRequest, {}, "/version", "missing_field", "no field 'version'"),
    "no object": (AliasRequest, [1], "", "wrong_type", "a list"),
    "type": (AliasRequest, {"version": "1"}, "/version", "wrong_type", "'1'"),
    "boolean": (AliasRequest, {"version": True}, "/version", "wrong_type", "true"),
    "fraction": (AliasRequest, {"version": 1.5}, "/version", "wrong_type", "number 1.5"),
    "union": (PredictionRequest, {"inputs": [], "version": 1.5}, "/version", "wrong_type", "number 1.5"),
    "null": (PredictionRequest, {"inputs": [], "priority": None}, "/priority", "wrong_type", "null"),
    "enum": (PredictionRequest, {"inputs": [], "method": "fit"}, "/method", "unknown_value", "'fit'"),
    "literal": (PushMetadata, {"holdout": {"method": "x"}}, "/holdout/method", "unknown_value", "'x'"),
    "too small": (PredictionRequest, {"inputs": [], "timeout_s": 0}, "/timeout_s", "out_of_range", "number 0"),
    "too large": (PushMetadata, {"holdout": {"fraction": 1}}, "/holdout/fraction", "out_of_range", "number 1"),
    "too short": (TrainingRequest, TRAINING | {"target": ""}, "/target", "wrong_length", "0 characters"),
    "too few": (TrainingRequest, TRAINING | {"file_ids": []}, "/file_ids", "wrong_length", "0 items"),
    "too long": (AliasRequest, {"version": 1, "reason": "x" * 501}, "/reason", "wrong_length", "501 characters"),
    "item": (TrainingRequest, TRAINING | {"target": ["a", 1]}, "/target/1", "wrong_type", "number 1"),
    "no finite number": (
        FreeFields,
        {"metadata": {"a/b": [1e999]}},
        "/metadata/a~1b/0",
        "out_of_range",
        "a number that is too large",
    ),
}
QUERIES = {
    "no number": ({"limit": "x"}, "/limit", "wrong_type", "'x'", "a whole number"),
    "too small": ({"limit": "0"}, "/limit", "out_of_range", "number 0", "at least 1"),
    "too large": ({"limit": "201"}, "/limit", "out_of_range", "number 201", "at most 200"),
    "format": ({"cursor": "x"}, "/cursor", "wrong_format", "'x'", "text that matches"),
    "after a number with a point": ({"version": "1.0", "limit": "0"}, "/limit", "out_of_range", "number 0", "at least"),
}


class RewordedError(msgspec.ValidationError):
    """As a later msgspec may say it."""

    def __init__(self) -> None:
        super().__init__("no")


@pytest.mark.parametrize(("kind", "value", "pointer", "code", "found"), BODIES.values(), ids=BODIES)
def test_a_body_that_msgspec_refuses_is_explained_without_its_words(
    kind: Any, value: Any, pointer: str, code: str, found: str
) -> None:
    data = json.dumps(value).replace("Infinity", "1e999").encode()
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(data, type=kind)

    (finding,) = body_error(RewordedError(), kind, data).findings

    assert (finding.pointer, finding.code, finding.found) == (pointer, code, found)
    assert finding.detail.startswith(f"found {finding.found}, expected {finding.expected}")


@pytest.mark.parametrize(("values", "pointer", "code", "found", "expected"), QUERIES.values(), ids=QUERIES)
def test_a_query_that_msgspec_refuses_is_explained_without_its_words(
    values: dict[str, str], pointer: str, code: str, found: str, expected: str
) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(values, JobQuery, strict=False)

    (finding,) = query_error(RewordedError(), JobQuery, values).findings

    assert (finding.pointer, finding.code, finding.found) == (pointer, code, found)
    assert (finding.expected or "").startswith(expected)


FIELDS = st.sampled_from(["file_id", "target", "params", "promote", "metadata", "timeout_s", "more"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(body=st.dictionaries(FIELDS, VALUES | st.sampled_from(["auto", "never"]), max_size=5) | VALUES)
@settings(max_examples=400, deadline=None)
def test_the_comparison_points_where_msgspec_does(body: Any) -> None:
    data = json.dumps(body).encode()
    try:
        msgspec.json.decode(data, type=TrainingRequest)
    except msgspec.ValidationError as error:
        path = re.search(r" - at `\$(.*)`$", str(error))
        pointer = re.sub(r"\[(\d+)\]|\.", lambda part: "/" + (part[1] or ""), path[1] if path else "")

        (finding,) = body_error(error, TrainingRequest, data).findings

        names_field = finding.code in ("unknown_field", "missing_field")  # msgspec points at the object
        place = finding.pointer.rpartition("/")[0] if names_field else finding.pointer
        assert (place, finding.code == "invalid") == (pointer, False)


def test_a_number_out_of_range_is_found_at_any_depth() -> None:
    value: Any = [1.0, float("inf")]
    for _ in range(50_000):
        value = [value]

    (finding,) = mismatches(msgspec.inspect.type_info(Any), {"a": {"b": 1.0}, "c/d": value}, "/metadata")

    assert finding.pointer == "/metadata/c~1d" + "/0" * 50_000 + "/1"


def test_numbers_out_of_range_are_found_in_the_order_of_the_body() -> None:
    value = {"a": [1e999, {"b": -1e999}], "c": 1.0, "d": 1e999}

    found = list(mismatches(msgspec.inspect.type_info(Any), value, ""))

    assert [finding.pointer for finding in found] == ["/a/0", "/a/1/b", "/d"]


def test_a_field_that_msgspec_accepts_is_not_compared() -> None:
    body = {"file_id": "f", "target": "y", "params": {"C": [1] * 10}, "promote": "x"}

    (finding,) = body_error(RewordedError(), TrainingRequest, json.dumps(body).encode()).findings

    assert (finding.pointer, finding.found) == ("/promote", "'x'")


@pytest.mark.parametrize("size", [10, 2**16])
def test_a_refused_field_of_any_size_has_an_explanation(size: int) -> None:
    data = json.dumps({"version": 1, "reason": [0] * size}).encode()

    (finding,) = body_error(RewordedError(), AliasRequest, data).findings

    assert finding.code == ("wrong_type" if size == 10 else "invalid")


def test_words_of_msgspec_are_the_fallback_for_a_body_that_is_no_json_further_on() -> None:
    refusal = body_error(RewordedError(), AliasRequest, b'{"version": "1", ')

    assert (refusal.detail, refusal.findings) == ("no", (Finding("", "invalid", "no"),))


def test_a_value_that_does_not_fit_its_column_has_its_facts(http: FlaskClient) -> None:
    answer = http.post(PREDICTIONS, json={"inputs": [ROW | {"deck": "Z"}]})

    assert answer.json["errors"] == [
        {
            "pointer": "/inputs/0/deck",
            "code": "unknown_category",
            "detail": 'found string "Z", expected one of string "A", string "B" or null',
            "found": 'string "Z"',
            "expected": 'one of string "A", string "B" or null',
            "column": "deck",
        }
    ]


def test_a_table_without_a_column_has_the_names_of_those_it_has_and_needs(http: FlaskClient) -> None:
    table = {"data": b"age;sex\n1;male\n", "headers": {"Content-Type": "text/csv"}}
    file_id = http.post("/v1/files", **table).json["id"]

    first, second, *_ = http.post("/v1/models/titanic/batches", json={"file_id": file_id}).json["errors"]

    assert (first["column"], first["columns"]) == ("age", ["age;sex"])
    assert first["expected_columns"] == ["age", "sex", "sibsp", "alone", "deck"]
    assert (second["column"], "columns" in second) == ("sex", False)


@pytest.mark.parametrize("name", [r"\ud800", r"a\udfff"])
def test_half_of_a_surrogate_pair_behind_a_mismatch_is_no_500(http: FlaskClient, name: str) -> None:
    rows = json.dumps({"inputs": [ROW | {"sex": 1, "more": 1}]}).replace("more", name).encode()
    body = f'{{"inputs": [], "method": "x", "{name}": "{name}"}}'.encode()

    answers = [http.post(PREDICTIONS, data=data, headers=JSON).status_code for data in (rows, body)]

    assert set(answers) <= {400, 422}


def test_a_job_that_failed_before_findings_had_facts_can_still_be_read(gateway: Gateway, http: FlaskClient) -> None:
    job = claimed(gateway, submitted(http))
    failed = job.failed(Failure("bad_file", "no", (Finding("/a", "null", "no"),)), gateway.clock(), 60)
    record = json.loads(encode(failed))
    (finding,) = record["failure"]["findings"]

    record["failure"]["findings"] = [{name: finding[name] for name in ("pointer", "code", "detail")}]

    assert decode_job(json.dumps(record).encode()) == failed


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Expected `str` of length >= 1 - at `$.target`", "/target: expected a string with a length of at least 1"),
        ("Expected `array | null`, got `object`", "found an object, expected a list or null"),
    ],
)
def test_an_error_that_is_not_explained_has_no_words_of_a_type_checker(said: str, expected: str) -> None:
    assert plain_words(msgspec.ValidationError(said)) == expected


def test_a_large_field_of_the_wrong_type_is_refused_in_plain_words() -> None:
    body = json.dumps(TRAINING | {"promote": list(range(20_000))}).encode()

    with pytest.raises(InvalidInputError, match="/promote: found a list, expected a string"):
        decode_json(TrainingRequest, body)
