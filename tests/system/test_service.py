"""The main workflow end to end, on the Titanic passengers: push, predict, retrain, roll back."""

import base64
import http.client
import json
import os
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import numpy as np
import pytest
import redis
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from examples.titanic import train
from queuecast import Client, holdout
from queuecast.adapters.celery.doorbell import CeleryDoorbell
from queuecast.adapters.celery.settings import lists_of
from queuecast.client.job import JobHandle
from tests.system.conftest import Stack, wait_for

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("stack")]


def rows_of(frame):
    return [
        {name: None if value != value else value for name, value in row.items()}
        for row in frame.astype(object).to_dict("records")
    ]


@pytest.fixture(scope="module")
def in_process():
    """The pipeline that train.py pushed, fitted again in this process; the fit is deterministic."""
    passengers = train.passengers()
    fitted_on = passengers.iloc[holdout(passengers[train.COLUMNS]).train]
    return train.logistic().fit(fitted_on[train.COLUMNS], fitted_on[train.TARGET])


def test_all_passengers_get_the_answers_of_the_estimator_in_process(client: Client, in_process) -> None:
    frame = train.passengers()[train.COLUMNS]

    labels = client.predict("titanic", frame, version=1).result(60)
    chances = client.predict("titanic", frame, method="predict_proba", version=1).result(60)

    assert labels["predictions"] == in_process.predict(frame).tolist()
    assert chances["probabilities"] == pytest.approx(in_process.predict_proba(frame), rel=1e-9)
    assert chances["classes"] == [0, 1]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no CPU affinity")
def test_all_threads_of_the_gateway_stay_on_one_core(stack: Stack) -> None:
    httpx2.get(f"{stack.url}/v1/queues").raise_for_status()  # makes sure that one thread has run Python
    server = stack.processes["api"].pid
    (gateway,) = Path(f"/proc/{server}/task/{server}/children").read_text().split()

    cores = {frozenset(os.sched_getaffinity(int(task.name))) for task in Path(f"/proc/{gateway}/task").iterdir()}

    (own,) = cores
    assert len(own) == 1
    assert own <= os.sched_getaffinity(0)


def test_a_job_answered_within_the_wait_is_a_200_and_carries_version_and_hash(stack: Stack) -> None:
    body = {"inputs": rows_of(train.passengers()[train.COLUMNS].head(1)), "version": 1}

    answer = httpx2.post(
        f"{stack.url}/v1/models/titanic/predictions", json=body, headers={"Prefer": "wait=20"}, timeout=30
    )

    job = answer.json()
    manifest = httpx2.get(f"{stack.url}/v1/models/titanic/versions/1").json()
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=20")
    assert job["result"]["model"] == {
        "name": "titanic",
        "version": 1,
        "sha256": manifest["sha256"],
        "sklearn": manifest["environment"]["sklearn"],
    }


def test_a_backlog_is_shared_by_both_workers(stack: Stack, client: Client) -> None:
    jobs = backlog(stack, client, "titanic")

    assert {job.wait(60).state for job in jobs} == {"succeeded"}
    assert len({job.body["worker"] for job in jobs}) == 2


def backlog(stack: Stack, client: Client, model: str) -> list[JobHandle]:
    """Forty jobs submitted while the workers were frozen: more rows than one claim takes, so both workers are notified.

    A worker that keeps up with a lane notifies no other worker, so it would run all jobs if they arrived one by one.
    """
    frame = train.passengers()[train.COLUMNS]
    with stack.frozen("worker1", "worker2"), ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: client.predict(model, frame), range(40)))


def test_every_worker_serves_a_retrained_version_at_once_and_the_old_one_after_a_rollback(
    stack: Stack, client: Client, tmp_path: Path
) -> None:
    frame = train.passengers()
    client.push("ship", train.logistic().fit(*fitted(frame)), *fitted(frame), holdout=holdout(frame[train.COLUMNS]))
    wait_for(lambda: "ship" in {model["name"] for model in client.models()}, "the first version")
    changed = tmp_path / "changed.csv"
    frame.assign(fare=frame.fare * 1.1).to_csv(changed, index=False)

    # The changed fares moved rows that the first version was fitted on among the held-out ones.
    trained = client.train("ship", changed, "survived", gate={"margins": {"neg_log_loss": 0.05}}).result(120)
    versions_after_training = versions_served(stack, client)
    client.rollback("ship", "as a trial")
    versions_after_rollback = versions_served(stack, client)

    assert trained["version"] == 2
    assert trained["promoted"], trained["reason"]
    assert versions_after_training == [{2}, {2}]
    assert versions_after_rollback == [{1}, {1}]


