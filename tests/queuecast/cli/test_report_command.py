"""`queuecast report`."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.queuecast.cli.command_line import JOB, TRAINED, lines, run
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job, problem

REPORT = "GET /v1/jobs/job_1/report"
DOCUMENT: dict[str, Any] = {
    "headline": "Version 4 is better than version 3 and became champion.",
    "evaluation": {
        "decision": {
            "verdict": "better",
            "reason": "accuracy is 0.83 against 0.81",
            "criteria": [
                {"name": "rows", "outcome": "passed", "detail": "enough", "value": 178, "threshold": 100},
                {"name": "classes", "outcome": "skipped", "detail": "none", "value": None, "threshold": None},
            ],
        }
    },
}


@pytest.fixture
def trained(gateway: ScriptedGateway) -> ScriptedGateway:
    gateway.on(JOB, job("succeeded", type="training", result=TRAINED))
    gateway.on(REPORT, DOCUMENT)
    return gateway


def test_report_prints_the_verdict_and_its_criteria(trained: ScriptedGateway) -> None:
    result = run(trained, "report", "job_1")

    assert result.exit_code == 0
    assert result.stdout.startswith("Version 4 is better than version 3 and became champion.\naccuracy is 0.83 against")
    assert lines(result.stdout)[-3:] == [
        ["OUTCOME", "CRITERION", "VALUE", "THRESHOLD"],
        ["passed", "rows", "178", "100"],
        ["skipped", "classes", "-", "-"],
    ]


def test_report_as_json_is_the_document(trained: ScriptedGateway) -> None:
    assert json.loads(run(trained, "report", "job_1", "--json").stdout) == DOCUMENT


def test_report_writes_the_page_to_a_file(trained: ScriptedGateway, tmp_path: Path) -> None:
    trained.on(REPORT, DOCUMENT, Answer("<!doctype html>"))
    page = tmp_path / "report.html"

    result = run(trained, "report", "job_1", "-o", str(page))

    assert "<!doctype html>" in page.read_text()
    assert [each.headers["accept"] for each in trained.requests_to(REPORT)] == ["application/json", "text/html"]
    assert str(page) in result.stderr.replace("\n", "")


def test_report_overwrites_a_file_only_with_force(trained: ScriptedGateway, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("mine")

    refused = run(trained, "report", "job_1", "-o", str(page))
    kept = page.read_text()
    forced = run(trained, "report", "job_1", "-o", str(page), "--force")

    assert (refused.exit_code, kept, forced.exit_code) == (1, "mine", 0)
    assert page.read_text() != "mine"


def test_report_opens_the_page(trained: ScriptedGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    page = tmp_path / "a page.html"

    run(trained, "report", "job_1", "-o", str(page), "--open")
    run(trained, "report", "job_1", "--open")

    assert opened[0] == page.as_uri()
    assert opened[1].endswith("/job_1.html")
    assert Path(opened[1].removeprefix("file://")).exists()


def test_report_says_where_the_page_is_if_no_browser_can_be_opened(
    trained: ScriptedGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda _: False)
    page = tmp_path / "report.html"

    result = run(trained, "report", "job_1", "-o", str(page), "--open")

    assert result.exit_code == 0
    assert f"no browser can be opened here; the page is {page}" in result.stderr.replace("\n", "")


def test_report_cannot_open_the_document(trained: ScriptedGateway) -> None:
    result = run(trained, "report", "job_1", "-o", "report.json", "--open")

    assert (result.exit_code, trained.requests) == (1, [])
    assert "--open needs the page" in result.stderr


def test_a_version_without_a_report_is_one_line(trained: ScriptedGateway) -> None:
    trained.on(REPORT, problem(404, "Not Found", code="unknown_report", detail="version 4 has no report"))

    result = run(trained, "report", "job_1")

    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "version 4 has no report" in result.stderr


def test_report_prints_the_scores_of_an_evaluation(gateway: ScriptedGateway) -> None:
    score = {"value": 0.8, "low": 0.7, "high": 0.9}
    scores = [{"metric": "accuracy", "score": score, "difference": None}]
    version = {"version": 3, "alias": "champion", "scored": True, "scores": scores, "not_compared": ""}
    document = {"kind": "evaluation", "headline": "By accuracy on 90 rows, version 3 has the score 0.8."}
    gateway.on(JOB, job("succeeded", type="evaluation", result={}))
    gateway.on(REPORT, document | {"versions": [version], "findings": [], "findings_total": 0})

    result = run(gateway, "report", "job_1")

    assert result.exit_code == 0
    assert lines(result.stdout)[1][:4] == ["3", "(champion)", "accuracy", "0.8"]
    assert lines(result.stdout)[-1] == document["headline"].split()
