"""Batches over HTTP: accepting and refusing them, and returning their files."""

import json
import os
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from queuecast.adapters.memory.jobs import MemoryJobs
from queuecast.domain.chunking import BatchOutcome, FileRange, Plan
from queuecast.domain.errors import Failure
from queuecast.domain.file_formats import FileFormat, OutputFormat
from queuecast.domain.job import Progress, State
from queuecast.domain.signature import Layout, Signature
from queuecast.domain.work import BatchWork, Method, OnError, rows_file_id
from queuecast.ports.jobs import Accepted, IdempotencyKey
from tests.api.conftest import COLUMNS, ROW, Gateway
from tests.api.job_states import RETENTION_S, claimed, submitted
from tests.unreachable import raise_unavailable

BATCHES = "/v1/models/titanic/batches"
HEADER = b"age,sex,sibsp,alone,deck,who\n"
CSV = HEADER + b"29.5,female,1,false,A,p1\n"
RESULT = b"row,prediction\n1,0\n2,1\n"
PLAN = Plan(1, 2, (FileRange(0, 1, 1, 0, 10), FileRange(1, 2, 1, 10, 20)), 0.0, 1.0, 1.0)


def upload(http: FlaskClient, content: bytes = CSV, media_type: str = "text/csv", name: str = "") -> str:
    answer = http.post(f"/v1/files?name={name}", data=content, content_type=media_type)
    file_id: str = answer.json["id"]
    return file_id


def batch(http: FlaskClient, **more: Any) -> str:
    answer = http.post(BATCHES, json={"file_id": upload(http), **more})
    assert answer.status_code == 202, answer.json
    job_id: str = answer.json["id"]
    return job_id


def succeeded(gateway: Gateway, job_id: str, output_format: OutputFormat = OutputFormat.CSV) -> None:
    """Ends the batch as after its parts were joined."""
    outcome = BatchOutcome(2, 2, 1, output_format.value, len(RESULT), "ab" * 32, 1.0)
    gateway.batches.save_plan(job_id, PLAN)
    gateway.batches.save_outcome(job_id, outcome)
    gateway.batches.result(job_id, 2, output_format).write_bytes(RESULT)
    gateway.batches.bad_rows(job_id, 2).write_bytes(b'{"row":3}\n')
    value = {"rows": 2, "errors": 1, "file": {"format": output_format.value, "sha256": "ab" * 32}}
    gateway.jobs.replace(claimed(gateway, job_id).succeeded(gateway.clock(), RETENTION_S), json.dumps(value).encode())


# Submitting


def test_an_uploaded_file_is_accepted_with_the_version_pinned(gateway: Gateway, http: FlaskClient) -> None:
    file_id = upload(http)

    answer = http.post(BATCHES, json={"file_id": file_id, "method": "predict_proba", "id_column": "who"})

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json['id']}"
    assert (answer.json["type"], answer.json["state"], answer.json["model"]["version"]) == ("batch", "queued", 1)
    assert answer.json["urls"]["errors"] == f"/v1/jobs/{answer.json['id']}/errors"
    work, _ = gateway.jobs.read_work(answer.json["id"])
    assert work == BatchWork(
        Method.PREDICT_PROBA, file_id, gateway.files.stat(file_id).sha256, FileFormat.CSV, id_column="who"
    )
    assert gateway.doorbell.rung == ["batch"]


def test_the_options_of_the_request_are_in_the_work(gateway: Gateway, http: FlaskClient) -> None:
    job_id = batch(http, output_format="parquet", on_error="fail", timeout_s=60, metadata={"who": "Zoë"})

    work, _ = gateway.jobs.read_work(job_id)
    assert isinstance(work, BatchWork)
    assert (work.output_format, work.on_error) == (OutputFormat.PARQUET, OnError.FAIL)
    assert (gateway.jobs.read(job_id).timeout_s, gateway.jobs.read(job_id).metadata) == (60, {"who": "Zoë"})


