"""Errors, exit codes and streams of every command."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import queuecast
from queuecast.cli.main import main
from tests.queuecast.cli.command_line import (
    MODEL,
    PREDICT,
    SCHEMA,
    run,
)
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job, problem


def test_a_refusal_is_one_line_on_stderr_with_its_pointer(gateway: ScriptedGateway) -> None:
    found = {"pointer": "/inputs/0/age", "code": "wrong_type", "detail": 'found string "x", expected a finite number'}
    gateway.on(PREDICT, problem(422, "The input does not fit", errors=[found]))

    result = run(gateway, "predict", "titanic", "--row", '{"age": "x"}', "--json")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        'Error: 422 The input does not fit: /inputs/0/age: found string "x", expected a finite number\n'
    )


def test_a_refused_file_lists_its_columns(gateway: ScriptedGateway, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    missing: list[dict[str, Any]] = [
        {"pointer": "/file_id", "detail": f"the file has no column '{name}'"} for name in "abcde"
    ]
    missing[0]["columns"] = ["a", "b"]
    refusal = problem(422, "The input does not fit", detail="other words", errors=missing)
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on("POST /v1/models/titanic/trainings", refusal)

    result = run(gateway, "train", "titanic", str(tmp_path / "rows.csv"), "--target", "a")

    assert result.stderr.endswith("the file has no column 'c', and 2 more; it has a, b\n")


@pytest.mark.parametrize(("names", "separator"), [("a;b;c", ";"), ("a\tb", "\t")])
def test_a_table_with_another_separator_gets_a_hint_to_use_commas(
    gateway: ScriptedGateway, tmp_path: Path, names: str, separator: str
) -> None:
    (tmp_path / "rows.csv").write_text(f"{names}\n1\n")
    missing = {"pointer": "/file_id", "detail": "the file has no column 'age'", "columns": [names]}
    refusal = problem(422, "The input does not fit", detail="other words", errors=[missing])
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on("POST /v1/models/titanic/trainings", refusal)
    gateway.on(SCHEMA, {"type": "object", "properties": {"age": {"type": "number"}}})

    trained = run(gateway, "train", "titanic", str(tmp_path / "rows.csv"), "--target", "a")
    predicted = run(gateway, "predict", "titanic", str(tmp_path / "rows.csv"))

    hint = f"as its only column; separate columns with commas, not with {separator!r}\n"
    assert trained.stderr.endswith(hint)
    assert predicted.stderr == f"Error: the file has {names!r} {hint}"


def test_the_detail_is_not_shown_next_to_the_findings(gateway: ScriptedGateway) -> None:
    found = {"pointer": "/inputs/0/age", "detail": "found null"}
    gateway.on(PREDICT, problem(422, "No", detail="/inputs/0/age: found null (and 1 more)", errors=[found, found]))

    result = run(gateway, "predict", "titanic", "--row", "{}")

    assert result.stderr == "Error: 422 No: /inputs/0/age: found null; /inputs/0/age: found null\n"


def test_findings_that_the_answer_leaves_out_count_as_more(gateway: ScriptedGateway) -> None:
    found = {"pointer": "/inputs/0/age", "detail": "found null"}
    gateway.on(PREDICT, problem(422, "No", errors=[found] * 20, errors_total=120))

    result = run(gateway, "predict", "titanic", "--row", "{}")

    assert result.stderr.endswith("/inputs/0/age: found null, and 117 more\n")


def test_a_failed_job_is_an_error_and_json_prints_it_too(gateway: ScriptedGateway) -> None:
    failed = job("failed", error={"title": "The job failed", "code": "run_failed", "detail": "fit raised"})
    gateway.on(PREDICT, failed)

    people = run(gateway, "predict", "titanic", "--row", "{}")
    programs = run(gateway, "predict", "titanic", "--row", "{}", "--json")

    assert (people.exit_code, people.stdout) == (1, "")
    assert people.stderr == "Error: job_1 failed: fit raised\n"
    assert programs.exit_code == 1
    assert json.loads(programs.stdout) == failed


def test_an_unreachable_gateway_is_a_one_line_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"

    result = CliRunner().invoke(main, ["--url", url, "models"])

    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: no gateway at {url} (Connection refused); is it running?")
    assert len(result.stderr.splitlines()) == 1


def test_a_retried_request_prints_nothing_on_stdout(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models", Answer(breaks=True), {"data": [MODEL], "next_cursor": None})

    result = run(gateway, "models", "--json")

    assert json.loads(result.stdout) == [MODEL]


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "titanic"],
        ["predict", "titanic", "-", "--row", "{}"],
        ["predict", "titanic", "nowhere.csv"],
        ["predict", "titanic", "-", "--method", "fit"],
        ["predict", "titanic", "-", "--priority", "first"],
        ["predict", "titanic", "--row", "{}", "-o", "out.csv"],
        ["predict", "titanic", "-", "--errors", "errors.ndjson"],
        ["predict", "titanic", "-", "--id", "name"],
        ["predict", "titanic", "-", "--on-error", "skip"],
        ["train", "titanic"],
        ["train", "titanic", __file__, "--target", "y", "--param", "C"],
        ["push", "titanic", __file__],
        ["promote", "titanic", "champion"],
        ["jobs", "--state", "done"],
        ["jobs", "show"],
        ["job"],
        ["retry"],
        ["queues", "prediction"],
    ],
)
def test_a_wrong_combination_of_arguments_is_a_usage_error(gateway: ScriptedGateway, arguments: list[str]) -> None:
    result = run(gateway, *arguments, stdin="a\n1\n")

    assert result.exit_code == 2
    assert gateway.requests == []


def test_a_malformed_address_is_a_one_line_error() -> None:
    result = CliRunner().invoke(main, ["--url", "localhost:8000", "models"])

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the gateway's url is 'localhost:8000'")


def test_the_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(main, ["--version"]).stdout == f"queuecast, version {queuecast.__version__}\n"
