"""Trainings on several files, and with columns that have a role."""

from pathlib import Path

import pandas as pd
import pytest

from queuecast.client import Client
from queuecast.client.trainings.training import are_tables
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job

TRAININGS = "POST /v1/models/land/trainings"


@pytest.fixture
def accepting(gateway: ScriptedGateway) -> ScriptedGateway:
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201), Answer({"id": "file_2"}, 201))
    gateway.on(TRAININGS, Answer(job(type="training"), 202))
    return gateway


def test_several_files_are_uploaded_in_their_order(client: Client, accepting: ScriptedGateway, tmp_path: Path) -> None:
    for name in ("a.csv", "b.ndjson"):
        (tmp_path / name).write_text("x")

    client.train("land", [tmp_path / "a.csv", str(tmp_path / "b.ndjson")], "y")

    body = accepting.only_request(TRAININGS).json
    assert body["file_ids"] == ["file_1", "file_2"]
    assert "file_id" not in body


def test_columns_are_sent_with_their_roles(client: Client, accepting: ScriptedGateway) -> None:
    frame = pd.DataFrame({"a": [1.0], "y": [1], "w": [1.0], "g": ["a"]})

    client.train("land", frame, "y", weight_column="w", group_column="g", id_column="i")

    body = accepting.only_request(TRAININGS).json
    assert {name: body[name] for name in body if name.endswith("_column")} == {
        "weight_column": "w",
        "group_column": "g",
        "id_column": "i",
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (["a.csv", "b.parquet"], True),
        ([Path("a"), "b.csv"], True),
        ([pd.DataFrame(), pd.DataFrame()], True),
        (["a good film", "a bad film"], False),
        ([{"a": 1}], False),
        ([[1.0, 2.0]], False),
        ([], False),
        ("a.csv", False),
    ],
)
def test_a_list_of_paths_or_frames_is_several_files(source: object, expected: bool) -> None:
    assert are_tables(source) is expected


@pytest.mark.parametrize("source", [pd.DataFrame({"a": [1.0]}), ["a good film", "a bad film"]], ids=["frame", "texts"])
def test_a_target_is_left_out_if_the_champion_learned_none(
    client: Client, accepting: ScriptedGateway, source: object
) -> None:
    client.train("land", source)

    body = accepting.only_request(TRAININGS).json
    assert (body["file_id"], body["target"]) == ("file_1", [])
