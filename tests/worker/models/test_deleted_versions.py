"""A job that finds its version deleted fails and says so, and no version gets the number of a deleted one."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from queuecast.domain.job import JobType, ModelRef, State
from queuecast.domain.model import AliasMove
from queuecast.domain.work import Method
from tests.worker.model_fixtures import MODEL, LocalService

pytestmark = pytest.mark.filterwarnings("ignore")

FRAME = pd.DataFrame({"width": [1.5, 2.0, 3.0, 4.5] * 30, "height": [4, 3, 2, 1] * 30})
TARGET = np.array(["low", "low", "high", "high"] * 30)
FITTED = LogisticRegression().fit(FRAME, TARGET)
GONE = "version 1 of model model was deleted; the history of the model says when"


def deleted(service: LocalService, version: int, action: str = "delete_version") -> None:
    """As a person and the reaper do it."""
    generation = service.aliases.read(MODEL).generation + 1
    service.aliases.delete(MODEL, AliasMove(generation, "", version, None, service.clock(), action))


@pytest.fixture
def pushed(service: LocalService) -> LocalService:
    service.pushed(FITTED, FRAME)
    return service


def test_a_prediction_on_a_removed_version_fails_although_the_worker_has_it_loaded(pushed: LocalService) -> None:
    assert pushed.predicted(FRAME[:2], Method.PREDICT).state is State.SUCCEEDED
    pushed.models.remove(MODEL, 1)

    job = pushed.predicted(FRAME[:2], Method.PREDICT)

    assert job.state is State.FAILED
    assert job.failure is not None
    assert (job.failure.code, job.failure.detail) == ("version_gone", GONE)


def test_a_training_of_a_removed_version_fails(pushed: LocalService) -> None:
    pushed.models.remove(MODEL, 1)

    job = pushed.trained(pushed.training_work(FRAME.assign(target=TARGET)))

    assert job.failure is not None
    assert (job.failure.code, job.failure.detail) == ("version_gone", GONE)


def test_an_import_whose_version_was_deleted_does_not_make_another(pushed: LocalService) -> None:
    """Its worker was frozen while another one ran the job to its end."""
    job_id = pushed.manifest(1).job_id
    pushed.models.remove(MODEL, 1)
    work = pushed.import_work(b"never read", FRAME)

    with pytest.raises(Exception, match=GONE):
        pushed.importing.run(pushed.jobs.read(job_id), work, lambda progress: None)

    assert pushed.models.models() == []


def test_a_push_after_a_deletion_begins_a_new_model(pushed: LocalService) -> None:
    pushed.pushed(FITTED, FRAME)
    deleted(pushed, 2, "delete_model")

    result = pushed.result(pushed.pushed(FITTED, FRAME))

    assert (result["version"], result["promoted"], pushed.champion()) == (3, True, 3)
    assert pushed.predicted(FRAME[:2], Method.PREDICT, version=3).state is State.SUCCEEDED


def test_no_version_gets_the_number_of_a_deleted_one_from_older_folders(pushed: LocalService) -> None:
    """The folders are a copy from before versions 2 to 4 were made and deleted."""
    deleted(pushed, 4)

    assert pushed.result(pushed.pushed(FITTED, FRAME))["version"] == 5
    trained = pushed.result(pushed.trained(pushed.training_work(FRAME.assign(target=TARGET))))
    assert trained["version"] == 6


def test_the_version_of_an_import_cannot_be_deleted_before_it_has_ended(service: LocalService) -> None:
    job = service.started(JobType.IMPORT, ModelRef(MODEL), service.import_work(b"", FRAME))

    with pytest.raises(Exception, match=job.id):
        generation = service.aliases.read(MODEL).generation + 1
        move = AliasMove(generation, "", 1, None, service.clock(), "delete_version")
        service.aliases.delete(MODEL, move, made_by=job.id)
