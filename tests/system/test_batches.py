"""Batches with a real Redis and real workers, which are killed while the batch runs."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pandas as pd
import pytest
import redis

from examples.titanic import train
from tests.system.conftest import Stack, wait_for

pytestmark = [
    pytest.mark.redis,
    pytest.mark.xdist_group("promises"),
    pytest.mark.skipif(sys.platform != "linux", reason="kills process groups"),
]
ROWS = 60_000
CHUNK_ROWS = 1_000
BAD_ROW = 17
SETTINGS = {"lease_s": 3, "shutdown_grace_s": 2, "batch_chunk_rows": CHUNK_ROWS}


@pytest.fixture(scope="module")
def passengers() -> pd.DataFrame:
    """Enough rows for many chunks, each row with a unique name."""
    rows = train.passengers()[train.COLUMNS]
    many = pd.concat([rows] * (ROWS // len(rows) + 1), ignore_index=True).head(ROWS)
    return many.assign(passenger=[f"p{number}" for number in range(1, ROWS + 1)])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("batches"), repository)
    stack.redis.start()
    try:
        stack.start_api()
        stack.start_reaper(**SETTINGS)
        stack.start_worker("trainer", "train", **SETTINGS)
        stack.push_titanic()
        yield stack
    finally:
        stack.stop()
        stack.redis.stop()


@pytest.fixture
def workers(running: Stack) -> Iterator[list[str]]:
    """Two ready workers."""
    names = ["w1", "w2"]
    for name in names:
        running.start_worker(name, **SETTINGS)
    wait_for(lambda: running.workers().get("predict") == 2, "two workers", 60)
    yield names
    running.stop(*(name for name in names if name in running.processes))
    wait_for(lambda: "predict" not in running.workers(), "no more heartbeats from these workers", 60)


@pytest.fixture(scope="module")
def file_id(running: Stack, passengers: pd.DataFrame) -> str:
    lines = passengers.to_csv(index=False).splitlines()
    lines[BAD_ROW] = "first" + lines[BAD_ROW][lines[BAD_ROW].index(",") :]
    content = "\n".join(lines).encode()
    answer = httpx2.post(f"{running.url}/v1/files", content=content, headers={"Content-Type": "text/csv"}, timeout=60)
    return str(answer.json()["id"])


@pytest.fixture(scope="module")
def expected(running: Stack, passengers: pd.DataFrame) -> Any:
    """The predictions of the model, computed in this process."""
    from queuecast.adapters.disk.models import ModelFiles  # noqa: PLC0415
    from worker.models.loading import EstimatorCache  # noqa: PLC0415

    models = ModelFiles(running.folder / "data" / "models")
    return EstimatorCache(models).load(models.manifest("titanic", 1)).predict_proba(passengers[train.COLUMNS])


class SubmittedBatch:
    def __init__(self, stack: Stack, job_id: str) -> None:
        self.stack = stack
        self.url = f"{stack.url}/v1/jobs/{job_id}"
        self.id = job_id

    @property
    def job(self) -> dict[str, Any]:
        return dict(httpx2.get(self.url, timeout=10).json())

    def done(self) -> int:
        progress = self.job["progress"] or {}
        return int(progress.get("done", 0)) if progress.get("stage") == "predict" else 0

    def ended(self) -> dict[str, Any]:
        wait_for(lambda: self.job["state"] in ("succeeded", "failed", "canceled"), "the end of the batch", 120)
        return self.job

    def result(self) -> pd.DataFrame:
        answer = httpx2.get(f"{self.url}/result", timeout=60)
        assert answer.status_code == 200, answer.text
        return pd.read_csv(io.BytesIO(answer.content))


def submit(stack: Stack, file_id: str) -> SubmittedBatch:
    body = {"file_id": file_id, "method": "predict_proba", "id_column": "passenger"}
    answer = httpx2.post(f"{stack.url}/v1/models/titanic/batches", json=body, timeout=10)
    assert answer.status_code == 202, answer.text
    return SubmittedBatch(stack, answer.json()["id"])


def assert_every_row_once(found: pd.DataFrame, expected: Any, passengers: pd.DataFrame) -> None:
    good = np.delete(np.arange(ROWS), BAD_ROW - 1)
    assert found.row.tolist() == (good + 1).tolist()
    assert found.passenger.tolist() == passengers.passenger[good].tolist()
    np.testing.assert_allclose(found[["probability_0", "probability_1"]], expected[good], rtol=1e-9)


def test_a_batch_survives_a_killed_worker_and_has_every_row_once(
    running: Stack, workers: list[str], file_id: str, expected: Any, passengers: pd.DataFrame
) -> None:
    batch = submit(running, file_id)
    wait_for(lambda: batch.done() > 0, "the first chunks", 60)

    running.kill(workers[0])
    ended = batch.ended()

    assert (ended["state"], ended.get("error")) == ("succeeded", None)
    assert_every_row_once(batch.result(), expected, passengers)
    assert ended["result"]["errors"] == 1
    assert ended["result"]["chunks"] == ROWS // CHUNK_ROWS
    (bad,) = httpx2.get(f"{batch.url}/errors", timeout=10).text.splitlines()
    assert f'"row":{BAD_ROW},"column":"{train.COLUMNS[0]}","code":"wrong_type"' in bad
    assert [entry["event"] for entry in ended["timeline"]].count("finished") == 1


def test_a_retry_after_a_cancel_runs_only_the_missing_chunks(
    running: Stack, workers: list[str], file_id: str, expected: Any, passengers: pd.DataFrame
) -> None:
    batch = submit(running, file_id)
    wait_for(lambda: batch.done() > 0, "the first chunks", 60)
    canceled = httpx2.post(f"{batch.url}/cancel", timeout=10)
    with redis.Redis.from_url(running.redis.url) as store:
        wait_for(lambda: not store.hexists("qc:batches", batch.id), "the reaper to close the batch", 30)
        wait_for(lambda: not store.exists(f"qc:lane:chunk/{batch.id}"), "its chunks to end", 30)
        done = store.hlen(f"qc:batch:{batch.id}:1") - 2
        retried = SubmittedBatch(running, httpx2.post(f"{batch.url}/retry", timeout=10).json()["id"])

        ended = retried.ended()
        n_new_chunks = len(list(store.scan_iter(f"qc:job:chunk_{retried.id.removeprefix('job_')}_*", count=1000)))

    assert (canceled.status_code, batch.job["state"]) == (200, "canceled")
    assert (ended["state"], ended["retry_of"]) == ("succeeded", batch.id)
    assert 0 < done < ROWS // CHUNK_ROWS
    assert n_new_chunks == ROWS // CHUNK_ROWS - done
    assert_every_row_once(retried.result(), expected, passengers)
