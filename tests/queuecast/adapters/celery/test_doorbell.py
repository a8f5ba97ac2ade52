"""A ring is one message in one queue, and the message contains only the name of a lane."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from deploy.embedded.redis_server import RedisServer, free_port
from queuecast.adapters.celery.doorbell import TASKS, CeleryDoorbell
from queuecast.adapters.celery.settings import lists_of
from queuecast.domain.job import JobType, ModelRef, Priority
from queuecast.domain.lane import Lane
from queuecast.domain.work import Method, PredictionWork
from tests.queuecast.adapters.waits import at_once, until
from tests.queuecast.domain.records import a_job

pytestmark = pytest.mark.redis

QUEUES = dict.fromkeys(JobType, "predict") | dict.fromkeys(
    (JobType.TRAINING, JobType.IMPORT, JobType.EVALUATION), "train"
)
LANES = {kind: a_job(kind).lane for kind in JobType}
LANE = LANES[JobType.PREDICTION]


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as connected:
        yield connected


def lengths(client: redis.Redis) -> dict[str, int]:
    counts = {queue: sum(client.llen(each) for each in lists_of(queue)) for queue in ("predict", "train")}
    return {queue: count for queue, count in counts.items() if count}


def envelope(client: redis.Redis, queue: str) -> dict[str, Any]:
    """The message that a worker would take next."""
    return json.loads(next(filter(None, (client.rpop(each) for each in lists_of(queue)))))


@pytest.mark.parametrize("priority", Priority)
def test_a_message_waits_in_the_list_of_its_priority(redis_url: str, client: redis.Redis, priority: Priority) -> None:
    lane = str(Lane.of_job(JobType.PREDICTION, ModelRef("titanic", 3), PredictionWork(Method.PREDICT, 1), priority))

    CeleryDoorbell(redis_url).ring(lane)

    rank = [Priority.HIGH, Priority.NORMAL, Priority.LOW].index(priority)
    overtaking, *others = [client.llen(each) for each in lists_of("predict")]
    assert (overtaking, others) == (0, [int(index == rank) for index in range(4)])


def test_an_overtaking_message_goes_before_every_priority(redis_url: str, client: redis.Redis) -> None:
    bells = CeleryDoorbell(redis_url)
    bells.ring(f"{LANE}/high")
    bells.ring(f"{LANE}/low", is_overtaking=True)

    assert [client.llen(each) for each in lists_of("predict")] == [1, 1, 0, 0, 0]
    assert arguments(envelope(client, "predict"))[0] == [f"{LANE}/low"]


@pytest.mark.parametrize("kind", JobType)
def test_a_ring_puts_one_message_into_one_queue(redis_url: str, client: redis.Redis, kind: JobType) -> None:
    """Without their own exchanges the queues shared the default one, and each got every message."""
    CeleryDoorbell(redis_url).ring(LANES[kind])

    assert lengths(client) == {QUEUES[kind]: 1}


def test_queues_stay_apart_when_both_have_been_rung(redis_url: str, client: redis.Redis) -> None:
    bells = CeleryDoorbell(redis_url)

    for kind in (JobType.PREDICTION, JobType.TRAINING, JobType.PREDICTION, JobType.IMPORT, JobType.PREDICTION):
        bells.ring(LANES[kind])

    assert lengths(client) == {"predict": 3, "train": 2}


def arguments(message: dict[str, Any]) -> Any:
    """Positional and named."""
    return json.loads(base64.b64decode(message["body"]))[:2]


@pytest.mark.parametrize("kind", JobType)
def test_the_message_names_the_task_and_has_the_lanes_name_as_its_only_argument(
    redis_url: str, client: redis.Redis, kind: JobType
) -> None:
    CeleryDoorbell(redis_url).ring(LANES[kind])

    message = envelope(client, QUEUES[kind])
    assert (message["headers"]["task"], arguments(message)) == (TASKS[kind], [[LANES[kind]], {}])


def test_every_ring_has_a_new_task_id(redis_url: str, client: redis.Redis) -> None:
    """A task with the id of an earlier one would inherit its revocation."""
    bells = CeleryDoorbell(redis_url)

    for _ in range(3):
        bells.ring(LANE)

    assert len({envelope(client, "predict")["headers"]["id"] for _ in range(3)}) == 3


def test_messages_are_consumed_in_the_order_of_the_rings(redis_url: str, client: redis.Redis) -> None:
    bells, rung = CeleryDoorbell(redis_url), [a_job(version=version).lane for version in range(1, 6)]

    for lane in rung:
        bells.ring(lane)

    assert [arguments(envelope(client, "predict"))[0] for _ in rung] == [[lane] for lane in rung]


@pytest.mark.parametrize("lane", ["", "nonsense", "predictions/titanic/1/predict"])
def test_a_name_that_is_not_a_lane_is_not_rung_for(redis_url: str, client: redis.Redis, lane: str) -> None:
    with pytest.raises(ValueError, match="is not a valid JobType"):
        CeleryDoorbell(redis_url).ring(lane)

    assert lengths(client) == {}


def test_a_lane_with_a_priority_of_a_later_version_is_rung_for_as_a_normal_one(
    redis_url: str, client: redis.Redis
) -> None:
    CeleryDoorbell(redis_url).ring(f"{LANE}/urgent")

    assert [client.llen(each) for each in lists_of("predict")] == [0, 0, 1, 0, 0]
    assert arguments(envelope(client, "predict"))[0] == [f"{LANE}/urgent"]


def test_rings_from_many_threads_are_neither_lost_nor_repeated(redis_url: str, client: redis.Redis) -> None:
    bells = CeleryDoorbell(redis_url)

    answers = at_once([lambda: [bells.ring(LANE) for _ in range(10)]] * 16)

    assert (answers, lengths(client)) == ([[True] * 10] * 16, {"predict": 160})


def test_a_ring_without_a_server_fails_within_seconds() -> None:
    bells = CeleryDoorbell(f"redis://127.0.0.1:{free_port()}/0")
    began = time.monotonic()

    was_sent = bells.ring(LANE)

    assert not was_sent
    assert time.monotonic() - began < 5


def test_a_ring_with_a_wrong_password_fails_within_seconds(redis_server: RedisServer) -> None:
    bells = CeleryDoorbell(f"redis://:wrong@127.0.0.1:{redis_server.port}/0")
    began = time.monotonic()

    was_sent = bells.ring(LANE)

    assert not was_sent
    assert time.monotonic() - began < 5


def test_a_doorbell_recovers_by_itself_and_sends_one_message_per_ring(own_server: RedisServer) -> None:
    bells = CeleryDoorbell(own_server.url)
    bells.ring(LANE)
    own_server.kill()
    was_sent_while_down = bells.ring(LANE)
    own_server.start()

    until(lambda: bells.ring(LANE))

    assert not was_sent_while_down
    with redis.Redis.from_url(own_server.url) as client:
        assert lengths(client) == {"predict": 2}


def test_a_ring_fails_when_the_server_is_full(own_server: RedisServer) -> None:
    bells = CeleryDoorbell(own_server.url)
    bells.ring(LANE)
    with redis.Redis.from_url(own_server.url) as client:
        client.config_set("maxmemory", 1)

        was_sent = bells.ring(LANE)

        assert not was_sent
        assert lengths(client) == {"predict": 1}
