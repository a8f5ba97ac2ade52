import json
import os
import pty
import re
import socket
import subprocess
import sys
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import queuecast
from queuecast.cli.main import main
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job, problem

PREDICT = "POST /v1/models/titanic/predictions"
SCHEMA = "GET /v1/models/titanic/schema"
JOB = "GET /v1/jobs/job_1"
PREDICTED = job(
    "succeeded",
    result={
        "method": "predict",
        "predictions": ["died", "lived"],
        "model": {"name": "titanic", "version": 3, "sha256": "ab", "sklearn": "1.9.1"},
        "timings": {"queue_ms": 1.0, "batch_jobs": 1, "batch_rows": 2, "predict_ms": 4.25},
    },
)
TRAINED = {
    "model": "titanic",
    "version": 4,
    "verdict": "better",
    "promoted": True,
    "reason": "accuracy 0.83 against 0.81, better",
    "metric": "accuracy",
    "champion": {"version": 3, "score": 0.8125},
    "challenger": {"version": 4, "score": 0.8343},
    "rows": {"train": 713, "holdout": 178},
}
MODEL = {
    "name": "titanic",
    "champion": 3,
    "aliases": {"champion": 3, "challenger": 4},
    "generation": 7,
    "versions": 4,
    "latest": 4,
}


def manifest(version: int, **more: Any) -> dict[str, Any]:
    return {
        "model": "titanic",
        "version": version,
        "sha256": "ab",
        "size_bytes": 20_480,
        "created_at": "2026-01-31T12:00:00.000Z",
        "estimator": "Pipeline(steps=[])",
        "source": "push",
        "metrics": {},
    } | more


def run(gateway: ScriptedGateway, *arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["--url", gateway.url, *arguments], input=stdin)


def inputs_sent(gateway: ScriptedGateway) -> Any:
    return gateway.only(PREDICT).json["inputs"]


