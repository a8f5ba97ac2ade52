"""Brings jobs to a state, by the moves that workers and the reaper make."""

from flask.testing import FlaskClient

from queuecast.domain.errors import Failure
from queuecast.domain.job import Job, State
from tests.api.conftest import PREDICTIONS, ROW, Gateway

RETENTION_S = 3600.0
NO_WORKER = Failure("worker_lost", "worker host:7 sent no heartbeat for 30 s")


def submitted(http: FlaskClient, **more: object) -> str:
    job_id: str = http.post(PREDICTIONS, json={"inputs": [ROW], **more}).json["id"]
    return job_id


def claimed(gateway: Gateway, job_id: str) -> Job:
    job = gateway.jobs.read(job_id).claimed("host:7", gateway.clock())
    gateway.jobs.replace(job)
    return job


def ended(gateway: Gateway, job_id: str, result: bytes = b'{"predictions":[0]}') -> None:
    gateway.jobs.replace(claimed(gateway, job_id).succeeded(gateway.clock(), RETENTION_S), result)


def failed(gateway: Gateway, job_id: str) -> None:
    failure = Failure("prediction_failed", "predict raised ValueError: no")
    gateway.jobs.replace(claimed(gateway, job_id).failed(failure, gateway.clock(), RETENTION_S))


def lost(gateway: Gateway, job_id: str) -> Job:
    """Ends one run of the job with its worker; after the last run the job is a dead letter."""
    job = claimed(gateway, job_id).lost(NO_WORKER, gateway.clock(), 0.5, 7 * RETENTION_S)
    gateway.jobs.replace(job)
    return job


def dead_letter(gateway: Gateway, http: FlaskClient, **more: object) -> str:
    job_id = submitted(http, **more)
    while not lost(gateway, job_id).is_dead_letter:
        pass
    return job_id


def in_state(gateway: Gateway, http: FlaskClient, state: State) -> str:
    """A new job in that state."""
    job_id = submitted(http, expires_in_s=1)
    job = gateway.jobs.read(job_id)
    if state is State.SUCCEEDED:
        ended(gateway, job_id)
    elif state is State.FAILED:
        failed(gateway, job_id)
    elif state is State.EXPIRED:
        gateway.jobs.replace(job.expired(gateway.clock() + 1, RETENTION_S))
    elif state is State.CANCELED:
        gateway.jobs.replace(job.cancel_requested(gateway.clock(), RETENTION_S))
    elif state is not State.QUEUED:
        running = claimed(gateway, job_id)
        if state is State.CANCELING:
            gateway.jobs.replace(running.cancel_requested(gateway.clock(), RETENTION_S))
    assert gateway.jobs.read(job_id).state is state
    return job_id
