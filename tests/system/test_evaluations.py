"""Versions scored on a labelled file, through the whole service and by the command."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

import queuecast
from queuecast.client import ApiError, Client, JobFailed
from tests.system.conftest import Stack

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("stack")]

FEATURES = ["age", "income"]


@pytest.fixture(scope="module")
def buyers(stack: Stack) -> pd.DataFrame:
    """Rows that no version was fitted on. Version 1 knows little, and version 2 more."""
    draw = np.random.default_rng(0)
    rows = pd.DataFrame({name: draw.normal(size=1200) for name in FEATURES})
    rows["buys"] = (rows["age"] - rows["income"] + draw.normal(scale=0.5, size=1200) > 0).astype(int)
    split = queuecast.holdout(rows[FEATURES])
    x, y = rows[FEATURES].iloc[split.train], rows["buys"].iloc[split.train]
    with Client(stack.url) as client:
        for c in (1e-4, 1.0):
            client.push("buyers", LogisticRegression(C=c).fit(x, y), x, y, holdout=split).result()
    return rows.iloc[split.test].reset_index(drop=True)


def test_two_versions_are_compared_and_no_alias_moves(client: Client, buyers: pd.DataFrame) -> None:
    before = client.model("buyers")["aliases"]

    job = client.score("buyers", buyers, "buys", versions=["champion", 2])
    result = job.result()

    first, second = result["versions"]
    accuracy = next(each for each in second["scores"] if each["metric"] == "accuracy")
    answers = client.predict("buyers", buyers[FEATURES].head(50), version=2).result()["predictions"]
    whole = client.predict_file("buyers", buyers[FEATURES], version=2).result()
    assert (job.body["type"], job.body["model"]["version"], whole["rows"]) == ("evaluation", 1, len(buyers))
    assert (first["version"], first["alias"], second["version"]) == (1, "champion", 2)
    assert second["scores"][0]["difference"]["low"] > 0
    assert accuracy["score"]["low"] < accuracy["score"]["value"] < accuracy["score"]["high"]
    assert accuracy_score(buyers["buys"].head(50), answers) > 0.7
    assert second["fitted"]["fit_side"] == 0
    assert result["headline"].endswith("version 2 is better than version 1.")
    assert client.model("buyers")["aliases"] == before


def test_bad_rows_are_left_out_and_listed(client: Client, buyers: pd.DataFrame, tmp_path: Path) -> None:
    rows = buyers.astype({"age": object})
    rows.loc[4, "age"] = "old"
    rows.to_csv(tmp_path / "rows.csv", index=False)

    job = client.score("buyers", tmp_path / "rows.csv", "buys", on_error="skip")

    assert job.result()["rows"] == {"scored": len(rows) - 1, "bad": 1}
    assert [bad["row"] for bad in job.errors()] == [5]
    with pytest.raises(JobFailed, match="row 5, column age"):
        client.score("buyers", tmp_path / "rows.csv", "buys").result()


def test_a_missing_target_is_refused_at_once(client: Client, buyers: pd.DataFrame, tmp_path: Path) -> None:
    buyers.to_csv(tmp_path / "rows.csv", index=False)

    with pytest.raises(ApiError) as refused:
        client.score("buyers", tmp_path / "rows.csv", "sells")

    assert (refused.value.status, refused.value.problem["errors"][0]["pointer"]) == (422, "/target")


def test_the_command_prints_the_scores(stack: Stack, buyers: pd.DataFrame, tmp_path: Path) -> None:
    buyers.to_csv(tmp_path / "rows.csv", index=False)
    command = [sys.executable, "-m", "queuecast.cli", "score", "buyers", str(tmp_path / "rows.csv")]
    command += ["--target", "buys", "--versions", "2,champion"]

    shown = subprocess.run(command, env=stack.environ(), capture_output=True, text=True, check=True)
    printed = subprocess.run([*command, "--json"], env=stack.environ(), capture_output=True, text=True, check=True)

    result = json.loads(printed.stdout)["result"]
    assert shown.stdout.splitlines()[-1] == result["headline"]
    assert "version 1 is worse than version 2" in result["headline"]
