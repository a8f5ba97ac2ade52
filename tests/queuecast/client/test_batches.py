"""Files of rows through the client: uploaded, submitted, and fetched through connections that break."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_matrix

from queuecast.client import ApiError, Client, GatewayUnreachable, JobFailed, TooManyRows
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job, problem

FILES = "POST /v1/files"
BATCHES = "POST /v1/models/titanic/batches"
JOB = "GET /v1/jobs/job_1"
RESULT = "GET /v1/jobs/job_1/result"
ERRORS = "GET /v1/jobs/job_1/errors"
PREDICTED = b"row,prediction\n" + b"".join(b"%d,lived\n" % row for row in range(1, 5001))


def ended(content: bytes = PREDICTED, errors: int = 0, **more: Any) -> dict[str, Any]:
    file = {"format": "csv", "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    result = {"method": "predict", "rows": 5000, "errors": errors, "file": file, "chunks": 3}
    return job("succeeded", revision=2, type="batch", result=result) | more


@pytest.fixture
def accepting(gateway: ScriptedGateway) -> ScriptedGateway:
    gateway.on(FILES, Answer({"id": "file_1"}, 201))
    gateway.on(BATCHES, Answer(job(type="batch"), 202))
    gateway.on(JOB, ended())
    return gateway


def rows_file(folder: Path, name: str = "rows.csv", content: bytes = b"age\n29\n") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


# Uploading and submitting


def test_a_batch_names_the_uploaded_file_and_leaves_out_options_that_are_not_set(
    client: Client, accepting: ScriptedGateway, tmp_path: Path
) -> None:
    handle = client.predict_file("titanic", rows_file(tmp_path))

    assert (handle.id, accepting.only_request(FILES).body) == ("job_1", b"age\n29\n")
    assert accepting.only_request(BATCHES).json == {
        "file_id": "file_1",
        "method": "predict",
        "output_format": "csv",
        "on_error": "skip",
    }


def test_every_option_of_a_batch_is_sent(client: Client, accepting: ScriptedGateway, tmp_path: Path) -> None:
    options = {
        "method": "predict_proba",
        "version": "challenger",
        "output_format": "parquet",
        "on_error": "fail",
        "id_column": "passenger",
        "metadata": {"run": 7},
        "priority": "low",
    }

    client.predict_file("titanic", rows_file(tmp_path), **options)

    assert accepting.only_request(BATCHES).json == {"file_id": "file_1"} | options


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("rows.csv", "text/csv"),
        ("ROWS.CSV", "text/csv"),
        ("rows.ndjson", "application/x-ndjson"),
        ("rows.jsonl", "application/x-ndjson"),
        ("rows.parquet", "application/vnd.apache.parquet"),
    ],
)
def test_the_suffix_of_a_file_sets_its_media_type(
    client: Client, accepting: ScriptedGateway, tmp_path: Path, name: str, media_type: str
) -> None:
    client.upload(rows_file(tmp_path, name))

    request = accepting.only_request(FILES)
    assert (request.headers["content-type"], request.query) == (media_type, {"name": name})


@pytest.mark.parametrize(
    ("name", "words"), [("rows.xlsx", r"\.csv, .ndjson, .jsonl or .parquet$"), ("r.json", "one ob")]
)
def test_another_kind_of_file_is_refused_before_anything_is_sent(
    client: Client, accepting: ScriptedGateway, tmp_path: Path, name: str, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        client.predict_file("titanic", rows_file(tmp_path, name))

    assert accepting.requests == []


def test_a_frame_is_sent_as_parquet_with_types_and_empty_strings(client: Client, accepting: ScriptedGateway) -> None:
    frame = pd.DataFrame({"age": [29.5, np.nan], "cabin": ["", None], "sibsp": np.array([1, 0], dtype="int8")})

    client.predict_file("titanic", frame)

    request = accepting.only_request(FILES)
    arrived = pd.read_parquet(io.BytesIO(request.body))
    assert request.headers["content-type"] == "application/vnd.apache.parquet"
    assert arrived["cabin"].isna().tolist() == [False, True]
    assert arrived["sibsp"].dtype == "int8"


@pytest.mark.parametrize("send", ["predict_file", "upload"])
def test_a_frame_that_parquet_cannot_hold_is_refused_with_its_column(
    client: Client, accepting: ScriptedGateway, send: str
) -> None:
    """In CSV, the number 1 would become the word "1", and None a missing value like any other."""
    frame = pd.DataFrame({"cabin": [1, "C22", None]}, dtype=object)

    with pytest.raises(ValueError, match=r"cabin.*convert the column, or leave it out"):
        client.predict_file("titanic", frame) if send == "predict_file" else client.upload(frame)

    asked = [(request.method, request.path) for request in accepting.requests]  # whether the model reads the column
    assert asked == ([("GET", "/v1/models/titanic/schema")] if send == "predict_file" else [])


def test_a_sparse_frame_and_a_frame_with_numbers_as_names_are_sent_as_parquet(
    client: Client, accepting: ScriptedGateway
) -> None:
    frame = pd.DataFrame({0: pd.arrays.SparseArray([0.0, 1.5]), 1: ["NA", ""]})

    client.predict_file("titanic", frame)

    arrived = pq.read_table(io.BytesIO(accepting.only_request(FILES).body)).to_pydict()
    assert arrived == {"0": [0.0, 1.5], "1": ["NA", ""]}


@pytest.mark.parametrize("make", [np.array, lambda rows: csr_matrix(np.array(rows))], ids=["dense", "sparse"])
def test_an_array_is_sent_as_lists(client: Client, accepting: ScriptedGateway, make: Any) -> None:
    client.predict_file("titanic", make([[29.5, np.nan], [0.1, 0]]))

    request = accepting.only_request(FILES)
    assert request.headers["content-type"] == "application/x-ndjson"
    assert list(map(json.loads, request.body.splitlines())) == [[29.5, None], [0.1, 0]]


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        (np.array([1.5]), ValueError, "expected 2 dimensions"),
        (np.array([[1.5], [np.inf]]), ValueError, "row 1, column 'x0': inf cannot be sent"),
        ([[1.5]], TypeError, "source is a list, expected a file's path, a DataFrame, a 2-D array or a list of texts"),
    ],
)
def test_another_kind_of_object_is_refused_before_anything_is_sent(
    client: Client, accepting: ScriptedGateway, source: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        client.predict_file("titanic", source)

    assert accepting.requests == []


def test_an_upload_reports_its_progress_to_the_end(client: Client, accepting: ScriptedGateway, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    content = b"age\n" + b"29\n" * 100_000

    client.predict_file(
        "titanic", rows_file(tmp_path, content=content), on_upload=lambda done, total: seen.append((done, total))
    )

    request = accepting.only_request(FILES)
    assert (request.body, request.headers["content-length"]) == (content, str(len(content)))
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert seen[-1] == (len(content), len(content))


def test_an_upload_over_a_broken_connection_is_retried_from_its_start(
    client: Client, accepting: ScriptedGateway, tmp_path: Path
) -> None:
    accepting.on(FILES, Answer(breaks=True), Answer({"id": "file_1"}, 201))

    client.predict_file("titanic", rows_file(tmp_path), on_upload=lambda done, total: None)

    assert [request.body for request in accepting.requests_to(FILES)] == [b"age\n29\n"] * 2


def test_a_batch_over_a_broken_connection_is_retried_with_the_same_key(
    client: Client, accepting: ScriptedGateway, tmp_path: Path
) -> None:
    accepting.on(BATCHES, Answer(breaks=True), Answer(job(type="batch"), 202))

    client.predict_file("titanic", rows_file(tmp_path))

    requests = accepting.requests_to(BATCHES)
    assert (len(requests), len({request.headers["idempotency-key"] for request in requests})) == (2, 1)


@pytest.mark.parametrize(
    "refusal",
    [
        problem(
            422, "The input does not fit", errors=[{"pointer": "/inputs", "code": "too_many_rows", "detail": "12"}]
        ),
        problem(413, "Too large", code="too_large"),
    ],
    ids=["rows", "bytes"],
)
def test_too_many_rows_for_a_prediction_point_to_predict_file(
    client: Client, gateway: ScriptedGateway, refusal: Answer
) -> None:
    gateway.on("POST /v1/models/titanic/predictions", refusal)

    with pytest.raises(TooManyRows, match=r"predict_file takes any number"):
        client.predict("titanic", [[1]])


def test_the_priority_of_a_prediction_is_sent(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("POST /v1/models/titanic/predictions", Answer(job(), 202))

    client.predict("titanic", [[1]], priority="high")

    assert gateway.requests[0].json == {"inputs": [[1]], "method": "predict", "priority": "high"}


# The result


def test_a_download_waits_for_the_batch_and_writes_its_file(
    client: Client, accepting: ScriptedGateway, tmp_path: Path
) -> None:
    accepting.on(JOB, job("running", type="batch"), ended())
    accepting.on(RESULT, Answer(PREDICTED))
    seen: list[tuple[int, int]] = []

    written = client.job("job_1").download(tmp_path / "out.csv", on_progress=lambda *done: seen.append(done))

    assert written.read_bytes() == PREDICTED
    assert seen[-1] == (len(PREDICTED), len(PREDICTED))
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_a_broken_download_is_resumed(client: Client, accepting: ScriptedGateway, tmp_path: Path) -> None:
    accepting.on(
        RESULT,
        Answer(PREDICTED, cut_after=10_000),
        Answer(PREDICTED[10_000:], 206, cut_after=20_000),
        Answer(PREDICTED[30_000:], 206),
    )

    client.job("job_1").download(tmp_path / "out.csv")

    ranges = [request.headers.get("range") for request in accepting.requests_to(RESULT)]
    assert (tmp_path / "out.csv").read_bytes() == PREDICTED
    assert ranges == [None, "bytes=10000-", "bytes=30000-"]


def test_a_gateway_that_ignores_the_range_sends_the_whole_file(
    client: Client, accepting: ScriptedGateway, tmp_path: Path
) -> None:
    accepting.on(RESULT, Answer(PREDICTED, cut_after=10_000), Answer(PREDICTED))

    client.job("job_1").download(tmp_path / "out.csv")

    assert (tmp_path / "out.csv").read_bytes() == PREDICTED


def test_a_second_call_resumes_a_download_that_was_given_up(
    client: Client, accepting: ScriptedGateway, tmp_path: Path
) -> None:
    accepting.on(RESULT, Answer(PREDICTED, cut_after=10_000), Answer(PREDICTED[10_000:], 206, cut_after=0))
    with pytest.raises(GatewayUnreachable, match="broke during GET /v1/jobs/job_1/result"):
        client.job("job_1").download(tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    accepting.on(RESULT, Answer(PREDICTED[10_000:], 206))

    client.job("job_1").download(tmp_path / "out.csv")

    assert (tmp_path / "out.csv").read_bytes() == PREDICTED
    assert accepting.requests_to(RESULT)[-1].headers["range"] == "bytes=10000-"


@pytest.mark.parametrize("arrived", [PREDICTED[:-1] + b"x", PREDICTED + b"more"], ids=["other bytes", "too many"])
def test_a_download_with_other_bytes_is_not_written(
    client: Client, accepting: ScriptedGateway, tmp_path: Path, arrived: bytes
) -> None:
    accepting.on(RESULT, Answer(arrived))

    with pytest.raises(ValueError, match="nothing was written"):
        client.job("job_1").download(tmp_path / "out.csv")

    assert list(tmp_path.iterdir()) == []


def test_an_empty_result_is_an_empty_file(client: Client, accepting: ScriptedGateway, tmp_path: Path) -> None:
    accepting.on(JOB, ended(b""))

    client.job("job_1").download(tmp_path / "out.csv")

    assert (tmp_path / "out.csv").read_bytes() == b""


def test_an_existing_file_is_replaced_only_by_a_complete_one(
    client: Client, accepting: ScriptedGateway, tmp_path: Path
) -> None:
    (tmp_path / "out.csv").write_text("yesterday's")
    accepting.on(RESULT, problem(410, "Gone", detail="past its retention"))

    with pytest.raises(ApiError, match="410"):
        client.job("job_1").download(tmp_path / "out.csv")

    assert (tmp_path / "out.csv").read_text() == "yesterday's"


@pytest.mark.parametrize("found_format", ["csv", "json"])
def test_a_batch_from_a_list_is_read_again_for_its_result(
    client: Client, accepting: ScriptedGateway, tmp_path: Path, found_format: str
) -> None:
    content = PREDICTED if found_format == "csv" else b'[{"row":1,"prediction":"lived"}]'
    whole = ended(content)
    whole["result"]["file"]["format"] = found_format
    accepting.on("GET /v1/jobs", {"data": [{name: whole[name] for name in whole if name != "result"}]})
    accepting.on(JOB, whole)
    accepting.on(RESULT, Answer(content))
    (handle,) = client.jobs(type="batch")

    handle.download(tmp_path / "out")

    assert (tmp_path / "out").read_bytes() == content
    assert handle.result() == whole["result"]


def test_a_failed_batch_has_nothing_to_download(client: Client, accepting: ScriptedGateway, tmp_path: Path) -> None:
    accepting.on(JOB, job("failed", type="batch", error={"title": "The job failed", "code": "invalid_input"}))

    with pytest.raises(JobFailed):
        client.job("job_1").download(tmp_path / "out.csv")

    assert list(tmp_path.iterdir()) == []


def test_a_job_without_a_file_says_so(client: Client, gateway: ScriptedGateway, tmp_path: Path) -> None:
    gateway.on(JOB, job("succeeded", result={"predictions": [1]}))

    with pytest.raises(ValueError, match="job_1 is a prediction and has no result file"):
        client.job("job_1").download(tmp_path / "out.csv")


# Bad rows

BAD = [{"row": row, "column": "age", "code": "wrong_type", "detail": f"found 'é{row}'"} for row in (17, 4711)]
BAD_LINES = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in BAD).encode()


def test_the_bad_rows_are_iterated_one_by_one(client: Client, accepting: ScriptedGateway) -> None:
    accepting.on(ERRORS, Answer(BAD_LINES))

    assert list(client.job("job_1").errors()) == BAD


def test_the_bad_rows_can_be_written_to_a_file(client: Client, accepting: ScriptedGateway, tmp_path: Path) -> None:
    accepting.on(ERRORS, Answer(BAD_LINES))

    count = client.job("job_1").write_errors(tmp_path / "errors.ndjson")

    lines = (tmp_path / "errors.ndjson").read_text().splitlines()
    assert (count, [json.loads(line) for line in lines]) == (2, BAD)


def test_a_bad_row_may_contain_any_line_break_except_a_newline(
    client: Client, accepting: ScriptedGateway, tmp_path: Path
) -> None:
    bad = [{"row": 1, "column": "age", "code": "wrong_type", "detail": "found 'a\u2028b\u0085c'"}, BAD[0]]
    sent = "\n".join(json.dumps(each, ensure_ascii=False) for each in bad).encode()
    accepting.on(ERRORS, Answer(sent))

    count = client.job("job_1").write_errors(tmp_path / "errors.ndjson")

    assert list(client.job("job_1").errors()) == bad
    assert (count, (tmp_path / "errors.ndjson").read_bytes()) == (2, sent + b"\n")


def test_bad_rows_over_a_broken_connection_leave_no_partial_file(
    client: Client, accepting: ScriptedGateway, tmp_path: Path
) -> None:
    accepting.on(ERRORS, Answer(BAD_LINES, cut_after=len(BAD_LINES) - 5))

    with pytest.raises(GatewayUnreachable):
        client.job("job_1").write_errors(tmp_path / "errors.ndjson")

    assert list(tmp_path.iterdir()) == []