def test_rows_become_a_file_with_one_row_per_line(gateway: Gateway, http: FlaskClient) -> None:
    text = json.dumps({"inputs": [ROW, {**ROW, "sex": "a\nb"}]}, indent=2)

    answer = http.post(BATCHES, data=text, content_type="application/json")

    work, _ = gateway.jobs.read_work(answer.json["id"])
    assert isinstance(work, BatchWork)
    lines = gateway.files.path(work.file_id).read_bytes().splitlines()
    assert work.file_format is FileFormat.NDJSON
    assert [json.loads(line) for line in lines] == [ROW, {**ROW, "sex": "a\nb"}]


def test_a_batch_accepts_more_rows_than_a_prediction(gateway: Gateway, http: FlaskClient) -> None:
    count = gateway.limits.max_rows + 1

    assert http.post(BATCHES, json={"inputs": [ROW] * count}).status_code == 202


def test_rows_that_do_not_fit_are_refused_and_leave_no_file(gateway: Gateway, http: FlaskClient) -> None:
    answer = http.post(BATCHES, json={"inputs": [ROW, {**ROW, "age": "old"}]})

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/inputs/1/age")
    assert (gateway.recorded(), gateway.stored_files()) == ([], [])


def test_rows_of_a_refused_batch_leave_no_file(gateway: Gateway) -> None:
    http = gateway.limited(max_lane_jobs=0).test_client()

    answer = http.post(BATCHES, json={"inputs": [ROW]})

    assert (answer.status_code, answer.json["code"]) == (503, "lane_full")
    assert gateway.stored_files() == []


@pytest.mark.parametrize("body", [{}, {"file_id": "file_x", "inputs": [ROW]}])
def test_a_batch_has_a_file_or_rows_and_not_both(http: FlaskClient, body: dict[str, Any]) -> None:
    answer = http.post(BATCHES, json=body)

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/file_id")


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"file_id": "file_unknown"}, "/file_id"),
        ({"method": "transform"}, "/method"),
        ({"output_format": "xlsx"}, "/output_format"),
        ({"on_error": "ignore"}, "/on_error"),
        ({"id_column": ""}, "/id_column"),
        ({"id_column": "passenger"}, "/id_column"),
        ({"timeout_s": 86401}, "/timeout_s"),
        ({"format": "csv"}, "/format"),
    ],
)
def test_an_impossible_batch_is_refused_with_a_pointer(
    gateway: Gateway, http: FlaskClient, more: dict[str, Any], pointer: str
) -> None:
    answer = http.post(BATCHES, json={"file_id": upload(http), **more})

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer), answer.json
    assert gateway.recorded() == []


def test_a_file_that_is_no_table_is_refused(gateway: Gateway, http: FlaskClient) -> None:
    file_id = upload(http, b"PK", "application/zip", "rows.zip")

    answer = http.post(BATCHES, json={"file_id": file_id})

    assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, "unsupported_media_type")


def test_a_file_with_a_generic_media_type_is_recognized_by_its_name(gateway: Gateway, http: FlaskClient) -> None:
    file_id = upload(http, b"PAR1", "application/octet-stream", "rows.parquet")

    job_id = http.post(BATCHES, json={"file_id": file_id}).json["id"]

    assert gateway.jobs.read_work(job_id)[0].file_format is FileFormat.PARQUET  # type: ignore[union-attr]


def test_a_csv_file_that_lacks_a_column_is_refused_before_it_is_queued(gateway: Gateway, http: FlaskClient) -> None:
    file_id = upload(http, b"age,sex,sibsp,alone\n1,male,0,true\n")

    answer = http.post(BATCHES, json={"file_id": file_id})

    assert answer.status_code == 422
    assert answer.json["detail"] == "the file has no column 'deck'; it has age, sex, sibsp, alone"
    assert gateway.recorded() == []


