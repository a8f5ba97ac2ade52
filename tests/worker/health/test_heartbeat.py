"""When a worker counts as well, and when it ends itself. The messages, the clock and the end are in memory."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import bootsteps, signals
from celery.worker import state

from queuecast.domain.errors import UnavailableError
from worker.health.heartbeat import WorkerHeartbeat
from worker.health.watchdog import Watchdog


class Queues:
    """A WorkerList in memory, on a Redis that can go away."""

    def __init__(self) -> None:
        self.messages = 0
        self.is_away = False
        self.names: set[str] = set()

    def ping(self) -> None:
        if self.is_away:
            raise UnavailableError("Redis does not answer")

    def report(self, name: str, queues: tuple[str, ...]) -> None:
        self.ping()
        self.names.add(name)

    def forget(self, name: str) -> None:
        self.ping()
        self.names.discard(name)

    def queue_lengths(self, queues: tuple[str, ...]) -> list[int]:
        self.ping()
        return [0, self.messages]

    def count_by_queue(self) -> dict[str, int]:
        return {"predict": len(self.names)}


class Consumer:
    """What Celery sends with `worker_ready`."""

    def __init__(self, controller: Any) -> None:
        self.controller = controller


class House:
    """A Presence, connected to Celery's signals as in a worker, and the time that passes in it."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.queues = Queues()
        self.ends: list[str] = []
        self.health_file = folder / "consuming"
        self.controller = SimpleNamespace(
            hostname="predict@here",
            app=SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from={"predict": None}))),
            concurrency=1,
            blueprint=SimpleNamespace(state=bootsteps.RUN),
        )
        WorkerHeartbeat(self.queues, str(self.health_file), self.queues.ping, self.end, lambda: self.now).connect()
        signals.worker_ready.send(sender=Consumer(self.controller))

    def end(self, event: str, **fields: Any) -> None:
        self.ends.append(event)

    def beat_for(self, seconds: float) -> None:
        """Celery's heartbeat every two seconds."""
        for _ in range(int(seconds / 2)):
            self.now += 2
            signals.heartbeat_sent.send(sender=None)

    def is_well(self) -> bool:
        """The health file is touched by a heartbeat."""
        self.health_file.unlink(missing_ok=True)
        self.beat_for(2)
        return self.health_file.exists()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    used = (signals.worker_ready, signals.task_received, signals.heartbeat_sent, signals.worker_shutdown)
    before = [list(signal.receivers or ()) for signal in used]
    yield House(tmp_path)
    for signal, receivers in zip(used, before, strict=True):
        signal.receivers = receivers
        signal.sender_receivers_cache.clear()
    state.reserved_requests.clear()


class Request:
    """Something that a worker holds."""


def test_a_worker_with_nothing_to_do_is_well(house: House) -> None:
    house.beat_for(3600)

    assert house.is_well()
    assert house.ends == []
    assert house.queues.names == {"predict@here"}


def test_a_worker_that_is_free_while_messages_wait_ends_itself_after_half_a_minute(house: House) -> None:
    house.queues.messages = 1

    house.beat_for(30)
    before = list(house.ends)
    house.beat_for(2)

    assert before == []
    assert house.ends == ["worker_stalled"]


def test_a_stalled_worker_no_longer_touches_its_health_file(house: House) -> None:
    house.queues.messages = 1
    house.beat_for(32)

    assert not house.is_well()


def test_a_worker_that_takes_messages_while_more_wait_is_well(house: House) -> None:
    house.queues.messages = 1000
    for _ in range(100):
        house.beat_for(20)
        signals.task_received.send(sender=None)

    assert house.is_well()
    assert house.ends == []


def test_a_worker_that_is_busy_with_a_long_job_is_well(house: House) -> None:
    house.queues.messages = 1000
    held = Request()
    state.reserved_requests.add(held)

    house.beat_for(7200)

    assert house.is_well()
    assert house.ends == []


def test_a_worker_that_stops_may_leave_messages_while_its_last_job_runs(house: House) -> None:
    house.controller.blueprint.state = bootsteps.CLOSE
    house.queues.messages = 1000

    house.beat_for(600)

    assert house.ends == []


@pytest.mark.parametrize("away_s", [20, 60, 3600])
def test_what_has_waited_while_redis_was_away_is_not_held_against_the_worker(house: House, away_s: int) -> None:
    house.queues.messages = 1000
    house.queues.is_away = True
    house.beat_for(away_s)
    was_touched = house.is_well()
    house.queues.is_away = False

    house.beat_for(28)

    assert not was_touched
    assert house.ends == []


def test_what_has_waited_while_the_process_was_paused_is_not_held_against_the_worker(house: House) -> None:
    house.beat_for(10)
    house.queues.messages = 1000
    house.now += 600

    house.beat_for(30)

    assert house.ends == []


def test_a_worker_that_stopped_is_no_longer_listed(house: House) -> None:
    signals.worker_shutdown.send(sender=None)

    assert house.queues.names == set()


# The watchdog


class Watched:
    """A watchdog whose looks are called by the test, every five seconds of its time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.queues = Queues()
        self.ends: list[str] = []
        self.watchdog = Watchdog(self.queues.ping, lambda event, **_: self.ends.append(event), lambda: self.now)

    def look_for(self, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> None:
        for _ in range(int(seconds / 5)):
            self.now += 5
            meanwhile()
            self.watchdog.look()


def test_a_loop_that_beats_is_left_alone() -> None:
    watched = Watched()

    watched.look_for(3600, watched.watchdog.beat)

    assert watched.ends == []


def test_a_loop_that_is_silent_for_a_minute_while_redis_answers_is_ended() -> None:
    watched = Watched()

    watched.look_for(60)
    before = list(watched.ends)
    watched.look_for(5)

    assert before == []
    assert watched.ends == ["worker_hung"]


def test_a_loop_that_is_silent_because_redis_is_away_is_left_alone_for_as_long_as_it_takes() -> None:
    watched = Watched()
    watched.queues.is_away = True

    watched.look_for(7200)

    assert watched.ends == []


def test_a_loop_has_a_minute_to_find_a_redis_that_came_back() -> None:
    watched = Watched()
    watched.queues.is_away = True
    watched.look_for(600)
    watched.queues.is_away = False

    watched.look_for(60)
    before = list(watched.ends)
    watched.look_for(5)

    assert before == []
    assert watched.ends == ["worker_hung"]


def test_a_pause_of_the_whole_process_is_not_held_against_its_loop() -> None:
    watched = Watched()
    watched.now += 3600

    watched.look_for(60)

    assert watched.ends == []


def test_a_worker_that_stops_may_be_silent() -> None:
    watched = Watched()
    watched.watchdog.start(lambda: False)

    watched.look_for(600)

    assert watched.ends == []
