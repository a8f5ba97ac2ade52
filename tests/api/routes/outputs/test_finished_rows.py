"""The rows that a failed, canceled or running batch has finished."""

import pytest
from flask.testing import FlaskClient

from queuecast.domain.chunking import FileRange, Plan
from queuecast.domain.errors import Failure
from queuecast.domain.job import State
from tests.api.conftest import Gateway
from tests.api.job_states import RETENTION_S, claimed, submitted
from tests.api.routes.test_batches import RESULT, batch, succeeded

PLAN = Plan(1, 5, tuple(FileRange(index, index + 1, 1, 0, 1) for index in range(5)), 0.0, 1.0, 1.0)
PARTS: dict[str, tuple[list[bytes], bytes]] = {
    "csv": (
        [b'"row","say ""hi""\nto"\n1,"a\nb"\n', b"", b'"row","say ""hi""\nto"\n3,c\n'],
        b'"row","say ""hi""\nto"\n1,"a\nb"\n3,c\n',
    ),
    "ndjson": ([b'{"row":1}\n', b"", b'{"row":3}\n'], b'{"row":1}\n{"row":3}\n'),
    "json": ([b'{"row":1}', b"", b'{"row":3}'], b'[\n{"row":1},\n{"row":3}\n]\n'),
}


def partly_done(gateway: Gateway, http: FlaskClient, output_format: str, parts: list[bytes]) -> str:
    """A running batch; the chunks 0, 1 and 3 are done, if there are three parts."""
    job_id = batch(http, output_format=output_format)
    gateway.batches.save_plan(job_id, PLAN)
    for index, content in zip((0, 1, 3), parts, strict=False):
        gateway.batches.part(job_id, 1, index).write_bytes(content)
    return job_id


def move(gateway: Gateway, job_id: str, state: State) -> None:
    running = claimed(gateway, job_id)
    if state is State.FAILED:
        gateway.jobs.replace(running.failed(Failure("prediction_failed", "no"), gateway.clock(), RETENTION_S))
    elif state is State.CANCELED:
        canceling = running.cancel_requested(gateway.clock(), RETENTION_S)
        gateway.jobs.replace(canceling)
        gateway.jobs.replace(canceling.stopped(gateway.clock(), RETENTION_S))


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELED, State.RUNNING])
@pytest.mark.parametrize("output_format", PARTS)
def test_the_finished_rows_of_a_batch_can_be_read(
    gateway: Gateway, http: FlaskClient, output_format: str, state: State
) -> None:
    parts, joined = PARTS[output_format]
    job_id = partly_done(gateway, http, output_format, parts)
    move(gateway, job_id, state)

    answer = http.get(f"/v1/jobs/{job_id}/finished-rows")

    assert (answer.status_code, answer.data) == (200, joined)
    assert answer.headers["Content-Disposition"] == f"attachment; filename={job_id}-finished.{output_format}"


@pytest.mark.parametrize(("output_format", "empty"), [("csv", b""), ("ndjson", b""), ("json", b"[]\n")])
def test_a_batch_without_finished_rows_has_none(
    gateway: Gateway, http: FlaskClient, output_format: str, empty: bytes
) -> None:
    answers = [
        http.get(f"/v1/jobs/{job_id}/finished-rows")
        for job_id in (batch(http, output_format=output_format), partly_done(gateway, http, output_format, []))
    ]

    assert [(answer.status_code, answer.data) for answer in answers] == [(200, empty)] * 2


def test_the_parts_of_a_batch_in_parquet_are_files_of_their_own(gateway: Gateway, http: FlaskClient) -> None:
    job_id = partly_done(gateway, http, "parquet", [b"PAR1a", b"PAR1b", b"PAR1c"])
    path = f"/v1/jobs/{job_id}/finished-rows"

    whole, parts = http.get(path), [http.get(f"{path}?part={part}") for part in range(4)]

    assert (whole.status_code, whole.json["code"]) == (406, "not_acceptable")
    assert "in 3 Parquet files; send ?part=0" in whole.json["detail"]
    assert [answer.data for answer in parts[:3]] == [b"PAR1a", b"PAR1b", b"PAR1c"]
    assert (parts[3].status_code, parts[3].json["code"]) == (404, "unknown_file")


def test_a_batch_that_succeeded_has_its_result_there_too(gateway: Gateway, http: FlaskClient) -> None:
    job_id = batch(http)
    succeeded(gateway, job_id)

    assert http.get(f"/v1/jobs/{job_id}/finished-rows").data == RESULT


def test_another_job_has_no_rows_in_parts(http: FlaskClient) -> None:
    answer = http.get(f"/v1/jobs/{submitted(http)}/finished-rows")

    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