@pytest.mark.parametrize(
    "content",
    [
        b"\n" + CSV,
        b"\xef\xbb\xbf\r\n\r\n" + CSV,
        CSV.replace(b"\n", b"\r"),
        CSV.replace(b"\n", b"\r\n"),
        CSV.replace(b"who", b'"who\nor what"'),
        CSV.replace(b"who", b'5" pipe'),
        HEADER + b"\n\n" + CSV[len(HEADER) :],
        CSV.removesuffix(b"\n"),
    ],
    ids=["blank line", "mark and blank lines", "lone returns", "both", "newline in a name", "quote", "gap", "no end"],
)
def test_a_csv_file_that_a_worker_can_read_is_accepted(http: FlaskClient, content: bytes) -> None:
    assert http.post(BATCHES, json={"file_id": upload(http, content)}).status_code == 202


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"\r\n\n", "the file is empty"),
        (HEADER, "the file has a header and no rows"),
        (HEADER.strip() + b"\r\n\r\n", "the file has a header and no rows"),
        (CSV.replace(b"who", b"sex"), "the column 'sex' is in the file more than once"),
        (CSV.replace(b"who", b'"who"x'), "the file is not CSV in UTF-8: ',' expected after '\"'"),
        (CSV.replace(b"who", b'"who'), "the file is not CSV in UTF-8: unexpected end of data"),
        (CSV.replace(b",", b";"), "separate columns with commas, not with ';'"),
        (CSV.replace(b",", b"\t"), r"separate columns with commas, not with '\t'"),
    ],
)
def test_a_csv_file_that_every_worker_would_refuse_is_refused_before_it_is_queued(
    gateway: Gateway, http: FlaskClient, content: bytes, words: str
) -> None:
    answer = http.post(BATCHES, json={"file_id": upload(http, content)})

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/file_id")
    assert words in answer.json["detail"]
    assert gateway.recorded() == []


