"""A pushed file becomes a version or is refused, with nothing in between."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
import skops.io
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline

from queuecast.adapters.disk.uploads import UploadedFiles
from queuecast.client.row_formats.json_rows import TABLE_MEDIA_TYPE
from queuecast.domain.errors import Failure, JobStoppedError, UnavailableError, UnknownModelError
from queuecast.domain.holdout import HoldoutRule
from queuecast.domain.job import Job, JobType, ModelRef, Progress, State
from queuecast.domain.model import CHAMPION
from queuecast.domain.work import ImportWork, Method
from tests.worker.model_fixtures import MODEL, LocalService
from tests.worker.process_deaths import ProcessKilled, kill_at_step
from worker.imports.runner import ImportRunner
from worker.models.loading import sha256_of

pytestmark = pytest.mark.filterwarnings("ignore")

FRAME = pd.DataFrame({"width": [1.5, 2.0, 3.0, 4.5] * 3, "height": [4, 3, 2, 1] * 3})
TARGET = np.array(["low", "low", "high", "high"] * 3)
FITTED = LogisticRegression().fit(FRAME, TARGET)
ON_ARRAY = LogisticRegression().fit(FRAME.to_numpy(), TARGET)


def _failure(job: Job) -> Failure:
    assert job.state is State.FAILED
    assert job.failure is not None
    return job.failure


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def test_the_first_version_of_a_name_becomes_its_champion(service: LocalService) -> None:
    result = service.result(service.pushed(FITTED, FRAME))

    assert (result["version"], result["promoted"], service.champion()) == (1, True, 1)


def test_a_second_version_does_not_move_the_champion(service: LocalService) -> None:
    service.pushed(FITTED, FRAME)

    result = service.result(service.pushed(FITTED, FRAME))

    assert (result["version"], result["promoted"], service.champion()) == (2, False, 1)


def test_names_do_not_share_versions_or_champions(service: LocalService) -> None:
    service.pushed(FITTED, FRAME)

    result = service.result(service.pushed(FITTED, FRAME, model="other"))

    assert (result["version"], result["promoted"], service.champion("other")) == (1, True, 1)


def test_the_first_promotion_is_in_the_audit_trail_with_its_job(service: LocalService) -> None:
    job = service.pushed(FITTED, FRAME)

    (move,) = service.aliases.history(MODEL)
    assert (move.alias, move.version, move.previous, move.action, move.job_id) == (CHAMPION, 1, None, "import", job.id)


def test_the_job_ends_with_the_version_that_it_made(service: LocalService) -> None:
    job = service.pushed(FITTED, FRAME)

    assert job.model == ModelRef(MODEL, 1, sha256=service.manifest(1).sha256)
    assert job.progress == Progress(4, 4, "stages", "publish")


def test_the_manifest_describes_the_pushed_model(service: LocalService) -> None:
    data = skops.io.dumps(FITTED)

    job = service.pushed(data, FRAME, ("size",), HoldoutRule(0.3, ("width",)))

    manifest = service.manifest(1)
    assert (manifest.sha256, manifest.size_bytes) == (sha256_of(data), len(data))
    assert (manifest.source, manifest.job_id, manifest.lineage) == ("push", job.id, None)
    assert (manifest.target, manifest.classes) == (("size",), ["high", "low"])
    assert manifest.holdout == HoldoutRule(0.3, ("width",))
    assert manifest.environment["sklearn"] == sklearn.__version__


def test_the_version_has_the_pushed_bytes(service: LocalService) -> None:
    data = skops.io.dumps(FITTED)
    service.pushed(data, FRAME)

    assert service.models.file(MODEL, 1, "model.skops") == data


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (FITTED, FRAME),
        (b"no model", FRAME),
        (FITTED, FRAME[["height"]]),
        (TSNE(perplexity=2, max_iter=250).fit(FRAME), FRAME),
    ],
    ids=["succeeds", "no_model", "wrong_example", "no_method"],
)
def test_the_uploaded_files_are_deleted_after_success_and_failure(
    service: LocalService, model: Any, example: Any
) -> None:
    service.pushed(model, example)

    assert service.file_count() == 0


@pytest.mark.parametrize(
    ("model", "example", "code"),
    [
        (b"no model", FRAME, "model_refused"),
        (FITTED, FRAME[["height"]], "invalid_input"),
        (FITTED, FRAME[:0], "invalid_input"),
        (ON_ARRAY, FRAME.to_numpy()[:, :1], "invalid_input"),
        (TSNE(perplexity=2, max_iter=250).fit(FRAME), FRAME, "no_usable_method"),
        (FITTED, b"", "invalid_input"),
        (FITTED, b"width,height\n", "invalid_input"),
        (FITTED, b"width,height\n\xff\xfe,1\n", "invalid_input"),
        (FITTED, b'width,height\n"1,2\n', "invalid_input"),
    ],
    ids=[
        "no_model",
        "column_lacks",
        "no_rows",
        "width",
        "no_method",
        "empty_csv",
        "header_only",
        "not_utf8",
        "open_quote",
    ],
)
def test_an_import_that_fails_leaves_no_version_and_no_alias(
    service: LocalService, model: Any, example: Any, code: str
) -> None:
    assert _failure(service.pushed(model, example)).code == code
    assert service.models.models() == []
    assert service.aliases.read(MODEL).generation == 0


def test_an_import_that_fails_leaves_earlier_versions_alone(service: LocalService) -> None:
    service.pushed(FITTED, FRAME)

    service.pushed(b"no model", FRAME)

    assert (service.models.versions(MODEL), service.champion()) == ([1], 1)


@pytest.mark.parametrize("stage", ["load", "try", "publish"])
@pytest.mark.parametrize("error", [JobStoppedError("asked to stop"), UnavailableError("Redis does not answer")])
def test_an_import_that_is_stopped_leaves_no_version_and_keeps_the_files_for_the_next_run(
    service: LocalService, stage: str, error: Exception
) -> None:
    work = service.import_work(skops.io.dumps(FITTED), FRAME)
    job = service.started(JobType.IMPORT, ModelRef(MODEL), work)

    def report(progress: Progress) -> None:
        if progress.stage == stage:
            raise error

    with pytest.raises(type(error)):
        service.importing.run(job, work, report)

    assert service.file_count() == 2
    with pytest.raises(UnknownModelError):
        service.models.versions(MODEL)
    assert service.importing.run(service.lost(job), work, lambda progress: None).value["version"] == 1


# A second run after a death


def _run_until_death(service: LocalService, job: Job, work: ImportWork, where: str) -> None:
    """A run in a process that dies at that step."""
    report = kill_at_step(service.models, service.aliases, where)

    runner = ImportRunner(service.models, service.aliases, service.files, service.clock)

    def run_and_die() -> None:
        runner.run(job, work, report)
        raise ProcessKilled

    with pytest.raises(ProcessKilled):
        run_and_die()


STEPS = ["load", "try", "publish", "publish before", "publish after", "move before", "move after", "end"]


@pytest.mark.parametrize("where", STEPS)
def test_an_import_that_dies_at_any_step_and_runs_again_makes_one_version_and_one_move(
    service: LocalService, where: str
) -> None:
    """The second run ends like a run without a death."""
    work = service.import_work(skops.io.dumps(FITTED), FRAME)
    job = service.started(JobType.IMPORT, ModelRef(MODEL), work)

    _run_until_death(service, job, work, where)
    again = service.lost(job)
    value = service.importing.run(again, work, lambda progress: None).value

    assert (value["version"], value["promoted"], value["sha256"]) == (1, True, service.manifest(1).sha256)
    assert (service.models.versions(MODEL), service.champion(), service.file_count()) == ([1], 1, 0)
    assert [(move.version, move.job_id) for move in service.aliases.history(MODEL)] == [(1, job.id)]


def test_an_import_that_runs_twice_has_the_same_result(service: LocalService) -> None:
    work = service.import_work(skops.io.dumps(FITTED), FRAME)
    job = service.started(JobType.IMPORT, ModelRef(MODEL), work)

    first = service.importing.run(job, work, lambda progress: None)
    second = service.importing.run(service.lost(job), work, lambda progress: None)

    assert first == second


def test_a_champion_moved_by_a_person_between_two_runs_of_an_import_stays(service: LocalService) -> None:
    work = service.import_work(skops.io.dumps(FITTED), FRAME)
    job = service.started(JobType.IMPORT, ModelRef(MODEL), work)
    service.importing.run(job, work, lambda progress: None)
    service.pushed(FITTED, FRAME)
    service.point(CHAMPION, 2)

    service.importing.run(service.lost(job), work, lambda progress: None)

    assert (service.champion(), service.models.versions(MODEL)) == (2, [1, 2])


def test_a_run_of_an_import_that_lost_its_job_promotes_nothing(service: LocalService) -> None:
    work = service.import_work(skops.io.dumps(FITTED), FRAME)
    zombie = service.started(JobType.IMPORT, ModelRef(MODEL), work)
    service.lost(zombie)

    with pytest.raises(JobStoppedError):
        service.importing.run(zombie, work, lambda progress: None)

    assert (service.champion(), service.file_count()) == (None, 2)


def test_a_model_file_changed_after_its_upload_is_refused(service: LocalService) -> None:
    work = service.import_work(skops.io.dumps(FITTED), FRAME)
    service.files.path(work.model_file_id).write_bytes(skops.io.dumps(ON_ARRAY))

    assert _failure(service.ran(JobType.IMPORT, ModelRef(MODEL), work)).code == "checksum_mismatch"


def test_a_missing_example_fails_the_import(service: LocalService) -> None:
    work = service.import_work(skops.io.dumps(FITTED), FRAME)
    service.files.delete(work.example_file_id)

    assert _failure(service.ran(JobType.IMPORT, ModelRef(MODEL), work)).code == "unknown_file"


def test_a_csv_example_may_have_more_columns_in_any_order(service: LocalService) -> None:
    wider = FRAME.assign(name="x", size=TARGET)[["size", "height", "name", "width"]]

    service.pushed(FITTED, _csv(wider), ("size",))

    assert [column.name for column in service.manifest(1).signature.columns] == ["width", "height"]
    assert service.answers(FRAME, Method.PREDICT) == TARGET.tolist()


def test_a_csv_example_without_a_needed_column_is_refused_with_its_name(service: LocalService) -> None:
    failure = _failure(service.pushed(FITTED, _csv(FRAME[["width"]].assign(depth=1))))

    assert failure.code == "invalid_input"
    assert "lacks the column 'height'" in failure.detail
    assert "width, depth" in failure.detail


def test_the_target_of_a_csv_example_is_left_out_for_a_model_fitted_on_an_array(service: LocalService) -> None:
    service.pushed(ON_ARRAY, _csv(FRAME.assign(size=TARGET)), ("size",))

    assert service.answers(FRAME.to_numpy(), Method.PREDICT) == TARGET.tolist()


def test_an_extra_cell_in_every_row_of_a_csv_example_does_not_shift_its_columns(service: LocalService) -> None:
    """pandas would read the first column as row labels, and every value would move to the next column."""
    lines = _csv(FRAME).decode().splitlines()
    trailing = "\n".join([lines[0], *(line + "," for line in lines[1:])]).encode()

    job = service.pushed(make_pipeline(SimpleImputer(), LogisticRegression()).fit(FRAME, TARGET), trailing)

    if job.state is State.SUCCEEDED:
        assert service.manifest(1).signature.example[0] == {"width": 1.5, "height": 4}
    else:
        assert _failure(job).code == "invalid_input"


def test_numbers_of_a_csv_example_are_read_exactly(service: LocalService) -> None:
    numbers = np.random.default_rng(0).random(12) * 1e-7
    frame = FRAME.assign(width=numbers)

    service.pushed(LinearRegression().fit(frame, np.arange(12)), _csv(frame))

    assert [row["width"] for row in service.manifest(1).signature.example] == numbers[:3].tolist()


@pytest.mark.parametrize(
    "table",
    [
        b"not json",
        b"[]",
        b'{"layout":"cube","columns":[],"rows":[]}',
        b'{"layout":"array","columns":[],"rows":[[1]]}',
        b'{"layout":"frame","columns":[{"name":"width","dtype":"float64"}],"rows":[[1.5,2.5]]}',
        b'{"layout":"frame","columns":[{"name":"width","dtype":"float64"}],"rows":[["wide"]]}',
        b'{"layout":"frame","columns":[{"name":"width","dtype":"no such"}],"rows":[[1]]}',
        b'{"layout":"array","columns":[{"name":"x0","dtype":"float64"}],"rows":[[1],[1,2]]}',
    ],
    ids=["not_json", "list", "layout", "no_columns", "too_wide", "wrong_cell", "dtype", "ragged"],
)
def test_a_malformed_table_of_example_rows_is_refused(service: LocalService, table: bytes) -> None:
    model_file = service.stored(skops.io.dumps(FITTED), "application/octet-stream")
    example_file = service.stored(table, TABLE_MEDIA_TYPE)
    work = service.import_work(skops.io.dumps(FITTED), FRAME)
    job = service.ran(
        JobType.IMPORT,
        ModelRef(MODEL),
        type(work)(model_file.id, example_file.id, ("size",)),
    )

    assert _failure(job).code in ("invalid_input", "model_refused")


def test_files_deleted_before_the_import_do_not_hide_its_failure(service: LocalService) -> None:
    work = service.import_work(b"no model", FRAME)
    job = service.submitted(JobType.IMPORT, ModelRef(MODEL), work)
    files: UploadedFiles = service.files

    files.delete(work.example_file_id)
    service.consumer.drain(job.lane)

    assert _failure(service.jobs.read(job.id)).code == "model_refused"
