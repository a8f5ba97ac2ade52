"""The loop around the sweeps: it survives what goes wrong in one, and says that it is well only after a good one."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from queuecast.adapters.ids import new_id
from queuecast.config import Settings
from queuecast.domain.errors import UnavailableError
from queuecast.domain.work import rows_file_id
from worker.reaper import reaper as module
from worker.reaper.reaper import run


class Office:
    """Steps as it is told, and asks for the end after the last of them."""

    def __init__(self, *steps: Exception | None, after: Callable[[], None] = lambda: None) -> None:
        self.steps = list(steps)
        self.stop = threading.Event()
        self.resigned = 0
        self.is_away = False
        self._after = after

    def step(self) -> None:
        error = self.steps.pop(0)
        if not self.steps:
            self.stop.set()
        if error is not None:
            raise error
        self._after()

    def resign(self) -> None:
        if self.is_away:
            raise UnavailableError("Redis does not answer")
        self.resigned += 1


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_EVERY_S", 0.0)


@pytest.mark.parametrize("error", [UnavailableError("Redis does not answer"), ValueError("one bad record")], ids=repr)
def test_a_step_that_fails_is_followed_by_the_next(error: Exception) -> None:
    office = Office(error, None, error, None)

    run(office, office.stop, None)

    assert office.steps == []


@pytest.mark.parametrize("error", [UnavailableError("Redis does not answer"), ValueError("one bad record")], ids=repr)
def test_a_step_that_fails_is_not_well(tmp_path: Path, error: Exception) -> None:
    office = Office(error, error)

    run(office, office.stop, tmp_path / "health")

    assert not (tmp_path / "health").exists()


def test_a_good_step_is_well(tmp_path: Path) -> None:
    office = Office(ValueError("one bad record"), None)

    run(office, office.stop, tmp_path / "health")

    assert (tmp_path / "health").exists()


def test_the_health_file_is_not_touched_before_the_first_step_is_over(tmp_path: Path) -> None:
    seen = []
    office = Office(None, after=lambda: seen.append((tmp_path / "health").exists()))

    run(office, office.stop, tmp_path / "health")

    assert seen == [False]


def test_whoever_stops_resigns_once_so_that_another_need_not_wait_for_the_end_of_the_term() -> None:
    office = Office(None, None)

    run(office, office.stop, None)

    assert office.resigned == 1


def test_an_office_that_cannot_be_resigned_ends_all_the_same() -> None:
    office = Office(None)
    office.is_away = True

    run(office, office.stop, None)

    assert office.resigned == 0


def test_whoever_is_told_to_stop_before_the_first_step_takes_none() -> None:
    office = Office(None)
    office.stop.set()

    run(office, office.stop, None)

    assert (len(office.steps), office.resigned) == (1, 1)


@pytest.mark.redis
def test_what_a_past_batch_was_given_as_rows_goes_with_its_folder_and_nothing_else_does(
    tmp_path: Path, redis_url: str
) -> None:
    past, present, uploaded = (new_id("job") for _ in range(3))
    for batch_id in (past, present):
        (tmp_path / "batches" / batch_id).mkdir(parents=True)
    for owner in (past, present, uploaded):
        (tmp_path / "files" / rows_file_id(owner)).mkdir(parents=True)
    with redis.Redis.from_url(redis_url) as client:
        client.set(f"qc:gone:{past}", "")
    reaper = module.Reaper(Settings(redis_url=redis_url, data_dir=tmp_path))

    reaper.step()

    assert {folder.name for folder in (tmp_path / "batches").iterdir()} == {present}
    assert {folder.name for folder in (tmp_path / "files").iterdir()} == {rows_file_id(present), rows_file_id(uploaded)}
    reaper.resign()