def test_only_the_head_of_a_csv_file_is_read(http: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.services.table_headers.MAX_HEAD_CHARS", len(HEADER))

    taken = http.post(BATCHES, json={"file_id": upload(http)})
    refused = http.post(BATCHES, json={"file_id": upload(http, b"\n" * len(HEADER) + CSV)})

    assert (taken.status_code, refused.status_code) == (202, 422)
    assert "characters are blank" in refused.json["detail"]


@pytest.mark.parametrize(("name", "in_order"), [("x0", 202), ("age", 422)])
def test_a_model_without_column_names_uses_the_columns_of_a_file_in_their_order(
    gateway: Gateway, http: FlaskClient, name: str, in_order: int
) -> None:
    """An estimator of arrays whose columns got names from a frame, such as `age`, takes those names only."""
    signature = Signature(Layout.ARRAY, (replace(COLUMNS[0], name=name),), (Method.PREDICT,))
    gateway.publish("measures", signature=signature)

    answers = [
        http.post("/v1/models/measures/batches", json={"file_id": upload(http, content), **more}).status_code
        for content, more in [
            (b"length\n1.5\n", {}),
            (b"length,who\n1.5,p1\n", {"id_column": "who"}),
            (b"length,who\n1.5,p1\n", {}),
            (f"who,{name}\np1,2\n".encode(), {}),
        ]
    ]

    assert answers == [in_order, in_order, 422, 202]


def test_the_same_key_leads_to_the_same_batch_and_one_file(gateway: Gateway, http: FlaskClient) -> None:
    first, again = [http.post(BATCHES, json={"inputs": [ROW]}, headers={"Idempotency-Key": "k"}) for _ in range(2)]

    assert (again.json["id"], again.headers["Idempotency-Replayed"]) == (first.json["id"], "true")
    assert len(gateway.stored_files()) == 1


# Its life


def test_a_fanned_out_batch_shows_rows_and_errors_and_is_canceled_at_once(gateway: Gateway, http: FlaskClient) -> None:
    job_id = batch(http)
    progress = Progress(1, 2, "rows", "predict", errors=1)
    gateway.jobs.replace(claimed(gateway, job_id).fanned_out(progress, gateway.clock()))

    shown = http.get(f"/v1/jobs/{job_id}").json
    canceled = http.post(f"/v1/jobs/{job_id}/cancel")

    assert (shown["state"], shown["worker"]) == ("running", None)
    assert shown["progress"] == {
        "done": 1,
        "total": 2,
        "unit": "rows",
        "stage": "predict",
        "rows": None,
        "errors": 1,
    }
    assert (canceled.status_code, canceled.json["state"]) == (200, "canceled")


def test_a_batch_that_waits_shows_the_size_of_its_file(gateway: Gateway, http: FlaskClient) -> None:
    job_id = batch(http)
    waiting = http.get(f"/v1/jobs/{job_id}").json
    started = claimed(gateway, job_id)
    gateway.jobs.replace(started.failed(Failure("bad_file", "no"), gateway.clock(), RETENTION_S))

    again = http.post(f"/v1/jobs/{job_id}/retry").json

    unread = {"done": 0, "total": len(CSV), "unit": "bytes", "stage": None, "rows": None, "errors": None}
    assert [job["progress"] for job in (waiting, again)] == [unread, unread]
    assert started.progress == Progress(0, len(CSV), "bytes")


def test_a_retry_resumes_the_batch_that_ended(gateway: Gateway, http: FlaskClient) -> None:
    job_id = batch(http)
    http.post(f"/v1/jobs/{job_id}/cancel")

    again = http.post(f"/v1/jobs/{job_id}/retry")

    assert (again.status_code, again.json["retry_of"]) == (202, job_id)
    work, _ = gateway.jobs.read_work(again.json["id"])
    assert work.resumes == job_id  # type: ignore[union-attr]


def test_a_retry_of_a_retry_that_never_started_resumes_the_batch_that_did(gateway: Gateway, http: FlaskClient) -> None:
    job_id = batch(http)
    gateway.jobs.replace(claimed(gateway, job_id).fanned_out(Progress(1, 2, "rows"), gateway.clock()))
    again = [job_id]
    for _ in range(3):
        http.post(f"/v1/jobs/{again[-1]}/cancel")
        again.append(http.post(f"/v1/jobs/{again[-1]}/retry").json["id"])

    works = [gateway.jobs.read_work(each)[0] for each in again]

    assert [work.resumes for work in works] == [None, job_id, job_id, job_id]  # type: ignore[union-attr]
    assert gateway.jobs.read(again[-1]).retry_of == again[-2]


def test_batches_are_listed_by_their_type(gateway: Gateway, http: FlaskClient) -> None:
    submitted(http)
    job_id = batch(http)

    assert [job["id"] for job in http.get("/v1/jobs?type=batch").json["data"]] == [job_id]


# The rows that it was given


@pytest.mark.parametrize("state", [State.CANCELED, State.SUCCEEDED])
def test_the_rows_of_a_batch_are_deleted_with_it(gateway: Gateway, http: FlaskClient, state: State) -> None:
    uploaded = upload(http)
    job_id = http.post(BATCHES, json={"inputs": [ROW]}).json["id"]
    if state is State.SUCCEEDED:
        succeeded(gateway, job_id)
    http.post(f"/v1/jobs/{job_id}/cancel")
    kept = len(gateway.stored_files())

    deleted = http.delete(f"/v1/jobs/{job_id}")

    assert (deleted.status_code, kept, gateway.stored_files()) == (204, 2, [uploaded])


def test_an_uploaded_file_stays_when_a_batch_of_it_is_deleted(gateway: Gateway, http: FlaskClient) -> None:
    job_id = batch(http)
    http.post(f"/v1/jobs/{job_id}/cancel")
    again = http.post(f"/v1/jobs/{job_id}/retry").json["id"]
    before = gateway.stored_files()

    http.delete(f"/v1/jobs/{job_id}")

    assert (len(before), gateway.stored_files()) == (1, before)
    assert gateway.jobs.read_work(again)[0].file_id == before[0]  # type: ignore[union-attr]


def test_a_retry_keeps_its_rows_when_the_earlier_batch_is_deleted(gateway: Gateway, http: FlaskClient) -> None:
    first = http.post(BATCHES, json={"inputs": [ROW]}).json["id"]
    http.post(f"/v1/jobs/{first}/cancel")
    second = http.post(f"/v1/jobs/{first}/retry").json["id"]
    http.delete(f"/v1/jobs/{first}")
    http.post(f"/v1/jobs/{second}/cancel")

    third = http.post(f"/v1/jobs/{second}/retry").json["id"]

    work, _ = gateway.jobs.read_work(third)
    assert isinstance(work, BatchWork)
    assert json.loads(gateway.files.path(work.file_id).read_bytes()) == ROW
    assert gateway.files.stat(work.file_id).sha256 == work.file_sha256
    http.delete(f"/v1/jobs/{second}")
    assert gateway.stored_files() == [work.file_id]


def test_a_retry_is_accepted_even_if_the_file_of_its_rows_is_gone(gateway: Gateway, http: FlaskClient) -> None:
    job_id = http.post(BATCHES, json={"inputs": [ROW]}).json["id"]
    http.post(f"/v1/jobs/{job_id}/cancel")
    gateway.files.delete(gateway.stored_files()[0])

    assert http.post(f"/v1/jobs/{job_id}/retry").status_code == 202


def test_a_refused_retry_leaves_no_copy_of_the_rows(gateway: Gateway, http: FlaskClient) -> None:
    job_id = http.post(BATCHES, json={"inputs": [ROW]}).json["id"]
    http.post(f"/v1/jobs/{job_id}/cancel")

    answer = http.post(f"/v1/dead-letters/{job_id}/replay")

    assert (answer.status_code, len(gateway.stored_files())) == (409, 1)


class RacingJobs(MemoryJobs):
    """Two requests with one key do not see each other before they write."""

    is_writing = False

    def find_repeated(self, idempotency_key: IdempotencyKey) -> str | None:
        return super().find_repeated(idempotency_key) if self.is_writing else None

    def create(self, *args: Any, **kwargs: Any) -> Accepted:
        self.is_writing = True
        try:
            return super().create(*args, **kwargs)
        finally:
            self.is_writing = False


def test_the_later_of_two_simultaneous_requests_with_one_key_leaves_no_file(gateway: Gateway) -> None:
    http = gateway.app(jobs=RacingJobs()).test_client()

    first, again = [http.post(BATCHES, json={"inputs": [ROW]}, headers={"Idempotency-Key": "k"}) for _ in range(2)]

    assert (again.json["id"], again.headers["Idempotency-Replayed"]) == (first.json["id"], "true")
    assert gateway.stored_files() == [rows_file_id(first.json["id"])]


def test_rows_are_kept_if_the_store_did_not_answer_because_the_job_may_exist(gateway: Gateway) -> None:
    jobs = MemoryJobs()
    jobs.create = raise_unavailable  # type: ignore[method-assign]

    answer = gateway.app(jobs=jobs).test_client().post(BATCHES, json={"inputs": [ROW]})

    assert (answer.status_code, len(gateway.stored_files())) == (503, 1)


# Its files


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "text/csv",
        "*/*",
        "text/*",
        "application/json;q=0.1, text/csv",
        "text/csv;charset=utf-8",
        "text/csv; header=present; q=0.5, application/json",
    ],
)
def test_the_result_is_the_file(gateway: Gateway, http: FlaskClient, accept: str | None) -> None:
    job_id = batch(http)
    succeeded(gateway, job_id)

    answer = http.get(f"/v1/jobs/{job_id}/result", headers={} if accept is None else {"Accept": accept})

    assert (answer.status_code, answer.data, answer.mimetype) == (200, RESULT, "text/csv")
    assert answer.headers["Content-Disposition"] == f"attachment; filename={job_id}.csv"
    assert answer.headers["ETag"] == f'"{"ab" * 32}"'


