"""Uses the client that openapi-python-client generates, as a user would, and no other code of ours.

    python python_client.py http://127.0.0.1:8000 rows.csv

Predicts, runs a batch of rows, trains on the uploaded file, promotes the new version and rolls back. Prints the answers
as JSON. `mypy --strict` must accept it too: the types are half of the test.
"""

import datetime
import json
import sys
from pathlib import Path

from queuecast_client import Client
from queuecast_client.api.batches import batches_submit
from queuecast_client.api.files import files_upload
from queuecast_client.api.jobs import jobs_errors, jobs_events, jobs_page, jobs_read, jobs_result
from queuecast_client.api.models import models_move_alias, models_read_model, models_rollback
from queuecast_client.api.predictions import predictions_predict
from queuecast_client.api.trainings import trainings_train
from queuecast_client.models import (
    AliasRequest,
    BatchJob,
    BatchOfRows,
    BatchResult,
    FileInfo,
    ImportJob,
    JobList,
    Metadata,
    Method,
    Model,
    OutputFormat,
    Params,
    PredictionJob,
    PredictionRequest,
    PredictionResult,
    Problem,
    Promote,
    Row,
    State,
    TrainingJob,
    TrainingRequest,
    TrainingResult,
    UploadForm,
    Verdict,
)
from queuecast_client.types import File

MODEL = "titanic"
WAIT = "wait=4"  # the generated client gives up after 5 s by default
PASSENGERS = [
    {"pclass": 1, "sex": "female", "age": 29.0, "sibsp": 0, "parch": 0, "fare": 211.3375, "embarked": "S"},
    {"pclass": 3, "sex": "male", "age": None, "sibsp": 0, "parch": 0, "fare": 7.8958, "embarked": None},
]


def rows() -> list[list[bool | float | str | None] | Row | str]:
    return [Row.from_dict(passenger) for passenger in PASSENGERS]


def ended(client: Client, job_id: str) -> BatchJob | ImportJob | PredictionJob | TrainingJob:
    for _ in range(20):
        job = jobs_read.sync(job_id, client=client, prefer=WAIT)
        assert isinstance(job, BatchJob | ImportJob | PredictionJob | TrainingJob), job
        if job.state in (State.SUCCEEDED, State.FAILED, State.CANCELED, State.EXPIRED):
            return job
    raise AssertionError(f"job {job_id} has not ended")


def predict(client: Client) -> PredictionResult:
    body = PredictionRequest(
        inputs=rows(), method=Method.PREDICT_PROBA, version=1, metadata=Metadata.from_dict({"run": "generated"})
    )
    answer = predictions_predict.sync_detailed(MODEL, client=client, body=body, prefer=WAIT, idempotency_key="python-1")
    job = answer.parsed
    assert isinstance(job, PredictionJob), job
    assert answer.headers["Preference-Applied"] == WAIT
    assert isinstance(job.created_at, datetime.datetime)
    assert job.metadata["run"] == "generated"
    assert isinstance(job.result, PredictionResult), job
    return job.result


def batch(client: Client) -> tuple[BatchResult, str, str]:
    """The result, the file with the answers, and the bad rows."""
    body = BatchOfRows(inputs=rows(), output_format=OutputFormat.CSV, id_column="sex")
    accepted = batches_submit.sync(MODEL, client=client, body=body)
    assert isinstance(accepted, BatchJob), accepted
    job = ended(client, accepted.id)
    assert isinstance(job, BatchJob)
    assert isinstance(job.result, BatchResult), job
    answers = jobs_result.sync(job.id, client=client)
    bad_rows = jobs_errors.sync(job.id, client=client)
    assert isinstance(answers, str)
    assert isinstance(bad_rows, str)
    return job.result, answers, bad_rows


def train(client: Client, path: Path) -> TrainingResult:
    with path.open("rb") as file:
        form = UploadForm(file=File(payload=file, file_name=path.name, mime_type="text/csv"))
        stored = files_upload.sync(client=client, body=form)
    assert isinstance(stored, FileInfo), stored
    params = Params.from_dict({"model__C": 0.5})
    body = TrainingRequest(file_id=stored.id, target="survived", params=params, promote=Promote.NEVER)
    accepted = trainings_train.sync(MODEL, client=client, body=body)
    assert isinstance(accepted, TrainingJob), accepted
    job = ended(client, accepted.id)
    assert isinstance(job, TrainingJob)
    assert isinstance(job.result, TrainingResult), job
    events = jobs_events.sync(job.id, client=client, last_event_id="0")
    assert isinstance(events, str)
    assert "event: completed" in events
    assert isinstance(job.result.verdict, Verdict)
    return job.result


def promote(client: Client, version: int) -> tuple[Model, Model]:
    """The model before and after."""
    known = models_read_model.sync_detailed(MODEL, client=client)
    assert isinstance(known.parsed, Model), known
    body = AliasRequest(version=version, reason="as a trial")
    moved = models_move_alias.sync(MODEL, "champion", client=client, body=body, if_match=known.headers["ETag"])
    assert isinstance(moved, Model), moved
    late = models_move_alias.sync_detailed(MODEL, "champion", client=client, body=body, if_match=known.headers["ETag"])
    assert isinstance(late.parsed, Problem)
    assert (late.status_code, late.parsed.code) == (412, "precondition_failed")
    return known.parsed, moved


def roll_back(client: Client) -> Model:
    back = models_rollback.sync(MODEL, client=client)
    assert isinstance(back, Model), back
    return back


def listed(client: Client) -> list[str]:
    """The types of the newest jobs."""
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    page = jobs_page.sync(client=client, model=MODEL, created_after=since, limit=10)
    assert isinstance(page, JobList), page
    return [job.type_ for job in page.data]


def main(url: str, path: Path) -> None:
    with Client(base_url=url, raise_on_unexpected_status=True) as client:
        prediction = predict(client)
        result, answers, bad_rows = batch(client)
        training = train(client, path)
        before, moved = promote(client, training.version)
        back = roll_back(client)
        seen = {
            "probabilities": prediction.probabilities,
            "answered_by": prediction.model.version,
            "batch_rows": result.rows,
            "answers": answers.splitlines(),
            "bad_rows": bad_rows,
            "trained": training.version,
            "scores": [training.champion.score, training.challenger.score],
            "before": before.champion,
            "promoted": moved.champion,
            "back": back.champion,
            "listed": listed(client),
        }
    print(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
