"""Flower shows every worker, and every task by name, lane and runtime, but nothing about the jobs in the lane."""

import re

import httpx2
import pytest

from deploy.embedded.redis_server import free_port
from examples.titanic import train
from queuecast import Client
from tests.system.conftest import START_WAIT_S, Stack, wait_for

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("stack")]


def test_flower_lists_workers_and_tasks_with_their_lanes_only(stack: Stack, client: Client) -> None:
    port = free_port()
    flower = f"http://127.0.0.1:{port}"
    stack.start("flower", "celery", "flower", "--address=127.0.0.1", f"--port={port}", flower_unauthenticated_api=1)

    def workers_page() -> str:
        try:
            return httpx2.get(f"{flower}/workers?json=1", timeout=5).text
        except httpx2.HTTPError:
            return ""

    wait_for(
        lambda: all(name in workers_page() for name in ("worker1@", "worker2@", "trainer@")), "workers", START_WAIT_S
    )
    job = client.predict("titanic", train.passengers()[train.COLUMNS].head(2)).wait(60)

    def task_rows() -> str:
        query = {
            "draw": 1,
            "start": 0,
            "length": 50,
            "search[value]": "",
            "order[0][column]": 0,
            "order[0][dir]": "asc",
        }
        answer = httpx2.get(f"{flower}/tasks/datatable", params={**query, "columns[0][data]": "name"}, timeout=5)
        return answer.text

    wait_for(lambda: "1 jobs, 2 rows in 1 calls" in task_rows(), "the completed task in Flower")
    rows = task_rows()
    stack.stop("flower")

    assert "queuecast.predict" in rows
    assert "prediction/titanic/1/predict" in rows
    assert re.search(r'"runtime": "?[0-9.]+', rows)
    assert job.id not in rows
    assert "embarked" not in rows
