"""A shadow in the running service: it is compared with the champion, and a broken one harms no job."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from queuecast.client import ApiError, Client
from tests.system.conftest import Stack, wait_for

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("stack")]
X = np.arange(60.0).reshape(20, 3)
LABELS = np.arange(20) >= 10
ROWS = X.tolist()


def push_pair(client: Client, model: str, *estimators: object) -> None:
    for estimator in estimators:
        client.push(model, estimator, X).result(60)


def predict_until_shadowed(client: Client, model: str, key: str, at_least: int = 5, method: str = "predict") -> list:
    """The answers of the jobs that were submitted until `at_least` shadow jobs have been counted as `key`."""
    answers = []

    def is_counted() -> bool:
        result = client.predict(model, ROWS, method=method).result(60)
        answers.append(result["predictions" if method == "predict" else "probabilities"])
        return bool(client.shadow(model)["jobs"][key] >= at_least)

    wait_for(is_counted, f"{at_least} {key} shadow jobs", 60.0)
    return answers


def test_an_equal_version_agrees_in_every_row(stack: Stack, client: Client) -> None:
    push_pair(client, "twins", LogisticRegression().fit(X, LABELS), LogisticRegression().fit(X, LABELS))
    before = client.predict("twins", ROWS).result(60)["predictions"]
    listed = {job.id for job in client.jobs(model="twins")}

    assert client.set_shadow("twins", 2)["state"] == "running"
    answers = predict_until_shadowed(client, "twins", "compared")

    body = client.shadow("twins")
    assert all(answer == before for answer in answers)
    assert (body["agreement"], body["state"], body["failure"]) == (1.0, "running", None)
    assert body["rows"] == 20 * body["jobs"]["compared"]
    assert body["champion_row_ms"]["p50"] > 0
    assert body["shadow_row_ms"]["p99"] >= body["shadow_row_ms"]["p50"] > 0
    assert len({job.id for job in client.jobs(model="twins")} - listed) == len(answers)


def test_another_version_agrees_in_fewer_rows(stack: Stack, client: Client) -> None:
    push_pair(client, "others", LogisticRegression().fit(X, LABELS), LogisticRegression().fit(X, np.arange(20) >= 5))

    client.set_shadow("others", 2, 1.0)
    predict_until_shadowed(client, "others", "compared")
    assert client.shadow("others")["agreement"] == pytest.approx(0.75)

    client.promote("others", 2)
    assert (client.shadow("others")["state"], client.shadow("others")["agreement"]) == ("paused", None)
    client.end_shadow("others")
    assert client.shadow("others")["state"] == "off"


def test_numbers_and_probabilities_have_a_mean_difference(stack: Stack, client: Client) -> None:
    push_pair(client, "numbers", *(LinearRegression().fit(X, np.full(20, value)) for value in (1.0, 1.5)))

    client.set_shadow("numbers", 2)
    predict_until_shadowed(client, "numbers", "compared")

    body = client.shadow("numbers")
    assert (body["agreement"], body["mean_absolute_difference"]) == (0.0, pytest.approx(0.5))


def test_a_broken_shadow_fails_and_no_caller_notices(stack: Stack, client: Client) -> None:
    push_pair(client, "cracked", LogisticRegression().fit(X, LABELS), LogisticRegression().fit(X, LABELS))
    before = client.predict("cracked", ROWS).result(60)["predictions"]
    path = stack.folder / "data/models/cracked/2/model.skops"
    path.write_bytes(path.read_bytes()[:-10])

    client.set_shadow("cracked", 2)
    answers = predict_until_shadowed(client, "cracked", "failed", 2)

    body = client.shadow("cracked")
    assert all(answer == before for answer in answers)
    assert (body["state"], body["agreement"]) == ("failing", None)
    assert "sha256" in body["failure"]["detail"]
    assert list(client.dead_letters()) == []


def test_a_deleted_shadow_fails_and_no_caller_notices(stack: Stack, client: Client) -> None:
    push_pair(client, "gone", LogisticRegression().fit(X, LABELS), LogisticRegression().fit(X, LABELS))
    client.set_shadow("gone", 2)
    before = predict_until_shadowed(client, "gone", "compared", 1)

    def is_deleted() -> bool:
        try:
            client.delete_version("gone", 2)
        except ApiError as error:
            assert error.status == 409  # its last job runs
            return False
        return True

    wait_for(is_deleted, "the deletion of the shadow's version")
    answers = predict_until_shadowed(client, "gone", "failed", 2)

    assert all(answer == before[0] for answer in answers)
    assert client.shadow("gone")["state"] == "failing"
    assert "deleted" in client.shadow("gone")["failure"]["detail"]


def test_outcomes_score_the_champion_and_the_shadow(stack: Stack, client: Client) -> None:
    push_pair(client, "later", LogisticRegression().fit(X, LABELS), LogisticRegression().fit(X, np.arange(20) >= 5))
    client.set_shadow("later", 2)
    job = client.predict("later", ROWS, method="predict_proba")
    job.result(60)
    wait_for(lambda: client.shadow("later")["jobs"]["compared"] == 1, "the shadow's answer", 60.0)

    added = job.add_outcomes(LABELS)
    again = job.add_outcomes(LABELS)
    live = {each["version"]: each for each in client.outcomes("later")["versions"]}

    assert (added["versions"], added["rows"], added["added"], again["added"]) == ([1, 2], 20, True, False)
    accuracy = {version: each["scores"][0]["score"]["value"] for version, each in live.items()}
    assert accuracy == {1: 1.0, 2: pytest.approx(0.75)}
    assert live[1]["scores"][0]["score"]["low"] < 1.0
    assert (live[1]["aliases"], live[1]["rows"], live[2]["rows"]) == (["champion"], 20, 20)
    with pytest.raises(ApiError, match="has other outcomes"):
        job.add_outcomes(~LABELS)
