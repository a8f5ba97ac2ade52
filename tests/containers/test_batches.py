"""A batch in containers: one of its two workers is killed early on, and no row of the result is lost or moved."""

import io
import json
import time
from collections.abc import Iterator

import httpx2
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from examples.titanic.train import COLUMNS, logistic, passengers
from tests.containers.conftest import ComposeStack, docker, pushed, succeeded, training_rows, wait_until

pytestmark = pytest.mark.docker

ROWS = 600_000  # fifteen chunks or more, so that many remain when the first few are done
TREES = 600  # 20,000 to 60,000 rows per second and process
WORKERS_OF_THE_STACK = 3
PEAK_FILES = "/sys/fs/cgroup/memory.peak /sys/fs/cgroup/memory/memory.max_usage_in_bytes"  # cgroups of version 2, 1


@pytest.fixture
def two_workers(stack: ComposeStack, gateway: httpx2.Client) -> Iterator[ComposeStack]:
    def answering() -> int:
        return gateway.get("/readyz").json()["workers"].get("predict", 0)

    stack.scale_workers(2)
    try:
        wait_until("two workers answer", lambda: answering() == 2)
        yield stack
    finally:
        stack.scale_workers(WORKERS_OF_THE_STACK)
        wait_until("all workers answer", lambda: answering() == WORKERS_OF_THE_STACK)


def peak_bytes(container_id: str) -> int:
    """The peak memory of a container, including its page cache."""
    return int(docker("exec", container_id, "sh", "-c", f"cat {PEAK_FILES} 2>/dev/null; true").split()[0])


def test_a_batch_survives_one_of_its_two_workers(two_workers: ComposeStack, gateway: httpx2.Client) -> None:
    rows = passengers()[COLUMNS]
    csv = rows.iloc[np.arange(ROWS) % len(rows)].to_csv(index=False).encode()
    forest = logistic().set_params(model=RandomForestClassifier(TREES, max_depth=6, random_state=0))
    expected = np.resize(pushed(gateway, "bulk", training_rows(), forest).predict_proba(rows), (ROWS, 2))
    file = gateway.post("/v1/files", content=csv, headers={"Content-Type": "text/csv"})
    assert file.status_code == 201, file.text
    killed, survivor = two_workers.containers("worker")
    began = time.monotonic()
    body = {"file_id": file.json()["id"], "method": "predict_proba"}
    answer = gateway.post("/v1/models/bulk/batches", json=body)
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["id"]

    def rows_done() -> int:
        return (gateway.get(f"/v1/jobs/{job_id}").json()["progress"] or {"done": 0})["done"]

    wait_until("a sixth of the rows are done", lambda: rows_done() >= ROWS // 6)
    peaks = [peak_bytes(killed["Id"])]
    docker("kill", killed["Id"])
    done_at_the_kill = rows_done()
    kill_s = time.monotonic() - began
    job = succeeded(gateway, job_id)
    peaks.append(peak_bytes(survivor["Id"]))
    print(
        f"killed after {kill_s:.1f} s with {done_at_the_kill} rows done, ended after {time.monotonic() - began:.1f} s;"
    )
    print(f"{job['result']['chunks']} chunks, peaks {[f'{peak / 2**20:.0f} MiB' for peak in peaks]}")
    found = pd.read_csv(io.BytesIO(gateway.get(f"/v1/jobs/{job_id}/result").content)).to_numpy()

    assert done_at_the_kill < ROWS, "the batch ended before its worker was killed"
    assert (job["result"]["rows"], job["result"]["errors"]) == (ROWS, 0)
    assert found.shape == (ROWS, 3)
    np.testing.assert_array_equal(found[:, 0], np.arange(1, ROWS + 1))
    np.testing.assert_allclose(found[:, 1:], expected, rtol=1e-9)
    state = json.loads(docker("inspect", survivor["Id"]))[0]
    assert (state["State"]["OOMKilled"], state["RestartCount"]) == (False, 0)
    assert max(peaks) < survivor["HostConfig"]["Memory"]
