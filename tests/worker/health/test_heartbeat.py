"""When a worker counts as healthy and when it ends itself. The clock and the end are in memory, most messages too."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from celery import bootsteps, signals
from celery.worker import state

from queuecast.adapters.celery.doorbell import CeleryDoorbell
from queuecast.adapters.celery.settings import lists_of
from queuecast.adapters.redis.workers import RedisWorkers
from queuecast.domain.errors import UnavailableError
from queuecast.ports.workers import WorkerList
from worker.health.heartbeat import WorkerHeartbeat
from worker.health.watchdog import Watchdog

LANE = "prediction/titanic/1/predict"
NORMAL = lists_of("predict")[2]  # the Redis list of the messages for lanes like LANE


class FakeWorkerList:
    """A WorkerList in memory, with outages. Its messages are of normal urgency."""

    def __init__(self) -> None:
        self.messages = 0
        self.is_unreachable = False
        self.names: set[str] = set()

    def ping(self) -> None:
        if self.is_unreachable:
            raise UnavailableError("Redis does not answer")

    def report(self, name: str, queues: tuple[str, ...]) -> None:
        self.ping()
        self.names.add(name)

    def forget(self, name: str) -> None:
        self.ping()
        self.names.discard(name)

    def queue_lengths(self, lists: Sequence[str]) -> list[int]:
        self.ping()
        return [self.messages if name == NORMAL else 0 for name in lists]

    def count_by_queue(self) -> dict[str, int]:
        return {"predict": len(self.names)}


class WorkerReadySender:
    """The sender of Celery's `worker_ready`."""

    def __init__(self, controller: Any) -> None:
        self.controller = controller


class WorkerWithHeartbeat:
    """A heartbeat that is connected to Celery's signals, and its clock."""

    def __init__(self, folder: Path, workers: WorkerList | None = None) -> None:
        self.now = 1000.0
        self.worker_list = FakeWorkerList()
        self.ends: list[str] = []
        self.health_file = folder / "consuming"
        self.controller = SimpleNamespace(
            hostname="predict@here",
            app=SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from={"predict": None}))),
            concurrency=1,
            blueprint=SimpleNamespace(state=bootsteps.RUN),
        )
        WorkerHeartbeat(
            workers or self.worker_list,
            lists_of,
            str(self.health_file),
            self.worker_list.ping,
            self.end,
            lambda: self.now,
        ).connect()
        signals.worker_ready.send(sender=WorkerReadySender(self.controller))

    def end(self, event: str, **fields: Any) -> None:
        self.ends.append(event)

    def beat_for(self, seconds: float) -> None:
        """Celery's heartbeat every two seconds."""
        for _ in range(int(seconds / 2)):
            self.now += 2
            signals.heartbeat_sent.send(sender=None)

    def is_healthy(self) -> bool:
        """The health file is touched by a heartbeat."""
        self.health_file.unlink(missing_ok=True)
        self.beat_for(2)
        return self.health_file.exists()


@pytest.fixture
def own_signals() -> Iterator[None]:
    used = (signals.worker_ready, signals.task_received, signals.heartbeat_sent, signals.worker_shutdown)
    before = [list(signal.receivers or ()) for signal in used]
    yield
    for signal, receivers in zip(used, before, strict=True):
        signal.receivers = receivers
        signal.sender_receivers_cache.clear()
    state.reserved_requests.clear()


@pytest.fixture
def worker(tmp_path: Path, own_signals: None) -> WorkerWithHeartbeat:
    return WorkerWithHeartbeat(tmp_path)


@pytest.fixture
def redis_worker(tmp_path: Path, redis_url: str, own_signals: None) -> Iterator[WorkerWithHeartbeat]:
    """Its messages are in Redis."""
    with redis.Redis.from_url(redis_url) as client:
        yield WorkerWithHeartbeat(tmp_path, RedisWorkers(client, time.time))


class HeldMessage:
    """A message that a worker holds."""


def test_an_idle_worker_is_healthy(worker: WorkerWithHeartbeat) -> None:
    worker.beat_for(3600)

    assert worker.is_healthy()
    assert worker.ends == []
    assert worker.worker_list.names == {"predict@here"}


def test_an_idle_worker_ends_itself_when_messages_have_waited_for_half_a_minute(worker: WorkerWithHeartbeat) -> None:
    worker.worker_list.messages = 1

    worker.beat_for(30)
    before = list(worker.ends)
    worker.beat_for(2)

    assert before == []
    assert worker.ends == ["worker_stalled"]