def test_the_job_summarizes_its_result(gateway: Gateway, http: FlaskClient) -> None:
    job_id = batch(http)
    succeeded(gateway, job_id)

    assert http.get(f"/v1/jobs/{job_id}").json["result"]["rows"] == 2


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=0-3", RESULT[:4]),
        ("Bytes=0-3", RESULT[:4]),
        ("bytes=15-", RESULT[15:]),
        ("bytes=-4", RESULT[-4:]),
        ("bytes=4-1000", RESULT[4:]),
    ],
)
def test_a_range_of_the_result_can_be_requested(gateway: Gateway, http: FlaskClient, wanted: str, part: bytes) -> None:
    job_id = batch(http)
    succeeded(gateway, job_id)

    answer = http.get(f"/v1/jobs/{job_id}/result", headers={"Range": wanted})

    assert (answer.status_code, answer.data) == (206, part)
    assert answer.headers["Content-Range"].endswith(f"/{len(RESULT)}")


@pytest.mark.parametrize("wanted", ["rows=1-2", "bytes=0-1,4-5", "bytes", ""])
def test_a_range_of_another_unit_or_of_several_parts_is_ignored(
    gateway: Gateway, http: FlaskClient, wanted: str
) -> None:
    job_id = batch(http)
    succeeded(gateway, job_id)

    answer = http.get(f"/v1/jobs/{job_id}/result", headers={"Range": wanted})

    assert (answer.status_code, answer.data) == (200, RESULT)


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=1-"}])
def test_a_large_result_is_streamed(gateway: Gateway, http: FlaskClient, headers: dict[str, str]) -> None:
    size_bytes = 64 * 2**20
    job_id = batch(http)
    succeeded(gateway, job_id)
    os.truncate(gateway.batches.result(job_id, 2, OutputFormat.CSV), size_bytes)

    tracemalloc.start()
    try:
        answer = http.get(f"/v1/jobs/{job_id}/result", headers=headers)
        arrived = sum(len(piece) for piece in answer.iter_encoded())
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        answer.close()

    assert arrived == size_bytes - len(headers)
    assert peak_bytes < size_bytes / 8


