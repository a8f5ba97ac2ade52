"""The main job end to end, on the Titanic's passengers: push, predict, retrain, go back."""

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
    """The pipeline that train.py pushed, fitted again: the fit is deterministic."""
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


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity on this system: nothing to keep to")
def test_all_threads_of_the_gateway_keep_to_one_core(stack: Stack) -> None:
    httpx2.get(f"{stack.url}/v1/queues").raise_for_status()  # so that there is a thread that has run Python
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
    """Forty jobs that came while nobody worked: more rows than one claim takes, so each worker is rung for.

    A worker that keeps up calls no other: of jobs that came one by one, it would answer all.
    """
    frame = train.passengers()[train.COLUMNS]
    with stack.frozen("worker1", "worker2"), ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: client.predict(model, frame), range(40)))


def test_a_retraining_is_served_at_once_by_every_worker_and_a_rollback_returns(
    stack: Stack, client: Client, tmp_path: Path
) -> None:
    frame = train.passengers()
    client.push("ship", train.logistic().fit(*fitted(frame)), *fitted(frame), holdout=holdout(frame[train.COLUMNS]))
    wait_for(lambda: "ship" in {model["name"] for model in client.models()}, "the first version")
    changed = tmp_path / "changed.csv"
    frame.assign(fare=frame.fare * 1.1).to_csv(changed, index=False)

    trained = client.train("ship", changed, "survived").result(120)
    versions_after_training = versions_served(stack, client)
    client.rollback("ship", "as a trial")
    versions_after_rollback = versions_served(stack, client)

    assert trained["version"] == 2
    assert trained["promoted"] == (trained["challenger"]["score"] >= trained["champion"]["score"])
    assert trained["promoted"], "the changed file is meant to be no worse"
    assert versions_after_training == [{2}, {2}]
    assert versions_after_rollback == [{1}, {1}]


def fitted(frame):
    split = holdout(frame[train.COLUMNS])
    return frame.iloc[split.train][train.COLUMNS], frame.iloc[split.train][train.TARGET]


def versions_served(stack: Stack, client: Client) -> list[set[int]]:
    """Which versions each worker answers with."""
    served: dict[str, set[int]] = {}
    for job in backlog(stack, client, "ship"):
        version = job.result(60)["model"]["version"]
        served.setdefault(job.body["worker"], set()).add(version)
    return list(served.values())


def test_a_second_training_of_a_model_is_refused_while_one_is_on_its_way(stack: Stack, client: Client) -> None:
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


def test_progress_of_a_training_names_stages_and_rows(client: Client) -> None:
    seen = []

    client.train("titanic", train.DATA, "survived", promote="never").wait(
        60, on_change=lambda job: seen.append(job.body["progress"])
    )

    assert seen[-1]["done"] == seen[-1]["total"] == 6
    assert seen[-1]["unit"] == "stages"


def test_a_pushed_model_with_a_function_of_ones_own_fails_with_a_reason(client: Client) -> None:
    pipeline = make_pipeline(FunctionTransformer(wait_for), LinearRegression())

    job = client.push("own", pipeline, np.array([[1.0], [2.0]]), np.array([1.0, 2.0])).wait(60)

    assert job.state == "failed"
    assert job.body["error"]["code"] == "untrusted_types"
    assert "wait_for" in job.body["error"]["detail"]
    assert "own" not in {model["name"] for model in client.models()}


def test_an_upload_cut_short_on_the_wire_leaves_nothing(stack: Stack) -> None:
    before = set((stack.folder / "data/files").iterdir())
    connection = http.client.HTTPConnection("127.0.0.1", stack.api_port, timeout=10)
    connection.putrequest("POST", "/v1/files")
    connection.putheader("Content-Type", "text/csv")
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()

    connection.send(b"a,b\n1,2\n" * 100)
    connection.close()

    wait_for(lambda: set((stack.folder / "data/files").iterdir()) == before, "the folder as it was")


def test_a_chunked_body_is_refused(stack: Stack) -> None:
    head = "POST /v1/files HTTP/1.1\r\nHost: here\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", stack.api_port), timeout=10) as connection:
        # All at once: the gateway answers after the head, and may have closed before a second write.
        connection.sendall(head.encode() + b"4\r\na,b\n\r\n4\r\n1,2\n\r\n0\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        problem = json.loads(answer.read())

    assert answer.status == 411
    assert problem["code"] == "length_required"


def test_a_worker_knows_a_bell_that_was_rung_beside_another(stack: Stack) -> None:
    """By the priority of Celery's message: the other one still stands for what waits."""
    lane, bells = "prediction/nobody/1/predict", CeleryDoorbell(stack.redis.url)
    with redis.Redis.from_url(stack.redis.url) as store:
        store.hset("qc:bells", lane, 1)
        bells.ring(lane, is_urgent=True)
        wait_for(lambda: not any(map(store.llen, lists_of("predict"))), "a worker that takes the message")
        time.sleep(0.5)  # it answers within milliseconds
        is_noted = store.hexists("qc:bells", lane)

        bells.ring(lane)

        wait_for(lambda: not store.hexists("qc:bells", lane), "the answer to the other bell")
    assert is_noted


def test_a_message_holds_the_name_of_a_lane_and_no_row(stack: Stack) -> None:
    messages = []
    with redis.Redis.from_url(stack.redis.url) as broker, broker.monitor() as monitor:
        listener = threading.Thread(
            target=lambda: messages.extend(
                next(c for c in monitor.listen() if "LPUSH" in c["command"]) for _ in range(1)
            )
        )
        listener.start()
        body = {"inputs": rows_of(train.passengers()[train.COLUMNS].head(1))}
        httpx2.post(f"{stack.url}/v1/models/titanic/predictions", json=body, headers={"Prefer": "wait=20"}, timeout=30)
        listener.join(10)

    (encoded,) = re.findall(r'"body\\*": \\*"([A-Za-z0-9+/=]+)', messages[0]["command"])
    arguments, *_ = json.loads(base64.b64decode(encoded))
    assert [argument.rpartition("/")[0].rpartition("/")[0] for argument in arguments] == ["prediction/titanic"]
