"""Models, versions, aliases and rollback over HTTP, and the pushes that are refused."""

import gzip
import io
import json
import pickle
import zipfile
import zlib

import pytest
from flask.testing import FlaskClient

from queuecast.ports.workers import ProcessModels
from tests.api.conftest import ROW, Gateway

ALIAS = "/v1/models/titanic/aliases/champion"


def archive(**entries: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        for name, content in entries.items():
            opened.writestr(name.replace("_", "."), content)
    return made.getvalue()


SKOPS_LIKE = archive(schema_json=b'{"protocol": 2}')


def push(http: FlaskClient, model: bytes = SKOPS_LIKE, name: str = "ship", metadata: str | None = None):
    form = {"model": (io.BytesIO(model), "m.skops"), "example": (io.BytesIO(b"age\n1\n"), "e.csv", "text/csv")}
    if metadata is not None:
        form["metadata"] = metadata
    return http.post(f"/v1/models/{name}/versions", data=form)


def test_models_are_listed_with_their_champion(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish()

    listed = http.get("/v1/models").json
    one = http.get("/v1/models/titanic")

    expected = {
        "name": "titanic",
        "champion": 1,
        "aliases": {"champion": 1},
        "generation": 1,
        "versions": 2,
        "latest": 2,
        "workers": {"total": 0, "on_champion": 0, "generation": None},
    }
    assert listed == {"data": [expected], "next_cursor": None}
    assert (one.json, one.headers["ETag"]) == (expected, '"1"')


def test_a_model_says_how_far_the_workers_have_followed_its_aliases(gateway: Gateway, http: FlaskClient) -> None:
    """Three processes have it loaded, and two of them the champion."""
    gateway.publish()
    gateway.publish("wine")
    for process, versions, generation in (("a", [1], 2), ("b", [1, 2], 3), ("c", [2], 3)):
        loaded = ProcessModels({"titanic": versions}, {"titanic": generation})
        gateway.loaded_models.report_models(process, loaded)
    gateway.loaded_models.report_models("d", ProcessModels({"iris": [1]}, {"iris": 9}))
    promoted = http.put("/v1/models/titanic/aliases/champion", json={"version": 2}, headers={"If-Match": "*"})

    expected = {"total": 3, "on_champion": 2, "generation": 2}
    assert promoted.json["workers"] == expected
    assert http.get("/v1/models/titanic").json["workers"] == expected
    assert [each["workers"]["total"] for each in http.get("/v1/models").json["data"]] == [3, 0]


def test_versions_are_listed_with_their_manifests_and_aliases(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish(sha256="1" * 64)

    versions = http.get("/v1/models/titanic/versions").json["data"]
    second = http.get("/v1/models/titanic/versions/2").json

    assert [(each["version"], each["aliases"]) for each in versions] == [(2, []), (1, ["champion"])]
    assert versions[0] == second
    assert (second["sha256"], second["environment"], second["target"]) == ("1" * 64, {"sklearn": "1.9.1"}, ["survived"])


def test_the_schema_describes_a_row(http: FlaskClient) -> None:
    schema = http.get("/v1/models/titanic/schema").json

    assert schema == http.get("/v1/models/titanic/versions/1/schema").json
    assert schema["properties"]["age"] == {"type": ["number", "null"]}
    assert schema["properties"]["deck"]["enum"] == ["A", "B", None]
    assert schema["required"] == list(ROW)
    assert schema["examples"] == [ROW]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/x",
        "/v1/models/x/versions",
        "/v1/models/titanic/versions/9",
        "/v1/models/x/schema",
        "/v1/models/x/history",
    ],
)
def test_an_unknown_model_version_or_alias_is_a_404(http: FlaskClient, path: str) -> None:
    assert http.get(path).status_code == 404


def test_an_alias_moves_only_from_the_generation_that_was_read(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish()
    body = {"version": 2, "reason": "looked better"}

    unsaid = http.put(ALIAS, json=body)
    moved = http.put(ALIAS, json=body, headers={"If-Match": '"1"'})
    stale = http.put(ALIAS, json={"version": 1}, headers={"If-Match": '"1"'})
    forced = http.put(ALIAS, json={"version": 1}, headers={"If-Match": "*"})

    codes = [answer.status_code for answer in (unsaid, moved, stale, forced)]
    assert codes == [428, 200, 412, 200]
    assert (moved.json["champion"], moved.headers["ETag"]) == (2, '"2"')
    assert (forced.json["champion"], forced.json["generation"]) == (1, 3)
    assert [move["reason"] for move in http.get("/v1/models/titanic/history").json["data"]] == ["", "looked better", ""]


@pytest.mark.parametrize(
    ("alias", "body", "if_match", "status"),
    [
        ("champion", {"version": 9}, '"1"', 404),
        ("champion", {"version": "2"}, '"1"', 422),
        ("champion", {"version": 1}, "one", 422),
        ("Big Name", {"version": 1}, '"1"', 422),
        ("blue", {"version": 1}, '"1"', 200),
    ],
)
def test_an_impossible_move_is_refused(
    http: FlaskClient, alias: str, body: dict[str, object], if_match: str, status: int
) -> None:
    answer = http.put(f"/v1/models/titanic/aliases/{alias}", json=body, headers={"If-Match": if_match})

    assert answer.status_code == status


def test_each_rollback_undoes_one_promotion(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish()
    gateway.publish()
    for version in (2, 3):
        http.put(ALIAS, json={"version": version}, headers={"If-Match": "*"})

    champions = [http.post("/v1/models/titanic/rollback", json={"reason": "r"}).json["champion"] for _ in range(2)]
    refused = http.post("/v1/models/titanic/rollback")

    assert champions == [2, 1]
    assert (refused.status_code, refused.json["code"]) == (409, "conflict")


def test_a_push_is_accepted_as_an_import_job_with_its_metadata(gateway: Gateway, http: FlaskClient) -> None:
    said = json.dumps({"target": ["y"], "holdout": {"fraction": 0.3, "columns": ["age"]}, "description": "first"})

    answer = push(http, metadata=said)

    work, _ = gateway.jobs.read_work(answer.json["id"])
    assert (answer.status_code, answer.json["type"], answer.json["model"]["name"]) == (202, "import", "ship")
    assert (work.target, work.holdout.fraction, work.holdout.columns, work.description) == (
        ("y",),
        0.3,
        ("age",),
        "first",
    )
    assert gateway.files.path(work.model_file_id).read_bytes() == SKOPS_LIKE
    assert gateway.files.stat(work.example_file_id).media_type == "text/csv"


@pytest.mark.parametrize(
    "model",
    [pickle.dumps({}), gzip.compress(pickle.dumps({})), zlib.compress(pickle.dumps({}))],
    ids=["pickle", "gzip", "zlib as joblib writes it"],
)
def test_a_pickle_is_refused_with_a_way_to_convert_it_and_leaves_nothing(
    gateway: Gateway, http: FlaskClient, model: bytes
) -> None:
    answer = push(http, model)

    assert (answer.status_code, answer.json["code"]) == (415, "pickle_refused")
    assert "sio.dump(joblib.load('model.joblib'), 'model.skops')" in answer.json["detail"]
    assert (gateway.recorded(), gateway.stored_files()) == ([], [])


@pytest.mark.parametrize(
    "model",
    [b"", b"hello", archive(other_json=b"{}"), SKOPS_LIKE[:40], SKOPS_LIKE[:-60]],
    ids=["empty", "text", "another archive", "cut in the middle", "cut at the end"],
)
def test_a_file_that_is_not_skops_is_refused_and_leaves_nothing(
    gateway: Gateway, http: FlaskClient, model: bytes
) -> None:
    answer = push(http, model)

    assert (answer.status_code, answer.json["code"]) in [(415, "not_skops")]
    assert (gateway.recorded(), gateway.stored_files()) == ([], [])


@pytest.mark.parametrize(
    ("metadata", "pointer"),
    [
        ("{", "/metadata"),
        ("[]", "/metadata"),
        ('{"target": "y"}', "/metadata/target"),
        ('{"holdout": {"fraction": 2}}', "/metadata/holdout/fraction"),
        ('{"targets": ["y"]}', "/metadata/targets"),
    ],
)
def test_invalid_metadata_is_refused_with_a_pointer(
    gateway: Gateway, http: FlaskClient, metadata: str, pointer: str
) -> None:
    answer = push(http, metadata=metadata)

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)
    assert (gateway.recorded(), gateway.stored_files()) == ([], [])


def test_a_push_without_example_rows_leaves_nothing(gateway: Gateway, http: FlaskClient) -> None:
    answer = http.post("/v1/models/ship/versions", data={"model": (io.BytesIO(SKOPS_LIKE), "m.skops")})

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/example")
    assert gateway.stored_files() == []


@pytest.mark.parametrize("name", ["Big", "-x", "a" * 65, "a.b", "ä"])
def test_a_name_that_cannot_be_a_folder_is_refused(gateway: Gateway, http: FlaskClient, name: str) -> None:
    answer = push(http, name=name)

    assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, "bad_name")
    assert gateway.stored_files() == []


def test_a_push_without_a_form_is_a_415(http: FlaskClient) -> None:
    assert http.post("/v1/models/ship/versions", json={}).status_code == 415
