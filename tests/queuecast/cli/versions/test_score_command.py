"""`queuecast score`."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.queuecast.cli.command_line import JOB, run
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job

EVALUATIONS = "POST /v1/models/titanic/evaluations"


def _scores(value: float, difference: float | None) -> list[dict[str, Any]]:
    found = None if difference is None else {"value": difference, "low": difference - 0.01, "high": None}
    return [{"metric": "accuracy", "score": {"value": value, "low": 0.75, "high": 0.85}, "difference": found}]


SCORED = {
    "model": "titanic",
    "target": ["survived"],
    "headline": "By accuracy on 262 rows, version 3 is better than version 2.",
    "metric": "accuracy",
    "compared_with": 2,
    "rows": {"scored": 262, "bad": 0},
    "versions": [
        {"version": 2, "alias": "champion", "scored": True, "reason": "", "scores": _scores(0.79, None)},
        {"version": 3, "alias": None, "scored": True, "reason": "", "scores": _scores(0.81, 0.02)},
        {"version": 1, "alias": None, "scored": False, "reason": "the file lacks deck", "scores": []},
    ],
    "bad_cells": [],
    "findings": [{"code": "few_rows", "severity": "warning", "detail": "few rows", "column": None}],
    "findings_total": 1,
}
for version in SCORED["versions"]:
    version["not_compared"] = ""


def scored(gateway: ScriptedGateway, tmp_path: Path, *options: str, **outcome: Any) -> Result:
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on(EVALUATIONS, Answer(job(type="evaluation"), 202))
    gateway.on(JOB, job("succeeded", revision=2, type="evaluation", result=SCORED | outcome))
    (tmp_path / "june.csv").write_text("age,survived\n29,1\n")
    return run(gateway, "score", "titanic", str(tmp_path / "june.csv"), "--target", "survived", *options)


def test_score_shows_each_version_and_what_to_know(gateway: ScriptedGateway, tmp_path: Path) -> None:
    result = scored(gateway, tmp_path)

    assert result.exit_code == 0, result.stderr
    assert [re.split(r"  +", line.strip()) for line in result.stdout.splitlines()[:3]] == [
        ["VERSION", "METRIC", "SCORE", "95 % INTERVAL", "DIFFERENCE", "95 % INTERVAL"],
        ["2 (champion)", "accuracy", "0.79", "+0.75 to +0.85", "-", "-"],
        ["3", "accuracy", "0.81", "+0.75 to +0.85", "+0.02", "+0.01 to ?"],
    ]
    assert result.stdout.splitlines()[3:] == [
        "Version 1 is not scored: the file lacks deck",
        "Warning: few rows",
        SCORED["headline"],
    ]


def test_the_options_are_sent(gateway: ScriptedGateway, tmp_path: Path) -> None:
    options = ["--versions", "3, champion", "--metric", "f1", "--weight", "w", "--on-error", "skip"]

    scored(gateway, tmp_path, *options)

    assert gateway.only_request(EVALUATIONS).json == {
        "file_id": "file_1",
        "target": "survived",
        "versions": [3, "champion"],
        "metric": "f1",
        "weight_column": "w",
        "on_error": "skip",
    }


def test_rows_that_were_left_out_are_counted(gateway: ScriptedGateway, tmp_path: Path) -> None:
    bad = {"row": 7, "column": "age", "code": "wrong_type", "detail": "found 'x', expected a number"}
    gateway.on("GET /v1/jobs/job_1/errors", Answer(json.dumps(bad).encode(), 200))

    result = scored(gateway, tmp_path, "--on-error", "skip", rows={"scored": 260, "bad": 2})

    assert "2 rows were bad and were left out" in result.stderr


def test_json_is_the_whole_job(gateway: ScriptedGateway, tmp_path: Path) -> None:
    assert json.loads(scored(gateway, tmp_path, "--json").stdout)["result"] == SCORED


@pytest.mark.parametrize("versions", ["", " , "])
def test_an_empty_list_of_versions_is_refused(gateway: ScriptedGateway, tmp_path: Path, versions: str) -> None:
    result = scored(gateway, tmp_path, "--versions", versions)

    assert result.exit_code == 2
    assert "expected numbers or aliases" in result.stderr
    assert gateway.requests == []
