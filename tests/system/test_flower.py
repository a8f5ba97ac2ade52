"""Flower shows every worker, and every job under its id with its outcome, but nothing of its rows."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from playwright.sync_api import Page, sync_playwright
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

from deploy.embedded.redis_server import free_port
from examples.titanic import train
from queuecast import Client
from queuecast.client import JobHandle
from tests.system.conftest import START_WAIT_S, Stack, wait_for

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("stack")]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture
def flower(stack: Stack, repository: Path) -> Iterator[str]:
    """The address of Flower as the Procfile starts it, once it knows the workers."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    line = next(line for line in (repository / "Procfile").read_text().splitlines() if line.startswith("flower:"))
    columns = next(word for word in line.split() if word.startswith("--tasks-columns="))
    options = ["--address=127.0.0.1", f"--port={port}", columns]
    stack.start("flower", "celery", "flower", *options, flower_unauthenticated_api=1)

    def knows_workers() -> bool:
        try:
            page = httpx2.get(f"{url}/workers?json=1", timeout=5).text
        except httpx2.HTTPError:
            return False
        return all(name in page for name in ("worker1@", "worker2@", "trainer@"))

    wait_for(knows_workers, "workers", START_WAIT_S)
    yield url
    stack.stop("flower")


def tasks(flower: str) -> dict[str, dict[str, Any]]:
    """By id, as the page gets them."""
    query = {"draw": 1, "start": 0, "length": 1_000, "search[value]": "", "order[0][column]": 0, "order[0][dir]": "asc"}
    answer = httpx2.get(f"{flower}/tasks/datatable", params={**query, "columns[0][data]": "name"}, timeout=5)
    return {task["uuid"]: task for task in answer.json()["data"]}


def workers(flower: str) -> dict[str, dict[str, Any]]:
    listed = httpx2.get(f"{flower}/workers?json=1", timeout=5).json()["data"]
    return {worker["hostname"].partition("@")[0]: worker for worker in listed}


def test_flower_lists_workers_and_jobs_without_their_rows(flower: str, client: Client) -> None:
    before = workers(flower)

    job = client.predict("titanic", train.passengers()[train.COLUMNS].head(2)).wait(60)

    wait_for(lambda: tasks(flower).get(job.id, {}).get("state") == "SUCCESS", "the job in Flower")
    task = tasks(flower)[job.id]
    assert task["name"] == "titanic.predict"
    assert task["worker"].startswith(("worker1@", "worker2@"))
    assert task["kwargs"] == "{'model': 'titanic', 'version': 1, 'alias': 'champion', 'method': 'predict'}"
    assert re.fullmatch(r"waited [0-9.]+ ms", task["result"])
    assert 0 < task["runtime"] < 60
    assert "embarked" not in json.dumps(tasks(flower))
    assert not [each for each in tasks(flower).values() if each["name"].startswith("queuecast.")]
    assert set(before) == {"worker1", "worker2", "trainer"}
    assert {name for name, worker in workers(flower).items() if worker["status"]} == set(before)


def test_a_job_that_is_canceled_while_it_waits_is_a_revoked_task(stack: Stack, flower: str, client: Client) -> None:
    with stack.frozen("worker1", "worker2"):
        job = client.predict("titanic", train.passengers()[train.COLUMNS].head(2))
        job.cancel()
        wait_for(lambda: tasks(flower).get(job.id, {}).get("state") == "REVOKED", "the job in Flower")

    assert tasks(flower)[job.id]["name"] == "titanic.predict"
    assert tasks(flower)[job.id]["worker"].startswith("gateway@")
    wait_for(lambda: not workers(flower)["gateway"]["status"], "the gateway as offline: it runs no jobs")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_training_whose_process_dies_is_a_retried_task_with_the_reason(
    stack: Stack, flower: str, client: Client
) -> None:
    passengers = train.passengers()
    model = train.hist().fit(passengers[train.COLUMNS], passengers[train.TARGET])
    client.push("again", model, passengers[train.COLUMNS], passengers[train.TARGET]).wait(60)
    job = client.train("again", train.DATA, train.TARGET, {"model__max_iter": 100_000}, promote="never")
    wait_for(lambda: (job.refresh().body["progress"] or {}).get("stage") == "fit", "the fit", 60)
    main = stack.processes["trainer"].pid
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()

    for child in children:  # one of them runs the training
        os.kill(int(child), signal.SIGKILL)
    wait_for(lambda: tasks(flower)[job.id]["exception"], "the loss in Flower", 40)
    lost = tasks(flower)[job.id]
    wait_for(lambda: tasks(flower)[job.id]["retries"] == 1, "the second run in Flower", 40)
    again = tasks(flower)[job.id]
    job.cancel().wait(30)
    wait_for(lambda: tasks(flower)[job.id]["state"] == "REVOKED", "the end in Flower")

    assert "died" in lost["exception"]
    assert "runs again after" in lost["exception"]
    assert (again["name"], again["state"]) == ("again.train", "STARTED")
    assert again["worker"].startswith("trainer@")