def seen_in_a_terminal(gateway: ScriptedGateway, *arguments: str, columns: int = 80) -> str:
    """What a person sees in a terminal so wide, control sequences included."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "queuecast.cli", "--url", gateway.url, *arguments]
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as running:
        os.close(theirs)
        seen = b""
        try:
            while chunk := os.read(ours, 4096):
                seen += chunk
        except OSError:  # Linux's way to say that the other end of a terminal is closed
            pass
        os.close(ours)
    assert running.returncode == 0, seen
    return seen.decode()


def lines(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


# predict


@pytest.fixture
def titanic(gateway: ScriptedGateway) -> ScriptedGateway:
    properties = {
        "age": {"type": ["number", "null"]},
        "sibsp": {"type": "integer"},
        "ticket": {"type": "string"},
        "alone": {"type": ["boolean", "null"]},
        "port": {"type": ["string", "null"], "enum": ["S", "C", None]},
    }
    gateway.on(SCHEMA, {"type": "object", "properties": properties, "required": [], "examples": []})
    gateway.on(PREDICT, PREDICTED)
    return gateway


def test_csv_cells_get_the_types_of_the_schema(titanic: ScriptedGateway, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    text = "age,sibsp,ticket,alone,port\n29,1.0,007,True,S\n4.5,2,true,,\n,3,A/5 1,false,C\nold,4,,NaN,S\n"
    path.write_text("\ufeff" + text)

    result = run(titanic, "predict", "titanic", str(path))

    assert result.exit_code == 0, result.stderr
    assert inputs_sent(titanic) == [
        {"age": 29, "sibsp": 1, "ticket": "007", "alone": True, "port": "S"},
        {"age": 4.5, "sibsp": 2, "ticket": "true", "alone": None, "port": None},
        {"age": None, "sibsp": 3, "ticket": "A/5 1", "alone": False, "port": "C"},
        {"age": "old", "sibsp": 4, "ticket": None, "alone": None, "port": "S"},
    ]


def test_columns_that_the_model_does_not_take_are_left_out_with_a_note(
    titanic: ScriptedGateway, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text('age,survived,name\n29,1,"Allen, Miss"\n')

    result = run(titanic, "predict", "titanic", str(tmp_path / "rows.csv"))

    assert inputs_sent(titanic) == [{"age": 29}]
    assert "left out: survived, name" in result.stderr
    assert "left out" not in result.stdout


@pytest.mark.parametrize("text", ["x0,x1\n1,007\n,b\n", "x0,x1\r\n1,007\r\n\r\n,b\r\n"])
def test_a_model_without_column_names_gets_lists(gateway: ScriptedGateway, text: str) -> None:
    gateway.on(SCHEMA, {"type": "array", "prefixItems": [{"type": ["number", "null"]}, {"type": "string"}]})
    gateway.on(PREDICT, PREDICTED)

    run(gateway, "predict", "titanic", "-", stdin=text)

    assert inputs_sent(gateway) == [[1, "007"], [None, "b"]]


def test_a_first_line_of_numbers_is_a_header_as_in_a_batch_and_that_is_said(gateway: ScriptedGateway) -> None:
    gateway.on(SCHEMA, {"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}]})
    gateway.on(PREDICT, PREDICTED)

    counted = run(gateway, "predict", "titanic", "-", stdin="0,1\n3,4\n")
    odd = run(gateway, "predict", "titanic", "-", stdin="1.5,-2e3\n3,4\n")

    assert [asked.json["inputs"] for asked in gateway.asked_for(PREDICT)] == [[[3, 4]], [[3, 4]]]
    assert (counted.stderr, odd.stderr) == ("", "note: the first line was taken for names: 1.5,-2e3\n")


def test_without_a_schema_cells_are_sent_as_they_are(gateway: ScriptedGateway) -> None:
    gateway.on(PREDICT, PREDICTED)

    run(gateway, "predict", "titanic", "-", stdin="a,b\n1,nan\n")

    assert inputs_sent(gateway) == [{"a": "1", "b": "nan"}]


@pytest.mark.parametrize("kind", ["object", "array"])
def test_a_column_that_is_there_twice_is_refused_before_anything_is_predicted(
    gateway: ScriptedGateway, kind: str
) -> None:
    gateway.on(SCHEMA, {"type": kind, "properties": {"age": {}}, "prefixItems": [{}, {}]})

    result = run(gateway, "predict", "titanic", "-", stdin="age,age\n29,4\n")

    assert (result.exit_code, gateway.asked_for(PREDICT)) == (1, [])
    assert result.stderr == "Error: the column 'age' is in the file more than once\n"


def test_the_schema_of_the_wanted_version_is_read(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models/titanic", MODEL)
    gateway.on("GET /v1/models/titanic/versions/4/schema", {"type": "object", "properties": {"a": {"type": "string"}}})
    gateway.on(PREDICT, PREDICTED)

    run(gateway, "predict", "titanic", "-", "--version", "challenger", stdin="a\n1\n")

    assert gateway.only(PREDICT).json["inputs"] == [{"a": "1"}]
    assert gateway.only(PREDICT).json["version"] == "challenger"


def test_a_row_shorter_than_the_header_is_named_by_its_line(titanic: ScriptedGateway) -> None:
    result = run(titanic, "predict", "titanic", "-", stdin='age,ticket\n29,"two\nlines"\n4\n')

    assert result.exit_code == 1
    assert result.stderr == "Error: line 4 has 1 cells, expected 2 as in the header\n"
    assert titanic.asked_for(PREDICT) == []


@pytest.mark.parametrize("source", ["rows.json", "-"])
def test_json_rows_are_sent_as_they_are(gateway: ScriptedGateway, tmp_path: Path, source: str) -> None:
    text = '[{"age": 29, "cabin": null}]'
    (tmp_path / "rows.json").write_text(text)
    gateway.on(PREDICT, PREDICTED)

    run(gateway, "predict", "titanic", "-" if source == "-" else str(tmp_path / source), stdin=text)

    assert inputs_sent(gateway) == [{"age": 29, "cabin": None}]
    assert len(gateway.asked) == 1


ODD_BREAKS = "\u2028\u0085\x0b\x0c\x1c"


@pytest.mark.parametrize("name", ["rows.ndjson", "-"])
def test_a_line_of_ndjson_ends_at_its_newline_only(gateway: ScriptedGateway, tmp_path: Path, name: str) -> None:
    text = '{"note": "a\u2028\u0085b"}\r\n\n{"note": "c"}\n'
    (tmp_path / "rows.ndjson").write_bytes(text.encode())
    gateway.on(PREDICT, PREDICTED)

    run(gateway, "predict", "titanic", "-" if name == "-" else str(tmp_path / name), stdin=text.encode())

    assert inputs_sent(gateway) == [{"note": "a\u2028\u0085b"}, {"note": "c"}]


def test_a_line_that_is_no_row_of_ndjson_is_named(gateway: ScriptedGateway, tmp_path: Path) -> None:
    (tmp_path / "rows.ndjson").write_text('{"age": 29}\n{"age": 29}, {"age": 4}\n')

    result = run(gateway, "predict", "titanic", str(tmp_path / "rows.ndjson"))

    assert (result.exit_code, gateway.asked) == (1, [])
    assert "line 2 is not a JSON object or list" in result.stderr


@pytest.mark.parametrize("source", ["rows.csv", "-"])
def test_a_record_of_csv_ends_where_the_worker_ends_it(titanic: ScriptedGateway, tmp_path: Path, source: str) -> None:
    text = f'\ufeffticket,age\r\n"two\r\nlines",1\r\nodd{ODD_BREAKS}one,2\rafter a return,3\n'
    (tmp_path / "rows.csv").write_bytes(text.encode())

    run(titanic, "predict", "titanic", "-" if source == "-" else str(tmp_path / source), stdin=text.encode())

    tickets = [row["ticket"] for row in inputs_sent(titanic)]
    assert tickets == ["two\r\nlines", f"odd{ODD_BREAKS}one", "after a return"]


def test_lists_one_a_line_can_be_piped(gateway: ScriptedGateway) -> None:
    gateway.on(PREDICT, PREDICTED)

    run(gateway, "predict", "titanic", "-", stdin="[1, 2]\n[3, 4]\n")

    assert inputs_sent(gateway) == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.csv", "naïve\n".encode("latin-1"), "rows.csv: byte 2 is not UTF-8; save the file as UTF-8"),
        ("rows.csv.gz", b"\x1f\x8b\x08", "rows.csv.gz: byte 1 is not UTF-8; save the file as UTF-8"),
        ("rows.csv", b"PAR1\x15\x04", "rows.csv holds Parquet, expected CSV, JSON or NDJSON"),
        ("rows.parquet", b"PAR1\x15\x04", "rows.parquet is a Parquet file, expected CSV, JSON or NDJSON; -o answers"),
        ("rows.csv", b'ticket\n"' + b"x" * 200_000, "line 2 cannot be read as CSV: field larger than"),
    ],
    ids=["latin-1", "gzip", "parquet as csv", "parquet", "endless"],
)
def test_a_file_that_holds_something_else_is_named(
    titanic: ScriptedGateway, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)

    result = run(titanic, "predict", "titanic", str(tmp_path / name))

    assert (result.exit_code, titanic.asked_for(PREDICT)) == (1, [])
    assert words in result.stderr


def test_single_rows_can_be_given_on_the_line(gateway: ScriptedGateway) -> None:
    gateway.on(PREDICT, PREDICTED)

    run(gateway, "predict", "titanic", "--row", '{"age": 29}', "--row", '{"age": 4}', "--version", "2")

    assert inputs_sent(gateway) == [{"age": 29}, {"age": 4}]
    assert gateway.only(PREDICT).json["version"] == 2


@pytest.mark.parametrize("row", ["{age: 29}", "29"])
def test_a_row_that_is_none_is_refused(gateway: ScriptedGateway, row: str) -> None:
    result = run(gateway, "predict", "titanic", "--row", row)

    assert result.exit_code == 1
    assert "JSON" in result.stderr
    assert gateway.asked == []


def test_a_prediction_is_a_table_with_its_version_below(titanic: ScriptedGateway) -> None:
    result = run(titanic, "predict", "titanic", "--row", "{}")

    assert lines(result.stdout)[:3] == [["ROW", "PREDICT"], ["0", "died"], ["1", "lived"]]
    assert "2 rows by titanic version 3, predicted in 4.2 ms" in result.stdout


def test_probabilities_have_a_column_for_each_class(gateway: ScriptedGateway) -> None:
    outcome = {
        "method": "predict_proba",
        "probabilities": [[0.25, 0.75]],
        "classes": [0, 1],
        "model": {"name": "titanic", "version": 3},
        "timings": {},
    }
    gateway.on(PREDICT, job("succeeded", result=outcome))

    result = run(gateway, "predict", "titanic", "--row", "{}", "--method", "predict_proba")

    assert lines(result.stdout)[:2] == [["ROW", "0", "1"], ["0", "0.25", "0.75"]]


def test_a_word_in_brackets_is_shown_and_not_taken_for_a_style(gateway: ScriptedGateway) -> None:
    outcome = PREDICTED["result"] | {"predictions": ["[red]", ":smile:"]}
    gateway.on(PREDICT, job("succeeded", result=outcome))

    result = run(gateway, "predict", "titanic", "--row", "{}")

    assert lines(result.stdout)[1:3] == [["0", "[red]"], ["1", ":smile:"]]


def test_json_prints_the_job_and_nothing_else_on_stdout(titanic: ScriptedGateway) -> None:
    result = run(titanic, "predict", "titanic", "--row", "{}", "--json")

    assert json.loads(result.stdout) == PREDICTED


def test_no_wait_prints_the_id_only(gateway: ScriptedGateway) -> None:
    gateway.on(PREDICT, Answer(job(), 202))

    result = run(gateway, "predict", "titanic", "--row", "{}", "--no-wait")

    assert result.stdout == "job_1\n"
    assert "prefer" not in gateway.only(PREDICT).headers
    assert len(gateway.asked) == 1


# Errors


def test_a_refusal_is_one_line_on_stderr_with_its_pointer(gateway: ScriptedGateway) -> None:
    found = {"pointer": "/inputs/0/age", "code": "wrong_type", "detail": 'found string "x", expected a finite number'}
    gateway.on(PREDICT, problem(422, "The input does not fit", errors=[found]))

    result = run(gateway, "predict", "titanic", "--row", '{"age": "x"}', "--json")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        'Error: 422 The input does not fit: /inputs/0/age: found string "x", expected a finite number\n'
    )


def test_a_refusal_of_a_file_says_what_it_has(gateway: ScriptedGateway, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    missing = [
        {"pointer": "/file_id", "detail": f"the file has no column '{name}'", "columns": ["a", "b"]} for name in "abcde"
    ]
    refusal = problem(422, "The input does not fit", detail="other words", errors=missing)
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on("POST /v1/models/titanic/trainings", refusal)

    result = run(gateway, "train", "titanic", str(tmp_path / "rows.csv"), "--target", "a")

    assert result.stderr.endswith("the file has no column 'c', and 2 more; it has a, b\n")


@pytest.mark.parametrize(("names", "separator"), [("a;b;c", ";"), ("a\tb", "\t")])
def test_a_table_without_commas_is_told_to_have_them(
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


def test_a_detail_that_only_repeats_the_findings_is_not_shown(gateway: ScriptedGateway) -> None:
    found = {"pointer": "/inputs/0/age", "detail": "found null"}
    gateway.on(PREDICT, problem(422, "No", detail="/inputs/0/age: found null (and 1 more)", errors=[found, found]))

    result = run(gateway, "predict", "titanic", "--row", "{}")

    assert result.stderr == "Error: 422 No: /inputs/0/age: found null; /inputs/0/age: found null\n"


def test_a_failed_job_is_an_error_and_still_printed_for_programs(gateway: ScriptedGateway) -> None:
    failed = job("failed", error={"title": "The job failed", "code": "run_failed", "detail": "fit raised"})
    gateway.on(PREDICT, failed)

    people = run(gateway, "predict", "titanic", "--row", "{}")
    programs = run(gateway, "predict", "titanic", "--row", "{}", "--json")

    assert (people.exit_code, people.stdout) == (1, "")
    assert people.stderr == "Error: job_1 failed: fit raised\n"
    assert programs.exit_code == 1
    assert json.loads(programs.stdout) == failed


def test_no_gateway_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"

    result = CliRunner().invoke(main, ["--url", url, "models"])

    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: no gateway at {url} (Connection refused); is it running?")
    assert len(result.stderr.splitlines()) == 1


def test_a_retry_leaves_stdout_to_the_result(gateway: ScriptedGateway) -> None:
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
        ["train", "titanic", __file__],
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
def test_a_line_that_cannot_be_meant_is_a_usage_error(gateway: ScriptedGateway, arguments: list[str]) -> None:
    result = run(gateway, *arguments, stdin="a\n1\n")

    assert result.exit_code == 2
    assert gateway.asked == []


def test_an_address_that_cannot_be_meant_is_one_line() -> None:
    result = CliRunner().invoke(main, ["--url", "localhost:8000", "models"])

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the gateway's url is 'localhost:8000'")


def test_the_version_is_the_packages() -> None:
    assert CliRunner().invoke(main, ["--version"]).stdout == f"queuecast, version {queuecast.__version__}\n"


# push and train


def pushed(gateway: ScriptedGateway, tmp_path: Path, *options: str, promoted: bool = True) -> Result:
    outcome = {"model": "titanic", "version": 1, "promoted": promoted, "methods": ["predict", "predict_proba"]}
    gateway.on("POST /v1/models/titanic/versions", Answer(job(type="import"), 202))
    gateway.on(JOB, job("succeeded", revision=2, type="import", result=outcome))
    (tmp_path / "m.skops").write_bytes(b"PK\x03\x04 model")
    (tmp_path / "rows.csv").write_text("age\n29\n")
    files = [str(tmp_path / "m.skops"), "--example", str(tmp_path / "rows.csv")]
    return run(gateway, "push", "titanic", *files, *options)


def test_push_waits_for_the_import_and_says_what_became_of_it(gateway: ScriptedGateway, tmp_path: Path) -> None:
    result = pushed(gateway, tmp_path)

    assert result.exit_code == 0, result.stderr
    assert result.stdout == "titanic version 1 is here and is the champion; it answers predict, predict_proba\n"


def test_a_push_that_was_not_promoted_says_how_to(gateway: ScriptedGateway, tmp_path: Path) -> None:
    assert "queuecast promote titanic 1" in pushed(gateway, tmp_path, promoted=False).stdout


def test_push_sends_targets_split_and_description(gateway: ScriptedGateway, tmp_path: Path) -> None:
    pushed(gateway, tmp_path, "--target", "survived", "--holdout", "--description", "first")

    asked = gateway.only("POST /v1/models/titanic/versions")
    form = message_from_bytes(f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode() + asked.body)
    fields = {part.get_param("name", header="content-disposition"): part for part in form.get_payload()}
    assert json.loads(fields["metadata"].get_payload()) == {
        "target": ["survived"],
        "holdout": {"method": "rowhash-v1", "fraction": 0.2, "columns": []},
        "description": "first",
    }


def test_push_refuses_a_pickle_with_the_way_out(gateway: ScriptedGateway, tmp_path: Path) -> None:
    (tmp_path / "m.joblib").write_bytes(b"\x80\x04")
    (tmp_path / "rows.csv").write_text("age\n29\n")

    result = run(gateway, "push", "t", str(tmp_path / "m.joblib"), "--example", str(tmp_path / "rows.csv"))

    assert result.exit_code == 1
    assert "sio.dump(joblib.load(" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert gateway.asked == []


def trained(gateway: ScriptedGateway, tmp_path: Path, *options: str, **outcome: Any) -> Result:
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on("POST /v1/models/titanic/trainings", Answer(job(type="training"), 202))
    gateway.on(JOB, job("succeeded", revision=2, type="training", result=TRAINED | outcome))
    (tmp_path / "titanic.csv").write_text("age,survived\n29,1\n")
    return run(gateway, "train", "titanic", str(tmp_path / "titanic.csv"), "--target", "survived", *options)


def test_train_shows_both_scores_and_the_verdict(gateway: ScriptedGateway, tmp_path: Path) -> None:
    result = trained(gateway, tmp_path)

    assert lines(result.stdout)[:3] == [
        ["VERSION", "ACCURACY"],
        ["champion", "3", "0.8125"],
        ["challenger", "4", "0.8343"],
    ]
    assert "fitted on 713 rows, compared on 178 held out rows: better" in result.stdout
    assert "titanic version 4 is the champion now" in result.stdout


def test_a_training_that_was_not_promoted_says_why(gateway: ScriptedGateway, tmp_path: Path) -> None:
    result = trained(gateway, tmp_path, verdict="worse", promoted=False, reason="0.79 against 0.81, worse")

    assert result.exit_code == 0
    assert "titanic version 4 was not promoted: 0.79 against 0.81, worse" in result.stdout


def test_parameters_are_json_pythons_words_or_words(gateway: ScriptedGateway, tmp_path: Path) -> None:
    given = ["C=0.5", "model__fit_intercept=True", "solver=lbfgs", "n_jobs=None", "layers=[5, 2]", "x=a=b", "y=NaN"]

    trained(gateway, tmp_path, *(word for pair in given for word in ("--param", pair)), "--promote", "never")

    asked = gateway.only("POST /v1/models/titanic/trainings").json
    assert asked["params"] == {
        "C": 0.5,
        "model__fit_intercept": True,
        "solver": "lbfgs",
        "n_jobs": None,
        "layers": [5, 2],
        "x": "a=b",
        "y": "NaN",
    }
    assert (asked["target"], asked["promote"]) == ("survived", "never")


# jobs


def test_jobs_lists_what_the_filters_leave(gateway: ScriptedGateway) -> None:
    running = job(
        "running",
        id="job_2",
        type="training",
        started_at="2026-01-31T12:00:01.000Z",
        progress={"done": 2, "total": 7, "unit": "stages"},
    )
    gateway.on("GET /v1/jobs", {"data": [running, job()], "next_cursor": None})

    result = run(gateway, "jobs", "--state", "running", "--type", "training", "--model", "titanic", "--limit", "5")

    assert gateway.asked[0].query == {"state": "running", "type": "training", "model": "titanic", "limit": "5"}
    rows = lines(result.stdout)
    assert rows[0] == ["JOB", "TYPE", "STATE", "MODEL", "AGE", "TOOK", "PROGRESS"]
    assert rows[1][:5] == ["job_2", "training", "running", "titanic", "3"]
    assert rows[1][-2:] == ["2/7", "stages"]


def test_jobs_for_programs_are_a_list(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/jobs", {"data": [job()], "next_cursor": None})

    assert json.loads(run(gateway, "jobs", "--json").stdout) == [job()]


def test_show_tells_why_a_job_failed(gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("failed", error={"title": "The run took too long", "code": "timeout", "detail": "300 s"}))

    result = run(gateway, "jobs", "show", "job_1")

    assert result.exit_code == 0
    assert ["error", "The", "run", "took", "too", "long:", "300", "s"] in lines(result.stdout)


def test_show_ends_with_the_result(gateway: ScriptedGateway) -> None:
    gateway.on(JOB, PREDICTED)

    assert ["1", "lived"] in lines(run(gateway, "jobs", "show", "job_1").stdout)


def test_wait_ends_with_the_result(gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job(), PREDICTED | {"revision": 2})

    assert lines(run(gateway, "jobs", "wait", "job_1").stdout)[2] == ["1", "lived"]


def test_cancel_says_the_state_after_it(gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("running"))
    gateway.on("POST /v1/jobs/job_1/cancel", Answer(job("canceling"), 202))

    assert run(gateway, "jobs", "cancel", "job_1").stdout == "job_1 canceling\n"


def test_an_id_is_never_cut_for_want_of_room(gateway: ScriptedGateway) -> None:
    long_id = "job_01a1fc6b-60f4-743e-b4c9-8b4bcef7e7d2"
    gateway.on("GET /v1/jobs", {"data": [job("succeeded", id=long_id)], "next_cursor": None})

    seen = seen_in_a_terminal(gateway, "jobs")

    assert long_id in seen
    assert "succeeded" in seen


def test_a_terminal_shows_state_stage_and_progress_while_waiting(gateway: ScriptedGateway) -> None:
    progress = {"done": 2, "total": 7, "unit": "stages", "stage": "fit", "rows": 713}
    gateway.on(
        JOB,
        job("running", type="training", progress=progress),
        job("succeeded", revision=2, type="training", result=TRAINED),
    )

    seen = seen_in_a_terminal(gateway, "jobs", "wait", "job_1")

    assert "training running, fit (713 rows)" in seen
    assert "2/7 stages" in seen
    assert "titanic version 4 is the champion now" in seen


# A job's life


WORKER = "5c3f0a2b91d4.9f3ab1:17"


def moment(event: str, at: str, attempt: int, worker: str | None = None, detail: str = "") -> dict[str, Any]:
    at = f"2026-01-31T12:00:{at}Z"
    return {"event": event, "at": at, "attempt": attempt, "worker": worker, "detail": detail}


LIFE = [
    moment("accepted", "00.000", 0),
    moment("claimed", "00.004", 1, WORKER),
    moment("lost", "30.100", 1, WORKER, f"worker {WORKER} was not heard of for 30 s"),
    moment("retried", "30.100", 1, None, "after 0.5 s"),
    moment("claimed", "31.000", 2, WORKER),
    moment("given_back", "35.500", 2, WORKER),
]
RETRIED = job("queued", attempt=2, lost_attempts=1, max_attempts=3, timeline=LIFE)


@pytest.mark.parametrize("command", [["job"], ["jobs", "show"]], ids=" ".join)
def test_a_job_is_shown_with_its_life(gateway: ScriptedGateway, command: list[str]) -> None:
    gateway.on(JOB, RETRIED)

    rows = lines(run(gateway, *command, "job_1").stdout)

    assert ["AFTER", "EVENT", "ATTEMPT", "WORKER"] in rows
    assert ["0", "ms", "accepted", "-"] in rows
    assert ["4", "ms", "claimed", "1", WORKER] in rows
    assert ["30.1", "s", "lost", "1", WORKER, *f"worker {WORKER} was not heard of for 30 s".split()] in rows
    assert ["30.1", "s", "retried", "1", "after", "0.5", "s"] in rows
    assert ["35.5", "s", "given", "back", "2", WORKER] in rows


def test_attempts_tell_those_that_were_lost_apart(gateway: ScriptedGateway) -> None:
    gateway.on(JOB, RETRIED, RETRIED | {"lost_attempts": 0})

    first, second = [lines(run(gateway, "job", "job_1").stdout) for _ in range(2)]

    assert ["attempt", *["2,", "1", "of", "at", "most", "3", "lost"]] in first
    assert ["attempt", "2"] in second


def test_a_job_that_waits_for_its_next_attempt_says_until_when_and_runs_no_clock(gateway: ScriptedGateway) -> None:
    waiting = RETRIED | {"not_before": "2026-01-31T12:00:36.000Z", "started_at": "2026-01-31T12:00:31.000Z"}
    gateway.on(JOB, waiting)

    rows = lines(run(gateway, "job", "job_1").stdout)

    assert ["next", "attempt", "2026-01-31T12:00:36.000Z"] in rows
    assert [row for row in rows if row[:1] == ["took"]] == []


def test_a_narrow_terminal_has_no_room_for_workers(gateway: ScriptedGateway) -> None:
    gateway.on(JOB, RETRIED)

    narrow, wide = [seen_in_a_terminal(gateway, "job", "job_1", columns=columns) for columns in (60, 80)]

    assert ("WORKER" in narrow, "WORKER" in wide) == (False, True)
    assert max(map(len, lines_without_control(narrow))) <= 60


def lines_without_control(seen: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen).splitlines()


def test_a_job_of_a_gateway_that_keeps_no_timeline_is_shown_without(gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job())

    assert "AFTER" not in run(gateway, "job", "job_1").stdout


def test_a_retry_waits_for_the_new_job(gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("failed"))
    gateway.on("POST /v1/jobs/job_1/retry", Answer(job(id="job_2", retry_of="job_1"), 202))
    gateway.on("GET /v1/jobs/job_2", PREDICTED | {"id": "job_2", "revision": 2})

    result = run(gateway, "retry", "job_1")

    assert (result.exit_code, lines(result.stdout)[2]) == (0, ["1", "lived"])


def test_a_retry_that_is_not_waited_for_prints_the_id_of_the_new_job(gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("failed"))
    gateway.on("POST /v1/jobs/job_1/retry", Answer(job(id="job_2", retry_of="job_1"), 202))

    assert run(gateway, "retry", "job_1", "--no-wait").stdout == "job_2\n"


# queues and dead letters


QUEUES = {
    "data": [
        {
            "lane": "prediction/titanic/3/predict",
            "type": "prediction",
            "waiting": 12041,
            "reserved": 16,
            "oldest_wait_s": 12.5,
            "limit": 10000,
        },
        {"lane": "training", "type": "training", "waiting": 0, "reserved": 1, "oldest_wait_s": None, "limit": 10000},
    ],
    "limits": {
        "rows": {"used": None, "limit": 10000, "unit": "rows", "error": "invalid_input"},
        "files": {"used": 5 * 2**30, "limit": 10 * 2**30, "unit": "bytes", "error": "files_full"},
        "redis_memory": {"used": 2048, "limit": 0, "unit": "bytes", "error": "store_full"},
    },
    "dead_letters": 2,
    "next_cursor": None,
}


def test_queues_shows_lanes_limits_and_dead_letters(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/queues", QUEUES)

    result = run(gateway, "queues")

    assert [row for row in lines(result.stdout) if row] == [
        ["LANE", "WAITING", "HELD", "OLDEST"],
        ["prediction/titanic/3/predict", "12041", "16", "12", "s"],
        ["training", "0", "1", "-"],
        ["LIMIT", "USED", "OF", "ERROR"],
        ["rows", "10,000", "rows", "invalid_input"],
        ["files", "5.0", "GiB", "10.0", "GiB", "files_full"],
        ["redis", "memory", "2", "KiB", "no", "limit", "store_full"],
        ["2", "dead", "letters;", "queuecast", "dead-letters", "lists", "them"],
    ]


def test_queues_without_jobs_says_so(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/queues", QUEUES | {"data": [], "dead_letters": 0})

    result = run(gateway, "queues")

    assert result.stdout.splitlines()[0].strip() == "no jobs wait"
    assert "dead letter" not in result.stdout


def test_a_lanes_name_is_never_cut(gateway: ScriptedGateway) -> None:
    name = f"prediction/{'a-long-name-' * 4}/112/predict_proba"
    gateway.on("GET /v1/queues", QUEUES | {"data": [QUEUES["data"][0] | {"lane": name}]})  # type: ignore[index]

    seen = [line.rstrip() for line in lines_without_control(seen_in_a_terminal(gateway, "queues", columns=60))]

    width = seen[0].index("WAITING")
    assert "".join(line[:width].strip() for line in seen[1 : seen.index("")]) == name
    assert max(map(len, seen)) <= 60


def test_queues_for_programs_are_the_document(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/queues", QUEUES)

    assert json.loads(run(gateway, "queues", "--json").stdout) == QUEUES


def test_dead_letters_are_listed_with_their_error(gateway: ScriptedGateway) -> None:
    letter = job("failed", error={"title": "The worker was lost", "code": "worker_lost"})
    gateway.on("GET /v1/dead-letters", {"data": [letter], "next_cursor": None})

    rows = lines(run(gateway, "dead-letters").stdout)

    assert rows[0] == ["JOB", "MODEL", "AGE", "ERROR"]
    assert (rows[1][:3], rows[1][-1]) == (["job_1", "titanic", "3"], "worker_lost")


def test_no_dead_letters_is_said(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/dead-letters", {"data": [], "next_cursor": None})

    assert run(gateway, "dead-letters").stdout.strip() == "no dead letters"


def test_a_dead_letter_is_replayed_and_waited_for(gateway: ScriptedGateway) -> None:
    gateway.on("POST /v1/dead-letters/job_1/replay", Answer(job(id="job_2", retry_of="job_1"), 202))
    gateway.on("GET /v1/jobs/job_2", PREDICTED | {"id": "job_2", "revision": 2})

    result = run(gateway, "dead-letters", "--replay", "job_1")

    assert (result.exit_code, lines(result.stdout)[2]) == (0, ["1", "lived"])


def test_a_dead_letter_that_somebody_else_replayed_is_one_line(gateway: ScriptedGateway) -> None:
    gateway.on("POST /v1/dead-letters/job_1/replay", problem(409, "Not possible now", detail="job_1 is no dead letter"))

    result = run(gateway, "dead-letters", "--replay", "job_1")

    assert (result.exit_code, result.stderr) == (1, "Error: 409 Not possible now: job_1 is no dead letter\n")


# models


def test_models_shows_champions_and_other_aliases(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models", {"data": [MODEL], "next_cursor": None})

    result = run(gateway, "models")

    assert lines(result.stdout)[1] == ["titanic", "3", "4", "4", "challenger", "4"]


def test_versions_have_their_scores_and_the_champion_is_marked(gateway: ScriptedGateway) -> None:
    metrics = {"metric": "accuracy", "challenger": 0.8343, "champion": 0.8125}
    gateway.on("GET /v1/models/titanic", MODEL)
    gateway.on(
        "GET /v1/models/titanic/versions",
        {"data": [manifest(4, source="training", metrics=metrics), manifest(3)], "next_cursor": None},
    )

    result = run(gateway, "models", "titanic")

    rows = lines(result.stdout)
    assert rows[1][:7] == ["4", "challenger", "accuracy", "0.8343", "training", "20", "KiB"]
    assert rows[2][:5] == ["3", "champion", "-", "push", "20"]


def test_a_pipeline_is_known_by_its_first_and_last_name(gateway: ScriptedGateway) -> None:
    pipeline = "Pipeline(steps=[('scaler', StandardScaler()), ('model', LogisticRegression(C=0.1))])"
    gateway.on("GET /v1/models/titanic", MODEL)
    gateway.on(
        "GET /v1/models/titanic/versions",
        {"data": [manifest(2, estimator=pipeline), manifest(1, estimator="SVC(C=2)")], "next_cursor": None},
    )

    result = run(gateway, "models", "titanic")

    assert [row[-1] for row in lines(result.stdout)] == ["ESTIMATOR", "LogisticRegression", "SVC(C=2)"]
    assert "Pipeline ... LogisticRegression" in result.stdout


def test_promote_moves_the_alias_it_is_told_to(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models/titanic", Answer(MODEL, headers={"ETag": '"7"'}))
    gateway.on("PUT /v1/models/titanic/aliases/shadow", MODEL | {"aliases": {"champion": 3, "shadow": 2}})

    result = run(gateway, "promote", "titanic", "2", "--alias", "shadow", "--reason", "try it")

    assert result.stdout == "titanic: champion is version 3, shadow is version 2\n"
    assert gateway.only("PUT /v1/models/titanic/aliases/shadow").json == {"version": 2, "reason": "try it"}


def test_rollback_shows_the_champion_after_it(gateway: ScriptedGateway) -> None:
    gateway.on("POST /v1/models/titanic/rollback", MODEL | {"aliases": {"champion": 2}})

    result = run(gateway, "rollback", "titanic", "--reason", "worse on Sundays")

    assert result.stdout == "titanic: champion is version 2\n"
    assert gateway.only("POST /v1/models/titanic/rollback").json == {"reason": "worse on Sundays"}
