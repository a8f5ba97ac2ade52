"""`queuecast predict ... -o`: a file in, a file out, and the texts on stderr."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.text import Text

from queuecast.cli import progress
from queuecast.cli.batches import OutputFiles
from queuecast.cli.job_tables import bad_row_text
from queuecast.cli.main import main
from queuecast.client import Client
from tests.queuecast.cli.command_line import seen_in_a_terminal, typed_in_a_terminal
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job, problem

FILES = "POST /v1/files"
BATCHES = "POST /v1/models/titanic/batches"
JOB = "GET /v1/jobs/job_1"
RESULT = "GET /v1/jobs/job_1/result"
ERRORS = "GET /v1/jobs/job_1/errors"
ANSWERS = b"row,prediction\n1,lived\n3,died\n"
BAD = {"row": 2, "column": "age", "code": "wrong_type", "detail": "found 'x', expected a number"}
# A batch is claimed twice: to be cut, and to be joined. It began with the first.
TIMES = {
    "started_at": "2026-01-31T12:00:01.990Z",
    "finished_at": "2026-01-31T12:00:02.000Z",
    "timeline": [
        {"event": event, "at": f"2026-01-31T12:00:0{at}Z", "attempt": attempt, "worker": None, "detail": ""}
        for event, at, attempt in [
            ("accepted", "0.000", 0),
            ("claimed", "0.000", 1),
            ("fanned_out", "0.100", 1),
            ("gathered", "1.900", 1),
            ("claimed", "1.990", 2),
            ("finished", "2.000", 2),
        ]
    ],
}


def running(done: int, total: int = 1_000_000, stage: str = "predict", **more: Any) -> dict[str, Any]:
    progress = {"done": done, "total": total, "unit": "rows", "stage": stage, "rows": None, "errors": 0} | more
    return job("running", revision=2 + done, type="batch", progress=progress)


def ended(errors: int = 0, found_format: str = "csv") -> dict[str, Any]:
    file = {"format": found_format, "size_bytes": len(ANSWERS), "sha256": hashlib.sha256(ANSWERS).hexdigest()}
    result = {"method": "predict", "rows": 3000, "errors": errors, "file": file, "chunks": 2}
    return job("succeeded", revision=9**9, type="batch", result=result) | TIMES


FAILED = job(
    "failed",
    revision=5,
    type="batch",
    error={
        "title": "The input does not fit",
        "code": "invalid_input",
        "errors": [{"pointer": "/rows/2/age", "detail": "found 'x'"}],
    },
)


@pytest.fixture
def batches(gateway: ScriptedGateway) -> ScriptedGateway:
    gateway.on(FILES, Answer({"id": "file_1"}, 201))
    gateway.on(BATCHES, Answer(job(type="batch"), 202))
    gateway.on(JOB, ended())
    gateway.on(RESULT, Answer(ANSWERS))
    gateway.on(ERRORS, Answer(json.dumps(BAD).encode() + b"\n"))
    return gateway


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text("age\n29\nx\n4\n")
    return tmp_path / "rows.csv"


def run(gateway: ScriptedGateway, *arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["--url", gateway.url, *map(str, arguments)], input=stdin)


def test_a_file_is_uploaded_predicted_and_written(batches: ScriptedGateway, rows: Path, tmp_path: Path) -> None:
    result = run(batches, "predict", "titanic", rows, "-o", tmp_path / "out.csv")

    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "out.csv").read_bytes() == ANSWERS
    assert batches.only_request(FILES).body == rows.read_bytes()
    assert batches.only_request(BATCHES).json == {
        "file_id": "file_1",
        "method": "predict",
        "output_format": "csv",
        "on_error": "skip",
    }


def test_the_summary_goes_to_stderr_and_stdout_stays_empty(
    batches: ScriptedGateway, rows: Path, tmp_path: Path
) -> None:
    result = run(batches, "predict", "titanic", rows, "-o", tmp_path / "out.csv")

    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "11 B uploaded; job_1 predicts with titanic version 3",
        f"{tmp_path}/out.csv: 3,000 answers, {len(ANSWERS)} B; predicted in 2.0 s, 1,500 rows/s",
    ]


def test_every_option_of_a_batch_is_sent(batches: ScriptedGateway, rows: Path, tmp_path: Path) -> None:
    options = ["--method", "predict_proba", "--version", "2", "--priority", "low", "--id", "name", "--on-error", "fail"]
    batches.on(JOB, ended(found_format="parquet"))

    result = run(batches, "predict", "titanic", rows, "-o", tmp_path / "out.parquet", *options)

    assert result.exit_code == 0, result.stderr
    assert batches.only_request(BATCHES).json == {
        "file_id": "file_1",
        "method": "predict_proba",
        "version": 2,
        "output_format": "parquet",
        "on_error": "fail",
        "id_column": "name",
        "priority": "low",
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.csv", "csv"), ("a.ndjson", "ndjson"), ("a.JSONL", "ndjson"), ("a.json", "json"), ("a.parquet", "parquet")],
)
def test_the_suffix_of_the_output_sets_its_format(
    batches: ScriptedGateway, rows: Path, tmp_path: Path, name: str, expected: str
) -> None:
    run(batches, "predict", "titanic", rows, "-o", tmp_path / name, "--no-wait")

    assert batches.only_request(BATCHES).json["output_format"] == expected


@pytest.mark.parametrize(
    ("source", "output", "words"),
    [
        (
            "rows.csv",
            "out.xlsx",
            "out.xlsx names no output format, expected a name that ends in .csv, .ndjson, .jso",
        ),
        ("rows.csv", "nowhere/out.csv", "cannot be written: there is no folder"),
        ("rows.csv", "rows.csv", "rows.csv is the input; write to another file"),
        (
            "rows.xlsx",
            "out.csv",
            "rows.xlsx cannot be uploaded as a table, expected .csv, .ndjson",
        ),
    ],
)
def test_a_wrong_file_name_is_refused_before_anything_is_sent(
    batches: ScriptedGateway, rows: Path, tmp_path: Path, source: str, output: str, words: str
) -> None:
    (tmp_path / "rows.xlsx").write_bytes(b"PK")

    result = run(batches, "predict", "titanic", tmp_path / source, "-o", tmp_path / output)

    assert (result.exit_code, batches.requests) == (1, [])
    assert words in result.stderr


@pytest.mark.parametrize(
    ("piped", "media_type"),
    [
        (b"age\n29\n", "text/csv"),
        (b'\xef\xbb\xbf{"age": 29}\n', "application/x-ndjson"),
        (b"[29]\n[4]\n", "application/x-ndjson"),
        (b"PAR1....", "application/vnd.apache.parquet"),
    ],
)
def test_the_format_of_standard_input_is_recognized_by_its_first_bytes(
    batches: ScriptedGateway, tmp_path: Path, piped: bytes, media_type: str
) -> None:
    result = run(batches, "predict", "titanic", "-", "-o", tmp_path / "out.csv", stdin=piped)

    assert result.exit_code == 0, result.stderr
    request = batches.only_request(FILES)
    assert (request.body, request.headers["content-type"]) == (piped, media_type)


def test_bad_rows_are_counted_the_first_is_shown_and_the_exit_code_is_0(
    batches: ScriptedGateway, rows: Path, tmp_path: Path
) -> None:
    batches.on(JOB, ended(errors=1))

    result = run(batches, "predict", "titanic", rows, "-o", tmp_path / "out.csv")

    assert result.exit_code == 0
    assert result.stderr.splitlines()[-3:] == [
        f"{tmp_path}/out.csv: 2,999 answers, {len(ANSWERS)} B; predicted in 2.0 s, 1,500 rows/s",
        "1 row was bad and has no answer; to download them: queuecast jobs wait job_1 --errors errors.ndjson",
        "the first bad row: row 2, column age: found 'x', expected a number",
    ]


def test_all_bad_cells_of_the_first_bad_row_are_shown_up_to_three() -> None:
    cells = [{"column": name, "code": "null", "detail": f"is empty ({name})"} for name in "abcde"]
    first = {"row": 2} | cells[0]

    texts = [bad_row_text(first | more) for more in ({}, {"errors": cells[:2]}, {"errors": cells, "errors_total": 99})]

    assert texts == [
        "row 2, column a: is empty (a)",
        "row 2, column a: is empty (a); column b: is empty (b)",
        "row 2, column a: is empty (a); column b: is empty (b); column c: is empty (c); and 96 more",
    ]
    assert bad_row_text({"row": 3, "column": None, "code": "malformed"}) == "row 3: malformed"


def test_bad_rows_are_written_to_the_errors_file(batches: ScriptedGateway, rows: Path, tmp_path: Path) -> None:
    batches.on(JOB, ended(errors=1))

    result = run(batches, "predict", "titanic", rows, "-o", tmp_path / "out.csv", "--errors", tmp_path / "bad.ndjson")

    assert result.stderr.splitlines()[-1] == f"1 row was bad and has no answer: {tmp_path}/bad.ndjson"
    assert [json.loads(line) for line in (tmp_path / "bad.ndjson").read_text().splitlines()] == [BAD]


def test_a_failed_batch_is_a_one_line_error_and_writes_nothing(
    batches: ScriptedGateway, rows: Path, tmp_path: Path
) -> None:
    batches.on(JOB, FAILED)

    result = run(batches, "predict", "titanic", rows, "-o", tmp_path / "out.csv", "--on-error", "fail")

    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "Error: job_1 failed: The input does not fit: /rows/2/age: found 'x'"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv"]


def test_json_prints_the_finished_job_in_addition_to_the_file(
    batches: ScriptedGateway, rows: Path, tmp_path: Path
) -> None:
    result = run(batches, "predict", "titanic", rows, "-o", tmp_path / "out.csv", "--json")

    assert json.loads(result.stdout) == ended()
    assert (tmp_path / "out.csv").exists()


def test_no_wait_prints_the_id_of_the_batch(batches: ScriptedGateway, rows: Path, tmp_path: Path) -> None:
    result = run(batches, "predict", "titanic", rows, "-o", tmp_path / "out.csv", "--no-wait")

    assert result.stdout == "job_1\n"
    assert batches.requests_to(JOB) == []


def test_jobs_wait_downloads_the_files_of_an_earlier_batch(batches: ScriptedGateway, tmp_path: Path) -> None:
    result = run(batches, "jobs", "wait", "job_1", "-o", tmp_path / "out.csv", "--errors", tmp_path / "bad.ndjson")

    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "out.csv").read_bytes() == ANSWERS
    assert (tmp_path / "bad.ndjson").exists()


def test_the_bad_rows_of_a_failed_batch_can_be_downloaded(batches: ScriptedGateway, tmp_path: Path) -> None:
    batches.on(JOB, FAILED)

    result = run(batches, "jobs", "wait", "job_1", "--errors", tmp_path / "bad.ndjson")

    assert result.exit_code == 1
    assert json.loads((tmp_path / "bad.ndjson").read_text()) == BAD


def test_answers_in_another_format_than_the_suffix_are_not_written(batches: ScriptedGateway, tmp_path: Path) -> None:
    result = run(batches, "jobs", "wait", "job_1", "-o", tmp_path / "out.ndjson")

    assert result.exit_code == 1
    assert f"are csv, not ndjson: queuecast jobs wait job_1 -o {tmp_path}/out.csv" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["jobs", "wait", "job_1"], ["retry", "job_1"]])
def test_output_options_are_refused_for_a_job_that_writes_no_file(
    gateway: ScriptedGateway, tmp_path: Path, command: list[str]
) -> None:
    gateway.on(JOB, job("failed"))

    result = run(gateway, *command, "-o", tmp_path / "out.csv")

    assert result.exit_code == 1
    assert "job_1 is a prediction; -o downloads the answers of a batch" in result.stderr
    assert [request.method for request in gateway.requests] == ["GET"]


def test_a_retried_batch_can_be_downloaded_at_once(batches: ScriptedGateway, tmp_path: Path) -> None:
    batches.on("GET /v1/jobs/job_0", job("canceled", id="job_0", type="batch"))
    batches.on("POST /v1/jobs/job_0/retry", Answer(job(type="batch", retry_of="job_0"), 202))

    result = run(batches, "retry", "job_0", "-o", tmp_path / "out.csv")

    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "out.csv").read_bytes() == ANSWERS


@pytest.mark.parametrize("command", [["jobs", "wait", "job_1"], ["job", "job_1"]])
def test_a_finished_batch_shows_the_command_that_downloads_its_files(
    batches: ScriptedGateway, command: list[str]
) -> None:
    batches.on(JOB, ended(errors=12))

    lines = run(batches, *command).stdout.splitlines()

    assert lines[-2:] == [
        f"3,000 rows, 12 of them bad: {len(ANSWERS)} B of csv",
        "to download them: queuecast jobs wait job_1 -o answers.csv --errors errors.ndjson",
    ]


def test_the_duration_of_a_batch_counts_from_its_first_run(batches: ScriptedGateway) -> None:
    facts = [line.split() for line in run(batches, "job", "job_1").stdout.splitlines()]

    assert ["took", "2.0", "s"] in facts


# Without -o


@pytest.mark.parametrize(
    "refusal",
    [
        problem(422, "The input does not fit", errors=[{"pointer": "/inputs", "code": "too_many_rows"}]),
        problem(413, "Too large", code="too_large"),
    ],
)
def test_too_many_rows_for_a_prediction_point_to_the_output_option(
    gateway: ScriptedGateway, rows: Path, refusal: Answer
) -> None:
    gateway.on("POST /v1/models/titanic/predictions", refusal)

    result = run(gateway, "predict", "titanic", rows)

    assert result.exit_code == 1
    assert result.stderr.endswith("; -o answers.csv predicts a file of any size\n")
    assert "predict_file" not in result.stderr


@pytest.mark.parametrize("name", ["rows.parquet", "large.csv"])
def test_a_file_that_is_too_large_to_print_is_not_read_into_memory(
    gateway: ScriptedGateway, tmp_path: Path, name: str
) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(65 * 2**20)  # a hole: it takes no room on the disk

    result = run(gateway, "predict", "titanic", tmp_path / name)

    assert (result.exit_code, gateway.requests) == (1, [])
    assert "-o answers.csv predicts a file of any size" in result.stderr


def test_an_ndjson_file_is_one_prediction_without_the_output_option(gateway: ScriptedGateway, tmp_path: Path) -> None:
    (tmp_path / "rows.ndjson").write_text('{"age": 29}\n\n{"age": null}\n')
    gateway.on("POST /v1/models/titanic/predictions", Answer(job(), 202))

    run(gateway, "predict", "titanic", tmp_path / "rows.ndjson", "--no-wait", "--priority", "high")

    sent = gateway.requests[0].json
    assert (sent["inputs"], sent["priority"]) == ([{"age": 29}, {"age": None}], "high")


# Files that exist


EXISTING = {
    "predict": ["predict", "titanic", "rows.csv", "-o", "out.csv"],
    "the bad rows": ["predict", "titanic", "rows.csv", "-o", "new.csv", "--errors", "out.csv"],
    "wait": ["jobs", "wait", "job_1", "-o", "out.csv"],
    "retry": ["retry", "job_1", "-o", "out.csv"],
}


@pytest.mark.parametrize("arguments", EXISTING.values(), ids=EXISTING)
@pytest.mark.usefixtures("rows")
def test_a_file_is_overwritten_only_with_force(
    batches: ScriptedGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    batches.on("POST /v1/jobs/job_1/retry", Answer(job(type="batch"), 202))
    (tmp_path / "out.csv").write_text("dear old answers")

    refused = run(batches, *arguments)

    assert (refused.exit_code, refused.stderr) == (1, "Error: out.csv exists; --force overwrites\n")
    assert (batches.requests, (tmp_path / "out.csv").read_text()) == ([], "dear old answers")
    assert run(batches, *arguments, "--force").exit_code == 0
    assert (tmp_path / "out.csv").read_text() != "dear old answers"


@pytest.mark.parametrize(("reply", "is_overwritten"), [("y", True), ("n", False), ("", False)])
def test_in_a_terminal_the_command_asks_before_it_overwrites(
    batches: ScriptedGateway, rows: Path, tmp_path: Path, reply: str, is_overwritten: bool
) -> None:
    old = tmp_path / "out.csv"
    old.write_text("dear old answers")

    typed = typed_in_a_terminal(batches, f"{reply}\n", "predict", "titanic", str(rows), "-o", str(old))

    assert f"{old} exists. Overwrite? [y/N]" in " ".join(typed.split())
    assert (old.read_bytes() == ANSWERS) == is_overwritten


def test_the_command_that_resumes_an_overwriting_one_has_force_too(tmp_path: Path) -> None:
    files = OutputFiles(tmp_path / "out.csv", None, may_replace=True)

    assert files.options() == f" -o {tmp_path}/out.csv --force"


# Progress


def test_a_terminal_shows_rows_speed_and_stages_within_its_width(
    batches: ScriptedGateway, rows: Path, tmp_path: Path
) -> None:
    batches.on(
        JOB,
        running(0, stage="cut"),
        running(0, 10_000_000),
        running(2_500_000, 10_000_000, errors=3),
        running(10_000_000, 10_000_000, stage="join"),
        ended(),
    )

    seen = seen_in_a_terminal(batches, "predict", "titanic", str(rows), "-o", str(tmp_path / "out.csv"))

    shown = [Text.from_ansi(line).plain for line in seen.replace("\r", "\n").splitlines()]
    assert any("predict, 3 bad" in line and "2,500,000/10,000,000 rows" in line for line in shown)
    assert any("join" in line for line in shown)
    assert max(len(line.rstrip()) for line in shown if "bad" in line) <= 80
    assert "3,000 answers" in shown[-1] or "3,000 answers" in shown[-2]


def test_the_note_of_a_retry_does_not_share_a_line_with_the_bar(
    batches: ScriptedGateway, rows: Path, tmp_path: Path
) -> None:
    busy = problem(503, "Busy")
    busy.headers["Retry-After"] = "1"
    batches.on(JOB, running(2_500_000, 10_000_000), busy, ended())

    seen = seen_in_a_terminal(batches, "predict", "titanic", str(rows), "-o", str(tmp_path / "out.csv"))

    shown = [Text.from_ansi(line).plain.strip() for line in seen.replace("\r", "\n").splitlines()]
    assert [line for line in shown if "retrying" in line] == ["503 Busy (retry in 1 s); retrying in 1.0 s"]
    assert any("2,500,000/10,000,000 rows" in line for line in shown)


def test_a_batch_that_is_cut_shows_the_size_of_its_file(batches: ScriptedGateway) -> None:
    reports: list[tuple[str, int, int | None, str]] = []
    shown = progress.BatchProgress(lambda *report: reports.append(report))
    batches.on(JOB, running(0, 2048, stage="cut", unit="bytes"), running(0, 0, stage="cut"))
    with Client(batches.url) as client:
        handle = client.job("job_1")
        shown.job(handle)
        shown.job(handle.refresh())  # from a worker of an earlier version

    assert reports == [("cut", 0, 2048, "bytes"), ("cut", 0, None, "rows")]


def test_a_batch_that_waits_shows_the_size_of_its_file(batches: ScriptedGateway) -> None:
    reports: list[tuple[str, int, int | None, str]] = []
    shown = progress.BatchProgress(lambda *report: reports.append(report))
    waiting = running(0, 2048, stage=None, unit="bytes") | {"state": "queued"}
    batches.on(JOB, waiting, waiting | {"state": "running"})
    with Client(batches.url) as client:
        handle = client.job("job_1")
        shown.job(handle)
        shown.job(handle.refresh())

    assert reports == [("queued", 0, 2048, "bytes"), ("running", 0, 2048, "bytes")]


def test_outside_a_terminal_a_line_is_printed_now_and_then(
    batches: ScriptedGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    at = iter(range(0, 10_000, 2))  # every look at the clock is 2 s later
    bodies = [running(done) for done in range(0, 500_000, 100_000)]
    batches.on(JOB, *bodies)
    with Client(batches.url) as client, progress.batch_progress(lambda: float(next(at))) as shown:
        handle = client.job("job_1")
        for _ in bodies[1:]:
            shown.job(handle.refresh())

    lines = capsys.readouterr().err.splitlines()

    assert 0 < len(lines) < len(bodies)
    assert lines[0].startswith("predict ")
    assert "/1,000,000 rows  " in lines[-1]
    assert "/s  " in lines[-1]


def test_a_batch_that_waits_to_be_joined_keeps_its_progress(batches: ScriptedGateway) -> None:
    reports: list[tuple[str, int, int | None, str]] = []
    shown = progress.BatchProgress(lambda *report: reports.append(report))
    bodies = [job("queued", type="batch", progress=None), running(900), running(900) | {"state": "queued"}]
    batches.on(JOB, *bodies)
    with Client(batches.url) as client:
        handle = client.job("job_1")
        for index in range(len(bodies)):
            shown.job(handle.refresh() if index else handle)

    assert reports == [("queued", 0, None, ""), *[("predict", 900, 1_000_000, "rows")] * 2]


def test_speed_and_time_left_are_measured_within_a_stage() -> None:
    now = [0.0]
    speed = progress.StageSpeed(lambda: now[0])
    measured = []
    for at, stage, done in ((0.0, "upload", 0), (10.0, "predict", 100), (12.0, "predict", 300), (20.0, "join", 0)):
        now[0] = at
        measured.append(speed.measure(stage, done, 1100))

    assert measured == [(0.0, None), (0.0, None), (100.0, 8.0), (0.0, None)]


def interrupted(gateway: ScriptedGateway, call: str, *arguments: str) -> tuple[int, str]:
    """The exit code and the standard error of a command that got a Ctrl-C once it had made the call."""
    command = [sys.executable, "-m", "queuecast.cli", "--url", gateway.url, *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as waiting:
        deadline = time.monotonic() + 30
        while not gateway.requests_to(call) and time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                waiting.wait(0.05)
        waiting.send_signal(signal.SIGINT)
        _, stderr = waiting.communicate(timeout=30)
    return waiting.returncode, stderr


def test_an_interrupt_stops_the_wait_and_shows_the_command_that_resumes_it(
    batches: ScriptedGateway, rows: Path, tmp_path: Path
) -> None:
    batches.on(JOB, running(10))

    code, stderr = interrupted(batches, JOB, "predict", "titanic", str(rows), "-o", str(tmp_path / "my out.csv"))

    assert code == 130
    assert (
        stderr.splitlines()[-1]
        == f"job_1 continues; to wait for it again: queuecast jobs wait job_1 -o '{tmp_path}/my out.csv'"
    )
    assert not any(request.path.endswith("cancel") for request in batches.requests)


def test_an_interrupt_before_the_batch_is_accepted_has_the_same_exit_code(
    batches: ScriptedGateway, rows: Path, tmp_path: Path
) -> None:
    full = problem(503, "No room for more files")
    full.headers["Retry-After"] = "20"
    batches.on(FILES, full)

    code, stderr = interrupted(batches, FILES, "predict", "titanic", str(rows), "-o", str(tmp_path / "out.csv"))

    assert (code, stderr.splitlines()[-1]) == (130, "interrupted")


def test_a_gateway_lost_during_the_wait_shows_the_command_that_resumes_it(
    batches: ScriptedGateway, rows: Path, tmp_path: Path
) -> None:
    batches.on(RESULT, Answer(breaks=True))

    result = run(batches, "predict", "titanic", rows, "-o", tmp_path / "out.csv")

    assert result.exit_code == 1
    assert result.stderr.endswith(f"; when it answers again: queuecast jobs wait job_1 -o {tmp_path}/out.csv\n")


@pytest.mark.parametrize("options", [[], ["-o", "some.csv"]])
def test_a_canceled_batch_shows_the_command_that_retries_it(batches: ScriptedGateway, options: list[str]) -> None:
    batches.on(JOB, job("canceled", type="batch"))

    result = run(batches, "jobs", "wait", "job_1", *options)

    output = " ".join(options or ["-o", "answers.csv"])
    assert (result.exit_code, result.stderr.splitlines()) == (
        1,
        [f"to run the missing part: queuecast retry job_1 {output}", "Error: job_1 canceled"],
    )


@pytest.mark.parametrize("has_output", [True, False])
def test_a_batch_without_a_single_answer_is_an_error(
    batches: ScriptedGateway, tmp_path: Path, has_output: bool
) -> None:
    batches.on(JOB, ended(errors=3000))

    result = run(batches, "jobs", "wait", "job_1", *(["-o", tmp_path / "out.csv"] if has_output else []))

    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "Error: job_1 has no answers: all 3,000 rows were bad"
    assert (tmp_path / "out.csv").exists() == has_output
