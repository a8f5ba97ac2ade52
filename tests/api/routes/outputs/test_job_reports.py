"""`GET /v1/jobs/{id}/report`: the document, the page, and why there is none."""

from dataclasses import replace

import msgspec
import pytest
from flask.testing import FlaskClient

from api.schemas.report_bodies import EvaluationReport as EvaluationSchema
from api.schemas.report_bodies import TrainingReport as Schema
from queuecast.domain.gate import EVALUATION_FILE
from queuecast.domain.job import Job, JobType, ModelRef
from queuecast.domain.model import Lineage, Manifest
from queuecast.domain.reports import REPORT_FILE
from queuecast.domain.work import TrainingWork
from tests.api.conftest import Gateway
from tests.api.job_states import ended, failed, submitted
from tests.api.reports.sample_reports import (
    class_target,
    evaluated,
    evaluation,
    evaluation_report,
    number_target,
    report,
)

WORK = TrainingWork("file_1", "cd" * 32, ("survived",))
RESULT = b'{"version":2,"promoted":true,"reason":"neg_log_loss is better"}'
PAGE = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def _retrained(gateway: Gateway, job_id: str, files: dict[str, bytes] | None = None) -> Manifest:
    """Publishes version 2, as a training of version 1 does."""
    lineage = Lineage(1, "cd" * 32, {"model__C": 0.5}, 711, 180)
    manifest = replace(gateway.models.manifest("titanic", 1), job_id=job_id, source="training", lineage=lineage)
    found = report(class_target(), number_target())
    reported = {
        EVALUATION_FILE: msgspec.json.encode(evaluation()),
        REPORT_FILE: msgspec.json.encode(found.facts),
    }
    return gateway.models.publish(manifest, {"model.skops": b"x", **(reported if files is None else files)})


def _training(gateway: Gateway, kind: JobType = JobType.TRAINING) -> Job:
    job = Job(gateway.new_id("job"), kind, ModelRef("titanic", 1), gateway.clock(), 3, "train", 60.0).accepted()
    gateway.jobs.create(job, WORK)
    return job


@pytest.fixture
def trained(gateway: Gateway) -> str:
    """The id of a training that made version 2."""
    job = _training(gateway)
    _retrained(gateway, job.id)
    ended(gateway, job.id, RESULT)
    return job.id


def test_the_document_is_as_described(http: FlaskClient, trained: str) -> None:
    answer = http.get(f"/v1/jobs/{trained}/report")

    document = msgspec.convert(answer.json, Schema, strict=True)
    assert (answer.status_code, answer.content_type, answer.headers["Vary"]) == (200, "application/json", "Accept")
    assert (document.kind, document.model, document.job_id) == ("training", "titanic", trained)
    assert document.headline == "Version 2 is better than version 1 and became champion."
    assert [(each.role, each.version) for each in document.versions] == [("champion", 1), ("challenger", 2)]
    assert document.evaluation.decision.verdict == "better"
    assert [target.name for target in document.facts.targets] == ["survived", "fare"]
    assert document.lineage.train_rows == 711
    assert document.created_at == "2023-11-14T22:13:20.000Z"


def test_no_field_of_the_document_is_undescribed(http: FlaskClient, trained: str) -> None:
    found = http.get(f"/v1/jobs/{trained}/report").json

    described = msgspec.to_builtins(msgspec.convert(found, Schema))

    assert described == found


def test_a_browser_gets_the_page_and_a_policy_that_allows_no_script(http: FlaskClient, trained: str) -> None:
    answer = http.get(f"/v1/jobs/{trained}/report", headers=PAGE)

    assert (answer.status_code, answer.content_type) == (200, "text/html; charset=utf-8")
    assert "<h1>Version 2 is better than version 1 and became champion.</h1>" in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == 'inline; filename="titanic-2-report.html"'


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/json;charset=utf-8", "application/json"),
        ("text/*", "text/html"),
        ("text/html;q=0.5, application/json;q=0.1", "text/html"),
    ],
)
def test_accept_chooses_the_form(http: FlaskClient, trained: str, accept: str, expected: str) -> None:
    assert http.get(f"/v1/jobs/{trained}/report", headers={"Accept": accept}).mimetype == expected


def test_another_form_is_not_acceptable(http: FlaskClient, trained: str) -> None:
    answer = http.get(f"/v1/jobs/{trained}/report", headers={"Accept": "application/pdf"})

    assert (answer.status_code, answer.json["code"]) == (406, "not_acceptable")


def test_a_training_links_its_report_and_a_prediction_has_none(http: FlaskClient, trained: str) -> None:
    assert http.get(f"/v1/jobs/{trained}").json["urls"]["report"] == f"/v1/jobs/{trained}/report"
    assert "report" not in http.get(f"/v1/jobs/{submitted(http)}").json["urls"]


