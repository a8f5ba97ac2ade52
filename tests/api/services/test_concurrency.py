"""A few requests at a time, first come, first served."""

import io
import json
import threading
import time

import pytest

from api.dependencies import CONCURRENT_REQUESTS
from api.services.concurrency import FairLimiter
from tests.api.conftest import PREDICTIONS, ROW, Gateway
from tests.queuecast.adapters.waits import until


class SlotHolders:
    """Threads that each acquire a slot and keep it until `end`."""

    def __init__(self, limiter: FairLimiter) -> None:
        self.entered: list[int] = []
        self.may_leave = threading.Event()
        self._limiter = limiter
        self._threads: list[threading.Thread] = []

    def add(self, number: int) -> None:
        thread = threading.Thread(target=self._hold_slot, args=(number,))
        self._threads.append(thread)
        thread.start()

    def _hold_slot(self, number: int) -> None:
        with self._limiter.slot():
            self.entered.append(number)
            self.may_leave.wait(20)

    def end(self) -> None:
        self.may_leave.set()
        for thread in self._threads:
            thread.join(20)


def test_slots_are_limited_and_handed_out_in_order_of_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FairLimiter, "MAX_WAIT_S", 20.0)
    limiter = FairLimiter(1)
    holders = SlotHolders(limiter)
    for number in range(6):
        holders.add(number)
        until(lambda number=number: len(holders.entered) + len(limiter._queue) == number + 1)
    inside = list(holders.entered)
    holders.end()

    assert inside == [0]
    assert holders.entered == [0, 1, 2, 3, 4, 5]


def test_a_thread_that_waited_too_long_runs_without_a_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FairLimiter, "MAX_WAIT_S", 0.01)
    limiter = FairLimiter(1)
    holders = SlotHolders(limiter)
    for number in range(3):
        holders.add(number)
    until(lambda: len(holders.entered) == 3)
    holders.end()

    assert (limiter._free, list(limiter._queue)) == (1, [])


def test_a_released_slot_goes_to_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FairLimiter, "MAX_WAIT_S", 20.0)
    limiter = FairLimiter(1)
    holders = SlotHolders(limiter)
    with limiter.slot():
        holders.add(1)
        with limiter.released():
            until(lambda: holders.entered)
            holders.end()

    assert limiter._free == 1


def test_a_thread_without_a_slot_releases_none() -> None:
    limiter = FairLimiter(1)

    with limiter.released():
        pass

    assert limiter._free == 1


def test_waiting_requests_do_not_block_others(gateway: Gateway) -> None:
    app = gateway.limited(max_waiters=60)
    job_id = app.test_client().post(PREDICTIONS, json={"inputs": [ROW]}).json["id"]
    wait = {"Prefer": "wait=20"}
    parked = [
        threading.Thread(target=lambda: app.test_client().get(f"/v1/jobs/{job_id}", headers=wait)) for _ in range(60)
    ]
    for thread in parked:
        thread.start()
    until(lambda: app.test_client().get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=0"}).status_code == 503)

    started = time.monotonic()
    answer = app.test_client().get("/livez")
    took_s = time.monotonic() - started
    app.test_client().post(f"/v1/jobs/{job_id}/cancel")
    for thread in parked:
        thread.join(20)

    assert answer.status_code == 200
    assert took_s < FairLimiter.MAX_WAIT_S


class SlowBody(io.BytesIO):
    """Blocks until `is_sent`."""

    def __init__(self, body: bytes, readers: list[int], is_sent: threading.Event) -> None:
        super().__init__(body)
        self._readers = readers
        self._is_sent = is_sent

    def read(self, size: int | None = -1) -> bytes:
        self._readers.append(threading.get_ident())
        self._is_sent.wait(20)
        return super().read(size)


def test_slow_senders_of_small_bodies_do_not_block_others(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen of them made every other request a second slower."""
    monkeypatch.setattr(FairLimiter, "MAX_WAIT_S", 20.0)
    app, is_sent = gateway.app(), threading.Event()
    readers: list[int] = []
    statuses: list[int] = []
    body = json.dumps({"inputs": [ROW]}).encode()

    def post() -> None:
        environ = {"wsgi.input": SlowBody(body, readers, is_sent), "CONTENT_LENGTH": str(len(body))}
        answer = app.test_client().post(PREDICTIONS, content_type="application/json", environ_overrides=environ)
        statuses.append(answer.status_code)

    slow = [threading.Thread(target=post) for _ in range(40)]
    for thread in slow:
        thread.start()
    until(lambda: len(readers) >= CONCURRENT_REQUESTS)
    began = time.monotonic()
    others = [app.test_client().get("/livez").status_code for _ in range(20)]
    took_s = time.monotonic() - began
    is_sent.set()
    for thread in slow:
        thread.join(20)

    assert (others, statuses) == ([200] * 20, [202] * 40)
    assert took_s < FairLimiter.MAX_WAIT_S
