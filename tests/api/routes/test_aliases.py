"""Aliases are names that can be deleted; a stale `If-Match` is 412 everywhere; a rollback says what is true."""

import pytest
from flask.testing import FlaskClient

from queuecast.adapters.memory.aliases import MemoryAliases
from queuecast.domain.job import Job, State
from queuecast.domain.model import AliasMove
from tests.api.conftest import PREDICTIONS, ROW, Gateway
from tests.api.job_states import dead_letter, in_state

TITANIC = "/v1/models/titanic"
CHAMPION = f"{TITANIC}/aliases/champion"
ANY = {"If-Match": "*"}


def put(http: FlaskClient, version: int, alias: str = "champion", if_match: str = "*", **more: str):
    return http.put(f"{TITANIC}/aliases/{alias}", json={"version": version, **more}, headers={"If-Match": if_match})


def history(http: FlaskClient) -> list[tuple[str, str, int]]:
    return [(move["action"], move["alias"], move["version"]) for move in http.get(f"{TITANIC}/history").json["data"]]


# Names


@pytest.mark.parametrize("alias", ["1", "42", "007", "%D9%A1", "9" * 64])
def test_a_number_is_no_alias(http: FlaskClient, alias: str) -> None:
    answer = put(http, 1, alias)

    assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, "bad_name")


@pytest.mark.parametrize("alias", ["1a", "v1", "2026-01", "blue", "0_"])
def test_a_name_with_digits_is_an_alias(http: FlaskClient, alias: str) -> None:
    assert put(http, 1, alias).json["aliases"][alias] == 1


def test_a_model_has_at_most_100_aliases(http: FlaskClient) -> None:
    answers = [put(http, 1, f"a{number}") for number in range(99)]
    one_more, moved = put(http, 1, "one-more"), put(http, 1, "a0")

    assert {answer.status_code for answer in answers} == {200}
    assert (one_more.status_code, one_more.json["code"], moved.status_code) == (409, "conflict", 200)


# Deleting


