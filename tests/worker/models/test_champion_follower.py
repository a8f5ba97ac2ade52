"""A process of a worker follows the champions of the models, and rolls back one that it cannot serve."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from queuecast.adapters.memory.workers import MemoryLoadedModels
from queuecast.domain.errors import UnavailableError
from queuecast.domain.job import State
from queuecast.domain.model import CHAMPION, ROLLBACK, AliasMove
from queuecast.domain.work import Method
from queuecast.ports.models import ModelRegistry
from queuecast.ports.workers import ProcessModels
from tests.worker.model_fixtures import MODEL, LocalService
from worker.models.champion_follower import ChampionFollower, Stores
from worker.models.loading import EstimatorCache

X = np.arange(60.0).reshape(20, 3)


class Worker:
    """One process of a worker, which steps when the test says so."""

    def __init__(
        self,
        service: LocalService,
        name: str = "worker-1",
        *,
        serves: bool = True,
        reports: MemoryLoadedModels | None = None,
        models: ModelRegistry | None = None,
    ) -> None:
        self.name = name
        self.estimators = EstimatorCache(models or service.models)
        self.reports = reports or MemoryLoadedModels()
        stores = Stores(service.aliases, service.aliases, models or service.models, self.reports)
        self.follower = ChampionFollower(name, stores, self.estimators, service.clock, threading.Lock(), serves=serves)
        self.follower.step()

    def served(self, service: LocalService, version: int) -> "Worker":
        """Has loaded a version for a job."""
        self.estimators.load(service.manifest(version))
        self.follower.step()
        return self

    @property
    def report(self) -> ProcessModels:
        return self.reports.loaded_models()[self.name]


@pytest.fixture
def service(tmp_path: Path) -> LocalService:
    """With three versions, of which the first is champion. Version n answers n."""
    service = LocalService(tmp_path)
    for version in (1.0, 2.0, 3.0):
        service.pushed(LinearRegression().fit(X, np.full(20, version)), X)
    return service


def damage(service: LocalService, version: int) -> None:
    path = service.model_folder / MODEL / str(version) / "model.skops"
    path.write_bytes(path.read_bytes()[:-10])


def answer_otherwise(service: LocalService, version: int) -> None:
    """Changes the golden rows, as if the version had answered otherwise when it was made."""
    path = service.model_folder / MODEL / str(version) / "golden.json"
    golden = json.loads(path.read_bytes())
    path.write_text(json.dumps(golden | {"outputs": {"predict": [7.0] * len(golden["rows"])}}))


def last_move(service: LocalService) -> AliasMove:
    return service.aliases.history(MODEL)[-1]


def test_a_worker_loads_the_next_champion_of_a_model_that_it_serves(service: LocalService) -> None:
    worker = Worker(service).served(service, 1)

    service.point(CHAMPION, 2)
    worker.follower.step()

    assert worker.estimators.versions() == {MODEL: [1, 2]}


def test_a_worker_that_has_loaded_an_older_version_loads_the_champion_too(service: LocalService) -> None:
    service.point(CHAMPION, 3)

    assert Worker(service).served(service, 1).estimators.versions() == {MODEL: [1, 3]}


def test_one_worker_checks_the_champion_of_a_model_that_none_serves(service: LocalService) -> None:
    workers = [Worker(service, f"worker-{number}") for number in range(3)]

    service.point(CHAMPION, 2)
    for worker in workers:
        worker.follower.step()

    assert [worker.estimators.versions() for worker in workers] == [{MODEL: [2]}, {}, {}]


@pytest.mark.parametrize("break_version", [damage, answer_otherwise])
def test_a_broken_champion_is_rolled_back_without_a_job(
    service: LocalService, break_version: Callable[[LocalService, int], None]
) -> None:
    worker = Worker(service)
    break_version(service, 2)

    service.point(CHAMPION, 2)
    worker.follower.step()

    move = last_move(service)
    assert (service.champion(), move.action, move.version, move.previous) == (1, ROLLBACK, 1, 2)
    assert move.reason.startswith("rolled back: worker worker-1 could not serve version 2: model model version 2")


def test_a_champion_that_fails_a_job_is_rolled_back(service: LocalService) -> None:
    """The job was accepted for the broken version, so it fails."""
    follower = Worker(service).follower
    service.point(CHAMPION, 2)
    follower.step()
    damage(service, 2)
    worker = Worker(service, "worker-2")
    service.estimators.refused = worker.estimators.refused  # the consumer of the service is the worker's

    job = service.predicted(X, Method.PREDICT, version=2)
    worker.follower.step()

    assert job.state is State.FAILED
    assert job.failure is not None
    assert job.failure.code == "checksum_mismatch"
    assert service.champion() == 1


def test_a_trainer_rolls_back_a_champion_that_it_cannot_load(service: LocalService) -> None:
    trainer = Worker(service, serves=False)
    damage(service, 2)
    service.point(CHAMPION, 2)
    trainer.follower.step()
    assert service.champion() == 2

    trainer.estimators.refused.add(MODEL)
    trainer.follower.step()

    assert service.champion() == 1
    assert trainer.reports.loaded_models() == {}


def test_rollbacks_go_on_until_a_version_can_be_served(service: LocalService) -> None:
    worker = Worker(service)
    service.point(CHAMPION, 2)
    worker.follower.step()
    service.point(CHAMPION, 3)
    damage(service, 3)
    worker.follower.step()
    assert service.champion() == 2

    damage(service, 2)
    fresh = Worker(service, "worker-2")
    fresh.estimators.refused.add(MODEL)
    fresh.follower.step()

    assert service.champion() == 1


def test_nothing_is_rolled_back_to_a_version_that_is_broken_too(service: LocalService) -> None:
    worker = Worker(service)
    damage(service, 1)
    damage(service, 2)

    service.point(CHAMPION, 2)
    worker.follower.step()

    assert (service.champion(), last_move(service).action) == (2, "set")


def test_the_first_champion_stays(service: LocalService) -> None:
    worker = Worker(service)
    damage(service, 1)

    worker.estimators.refused.add(MODEL)
    worker.follower.step()

    assert service.champion() == 1


def test_a_person_who_moves_the_alias_in_between_wins(service: LocalService) -> None:
    damage(service, 2)

    class Slow:
        """The registry of a worker; a person promotes version 3 while it reads the version to go back to."""

        def __getattr__(self, name: str) -> Any:
            return getattr(service.models, name)

        def file(self, model: str, version: int, name: str) -> bytes:
            if version == 1 and service.champion() == 2:
                service.point(CHAMPION, 3)
            return service.models.file(model, version, name)

    worker = Worker(service, models=Slow())  # type: ignore[arg-type]
    service.point(CHAMPION, 2)
    worker.follower.step()

    assert (service.champion(), last_move(service).action) == (3, "set")


@pytest.mark.parametrize("error", [OSError("disk away"), UnavailableError("store away"), MemoryError()])
def test_a_fault_of_the_machine_is_no_reason_to_roll_back(service: LocalService, error: Exception) -> None:
    class Failing:
        def __getattr__(self, name: str) -> Any:
            return getattr(service.models, name)

        def file(self, model: str, version: int, name: str) -> bytes:
            if version == 2:
                raise error
            return service.models.file(model, version, name)

    worker = Worker(service, models=Failing())  # type: ignore[arg-type]
    service.point(CHAMPION, 2)
    worker.follower.step()

    assert service.champion() == 2


def test_a_champion_that_was_deleted_with_its_model_is_not_followed(service: LocalService) -> None:
    worker = Worker(service).served(service, 1)
    present = service.aliases.read(MODEL)
    service.aliases.delete(MODEL, AliasMove(present.generation + 1, "", 3, None, 0.0, "delete_model"))

    worker.follower.step()

    assert worker.report.generations == {}


def test_a_worker_reports_what_it_has_loaded_and_which_generation_it_follows(service: LocalService) -> None:
    worker = Worker(service).served(service, 1)
    before = worker.report

    service.point(CHAMPION, 2)
    worker.follower.step()

    assert (before.versions, before.generations) == ({MODEL: [1]}, {MODEL: 1})
    assert (worker.report.versions, worker.report.generations) == ({MODEL: [1, 2]}, {MODEL: 2})


def test_a_new_process_loads_the_champions_of_the_one_that_it_replaces(service: LocalService) -> None:
    before = Worker(service).served(service, 1)
    service.point(CHAMPION, 2)

    after = Worker(service, "worker-2", reports=before.reports)
    after.follower.inherit(lambda process: process == "worker-1")
    after.follower.step()

    assert after.estimators.versions() == {MODEL: [2]}
    assert list(after.reports.loaded_models()) == ["worker-2"]


def test_a_new_process_leaves_out_a_champion_that_the_one_before_died_of(service: LocalService) -> None:
    worker = Worker(service)
    worker.reports.report_models("dead", ProcessModels({MODEL: [1]}, {MODEL: 1}, loading=MODEL))

    worker.follower.inherit(lambda process: process == "dead")
    worker.follower.step()

    assert worker.estimators.versions() == {}
