"""A job whose process dies every time that it runs.

A model file of safe types cannot kill a process, so the harness does: it waits until the chosen training runs and
ends the trainer's pool child, attempt after attempt, until the service gives the job up.
"""

import signal
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from tests.chaos.cluster import Cluster
from tests.chaos.gateway import Gateway
from tests.chaos.history import FINAL
from tests.chaos.load import Load
from tests.chaos.member import children
from tests.chaos.plan import POISON_ATTEMPTS

ITERATIONS = 60_000  # a fit of a minute, so that it never ends before it is killed
NEIGHBOURS = 8
LIMIT_S = 120.0


def poison(cluster: Cluster, load: Load, tell: Callable[[str], None]) -> None:
    """Returns when the poisoned job has ended, or LIMIT_S is over; how it ended is for the checks to judge."""
    cluster.reconfigure(max_attempts=POISON_ATTEMPTS)
    orders = load.orders("poison")
    training, request = orders.training(ITERATIONS, promote="never")
    with closing(Gateway(cluster.url, load.history)) as gateway:
        job_id = gateway.submit(replace(training, is_poisoned=True), request)
        if job_id is None:
            tell("poison: the training was not accepted")
            return
        gateway.submit(*orders.importing())
        for model in ["titanic", "forest"] * (NEIGHBOURS // 2):
            gateway.submit(*orders.prediction(model, 3))
        kills = _kill_each_run(cluster, gateway, job_id)
        body = gateway.see(job_id) or {}
        error = body.get("error") or {}
        tell(f"poison: {kills} kills, then {body.get('state')} {error.get('code')} at attempt {body.get('attempt')}")
        _retry(gateway, job_id, tell)


def _kill_each_run(cluster: Cluster, gateway: Gateway, job_id: str) -> int:
    killed: set[int] = set()
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        body = gateway.see(job_id) or {}
        if body.get("state") in FINAL:
            break
        # In its fit: before that the trainer's child may be another one than the job's.
        is_fitting = (body.get("progress") or {}).get("stage") == "fit"
        if body.get("state") == "running" and is_fitting and body["attempt"] not in killed:
            process = cluster.members["trainer"].process
            for pid in children(process.pid) if process else []:
                cluster.signal(pid, signal.SIGKILL)
            killed.add(body["attempt"])
        time.sleep(0.1)
    return len(killed)


def _retry(gateway: Gateway, job_id: str, tell: Callable[[str], None]) -> None:
    """A dead letter can be retried as a job of its own; that one is canceled, since its fit takes a minute."""
    status, body = gateway.post(f"/v1/jobs/{job_id}/retry")
    if status != 202:
        tell(f"poison: the retry was answered with {status}")
        return
    gateway.cancel(body["id"])
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline and (gateway.see(body["id"]) or {}).get("state") not in FINAL:
        time.sleep(0.1)
    seen = gateway.see(body["id"]) or {}
    tell(f"poison: its retry was canceled and is {seen.get('state')}")