def test_a_range_beyond_the_end_is_refused(gateway: Gateway, http: FlaskClient) -> None:
    job_id = batch(http)
    succeeded(gateway, job_id)

    answer = http.get(f"/v1/jobs/{job_id}/result", headers={"Range": "bytes=1000-"})

    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{len(RESULT)}")
    assert answer.mimetype == "application/problem+json"


def test_an_interrupted_download_resumes_only_with_the_same_file(gateway: Gateway, http: FlaskClient) -> None:
    job_id = batch(http)
    succeeded(gateway, job_id)

    other = http.get(f"/v1/jobs/{job_id}/result", headers={"Range": "bytes=4-", "If-Range": '"other"'})

    assert (other.status_code, other.data) == (200, RESULT)


def test_a_known_file_is_not_sent_again(gateway: Gateway, http: FlaskClient) -> None:
    job_id = batch(http)
    succeeded(gateway, job_id)

    answer = http.get(f"/v1/jobs/{job_id}/result", headers={"If-None-Match": f'"{"ab" * 32}"'})

    assert (answer.status_code, answer.data) == (304, b"")


@pytest.mark.parametrize("accept", ["application/json", "text/csv;q=0", "text/csv;header=present;q=0", "image/*"])
def test_a_request_that_accepts_only_another_format_is_refused_with_the_actual_one(
    gateway: Gateway, http: FlaskClient, accept: str
) -> None:
    job_id = batch(http)
    succeeded(gateway, job_id)

    answer = http.get(f"/v1/jobs/{job_id}/result", headers={"Accept": accept})

    assert (answer.status_code, answer.json["code"]) == (406, "not_acceptable")
    assert "is text/csv" in answer.json["detail"]


def test_a_result_whose_file_is_lost_is_gone(gateway: Gateway, http: FlaskClient) -> None:
    job_id = batch(http)
    succeeded(gateway, job_id)
    gateway.batches.result(job_id, 2, OutputFormat.CSV).unlink()

    answer = http.get(f"/v1/jobs/{job_id}/result")

    assert (answer.status_code, answer.json["code"]) == (410, "result_gone")


def test_a_result_that_does_not_exist_yet_is_a_202(gateway: Gateway, http: FlaskClient) -> None:
    job_id = batch(http)

    assert http.get(f"/v1/jobs/{job_id}/result").status_code == 202


def test_the_bad_rows_can_be_read(gateway: Gateway, http: FlaskClient) -> None:
    job_id = batch(http)
    succeeded(gateway, job_id)

    answer = http.get(f"/v1/jobs/{job_id}/errors")

    assert (answer.status_code, answer.mimetype, answer.data) == (200, "application/x-ndjson", b'{"row":3}\n')


