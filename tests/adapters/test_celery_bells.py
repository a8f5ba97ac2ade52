"""A ring is one message in one queue, and the message holds a job's id and nothing else."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from deploy.embedded.redis_server import RedisServer, free_port
from queuecast.adapters.celery_bells import TASKS, CeleryBells
from queuecast.domain.errors import UnavailableError
from queuecast.domain.job import JobType
from tests.adapters.waits import at_once, until
from tests.domain.records import a_job

pytestmark = pytest.mark.redis

QUEUES = {JobType.PREDICTION: "predict", JobType.TRAINING: "train", JobType.IMPORT: "train"}


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as connected:
        yield connected


def lengths(client: redis.Redis) -> dict[str, int]:
    return {queue: client.llen(queue) for queue in ("predict", "train") if client.llen(queue)}


def envelope(client: redis.Redis, queue: str) -> dict[str, Any]:
    return json.loads(client.rpop(queue))


@pytest.mark.parametrize("kind", JobType)
def test_a_ring_puts_one_message_into_one_queue(redis_url: str, client: redis.Redis, kind: JobType) -> None:
    """Queues without an exchange of their own shared the default one, and each got every message."""
    CeleryBells(redis_url).ring(a_job(kind))

    assert lengths(client) == {QUEUES[kind]: 1}


def test_queues_stay_apart_when_both_have_been_rung(redis_url: str, client: redis.Redis) -> None:
    bells = CeleryBells(redis_url)

    for kind in (JobType.PREDICTION, JobType.TRAINING, JobType.PREDICTION, JobType.IMPORT, JobType.PREDICTION):
        bells.ring(a_job(kind))

    assert lengths(client) == {"predict": 3, "train": 2}


@pytest.mark.parametrize("kind", JobType)
def test_the_message_names_the_task_and_has_the_jobs_id_as_its_only_argument(
    redis_url: str, client: redis.Redis, kind: JobType
) -> None:
    job = a_job(kind)

    CeleryBells(redis_url).ring(job)

    message = envelope(client, QUEUES[kind])
    arguments = json.loads(base64.b64decode(message["body"]))
    assert (message["headers"]["task"], arguments[:2]) == (TASKS[kind], [[job.id], {}])


def test_nothing_else_of_a_job_is_in_the_message(redis_url: str, client: redis.Redis) -> None:
    job = a_job(model="secretmodel", metadata={"patient": "secretname"})

    CeleryBells(redis_url).ring(job)

    message = envelope(client, "predict")
    text = json.dumps(message) + base64.b64decode(message["body"]).decode()
    assert "secret" not in text
    assert job.model.sha256 is not None
    assert job.model.sha256 not in text


def test_messages_are_taken_in_the_order_of_the_rings(redis_url: str, client: redis.Redis) -> None:
    bells, rung = CeleryBells(redis_url), [a_job() for _ in range(5)]

    for job in rung:
        bells.ring(job)

    taken = [json.loads(base64.b64decode(envelope(client, "predict")["body"]))[0] for _ in rung]
    assert taken == [[job.id] for job in rung]


def test_rings_from_many_threads_are_neither_lost_nor_doubled(redis_url: str, client: redis.Redis) -> None:
    bells = CeleryBells(redis_url)

    answers = at_once([lambda: [bells.ring(a_job()) for _ in range(10)] and None] * 16)

    assert (answers, lengths(client)) == ([None] * 16, {"predict": 160})


def test_with_no_server_a_ring_fails_within_seconds() -> None:
    bells = CeleryBells(f"redis://127.0.0.1:{free_port()}/0")
    began = time.monotonic()

    with pytest.raises(UnavailableError, match="the queue does not answer"):
        bells.ring(a_job())

    assert time.monotonic() - began < 5


def test_with_a_wrong_password_a_ring_fails_within_seconds(redis_server: RedisServer) -> None:
    bells = CeleryBells(f"redis://:wrong@127.0.0.1:{redis_server.port}/0")
    began = time.monotonic()

    with pytest.raises(UnavailableError):
        bells.ring(a_job())

    assert time.monotonic() - began < 5


def test_bells_recover_by_themselves_and_ring_once_a_call(own_server: RedisServer) -> None:
    bells = CeleryBells(own_server.url)
    bells.ring(a_job())
    own_server.kill()
    with pytest.raises(UnavailableError):
        bells.ring(a_job())
    own_server.start()

    until(lambda: rings(bells))

    with redis.Redis.from_url(own_server.url) as client:
        assert lengths(client) == {"predict": 2}


def test_a_full_server_takes_no_ring(own_server: RedisServer) -> None:
    bells = CeleryBells(own_server.url)
    bells.ring(a_job())
    with redis.Redis.from_url(own_server.url) as client:
        client.config_set("maxmemory", 1)

        with pytest.raises(UnavailableError):
            bells.ring(a_job())

        assert lengths(client) == {"predict": 1}


def rings(bells: CeleryBells) -> bool:
    try:
        bells.ring(a_job())
    except UnavailableError:
        return False
    return True
