"""The running workers, by their own reports and until they are silent."""

from collections.abc import Iterator

import pytest
import redis

from queuecast.adapters.celery.doorbell import CeleryDoorbell
from queuecast.adapters.celery.settings import lists_of
from queuecast.adapters.redis import keys
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.workers import WORKER_GONE_S, RedisWorkers
from queuecast.domain.job import JobType
from queuecast.ports.workers import ProcessModels
from tests.queuecast.domain.records import a_job

pytestmark = pytest.mark.redis


class StoppedClock:
    """A clock that stands still until a test sets it."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url) as connected:
        yield connected


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def workers(client: redis.Redis, clock: StoppedClock) -> RedisWorkers:
    return RedisWorkers(client, clock)


def test_no_queue_has_workers_before_a_report(workers: RedisWorkers) -> None:
    assert workers.count_by_queue() == {}


def test_a_worker_counts_in_each_of_its_queues(workers: RedisWorkers) -> None:
    workers.report("a", ("predict",))
    workers.report("b", ("predict", "train"))

    assert workers.count_by_queue() == {"predict": 2, "train": 1}


def test_a_worker_that_reports_again_counts_once_with_its_last_report(workers: RedisWorkers) -> None:
    workers.report("a", ("predict",))
    workers.report("a", ("train",))

    assert workers.count_by_queue() == {"train": 1}


def test_a_forgotten_worker_is_not_counted(workers: RedisWorkers) -> None:
    workers.report("a", ("predict",))

    workers.forget("a")
    workers.forget("never there")

    assert workers.count_by_queue() == {}


@pytest.mark.parametrize(("silence_s", "count"), [(WORKER_GONE_S, 1), (WORKER_GONE_S + 0.1, 0)])
def test_a_silent_worker_is_not_counted_after_a_while(
    workers: RedisWorkers, clock: StoppedClock, silence_s: float, count: int
) -> None:
    workers.report("a", ("predict",))

    clock.seconds += silence_s

    assert workers.count_by_queue().get("predict", 0) == count


def test_a_silent_worker_is_removed_from_redis(client: redis.Redis, workers: RedisWorkers, clock: StoppedClock) -> None:
    workers.report("dead", ("predict",))
    clock.seconds += WORKER_GONE_S + 1
    workers.report("alive", ("predict",))

    workers.count_by_queue()

    assert client.hkeys(keys.WORKERS) == [b"alive"]


def test_a_silent_worker_that_reports_again_is_counted(workers: RedisWorkers, clock: StoppedClock) -> None:
    workers.report("a", ("predict",))
    clock.seconds += WORKER_GONE_S + 1
    workers.count_by_queue()

    workers.report("a", ("predict",))

    assert workers.count_by_queue() == {"predict": 1}


def test_the_queue_lengths_count_the_rings(redis_url: str, workers: RedisWorkers) -> None:
    bells = CeleryDoorbell(redis_url)
    for kind in (JobType.PREDICTION, JobType.PREDICTION, JobType.TRAINING):
        bells.ring(a_job(kind).lane)

    both = [*lists_of("predict"), *lists_of("train")]
    assert workers.queue_lengths(both) == [0, 0, 2, 0, 0, 0, 0, 1, 0, 0]
    assert workers.queue_lengths([]) == []


# The models that their processes have loaded


def test_the_last_report_of_each_process_is_listed(workers: RedisWorkers) -> None:
    later = ProcessModels({"titanic": [1, 2]}, {"titanic": 7}, loading="iris")
    workers.report_models("a:1", ProcessModels())
    workers.report_models("a:1", later)
    workers.report_models("b:2", ProcessModels())

    assert workers.loaded_models() == {"a:1": later, "b:2": ProcessModels()}


def test_a_silent_process_drops_off(client: redis.Redis, clock: StoppedClock, workers: RedisWorkers) -> None:
    workers.report_models("silent", ProcessModels())
    clock.seconds += WORKER_GONE_S
    workers.report_models("alive", ProcessModels())
    assert sorted(workers.loaded_models()) == ["alive", "silent"]

    clock.seconds += 0.1

    assert list(workers.loaded_models()) == ["alive"]
    assert client.hkeys(keys.LOADED) == [b"alive"]


def test_a_process_that_ends_is_forgotten(workers: RedisWorkers) -> None:
    workers.report_models("a:1", ProcessModels())

    workers.forget_process("a:1")

    assert workers.loaded_models() == {}