@pytest.mark.redis
@pytest.mark.parametrize(
    ("lane", "is_overtaking"),
    [(f"{LANE}/low", True), (f"{LANE}/high", False), (LANE, False), (f"{LANE}/low", False), ("chunk/job_7", False)],
    ids=["overtaking", "high", "normal", "low", "bulk"],
)
def test_an_idle_worker_ends_itself_whatever_the_urgency_of_the_waiting_message(
    redis_worker: WorkerWithHeartbeat, redis_url: str, lane: str, is_overtaking: bool
) -> None:
    """Each urgency has a list of its own. Once only a message in the list of overtaking ones was seen."""
    CeleryDoorbell(redis_url).ring(lane, is_overtaking=is_overtaking)

    redis_worker.beat_for(32)

    assert redis_worker.ends == ["worker_stalled"]


@pytest.mark.redis
def test_messages_in_a_queue_of_other_workers_do_not_end_the_worker(
    redis_worker: WorkerWithHeartbeat, redis_url: str
) -> None:
    CeleryDoorbell(redis_url).ring("training")

    redis_worker.beat_for(60)

    assert redis_worker.ends == []


def test_a_stalled_worker_no_longer_touches_its_health_file(worker: WorkerWithHeartbeat) -> None:
    worker.worker_list.messages = 1
    worker.beat_for(32)

    assert not worker.is_healthy()


def test_a_worker_that_takes_messages_while_more_wait_is_healthy(worker: WorkerWithHeartbeat) -> None:
    worker.worker_list.messages = 1000
    for _ in range(100):
        worker.beat_for(20)
        signals.task_received.send(sender=None)

    assert worker.is_healthy()
    assert worker.ends == []


def test_a_worker_that_is_busy_with_a_long_job_is_healthy(worker: WorkerWithHeartbeat) -> None:
    worker.worker_list.messages = 1000
    held = HeldMessage()
    state.reserved_requests.add(held)

    worker.beat_for(7200)

    assert worker.is_healthy()
    assert worker.ends == []


def test_a_stopping_worker_may_leave_messages_while_its_last_job_runs(worker: WorkerWithHeartbeat) -> None:
    worker.controller.blueprint.state = bootsteps.CLOSE
    worker.worker_list.messages = 1000

    worker.beat_for(600)

    assert worker.ends == []


@pytest.mark.parametrize("away_s", [20, 60, 3600])
def test_messages_that_waited_during_an_outage_do_not_end_the_worker(worker: WorkerWithHeartbeat, away_s: int) -> None:
    worker.worker_list.messages = 1000
    worker.worker_list.is_unreachable = True
    worker.beat_for(away_s)
    was_touched = worker.is_healthy()
    worker.worker_list.is_unreachable = False

    worker.beat_for(28)

    assert not was_touched
    assert worker.ends == []


def test_messages_that_waited_while_the_process_was_paused_do_not_end_the_worker(worker: WorkerWithHeartbeat) -> None:
    worker.beat_for(10)
    worker.worker_list.messages = 1000
    worker.now += 600

    worker.beat_for(30)

    assert worker.ends == []


def test_a_worker_that_stopped_is_no_longer_listed(worker: WorkerWithHeartbeat) -> None:
    signals.worker_shutdown.send(sender=None)

    assert worker.worker_list.names == set()


# The watchdog


class CheckedWatchdog:
    """A watchdog that the test calls every five seconds of its clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.worker_list = FakeWorkerList()
        self.ends: list[str] = []
        self.watchdog = Watchdog(self.worker_list.ping, lambda event, **_: self.ends.append(event), lambda: self.now)

    def check_for(self, seconds: float, on_check: Callable[[], None] = lambda: None) -> None:
        for _ in range(int(seconds / 5)):
            self.now += 5
            on_check()
            self.watchdog.check()


def test_a_loop_that_beats_is_left_alone() -> None:
    checked = CheckedWatchdog()

    checked.check_for(3600, checked.watchdog.beat)

    assert checked.ends == []


def test_a_loop_that_is_silent_for_a_minute_while_redis_responds_is_ended() -> None:
    checked = CheckedWatchdog()

    checked.check_for(60)
    before = list(checked.ends)
    checked.check_for(5)

    assert before == []
    assert checked.ends == ["worker_hung"]


def test_a_loop_that_is_silent_because_redis_is_away_is_never_ended() -> None:
    checked = CheckedWatchdog()
    checked.worker_list.is_unreachable = True

    checked.check_for(7200)

    assert checked.ends == []


def test_a_loop_has_a_minute_to_reconnect_after_an_outage() -> None:
    checked = CheckedWatchdog()
    checked.worker_list.is_unreachable = True
    checked.check_for(600)
    checked.worker_list.is_unreachable = False

    checked.check_for(60)
    before = list(checked.ends)
    checked.check_for(5)

    assert before == []
    assert checked.ends == ["worker_hung"]


def test_a_pause_of_the_whole_process_does_not_end_it() -> None:
    checked = CheckedWatchdog()
    checked.now += 3600

    checked.check_for(60)

    assert checked.ends == []


def test_a_stopping_worker_may_be_silent() -> None:
    checked = CheckedWatchdog()
    checked.watchdog.start(lambda: False)

    checked.check_for(600)

    assert checked.ends == []