@pytest.mark.browser
def test_a_person_who_looks_at_flower_sees_twenty_jobs_with_three_failed_and_one_canceled(
    flower: str, client: Client, chromium: str, tmp_path: Path
) -> None:
    jobs = twenty_jobs(client)
    wait_for(lambda: all(is_ended(tasks(flower).get(job.id, {})) for job in jobs), "twenty ended jobs in Flower")

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1900, "height": 1300})
        page.goto(f"{flower}/tasks")
        page.locator("#tasks-table_length select").select_option("100")
        page.wait_for_function("document.querySelectorAll('#tasks-table tbody tr').length >= 20")
        rows = {row["uuid"]: row for row in shown_rows(page)}
        page.screenshot(path=tmp_path / "flower-tasks.png")
        failed = next(job for job in jobs if job.state == "failed" and job.body["type"] == "prediction")
        page.goto(f"{flower}/task/{failed.id}")
        details = page.inner_text("#task-page")
        page.screenshot(path=tmp_path / "flower-task.png")
        page.goto(f"{flower}/workers")
        page.wait_for_selector("#workers-table tbody tr")
        page.screenshot(path=tmp_path / "flower-workers.png")
        browser.close()

    found = [(rows[job.id]["name"], rows[job.id]["state"]) for job in jobs]
    assert found == [(name_of(job), FLOWER_STATES[job.state]) for job in jobs]
    states = [state for _, state in found]
    assert (states.count("SUCCESS"), states.count("FAILURE"), states.count("REVOKED")) == (16, 3, 1)
    for job in jobs:
        row = rows[job.id]
        model = job.body["model"]
        assert row["args"] == (f"{model['name']}@{model['version']}" if model["version"] else model["name"])
        assert row["worker"].partition("@")[0] in ("worker1", "worker2", "trainer")
        assert float(row["runtime"].split()[0]) > 0
        if job.state == "failed":
            assert row["exception"].startswith(job.body["error"]["code"])
    assert "too large" in details
    assert failed.id in details


FLOWER_STATES = {"succeeded": "SUCCESS", "failed": "FAILURE", "canceled": "REVOKED"}
TASK_NAMES = {"prediction": "predict", "training": "train", "import": "import", "batch": "batch"}


def name_of(job: JobHandle) -> str:
    return f"{job.body['model']['name']}.{TASK_NAMES[job.body['type']]}"


def is_ended(task: dict[str, Any]) -> bool:
    return task.get("state") in FLOWER_STATES.values()


def shown_rows(page: Page) -> list[dict[str, str]]:
    """The table as a person reads it: a dictionary of columns for each row."""
    columns = page.eval_on_selector_all(
        "#tasks-table thead th", "cells => cells.map(cell => cell.getAttribute('data-column'))"
    )
    rows = page.eval_on_selector_all(
        "#tasks-table tbody tr",
        "rows => rows.map(row => [row.id, ...[...row.cells].map(cell => cell.textContent.trim())])",
    )
    return [dict(zip(columns, cells, strict=True)) | {"uuid": job_id} for job_id, *cells in rows]


def twenty_jobs(client: Client) -> list[JobHandle]:
    """16 that succeed, 3 that fail and 1 that is canceled; of every type."""
    numbers = np.array([[float(number), 1.0] for number in range(40)])
    labels = (numbers[:, 0] > 20).astype(int)
    passengers = train.passengers()
    slow = train.hist().fit(passengers[train.COLUMNS], passengers[train.TARGET])
    own = make_pipeline(FunctionTransformer(wait_for), LinearRegression())
    jobs = [
        client.push("tree", DecisionTreeClassifier().fit(numbers, labels), numbers, labels),
        client.push("slow", slow, passengers[train.COLUMNS], passengers[train.TARGET]),
        client.push("own", own, numbers, labels),  # fails: the function is the test's
    ]
    for job in jobs:
        job.wait(60)
    long_fit = {"model__max_iter": 100_000}
    canceled = client.train("slow", train.DATA, train.TARGET, long_fit, promote="never")
    wait_for(lambda: (canceled.refresh().body["progress"] or {}).get("stage") == "fit", "the fit", 60)
    canceled.cancel().wait(20)
    jobs += [canceled, client.train("slow", train.DATA, train.TARGET, {"model__max_iter": 0}, promote="never")]
    jobs += [client.predict("tree", numbers[number : number + 1]) for number in range(13)]
    jobs.append(client.predict("tree", [[1e300, 1.0]]))  # fails: a tree works with float32
    jobs.append(client.predict_file("slow", train.DATA))
    return [job.wait(60) for job in jobs]
