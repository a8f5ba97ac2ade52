"""`queuecast outcomes`."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.queuecast.cli.command_line import JOB, lines, run
from tests.queuecast.scripted_gateway import ScriptedGateway, job

PATH = "GET /v1/models/titanic/outcomes"
ADD = "POST /v1/jobs/job_1/outcomes"
SCORE = {"metric": "accuracy", "rows": 3, "score": {"value": 0.75, "low": 0.5, "high": 0.9}}
LIVE: dict[str, Any] = {
    "model": "titanic",
    "window": 5000,
    "versions": [{"version": 3, "aliases": ["champion"], "rows": 3, "total": 3, "last_at": "x", "scores": [SCORE]}],
}


def test_live_metrics_are_a_table(gateway: ScriptedGateway) -> None:
    gateway.on(PATH, LIVE)

    result = run(gateway, "outcomes", "titanic")

    assert result.exit_code == 0
    assert lines(result.stdout)[1][:5] == ["3", "(champion)", "accuracy", "3", "0.75"]
    assert json.loads(run(gateway, "outcomes", "titanic", "--json").stdout) == LIVE


def test_a_model_without_outcomes_says_so(gateway: ScriptedGateway) -> None:
    gateway.on(PATH, LIVE | {"versions": []})

    assert run(gateway, "outcomes", "titanic").stdout == "no job of titanic has outcomes\n"


def test_the_outcomes_of_a_job_are_sent_first(gateway: ScriptedGateway, tmp_path: Path) -> None:
    gateway.on(JOB, job("succeeded"))
    gateway.on(ADD, {"job_id": "job_1", "rows": 3, "versions": [3, 4], "added": True})
    gateway.on(PATH, LIVE)
    source = tmp_path / "labels.json"
    source.write_text("[0, 1, 1]")

    result = run(gateway, "outcomes", "titanic", "--job", "job_1", "--from", str(source))

    assert gateway.only_request(ADD).json == {"outcomes": [0, 1, 1]}
    assert "3 outcomes of version 3, 4 added" in result.stderr


@pytest.mark.parametrize(("text", "reason"), [("{}", "expected a list of outcomes"), ("[1,", "is no JSON")])
def test_a_file_without_a_list_is_refused(gateway: ScriptedGateway, tmp_path: Path, text: str, reason: str) -> None:
    source = tmp_path / "labels.json"
    source.write_text(text)

    result = run(gateway, "outcomes", "titanic", "--job", "job_1", "--from", str(source))

    assert (result.exit_code, gateway.requests_to(ADD)) == (1, [])
    assert reason in result.stderr.replace("\n", " ")


def test_a_job_without_a_file_is_refused(gateway: ScriptedGateway) -> None:
    assert "belong together" in run(gateway, "outcomes", "titanic", "--job", "job_1").stderr
