"""Follows the champions of the models in one process of a worker, and rolls back a champion that it cannot serve.

A process that serves a model loads the new champion, with the check of its golden rows, before the first job asks for
it. One process also checks the champion of a model that none has loaded, so that a broken version does not wait for a
job to be found. The alias moves by compare-and-set: a person's move in between wins.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from queuecast.domain.errors import (
    GoneVersionError,
    PreconditionFailedError,
    QueuecastError,
    UnavailableError,
    UnknownModelError,
    exception_text,
    shortened,
)
from queuecast.domain.model import CHAMPION, ROLLBACK, Aliases, AliasMove, previous_champion
from queuecast.logs import get_logger
from queuecast.ports.aliases import AliasMoves, AliasStore
from queuecast.ports.clock import Clock
from queuecast.ports.models import ModelRegistry
from queuecast.ports.workers import LoadedModels, ProcessModels
from worker.models.loading import EstimatorCache

log = get_logger()

REPORT_EVERY_S = 5.0  # a third of the time after which a silent process drops off the list


@dataclass(frozen=True, slots=True)
class Stores:
    """aliases and moves are one store."""

    aliases: AliasStore
    moves: AliasMoves
    models: ModelRegistry
    reports: LoadedModels


class ChampionFollower:
    """`run` is a thread of the process. Estimators are loaded under `lock`, which the process holds while it works."""

    def __init__(
        self,
        process: str,
        stores: Stores,
        estimators: EstimatorCache,
        clock: Clock,
        lock: AbstractContextManager[object],
        *,
        serves: bool = True,
    ) -> None:
        """serves: False in a trainer, which loads no champion ahead and does not report."""
        self._process = process
        self._aliases, self._moves = stores.aliases, stores.moves
        self._models, self._reports = stores.models, stores.reports
        self._estimators = estimators
        self._clock = clock
        self._lock = lock
        self._serves = serves
        self._place = ""
        self._pending: set[str] = set()
        self._generations: dict[str, int] = {}
        self._logged: set[tuple[str, ...]] = set()
        self._reported = ProcessModels()
        self._reported_at = float("-inf")

    def run(self, is_dead_sibling: Callable[[str], bool]) -> None:
        """Does not return. is_dead_sibling: whether a process was one of this worker, and has ended."""
        is_away = has_inherited = False
        while True:
            try:
                if not has_inherited:
                    self.inherit(is_dead_sibling)
                    has_inherited = True
                self.step()
                is_away = False
            except UnavailableError as error:
                if not is_away:
                    log.warning("champions_not_followed", reason=error.detail)
                is_away = True
                time.sleep(1.0)
            except Exception:
                log.exception("follower_crashed")
                time.sleep(1.0)

    def inherit(self, is_dead_sibling: Callable[[str], bool]) -> None:
        """Takes over the models of the process that this one replaces.

        A model whose champion a process died of is left to the jobs, or each new process would die of it too.
        """
        for process, models in self._reports.loaded_models().items() if self._serves else ():
            if is_dead_sibling(process):
                self._pending |= models.versions.keys() - {models.loading}
                if models.loading:
                    log.error("process_died_loading", model=models.loading, process=process)
                self._reports.forget_process(process)

    def step(self, timeout_s: float = 1.0) -> None:
        """Waits for moves and follows them. Raises UnavailableError when the store is away."""
        moved, self._place = self._moves.wait_for_moves(self._place, timeout_s)
        loaded = self._estimators.versions()
        if self._serves:
            self._pending |= loaded.keys() - self._generations.keys()
            self._pending |= {model for model in moved if model in loaded or self._is_first_to_check(model)}
        if self._pending or self._estimators.refused:
            with self._lock:
                self.follow()
        self._report()

    def follow(self) -> None:
        """Loads the champions that the process must follow. Only for a caller that holds the lock.

        A model that it could not follow because the store was away is left to the next call.
        """
        self._pending |= self._estimators.refused
        self._estimators.refused.clear()
        while self._pending:
            model = self._pending.pop()
            try:
                self._follow(model)
            except UnavailableError as error:
                self._pending.add(model)
                log.warning("champion_not_followed", model=model, reason=error.detail)
                return

    def _follow(self, model: str) -> None:
        present = self._aliases.read(model)
        champion = present.versions.get(CHAMPION)
        if champion is None:
            self._generations.pop(model, None)
            return
        try:
            manifest = self._models.manifest(model, champion)
            if champion not in self._estimators.versions().get(model, ()):
                self._report(loading=model)
                self._estimators.load(manifest)
                log.info("champion_loaded", model=model, version=champion, generation=present.generation)
        except UnavailableError:
            raise
        except (GoneVersionError, UnknownModelError):
            return  # deleted since
        except (OSError, MemoryError) as error:  # a fault of this machine
            self._log_once("champion_not_loaded", model, champion, exception_text(error))
        except Exception as error:  # a forged or broken file raises what it likes
            self._roll_back(model, present, champion, error)
        self._generations[model] = present.generation
        self._estimators.refused.discard(model)

    def _roll_back(self, model: str, present: Aliases, champion: int, error: Exception) -> None:
        """Returns to the previous champion, if this process can serve that one and no alias moved in between."""
        fault = error.detail if isinstance(error, QueuecastError) else exception_text(error)
        self._log_once("champion_refused", model, champion, fault)
        previous = previous_champion(self._aliases.history(model))
        if previous is None:
            self._log_once("champion_not_rolled_back", model, champion, "there is no champion before it")
            return
        try:
            self._estimators.load(self._models.manifest(model, previous))
        except UnavailableError:
            raise
        except Exception as other:  # as for the champion
            reason = f"version {previous}, the one before, cannot be served either: {exception_text(other)}"
            self._log_once("champion_not_rolled_back", model, champion, reason)
            return
        reason = f"rolled back: worker {self._process} could not serve version {champion}: {fault}"
        move = AliasMove(
            generation=present.generation + 1,
            alias=CHAMPION,
            version=previous,
            previous=champion,
            at=self._clock(),
            action=ROLLBACK,
            reason=shortened(reason, 500),
        )
        try:
            self._aliases.move(model, move)
        except PreconditionFailedError as moved:  # by a person or by another worker: this process follows that move
            log.info("champion_moved_in_between", model=model, version=champion, reason=moved.detail)
            return
        log.warning("champion_rolled_back", model=model, version=previous, previous=champion, reason=fault)

    def _log_once(self, event: str, model: str, version: int, reason: str) -> None:
        """Each job that fails for the same version asks again."""
        key = (event, model, str(version), reason)
        if key not in self._logged:
            self._logged.add(key)
            log.error(event, model=model, version=version, reason=reason)

    def _is_first_to_check(self, model: str) -> bool:
        return self._moves.claim_check(model, self._aliases.read(model).generation)

    def _report(self, loading: str = "") -> None:
        if not self._serves:
            return
        versions = self._estimators.versions()
        for model in self._generations.keys() - versions.keys():
            self._generations.pop(model, None)  # it is followed again when a job loads it
        models = ProcessModels(versions, dict(self._generations), loading)
        if models != self._reported or self._clock() - self._reported_at >= REPORT_EVERY_S:
            self._reports.report_models(self._process, models)
            self._reported, self._reported_at = models, self._clock()