@pytest.mark.parametrize("state", [State.RUNNING, State.FAILED])
def test_bad_rows_of_finished_chunks_can_be_read_before_the_batch_ends(
    gateway: Gateway, http: FlaskClient, state: State
) -> None:
    job_id = batch(http)
    gateway.batches.save_plan(job_id, PLAN)
    gateway.batches.bad_rows_of_part(job_id, 1, 1).write_bytes(b'{"row":2}\n')
    running = claimed(gateway, job_id)
    if state is State.FAILED:
        gateway.jobs.replace(running.failed(Failure("prediction_failed", "no"), gateway.clock(), RETENTION_S))

    assert http.get(f"/v1/jobs/{job_id}/errors").data == b'{"row":2}\n'


def test_a_job_without_bad_rows_has_an_empty_list_of_them(http: FlaskClient) -> None:
    for job_id in (submitted(http), batch(http)):
        answer = http.get(f"/v1/jobs/{job_id}/errors")

        assert (answer.status_code, answer.data) == (200, b"")


def test_the_errors_of_an_unknown_job_are_a_404(http: FlaskClient) -> None:
    assert http.get("/v1/jobs/job_1/errors").status_code == 404


def test_an_id_column_that_the_rows_lack_is_named(http: FlaskClient) -> None:
    answer = http.post(BATCHES, json={"inputs": [ROW | {"pasenger": 1}], "id_column": "passenger"})

    (finding,) = answer.json["errors"]
    assert (finding["pointer"], finding["code"], finding["column"]) == ("/id_column", "missing_column", "passenger")
    assert finding["detail"] == "no row has the column 'passenger' (the nearest is 'pasenger')"


def stored_rows(gateway: Gateway, job_id: str) -> list[Any]:
    work, _ = gateway.jobs.read_work(job_id)
    return list(map(json.loads, gateway.files.path(work.file_id).read_bytes().splitlines()))  # type: ignore[union-attr]


@pytest.mark.parametrize("choice", ["ignore", "refuse"])
def test_the_id_of_rows_in_a_request_may_be_no_column_of_the_model(
    gateway: Gateway, http: FlaskClient, choice: str
) -> None:
    rows = [{"who": "p\n1"} | ROW, ROW | {"who": {"a": [1.50]}, "sibsp": 3.0}, ROW]
    body = {"inputs": rows, "id_column": "who", "extra_columns": choice}

    answer = http.post(BATCHES, json=body)

    assert answer.status_code == 202
    assert "ignored_columns" not in answer.json
    assert stored_rows(gateway, answer.json["id"]) == [rows[0], rows[1] | {"sibsp": 3}, ROW]


def test_the_columns_beside_an_id_are_checked_as_without_it(http: FlaskClient) -> None:
    rows = [ROW | {"who": 1}, ROW | {"who": 2, "age": "old"}, ROW | {"who": 3, "note": 1}, [1]]

    answer = http.post(BATCHES, json={"inputs": rows, "id_column": "who", "extra_columns": "refuse"})

    assert [(each["pointer"], each["code"]) for each in answer.json["errors"]] == [
        ("/inputs/1/age", "wrong_type"),
        ("/inputs/2/note", "unknown_column"),
        ("/inputs/3", "wrong_type"),
    ]


@pytest.mark.parametrize(
    ("inputs", "pointer"), [({"who": 1}, "/inputs"), ("who", "/inputs"), ([{"who": 1}], "/inputs/0/age")]
)
def test_an_id_does_not_hide_that_there_are_no_rows(http: FlaskClient, inputs: Any, pointer: str) -> None:
    answer = http.post(BATCHES, json={"inputs": inputs, "id_column": "who"})

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)


def test_a_batch_without_rows_or_with_two_sources_has_its_facts(http: FlaskClient) -> None:
    bodies = ({}, {"inputs": [ROW], "file_id": "file_1"})

    findings = [http.post(BATCHES, json=body).json["errors"][0] for body in bodies]

    assert [(finding["found"], finding["expected"]) for finding in findings] == [
        ("neither", "one of file_id and inputs"),
        ("both", "one of file_id and inputs"),
    ]
