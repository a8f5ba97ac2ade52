"""Deletions in the running service: requests get 410 at once, and the reaper removes the files."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from queuecast.client import ApiError, Client
from tests.system.conftest import Stack, wait_for

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("stack")]
X = np.arange(60.0).reshape(20, 3)
ROWS = [[1.0, 2.0, 3.0]]


def pushed(client: Client, model: str, answer: float) -> int:
    estimator = LinearRegression().fit(X, np.full(20, answer))
    version: int = client.push(model, estimator, X).result(60)["version"]
    return version


def code_of(client: Client, model: str, version: int | None = None) -> str | None:
    """The code of the refusal of a prediction."""
    try:
        client.predict(model, ROWS, version=version).result(60)
    except ApiError as error:
        return str(error.problem["code"])
    return None


def left(stack: Stack, model: str) -> list[str]:
    folder = stack.folder / "data/models" / model
    return sorted(str(path.relative_to(folder)) for path in folder.glob("*/*"))


def test_a_version_that_workers_have_loaded_is_deleted(stack: Stack, client: Client) -> None:
    for answer in (1.0, 2.0):
        pushed(client, "old", answer)
    for version in (1, 2, 2, 2, 2):
        assert client.predict("old", ROWS, version=version).result(60)["predictions"] == [pytest.approx(version)]

    client.delete_version("old", 2, reason="wrong")

    assert (code_of(client, "old", 2), code_of(client, "old")) == ("version_gone", None)
    wait_for(lambda: "2/model.skops" not in left(stack, "old"), "the removal of the files")
    wait_for(lambda: left(stack, "old")[-1] == "2/deleted.json", "the end of the removal")
    assert pushed(client, "old", 3.0) == 3
    assert client.predict("old", ROWS, version=3).result(60)["predictions"] == [pytest.approx(3.0)]


def test_a_push_under_the_name_of_a_deleted_model_begins_with_the_next_number(stack: Stack, client: Client) -> None:
    for answer in (1.0, 2.0):
        pushed(client, "short-lived", answer)
    client.predict("short-lived", ROWS).result(60)

    client.delete_model("short-lived")

    assert (code_of(client, "short-lived"), code_of(client, "short-lived", 1)) == ("model_gone", "version_gone")
    wait_for(lambda: left(stack, "short-lived") == ["1/deleted.json", "2/deleted.json"], "the removal of the files")
    assert pushed(client, "short-lived", 5.0) == 3
    assert client.predict("short-lived", ROWS).result(60)["predictions"] == [pytest.approx(5.0)]
    actions = [move["action"] for move in client.history("short-lived")]
    assert actions == ["import", "delete_model", "import"]


def test_every_accepted_prediction_is_answered_while_its_version_is_deleted(stack: Stack, client: Client) -> None:
    """The deletion is refused until no job needs the version; from then on no job is accepted."""
    for answer in (1.0, 2.0):
        pushed(client, "racing", answer)

    def predict_until_gone(_: int) -> list[float]:
        answers: list[float] = []
        with Client(stack.url) as own:
            while True:
                try:
                    job = own.predict("racing", ROWS, version=2)
                except ApiError as error:
                    assert error.problem["code"] == "version_gone"
                    return answers
                answers += job.result(60)["predictions"]

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(predict_until_gone, number) for number in range(2)]
        refused = 0
        while True:
            try:
                client.delete_version("racing", 2)
                break
            except ApiError as error:
                assert error.problem["code"] == "in_use"
                refused += 1
        answers = [answer for each in running for answer in each.result(60)]

    assert answers == pytest.approx([2.0] * len(answers))
    assert (Path(stack.folder) / "data/models/racing/2/deleted.json").parent.is_dir()