def test_a_prediction_has_no_report(http: FlaskClient, gateway: Gateway) -> None:
    job_id = submitted(http)
    ended(gateway, job_id)

    answer = http.get(f"/v1/jobs/{job_id}/report")

    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
    assert "is a prediction; only a training and an evaluation have a report" in answer.json["detail"]


def test_a_training_that_runs_has_no_report_yet(http: FlaskClient, gateway: Gateway) -> None:
    job = _training(gateway)

    answer = http.get(f"/v1/jobs/{job.id}/report")

    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
    assert answer.json["detail"] == f"job {job.id} is queued; a training has a report once it has succeeded"


def test_a_training_that_failed_says_why_it_has_no_report(http: FlaskClient, gateway: Gateway) -> None:
    job = _training(gateway)
    failed(gateway, job.id)

    answer = http.get(f"/v1/jobs/{job.id}/report")

    assert (answer.status_code, answer.json["code"]) == (409, "prediction_failed")


@pytest.mark.parametrize("files", [{}, {EVALUATION_FILE: msgspec.json.encode(evaluation())}])
def test_a_version_from_before_has_no_report(http: FlaskClient, gateway: Gateway, files: dict[str, bytes]) -> None:
    job = _training(gateway)
    _retrained(gateway, job.id, files)
    ended(gateway, job.id, RESULT)

    answer = http.get(f"/v1/jobs/{job.id}/report")

    assert (answer.status_code, answer.json["code"]) == (404, "unknown_report")
    assert answer.json["detail"] == "version 2 of titanic has no report: it was made before trainings had reports"


def test_a_job_that_does_not_exist_has_no_report(http: FlaskClient) -> None:
    answer = http.get("/v1/jobs/job_00000009-0000-7000-8000-000000000000/report")

    assert (answer.status_code, answer.json["code"]) == (404, "unknown_job")


def test_the_report_of_a_deleted_version_is_gone(http: FlaskClient, gateway: Gateway, trained: str) -> None:
    assert gateway.models.remove("titanic", 2)

    answer = http.get(f"/v1/jobs/{trained}/report")

    assert (answer.status_code, answer.json["code"]) == (410, "version_gone")


def test_a_report_outlives_the_champion_of_its_time(http: FlaskClient, gateway: Gateway, trained: str) -> None:
    assert gateway.models.remove("titanic", 1)

    document = http.get(f"/v1/jobs/{trained}/report")
    page = http.get(f"/v1/jobs/{trained}/report", headers=PAGE)

    assert [each["role"] for each in document.json["versions"]] == ["challenger"]
    assert page.status_code == 200


@pytest.fixture
def scored(gateway: Gateway) -> str:
    """The id of an evaluation of versions 1 and 2."""
    job, found = _training(gateway, JobType.EVALUATION), evaluation_report(evaluated(class_target(), 2))
    path = gateway.batches.report(job.id)
    path.parent.mkdir(parents=True)
    path.write_bytes(msgspec.json.encode(found.facts))
    ended(gateway, job.id, msgspec.json.encode(msgspec.to_builtins(found.outcome) | {"bad_cells": []}))
    return job.id


def test_the_document_of_an_evaluation_is_as_described(http: FlaskClient, scored: str) -> None:
    found = http.get(f"/v1/jobs/{scored}/report").json

    document = msgspec.convert(found, EvaluationSchema, strict=True)
    assert msgspec.to_builtins(document) == found
    assert (document.kind, document.model, document.job_id) == ("evaluation", "titanic", scored)
    assert document.headline.startswith("By neg_log_loss on 180 rows")
    assert [each.role for each in document.facts.targets[0].versions] == ["version 1", "version 2"]


def test_an_evaluation_has_a_page_and_a_link(http: FlaskClient, scored: str) -> None:
    answer = http.get(http.get(f"/v1/jobs/{scored}").json["urls"]["report"], headers=PAGE)

    assert answer.status_code == 200
    assert "<h1>By neg_log_loss on 180 rows, version 2 is better than version 1.</h1>" in answer.text
    assert answer.headers["Content-Disposition"] == 'inline; filename="titanic-evaluation-report.html"'


def test_an_evaluation_of_an_earlier_release_has_a_report_without_facts(
    http: FlaskClient, gateway: Gateway, scored: str
) -> None:
    gateway.batches.report(scored).unlink()

    document = http.get(f"/v1/jobs/{scored}/report").json

    assert document["facts"] == {"targets": [], "versions": [], "files": [], "findings": [], "is_weighted": False}
    assert http.get(f"/v1/jobs/{scored}/report", headers=PAGE).status_code == 200


def test_an_evaluation_that_runs_has_no_report_yet(http: FlaskClient, gateway: Gateway) -> None:
    job = _training(gateway, JobType.EVALUATION)

    answer = http.get(f"/v1/jobs/{job.id}/report")

    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
    assert answer.json["detail"] == f"job {job.id} is queued; an evaluation has a report once it has succeeded"
