"""Rows that exhaust the memory of a worker, so that the kernel kills its process: only their job fails."""

import json

import httpx2
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.preprocessing import PolynomialFeatures

from tests.containers.conftest import ComposeStack, succeeded, wait_until

pytestmark = pytest.mark.docker

COLUMNS = 300  # a row is transformed into 45,450 numbers
ROWS = 4_000  # 1.4 GB, more than the 1 GB of a worker


def test_rows_that_exceed_the_memory_limit_become_a_dead_letter_and_their_neighbours_succeed(
    stack: ComposeStack, gateway: httpx2.Client
) -> None:
    example = pd.DataFrame(np.zeros((5, COLUMNS)), columns=[f"x{index}" for index in range(COLUMNS)])
    model = skops.io.dumps(PolynomialFeatures().fit(example.to_numpy()))
    pushed = gateway.post(
        "/v1/models/wide/versions",
        files={
            "model": ("model.skops", model, "application/octet-stream"),
            "example": ("rows.csv", example.to_csv(index=False).encode(), "text/csv"),
        },
    )
    succeeded(gateway, pushed.json()["id"])

    def submitted(rows: int) -> str:
        body = {"inputs": [[1] * COLUMNS] * rows, "method": "transform"}
        answer = gateway.post("/v1/models/wide/predictions", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    poison = submitted(ROWS)
    neighbours = [submitted(1) for _ in range(20)]
    ended = [succeeded(gateway, neighbour) for neighbour in neighbours]
    wait_until("the end of the poison job", lambda: state_of(gateway, poison) == "failed", 120)
    job = gateway.get(f"/v1/jobs/{poison}").json()
    letters = [letter["id"] for letter in gateway.get("/v1/dead-letters").json()["data"]]

    assert (job["error"]["code"], job["attempt"], job["lost_attempts"]) == ("worker_lost", 3, 3)
    assert letters == [poison]
    assert {neighbour["lost_attempts"] for neighbour in ended} == {0}
    assert stack.containers("worker")[0]["State"]["Running"]


def state_of(gateway: httpx2.Client, job_id: str) -> str:
    return str(json.loads(gateway.get(f"/v1/jobs/{job_id}").content)["state"])