def fitted(frame):
    split = holdout(frame[train.COLUMNS])
    return frame.iloc[split.train][train.COLUMNS], frame.iloc[split.train][train.TARGET]


def versions_served(stack: Stack, client: Client) -> list[set[int]]:
    """The set of versions that each worker answers with."""
    served: dict[str, set[int]] = {}
    for job in backlog(stack, client, "ship"):
        version = job.result(60)["model"]["version"]
        served.setdefault(job.body["worker"], set()).add(version)
    return list(served.values())


def test_a_second_training_of_a_model_is_refused_while_one_is_open(stack: Stack, client: Client) -> None:
    stored = client.upload(train.DATA)
    url = f"{stack.url}/v1/models/titanic/trainings"
    body = {"file_id": stored["id"], "target": "survived", "promote": "never"}

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: httpx2.post(url, json=body, timeout=30), range(4)))

    codes = sorted(answer.status_code for answer in answers)
    for answer in answers:
        if answer.status_code == 202:
            client.job(answer.json()["id"]).wait(60)
    assert codes[0] == 202
    assert 409 in codes


def test_the_progress_of_a_training_counts_its_stages(client: Client) -> None:
    seen = []

    client.train("titanic", train.DATA, "survived", promote="never").wait(
        60, on_change=lambda job: seen.append(job.body["progress"])
    )

    assert seen[-1]["done"] == seen[-1]["total"] == 7
    assert seen[-1]["unit"] == "stages"


def test_a_pushed_model_with_a_custom_function_fails_with_the_reason(client: Client) -> None:
    pipeline = make_pipeline(FunctionTransformer(wait_for), LinearRegression())

    job = client.push("own", pipeline, np.array([[1.0], [2.0]]), np.array([1.0, 2.0])).wait(60)

    assert job.state == "failed"
    assert job.body["error"]["code"] == "untrusted_types"
    assert "wait_for" in job.body["error"]["detail"]
    assert "own" not in {model["name"] for model in client.models()}


def test_an_aborted_upload_leaves_nothing_behind(stack: Stack) -> None:
    before = set((stack.folder / "data/files").iterdir())
    connection = http.client.HTTPConnection("127.0.0.1", stack.api_port, timeout=10)
    connection.putrequest("POST", "/v1/files")
    connection.putheader("Content-Type", "text/csv")
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()

    connection.send(b"a,b\n1,2\n" * 100)
    connection.close()

    wait_for(lambda: set((stack.folder / "data/files").iterdir()) == before, "the folder as before")


def test_a_chunked_body_is_refused(stack: Stack) -> None:
    head = "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", stack.api_port), timeout=10) as connection:
        # One write: the gateway answers after the head, and may close the connection before a second write.
        connection.sendall(head.encode() + b"4\r\na,b\n\r\n4\r\n1,2\n\r\n0\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        problem = json.loads(answer.read())

    assert answer.status == 411
    assert problem["code"] == "length_required"


def test_an_overtaking_message_does_not_clear_the_ordinary_bell(stack: Stack) -> None:
    """The worker tells them apart by the priority of the Celery message; the ordinary message is still on its way."""
    lane, doorbell = "prediction/unknown/1/predict", CeleryDoorbell(stack.redis.url)
    with redis.Redis.from_url(stack.redis.url) as store:
        store.hset("qc:bells", lane, 1)
        doorbell.ring(lane, is_overtaking=True)
        wait_for(lambda: not any(map(store.llen, lists_of("predict"))), "a worker that takes the message")
        time.sleep(0.5)  # a worker handles a message within milliseconds
        is_still_noted = store.hexists("qc:bells", lane)

        doorbell.ring(lane)

        wait_for(lambda: not store.hexists("qc:bells", lane), "a worker that handles the normal message")
    assert is_still_noted


def test_a_message_contains_the_name_of_a_lane_and_no_rows(stack: Stack) -> None:
    messages = []
    with redis.Redis.from_url(stack.redis.url) as broker, broker.monitor() as monitor:
        listener = threading.Thread(
            target=lambda: messages.extend(
                next(sent for sent in monitor.listen() if "LPUSH" in sent["command"]) for _ in range(1)
            )
        )
        listener.start()
        body = {"inputs": rows_of(train.passengers()[train.COLUMNS].head(1))}
        httpx2.post(f"{stack.url}/v1/models/titanic/predictions", json=body, headers={"Prefer": "wait=20"}, timeout=30)
        listener.join(10)

    (encoded,) = re.findall(r'"body\\*": \\*"([A-Za-z0-9+/=]+)', messages[0]["command"])
    arguments, *_ = json.loads(base64.b64decode(encoded))
    assert [argument.rpartition("/")[0].rpartition("/")[0] for argument in arguments] == ["prediction/titanic"]
