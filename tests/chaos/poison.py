"""A job whose process dies on every run.

A model file of safe types cannot kill a process, so the harness does: it waits until the chosen training runs, and
kills the trainer's pool child on every attempt until the service gives up on the job.
"""

import signal
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from tests.chaos.cluster import Cluster
from tests.chaos.history import FINAL
from tests.chaos.load import Load
from tests.chaos.member import children
from tests.chaos.plan import POISON_ATTEMPTS
from tests.chaos.recording_client import RecordingClient

ITERATIONS = 60_000  # a fit of a minute, so that the kill comes before its end
NEIGHBOURS = 8
LIMIT_S = 120.0


def poison(cluster: Cluster, load: Load, log: Callable[[str], None]) -> None:
    """Returns when the job has ended or after LIMIT_S. The checks judge how it ended."""
    cluster.reconfigure(max_attempts=POISON_ATTEMPTS)
    submits = load.submits("poison")
    training, request = submits.training(ITERATIONS, promote="never")
    with closing(RecordingClient(cluster.url, load.history)) as client:
        job_id = client.submit(replace(training, is_poisoned=True), request)
        if job_id is None:
            log("poison: the training was not accepted")
            return
        client.submit(*submits.importing())
        for model in ["titanic", "forest"] * (NEIGHBOURS // 2):
            client.submit(*submits.prediction(model, 3))
        kills = _kill_each_run(cluster, client, job_id)
        body = client.read_job(job_id) or {}
        error = body.get("error") or {}
        log(f"poison: {kills} kills, then {body.get('state')} {error.get('code')} at attempt {body.get('attempt')}")
        _retry(client, job_id, log)


def _kill_each_run(cluster: Cluster, client: RecordingClient, job_id: str) -> int:
    killed: set[int] = set()
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        body = client.read_job(job_id) or {}
        if body.get("state") in FINAL:
            break
        # Only during its fit: before that, the trainer's child may belong to another job.
        is_fitting = (body.get("progress") or {}).get("stage") == "fit"
        if body.get("state") == "running" and is_fitting and body["attempt"] not in killed:
            process = cluster.members["trainer"].process
            for pid in children(process.pid) if process else []:
                cluster.signal(pid, signal.SIGKILL)
            killed.add(body["attempt"])
        time.sleep(0.1)
    return len(killed)


def _retry(client: RecordingClient, job_id: str, log: Callable[[str], None]) -> None:
    """Retries the dead letter as a new job, and cancels that job, since its fit takes a minute."""
    status, body = client.post(f"/v1/jobs/{job_id}/retry")
    if status != 202:
        log(f"poison: the retry was answered with {status}")
        return
    client.cancel(body["id"])
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline and (client.read_job(body["id"]) or {}).get("state") not in FINAL:
        time.sleep(0.1)
    seen = client.read_job(body["id"]) or {}
    log(f"poison: the retry was canceled and ended {seen.get('state')}")
