from collections.abc import Iterator
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from tests.worker.fake_worker import Beats, FakeWorker, Time
from tests.worker.model_fixtures import LocalService


@pytest.fixture
def service(tmp_path: Path) -> LocalService:
    return LocalService(tmp_path)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> FakeWorker:
    time = Time()
    beats = Beats(time)
    monkeypatch.setattr("worker.engine.consumer.time", time)
    monkeypatch.setattr("worker.engine.job_writer.time", time)
    monkeypatch.setattr("worker.engine.lane_visit.time", time)
    monkeypatch.setattr("worker.engine.leases.time", beats)
    return FakeWorker(time, beats)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """As in a worker: two processes with a pool of threads each on few cores are slower by far."""
    with threadpool_limits(1):
        yield
