"""Evaluations that the client asks for."""

import pandas as pd
import pytest

from queuecast.client import Client
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job

EVALUATIONS = "POST /v1/models/land/evaluations"


@pytest.fixture
def accepting(gateway: ScriptedGateway) -> ScriptedGateway:
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on("GET /v1/models/land", {"aliases": {"champion": 3}})
    gateway.on("GET /v1/models/land/versions/3", {"version": 3, "target": ["y"]})
    gateway.on(EVALUATIONS, Answer(job(type="evaluation"), 202))
    return gateway


def test_a_file_is_scored_by_the_named_versions(client: Client, accepting: ScriptedGateway) -> None:
    frame = pd.DataFrame({"a": [1.0], "y": [1], "w": [1.0]})

    scored = client.score("land", frame, "y", versions=(3, "champion"), metric="f1", weight_column="w")

    assert scored.body["type"] == "evaluation"
    assert accepting.only_request(EVALUATIONS).json == {
        "file_id": "file_1",
        "target": "y",
        "versions": [3, "champion"],
        "metric": "f1",
        "weight_column": "w",
    }


def test_the_target_may_come_apart_or_be_that_of_the_champion(client: Client, accepting: ScriptedGateway) -> None:
    client.score("land", pd.DataFrame({"a": [1.0]}), y=pd.Series([1], name="y"))
    client.score("land", pd.DataFrame({"a": [1.0], "y": [1]}))

    sent = [each.json for each in accepting.requests if each.path.endswith("/evaluations")]
    assert [each["target"] for each in sent] == [["y"], "y"]


def test_a_target_without_a_name_has_to_be_given(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models/land", {"aliases": {"champion": 3}})
    gateway.on("GET /v1/models/land/versions/3", {"version": 3, "target": []})

    with pytest.raises(TypeError, match="score needs target= or y="):
        client.score("land", pd.DataFrame({"a": [1.0]}))
