"""Versions and models are deleted for good, unless an alias names one or a job needs it; later requests get 410."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from queuecast.adapters.memory.aliases import MemoryAliases
from queuecast.domain.job import State
from queuecast.domain.model import Aliases, AliasMove
from tests.api.conftest import PREDICTIONS, ROW, Gateway
from tests.api.job_states import dead_letter, ended, failed, in_state, submitted
from tests.api.routes.test_models import push

TITANIC = "/v1/models/titanic"
ANY = {"If-Match": "*"}
OPEN = [State.QUEUED, State.RUNNING, State.CANCELING]


def delete(http: FlaskClient, version: int | None = None, reason: str = "", **headers: str):
    path = TITANIC if version is None else f"{TITANIC}/versions/{version}"
    return http.delete(path, query_string={"reason": reason} if reason else {}, headers=headers or ANY)


def put(http: FlaskClient, version: int, alias: str = "champion"):
    return http.put(f"{TITANIC}/aliases/{alias}", json={"version": version}, headers=ANY)


def upload(http: FlaskClient) -> str:
    data = b"age,sex,sibsp,alone,deck,survived\n29,male,0,true,A,1\n"
    file_id: str = http.post("/v1/files", data=data, headers={"Content-Type": "text/csv"}).json["id"]
    return file_id


def outcome(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json["code"] if answer.is_json else ""


@pytest.fixture
def three(gateway: Gateway) -> Gateway:
    """Three versions, of which 1 is champion."""
    gateway.publish()
    gateway.publish()
    return gateway


# A version


def test_a_deleted_version_is_gone_at_every_path(three: Gateway, http: FlaskClient) -> None:
    file_id = upload(http)
    key = {"Idempotency-Key": "k"}

    assert outcome(delete(http, 2)) == (204, "")

    answers = {
        "manifest": http.get(f"{TITANIC}/versions/2"),
        "schema": http.get(f"{TITANIC}/versions/2/schema"),
        "prediction": http.post(PREDICTIONS, json={"inputs": [ROW], "version": 2}, headers=key),
        "batch": http.post(f"{TITANIC}/batches", json={"file_id": file_id, "version": 2}),
        "batch of rows": http.post(f"{TITANIC}/batches", json={"inputs": [ROW], "version": 2}),
        "alias": put(http, 2, "blue"),
        "champion": put(http, 2),
    }
    assert {name: outcome(answer) for name, answer in answers.items()} == dict.fromkeys(answers, (410, "version_gone"))
    problem = answers["prediction"].json
    assert (problem["title"], problem["detail"]) == (
        "Gone",
        "version 2 of model titanic was deleted; the history of the model says when",
    )
    assert three.recorded() == []


def test_the_other_versions_answer(three: Gateway, http: FlaskClient) -> None:
    delete(http, 3)

    versions = [each["version"] for each in http.get(f"{TITANIC}/versions").json["data"]]
    model = http.get(TITANIC).json
    listed = http.get("/v1/models").json["data"]

    assert versions == [2, 1]
    assert (model["versions"], model["latest"], model["champion"]) == (2, 2, 1)
    assert listed == [model]
    assert http.post(PREDICTIONS, json={"inputs": [ROW], "version": 2}).status_code == 202


def test_versions_are_paged_without_the_deleted_ones(three: Gateway, http: FlaskClient) -> None:
    for _ in range(4):
        three.publish()
    for version in (3, 4, 6):
        delete(http, version)

    first = http.get(f"{TITANIC}/versions?limit=2").json
    second = http.get(f"{TITANIC}/versions?limit=2&cursor={first['next_cursor']}").json

    assert [each["version"] for each in first["data"] + second["data"]] == [7, 5, 2, 1]
    assert second["next_cursor"] is None


def test_the_history_has_the_deletion_with_its_reason(three: Gateway, http: FlaskClient) -> None:
    tag = http.get(TITANIC).headers["ETag"]

    delete(http, 2, "holds names")

    last = http.get(f"{TITANIC}/history").json["data"][-1]
    assert (tag, http.get(TITANIC).headers["ETag"]) == ('"1"', '"2"')
    assert {name: last[name] for name in ("generation", "alias", "version", "action", "reason", "previous")} == {
        "generation": 2,
        "alias": None,
        "version": 2,
        "action": "delete_version",
        "reason": "holds names",
        "previous": None,
    }


def test_deleting_twice_is_deleting_once(three: Gateway, http: FlaskClient) -> None:
    """A caller whose answer was lost sends the request again."""
    answers = [delete(http, 2, **{"If-Match": '"1"'}) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [204, 204, 204]
    assert len(http.get(f"{TITANIC}/history").json["data"]) == 2


def test_a_version_whose_files_are_removed_is_deleted_already(three: Gateway, http: FlaskClient) -> None:
    """Redis may be a copy that is older than the deletion."""
    three.models.remove("titanic", 2)

    assert outcome(delete(http, 2)) == (204, "")
    assert outcome(http.get(f"{TITANIC}/versions/2")) == (410, "version_gone")
    assert outcome(http.post(PREDICTIONS, json={"inputs": [ROW], "version": 2})) == (410, "version_gone")
    assert outcome(put(http, 2)) == (410, "version_gone")


@pytest.mark.parametrize("alias", ["champion", "blue"])
def test_a_version_that_an_alias_names_is_kept(three: Gateway, http: FlaskClient, alias: str) -> None:
    put(http, 2, alias)

    refused = delete(http, 2)

    assert outcome(refused) == (409, "in_use")
    assert alias in refused.json["detail"]
    assert http.get(f"{TITANIC}/versions/2").status_code == 200


def test_a_version_can_be_deleted_once_no_alias_names_it(three: Gateway, http: FlaskClient) -> None:
    put(http, 2, "blue")
    http.delete(f"{TITANIC}/aliases/blue", headers=ANY)

    assert delete(http, 2).status_code == 204


@pytest.mark.parametrize("state", OPEN)
def test_a_version_that_a_job_needs_is_kept(three: Gateway, http: FlaskClient, state: State) -> None:
    job_id = in_state(three, http, state)
    put(http, 2)

    refused = delete(http, 1)

    assert outcome(refused) == (409, "in_use")
    assert refused.json["detail"] == f"1 job that has not ended needs version 1 of model titanic: {job_id}"
    assert three.jobs.read(job_id).state is state


@pytest.mark.parametrize("state", [state for state in State if state not in OPEN])
def test_a_version_with_ended_jobs_can_be_deleted(three: Gateway, http: FlaskClient, state: State) -> None:
    job_id = in_state(three, http, state)
    put(http, 2)

    assert delete(http, 1).status_code == 204
    assert http.get(f"/v1/jobs/{job_id}").json["model"]["version"] == 1


def test_a_version_whose_import_has_not_ended_is_kept(three: Gateway, http: FlaskClient) -> None:
    job_id = push(http, name="titanic").json["id"]
    version = three.publish(job_id=job_id).version

    assert outcome(delete(http, version)) == (409, "in_use")


def test_a_failed_job_on_a_deleted_version_cannot_be_run_again(three: Gateway, http: FlaskClient) -> None:
    job_id, letter = submitted(http, version=2), dead_letter(three, http, version=2)
    failed(three, job_id)
    delete(http, 2)

    assert outcome(http.post(f"/v1/jobs/{job_id}/retry")) == (410, "version_gone")
    assert outcome(http.post(f"/v1/dead-letters/{letter}/replay")) == (410, "version_gone")
    assert [each["id"] for each in http.get("/v1/dead-letters").json["data"]] == [letter]


def test_a_repeated_submit_leads_to_its_job_after_the_version_was_deleted(three: Gateway, http: FlaskClient) -> None:
    request = {"json": {"inputs": [ROW], "version": 2}, "headers": {"Idempotency-Key": "k"}}
    job_id = http.post(PREDICTIONS, **request).json["id"]
    ended(three, job_id)
    delete(http, 2)

    again = http.post(PREDICTIONS, **request)

    assert (again.json["id"], again.headers["Idempotency-Replayed"]) == (job_id, "true")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("titanic/versions/9", (404, "unknown_version")),
        ("wine/versions/1", (404, "unknown_model")),
        ("titanic/versions/0", (404, "not_found")),
        ("titanic/versions/02", (404, "not_found")),
        ("titanic/versions/2?why=1", (422, "invalid_input")),
        (f"titanic/versions/2?reason={501 * 'x'}", (422, "invalid_input")),
    ],
)
def test_what_cannot_be_deleted_is_refused(
    three: Gateway, http: FlaskClient, path: str, expected: tuple[int, str]
) -> None:
    assert outcome(http.delete(f"/v1/models/{path}")) == expected
    assert http.get(TITANIC).json["versions"] == 3


def test_a_stale_tag_deletes_nothing(three: Gateway, http: FlaskClient) -> None:
    put(http, 2)

    answers = [delete(http, 3, **{"If-Match": '"1"'}), delete(http, **{"If-Match": '"1"'})]

    assert [outcome(answer) for answer in answers] == [(412, "precondition_failed")] * 2
    assert http.get(TITANIC).json["versions"] == 3


@pytest.mark.parametrize("version", [None, 2])
def test_a_wrong_condition_is_refused_also_for_a_deletion_that_was_made(
    three: Gateway, http: FlaskClient, version: int | None
) -> None:
    delete(http, version)

    assert outcome(delete(http, version, **{"If-Match": "one"})) == (422, "invalid_input")


def test_a_version_needs_no_condition(three: Gateway, http: FlaskClient) -> None:
    assert http.delete(f"{TITANIC}/versions/2").status_code == 204


# Rollback


def test_a_rollback_passes_over_a_deleted_version(three: Gateway, http: FlaskClient) -> None:
    put(http, 2)
    put(http, 3)
    delete(http, 2)

    assert http.post(f"{TITANIC}/rollback").json["champion"] == 1


def test_a_rollback_says_that_the_champions_before_were_deleted(three: Gateway, http: FlaskClient) -> None:
    put(http, 2)
    delete(http, 1)

    refused = http.post(f"{TITANIC}/rollback")

    assert outcome(refused) == (409, "conflict")
    assert refused.json["detail"] == "the champions of model titanic before version 2 were deleted"


def test_a_rollback_to_a_version_without_files_is_refused(three: Gateway, http: FlaskClient) -> None:
    """Redis may be a copy that is older than the deletion."""
    put(http, 2)
    three.models.remove("titanic", 1)

    assert outcome(http.post(f"{TITANIC}/rollback")) == (410, "version_gone")
    assert http.get(TITANIC).json["champion"] == 2


# Together with other requests


class DeletedAtRead(MemoryAliases):
    """Another request deletes version 2 right after the aliases were read for the given time."""

    at_read = 0

    def read(self, model: str) -> Aliases:
        present = super().read(model)
        self.at_read -= 1
        if self.at_read == 0:
            self.delete(model, AliasMove(present.generation + 1, "", 2, None, 0.0, "delete_version"))
        return present


@pytest.mark.parametrize("at_read", [1, 2])
def test_an_alias_does_not_move_to_a_version_that_is_deleted_at_the_same_time(three: Gateway, at_read: int) -> None:
    three.aliases = racing = DeletedAtRead()
    three.publish()
    http = three.app().test_client()
    racing.at_read = at_read

    answer = put(http, 2, "blue")

    assert outcome(answer) == (410, "version_gone")
    assert racing.read("titanic").versions == {"champion": 4}


def test_a_prediction_by_an_alias_follows_it_away_from_a_deleted_version(three: Gateway, http: FlaskClient) -> None:
    """The gateway remembers the versions of aliases."""
    put(http, 2)
    ended(three, submitted(http))
    put(http, 3)
    delete(http, 2)
    three.models.remove("titanic", 2)

    answer = http.post(PREDICTIONS, json={"inputs": [ROW]})

    assert (answer.status_code, answer.json["model"]["version"]) == (202, 3)


# A model


def test_a_deleted_model_is_gone_at_every_path(three: Gateway, http: FlaskClient) -> None:
    file_id = upload(http)
    three.publish("wine")

    assert outcome(delete(http)) == (204, "")

    answers = {
        "model": http.get(TITANIC),
        "versions": http.get(f"{TITANIC}/versions"),
        "schema": http.get(f"{TITANIC}/schema"),
        "prediction": http.post(PREDICTIONS, json={"inputs": [ROW]}),
        "batch": http.post(f"{TITANIC}/batches", json={"file_id": file_id}),
        "training": http.post(f"{TITANIC}/trainings", json={"file_id": file_id, "target": "survived"}),
        "deleted alias": http.delete(f"{TITANIC}/aliases/champion", headers=ANY),
        "rollback": http.post(f"{TITANIC}/rollback"),
    }
    of_versions = {
        "manifest": http.get(f"{TITANIC}/versions/1"),
        "schema": http.get(f"{TITANIC}/versions/1/schema"),
        "prediction": http.post(PREDICTIONS, json={"inputs": [ROW], "version": 1}),
        "alias": put(http, 1),
    }
    assert {name: outcome(answer) for name, answer in answers.items()} == dict.fromkeys(answers, (410, "model_gone"))
    assert {outcome(answer) for answer in of_versions.values()} == {(410, "version_gone")}
    assert answers["model"].json["detail"] == "model titanic was deleted; its history says when"
    assert [each["name"] for each in http.get("/v1/models").json["data"]] == ["wine"]


def test_it_stays_so_when_its_files_are_removed(three: Gateway, http: FlaskClient) -> None:
    delete(http)
    for version in (1, 2, 3):
        three.models.remove("titanic", version)

    assert outcome(http.get(TITANIC)) == (410, "model_gone")
    assert outcome(http.post(PREDICTIONS, json={"inputs": [ROW]})) == (410, "model_gone")
    assert outcome(http.get(f"{TITANIC}/versions/1")) == (410, "version_gone")
    assert outcome(delete(http)) == (204, "")
    assert http.get("/v1/models").json["data"] == []


def test_a_deleted_model_keeps_its_history(three: Gateway, http: FlaskClient) -> None:
    delete(http, reason="not needed")
    delete(http, reason="again")
    for version in (1, 2, 3):
        three.models.remove("titanic", version)

    moves = http.get(f"{TITANIC}/history").json["data"]

    assert [(move["action"], move["alias"], move["version"], move["reason"]) for move in moves] == [
        ("import", "champion", 1, ""),
        ("delete_model", None, 3, "not needed"),
    ]


def test_a_model_is_not_deleted_without_a_condition(three: Gateway, http: FlaskClient) -> None:
    refused = http.delete(TITANIC)

    assert outcome(refused) == (428, "precondition_required")
    assert http.get(TITANIC).status_code == 200


def test_a_model_is_deleted_at_the_tag_that_was_read(three: Gateway, http: FlaskClient) -> None:
    assert delete(http, **{"If-Match": http.get(TITANIC).headers["ETag"]}).status_code == 204


@pytest.mark.parametrize("what", ["prediction", "batch", "training", "import"])
def test_a_model_that_a_job_needs_is_kept(three: Gateway, http: FlaskClient, what: str) -> None:
    submits = {
        "prediction": lambda: http.post(PREDICTIONS, json={"inputs": [ROW]}),
        "batch": lambda: http.post(f"{TITANIC}/batches", json={"inputs": [ROW]}),
        "training": lambda: http.post(f"{TITANIC}/trainings", json={"file_id": upload(http), "target": "survived"}),
        "import": lambda: push(http, name="titanic"),
    }
    job_id = submits[what]().json["id"]

    refused = delete(http)

    assert outcome(refused) == (409, "in_use")
    assert refused.json["detail"] == f"1 job that has not ended needs model titanic: {job_id}"
    assert http.get(TITANIC).json["aliases"] == {"champion": 1}


def test_a_push_under_the_name_of_a_deleted_model_begins_a_new_one(three: Gateway, http: FlaskClient) -> None:
    delete(http)
    assert push(http, name="titanic").status_code == 202

    published = three.publish()

    assert published.version == 4
    assert http.get(TITANIC).json == {
        "name": "titanic",
        "champion": 4,
        "aliases": {"champion": 4},
        "generation": 3,
        "versions": 1,
        "latest": 4,
        "workers": {"total": 0, "on_champion": 0, "generation": None},
    }
    assert outcome(http.get(f"{TITANIC}/versions/3")) == (410, "version_gone")
    assert http.post(PREDICTIONS, json={"inputs": [ROW]}).json["model"]["version"] == 4
    assert "has had only one champion" in http.post(f"{TITANIC}/rollback").json["detail"]


def test_an_unknown_model_cannot_be_deleted(http: FlaskClient) -> None:
    assert outcome(http.delete("/v1/models/wine", headers=ANY)) == (404, "unknown_model")


def test_a_model_whose_versions_were_all_deleted_is_gone(gateway: Gateway, http: FlaskClient) -> None:
    """Redis was lost, so no alias names the only version."""
    gateway.aliases = MemoryAliases()
    http = gateway.app().test_client()

    assert delete(http, 1).status_code == 204
    assert outcome(http.get(TITANIC)) == (410, "model_gone")
