from collections.abc import Iterator
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from tests.worker.fake_worker import FakeTime, FakeWorker, LeaseThread
from tests.worker.model_fixtures import LocalService


@pytest.fixture
def service(tmp_path: Path) -> LocalService:
    return LocalService(tmp_path)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> FakeWorker:
    time = FakeTime()
    lease_thread = LeaseThread(time)
    monkeypatch.setattr("worker.engine.consumer.time", time)
    monkeypatch.setattr("worker.engine.job_writer.time", time)
    monkeypatch.setattr("worker.engine.lane_visit.time", time)
    monkeypatch.setattr("worker.engine.leases.time", lease_thread)
    return FakeWorker(time, lease_thread)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """As in a worker: two processes with a pool of threads each on few cores are slower by far."""
    with threadpool_limits(1):
        yield
