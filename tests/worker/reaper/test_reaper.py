"""The loop around the sweeps: it survives a sweep that fails, and touches the health file only after a good one."""

import base64
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from queuecast.adapters.celery.settings import lists_of
from queuecast.adapters.disk.models import ModelFiles
from queuecast.adapters.ids import new_id
from queuecast.adapters.redis import keys
from queuecast.adapters.redis.aliases import RedisAliases
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.config import Settings
from queuecast.domain.errors import UnavailableError
from queuecast.domain.job import JobType
from queuecast.domain.work import rows_file_id
from tests.queuecast.domain.records import a_job, a_manifest, a_move, work_of
from worker.reaper.reaper import Reaper, run_until


class ScriptedReaper:
    """Takes the given steps, and sets `stop` at the last of them."""

    def __init__(self, *steps: Exception | None, after: Callable[[], None] = lambda: None) -> None:
        self.steps = list(steps)
        self.stop = threading.Event()
        self.releases = 0
        self.is_unreachable = False
        self._after = after

    def step(self) -> None:
        error = self.steps.pop(0)
        if not self.steps:
            self.stop.set()
        if error is not None:
            raise error
        self._after()

    def release_leadership(self) -> None:
        if self.is_unreachable:
            raise UnavailableError("Redis does not answer")
        self.releases += 1


def run(reaper: ScriptedReaper, health_file: Path | None = None) -> None:
    run_until(reaper.stop, reaper, health_file, pause_s=0.0)


@pytest.mark.parametrize("error", [UnavailableError("Redis does not answer"), ValueError("one bad record")], ids=repr)
def test_a_step_that_fails_is_followed_by_the_next(error: Exception) -> None:
    reaper = ScriptedReaper(error, None, error, None)

    run(reaper)

    assert reaper.steps == []


@pytest.mark.parametrize("error", [UnavailableError("Redis does not answer"), ValueError("one bad record")], ids=repr)
def test_a_step_that_fails_does_not_touch_the_health_file(tmp_path: Path, error: Exception) -> None:
    reaper = ScriptedReaper(error, error)

    run(reaper, tmp_path / "health")

    assert not (tmp_path / "health").exists()


def test_a_good_step_touches_the_health_file(tmp_path: Path) -> None:
    reaper = ScriptedReaper(ValueError("one bad record"), None)

    run(reaper, tmp_path / "health")

    assert (tmp_path / "health").exists()


def test_the_health_file_is_not_touched_before_the_first_step_is_over(tmp_path: Path) -> None:
    seen = []
    reaper = ScriptedReaper(None, after=lambda: seen.append((tmp_path / "health").exists()))

    run(reaper, tmp_path / "health")

    assert seen == [False]


def test_a_reaper_that_stops_releases_the_leadership_once() -> None:
    reaper = ScriptedReaper(None, None)

    run(reaper)

    assert reaper.releases == 1


def test_a_reaper_that_cannot_release_the_leadership_ends_all_the_same() -> None:
    reaper = ScriptedReaper(None)
    reaper.is_unreachable = True

    run(reaper)

    assert reaper.releases == 0


def test_a_reaper_that_is_stopped_before_the_first_step_takes_none() -> None:
    reaper = ScriptedReaper(None)
    reaper.stop.set()

    run(reaper)

    assert (len(reaper.steps), reaper.releases) == (1, 1)


@pytest.mark.redis
def test_the_rows_of_a_past_batch_are_deleted_with_its_folder(tmp_path: Path, redis_url: str) -> None:
    past, present, uploaded = (new_id("job") for _ in range(3))
    for batch_id in (past, present):
        (tmp_path / "batches" / batch_id).mkdir(parents=True)
    for owner in (past, present, uploaded):
        (tmp_path / "files" / rows_file_id(owner)).mkdir(parents=True)
    with redis.Redis.from_url(redis_url) as client:
        client.set(f"qc:gone:{past}", "")
    reaper = Reaper(Settings(redis_url=redis_url, data_dir=tmp_path))

    reaper.step()

    assert {folder.name for folder in (tmp_path / "batches").iterdir()} == {present}
    assert {folder.name for folder in (tmp_path / "files").iterdir()} == {rows_file_id(present), rows_file_id(uploaded)}
    reaper.release_leadership()


@pytest.mark.redis
def test_a_step_rings_for_every_lane_in_spite_of_lanes_of_a_later_version(tmp_path: Path, redis_url: str) -> None:
    """After a rollback the lanes of the later version still have jobs. Once the first such lane ended every step."""
    known = a_job().lane
    reaper = Reaper(Settings(redis_url=redis_url, data_dir=tmp_path))
    with redis.Redis.from_url(redis_url) as client:
        for lane in ("later_type/x", known, f"{known}/urgent"):
            RedisJobs(client).create(a_job(lane=lane).accepted(), work_of(JobType.PREDICTION))
        client.delete(keys.BELLS)

        reaper.step()

        messages = [json.loads(message) for name in lists_of("predict") for message in client.lrange(name, 0, -1)]
    arguments = [json.loads(base64.b64decode(message["body"]))[0] for message in messages]
    assert sorted(arguments) == [[known], [f"{known}/urgent"]]
    reaper.release_leadership()


@pytest.mark.redis
def test_a_step_removes_the_files_of_a_deleted_version(tmp_path: Path, redis_url: str) -> None:
    models = ModelFiles(tmp_path / "models")
    for number in range(2):
        models.publish(a_manifest(job_id=f"job_{number}"), {"model.skops": b"bytes"})
    reaper = Reaper(Settings(redis_url=redis_url, data_dir=tmp_path))
    reaper.step()
    with redis.Redis.from_url(redis_url) as client:
        RedisAliases(client).delete("titanic", a_move(1, 1, "", "delete_version"))

    reaper.step()

    assert models.versions("titanic") == [2]
    assert [path.name for path in (tmp_path / "models/titanic/1").iterdir()] == ["deleted.json"]
    reaper.release_leadership()
