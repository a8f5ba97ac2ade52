"""Rows and targets that are apart become one table."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from queuecast.client import Client
from queuecast.client.row_formats.fit_tables import fit_table, fit_target_names
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job

pytestmark = pytest.mark.filterwarnings("ignore")

N_ROWS = 40
ARRAY = np.column_stack([np.arange(N_ROWS) % 7 / 4, np.arange(N_ROWS) % 5]).astype("float64")
FRAME = pd.DataFrame(ARRAY, columns=["height", "width"])
WORDS = np.array(["small", "NA", "large"])[np.arange(N_ROWS) % 3]


@pytest.mark.parametrize(
    "rows", [scipy.sparse.csr_matrix(ARRAY), pl.DataFrame(FRAME.to_dict("list")), FRAME.to_dict("records")]
)
def test_sparse_rows_frames_of_polars_and_dicts_become_the_same_table(rows: Any) -> None:
    with fit_table(rows, pl.Series(WORDS.tolist()), ["size"]) as table:
        found = pd.read_parquet(table.content)

    names = ["x0", "x1"] if scipy.sparse.issparse(rows) else ["height", "width"]
    assert list(found.columns) == [*names, "size"]
    assert found[names].to_numpy().tolist() == ARRAY.tolist()
    assert found["size"].tolist() == WORDS.tolist()


@pytest.mark.parametrize(
    ("y", "target", "champions", "names"),
    [
        (pd.Series(WORDS, name="size"), None, ["survived"], ["size"]),
        (WORDS, None, ["survived"], ["survived"]),
        (WORDS, None, [], ["target"]),
        (WORDS, "label", ["survived"], ["label"]),
        (pd.Series(WORDS, name="width"), None, [], ["target"]),
        (ARRAY, None, ["a"], ["target0", "target1"]),
        (pd.DataFrame(ARRAY), None, ["a", "b"], ["0", "1"]),
    ],
)
def test_which_names_a_target_has(y: Any, target: Any, champions: list[str], names: list[str]) -> None:
    assert fit_target_names(FRAME, y, target, champions) == names


@pytest.mark.parametrize(
    ("rows", "y", "target", "words"),
    [
        (FRAME, WORDS[:-1], None, "X has 40 rows and y has 39, expected as many"),
        (FRAME, WORDS, "width", "'width' names a column of X and the target"),
        (FRAME, WORDS, ["a", "b"], "y has 1 targets, and there are 2 names for them: a, b"),
        (FRAME, [1, "a"] * 20, None, "Every column needs values of one type"),
    ],
)
def test_rows_and_targets_that_do_not_fit_are_refused(rows: Any, y: Any, target: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words), fit_table(rows, y, fit_target_names(rows, y, target, [])):
        pass


def test_a_file_has_its_target_inside(client: Client, gateway: ScriptedGateway, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="name the target of a file with target="):
        client.train("titanic", tmp_path / "rows.csv", y=[1])


def test_a_target_that_the_champion_learned_is_needed(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models/titanic", Answer({"aliases": {"champion": 3}}))
    gateway.on("GET /v1/models/titanic/versions/3", Answer({"target": ["survived"]}))

    with pytest.raises(TypeError, match=r"train needs target= or y=: the champion learned survived"):
        client.train("titanic", FRAME)


def test_rows_and_targets_are_uploaded_as_one_file(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on("POST /v1/models/land/trainings", Answer(job(type="training"), 202))

    client.train("land", FRAME, y=pd.Series(WORDS, name="size"), promote="never")

    sent = gateway.only_request("POST /v1/models/land/trainings").json
    assert (sent["file_id"], sent["target"], sent["promote"]) == ("file_1", ["size"], "never")
    found = pd.read_parquet(io.BytesIO(gateway.only_request("POST /v1/files").body))
    expected = FRAME.assign(size=WORDS).astype({"size": found["size"].dtype})  # a worker sets its storage
    pd.testing.assert_frame_equal(found, expected, check_column_type=False)  # nor the storage of the names