def test_a_deleted_alias_is_gone_and_its_version_stays(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish()
    put(http, 2, "blue")

    answer = http.delete(f"{TITANIC}/aliases/blue", headers={"If-Match": '"2"'})
    prediction = http.post(PREDICTIONS, json={"inputs": [ROW], "version": "blue"})

    assert (answer.status_code, answer.json["aliases"], answer.headers["ETag"]) == (200, {"champion": 1}, '"3"')
    assert (prediction.status_code, prediction.json["code"]) == (404, "unknown_alias")
    assert http.get(f"{TITANIC}/versions/2").json["aliases"] == []
    assert history(http)[1:] == [("put", "blue", 2), ("delete", "blue", 2)]


def test_a_prediction_does_not_use_the_version_of_a_deleted_alias(gateway: Gateway, http: FlaskClient) -> None:
    """The gateway remembers the versions of aliases."""
    put(http, 1, "blue")
    before = http.post(PREDICTIONS, json={"inputs": [ROW], "version": "blue"})
    http.delete(f"{TITANIC}/aliases/blue", headers=ANY)

    after = http.post(PREDICTIONS, json={"inputs": [ROW], "version": "blue"})

    assert (before.status_code, after.status_code, after.json["code"]) == (202, 404, "unknown_alias")


def test_a_deleted_alias_can_be_used_again(http: FlaskClient) -> None:
    put(http, 1, "blue")
    http.delete(f"{TITANIC}/aliases/blue", headers=ANY)

    assert put(http, 1, "blue").json["aliases"] == {"champion": 1, "blue": 1}


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("titanic/aliases/champion", ANY, 409, "conflict"),
        ("titanic/aliases/green", ANY, 404, "unknown_alias"),
        ("unknown/aliases/green", ANY, 404, "unknown_model"),
        ("titanic/aliases/blue", {}, 428, "precondition_required"),
        ("titanic/aliases/blue", {"If-Match": '"1"'}, 412, "precondition_failed"),
        ("titanic/aliases/blue", {"If-Match": "one"}, 422, "invalid_input"),
    ],
)
def test_an_alias_that_cannot_be_deleted_stays(
    http: FlaskClient, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    put(http, 1, "blue")

    answer = http.delete(f"/v1/models/{path}", headers=headers)

    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert http.get(TITANIC).json["aliases"] == {"champion": 1, "blue": 1}


# Conditions


@pytest.mark.parametrize("tag", ['"1"', 'W/"1"', '"9"', '"abc"', '""', "1"])
def test_a_stale_tag_is_a_412_everywhere(gateway: Gateway, http: FlaskClient, tag: str) -> None:
    gateway.publish()
    put(http, 2)
    put(http, 1, "blue")
    headers = {"If-Match": tag}

    answers = [
        http.put(CHAMPION, json={"version": 1}, headers=headers),
        http.put(CHAMPION, json={"version": 2}, headers=headers),
        http.post(f"{TITANIC}/rollback", headers=headers),
        http.delete(f"{TITANIC}/aliases/blue", headers=headers),
    ]

    assert [(answer.status_code, answer.json["code"]) for answer in answers] == [(412, "precondition_failed")] * 4
    assert len(history(http)) == 3


@pytest.mark.parametrize("tag", ['"2"', 'W/"2"', "2", "*"])
def test_the_present_tag_moves_everywhere(gateway: Gateway, http: FlaskClient, tag: str) -> None:
    gateway.publish()
    put(http, 2)

    answer = http.post(f"{TITANIC}/rollback", headers={"If-Match": tag})

    assert (answer.status_code, answer.json["champion"]) == (200, 1)


CHANGES = {
    "cancel": ("POST", "/v1/jobs/{}/cancel", State.RUNNING, "2"),
    "retry": ("POST", "/v1/jobs/{}/retry", State.FAILED, "3"),
    "delete": ("DELETE", "/v1/jobs/{}", State.FAILED, "3"),
}


@pytest.mark.parametrize(("method", "path", "state", "present"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("stale", ['"1"', 'W/"1"', '"99"', '"abc"'])
def test_a_stale_tag_of_a_job_is_a_412_and_changes_nothing(
    gateway: Gateway, http: FlaskClient, method: str, path: str, state: State, present: str, stale: str
) -> None:
    job_id = in_state(gateway, http, state)

    refused = http.open(path.format(job_id), method=method, headers={"If-Match": stale})
    unchanged = gateway.jobs.read(job_id).revision
    done = http.open(path.format(job_id), method=method, headers={"If-Match": f'W/"{present}"'})

    assert (refused.status_code, refused.json["code"]) == (412, "precondition_failed")
    assert unchanged == int(present)
    assert done.status_code in (202, 204)


def test_a_stale_tag_of_a_dead_letter_is_a_412(gateway: Gateway, http: FlaskClient) -> None:
    path = f"/v1/dead-letters/{dead_letter(gateway, http)}/replay"

    answers = [http.post(path, headers={"If-Match": tag}).status_code for tag in ('W/"1"', "*")]

    assert answers == [412, 202]


def test_putting_the_same_version_again_is_no_move(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish()
    first, again = put(http, 2, if_match='"1"'), put(http, 2, if_match='"2"')

    assert [(answer.status_code, answer.headers["ETag"]) for answer in (first, again)] == [(200, '"2"')] * 2
    assert history(http) == [("import", "champion", 1), ("put", "champion", 2)]


class RacingAliases(MemoryAliases):
    """Another caller moves an alias right before the first move of this one."""

    races = 1

    def move(self, model: str, move: AliasMove, run: Job | None = None) -> None:
        if self.races and move.alias == "champion":
            self.races -= 1
            super().move(model, AliasMove(move.generation, "green", 1, None, move.at, "put"))
        super().move(model, move, run)


@pytest.mark.parametrize(("if_match", "status"), [("*", 200), ('"1"', 412)])
def test_a_move_in_between_fails_only_a_request_with_a_tag(gateway: Gateway, if_match: str, status: int) -> None:
    gateway.publish()
    racing = RacingAliases()
    for move in gateway.aliases.history("titanic"):
        MemoryAliases.move(racing, "titanic", move)
    http = gateway.app(aliases=racing).test_client()

    answer = put(http, 2, if_match=if_match)

    assert answer.status_code == status
    assert racing.read("titanic").versions["champion"] == (2 if status == 200 else 1)


# Promotions against the verdict

LOST = {"verdict": "worse", "reason": ""}
UNKNOWN = {"verdict": "incomparable", "reason": "no row of the file is held out"}


@pytest.mark.parametrize(
    ("metrics", "found"), [(LOST, "worse;"), (UNKNOWN, "incomparable (no row of the file is held out);")]
)
@pytest.mark.parametrize("reason", ["", " \n"])
def test_a_version_that_its_training_did_not_find_fit_needs_a_reason(
    gateway: Gateway, http: FlaskClient, metrics: dict[str, str], found: str, reason: str
) -> None:
    gateway.publish(metrics=metrics)

    refused = put(http, 2, reason=reason)

    assert (refused.status_code, refused.json["code"]) == (422, "invalid_input")
    (error,) = refused.json["errors"]
    assert (error["pointer"], error["code"]) == ("/reason", "reason_required")
    assert f"the training of version 2 found it {found} its promotion needs a reason" in error["detail"]
    assert gateway.aliases.read("titanic").versions == {"champion": 1}


def test_the_reason_of_a_promotion_against_the_verdict_is_in_the_history(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish(metrics=LOST)

    assert put(http, 2, reason="the world has changed").json["champion"] == 2
    assert http.get(f"{TITANIC}/history").json["data"][-1]["reason"] == "the world has changed"


@pytest.mark.parametrize("metrics", [{}, {"verdict": "better"}, {"verdict": "not_worse"}])
def test_other_versions_are_promoted_without_a_reason(
    gateway: Gateway, http: FlaskClient, metrics: dict[str, str]
) -> None:
    gateway.publish(metrics=metrics)

    assert put(http, 2).json["champion"] == 2


def test_another_alias_needs_no_reason(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish(metrics=LOST)

    assert put(http, 2, "canary").json["aliases"] == {"champion": 1, "canary": 2}


def test_a_rollback_needs_no_reason_whatever_the_verdict_was(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish(metrics=LOST)
    gateway.publish()
    put(http, 2, reason="on trial")
    put(http, 3)

    assert http.post(f"{TITANIC}/rollback").json["champion"] == 2


# Rollbacks


def test_a_rollback_without_any_promotion_says_so(http: FlaskClient) -> None:
    answer = http.post(f"{TITANIC}/rollback")

    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
    assert answer.json["detail"] == "model titanic has had only one champion, so there is none to go back to"


def test_a_rollback_after_the_last_rollback_says_what_is_true(gateway: Gateway, http: FlaskClient) -> None:
    """It said that the model has had only one champion."""
    gateway.publish()
    put(http, 2)
    back = http.post(f"{TITANIC}/rollback")

    again = http.post(f"{TITANIC}/rollback")

    assert (back.json["champion"], again.status_code) == (1, 409)
    assert again.json["detail"] == (
        "every promotion of model titanic has been rolled back, to version 1, its first champion; "
        "there is none before it"
    )
