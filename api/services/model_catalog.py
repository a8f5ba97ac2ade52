"""Models and versions as the gateway shows them, and their deletion. Names no framework.

The alias store says which versions are deleted. Their files follow: only the reaper may write to their folders. So each
read asks both.
"""

from collections.abc import Callable
from contextlib import suppress

from api.services.convergence import Convergence, convergence
from queuecast.domain.deletion import gone_version, remaining_versions, require_unnamed
from queuecast.domain.errors import GoneModelError, GoneVersionError, PreconditionFailedError, UnknownModelError
from queuecast.domain.model import MODEL_DELETION, VERSION_DELETION, Aliases, AliasMove, Manifest
from queuecast.ports.aliases import AliasStore
from queuecast.ports.clock import Clock
from queuecast.ports.models import ModelRegistry
from queuecast.ports.workers import LoadedModels

CheckAliases = Callable[[Aliases], object]
"""Raises PreconditionFailedError if the caller's condition does not hold for the model as it is."""
Decide = Callable[[Aliases], AliasMove | None]


class ModelCatalog:
    def __init__(self, models: ModelRegistry, aliases: AliasStore, loaded_models: LoadedModels, clock: Clock) -> None:
        self._models = models
        self._aliases = aliases
        self._loaded_models = loaded_models
        self._clock = clock

    def names(self) -> list[str]:
        return self._models.models()

    def read(self, model: str) -> tuple[Aliases, list[int]]:
        """The aliases and the versions, ascending. Raises UnknownModelError or GoneModelError."""
        numbers = self._models.versions(model)
        aliases = self._aliases.read(model)
        return aliases, remaining_versions(model, numbers, aliases)

    def overview(self, model: str) -> tuple[Aliases, list[int], Convergence]:
        """As `read`, and how far the workers have followed the aliases."""
        aliases, numbers = self.read(model)
        return aliases, numbers, convergence(model, aliases, self._loaded_models.loaded_models().values())

    def overviews(self, names: list[str]) -> list[tuple[str, Aliases, list[int], Convergence]]:
        """Those of the models that were not deleted since they were listed."""
        processes = self._loaded_models.loaded_models().values()
        found = []
        for name in names:
            with suppress(UnknownModelError):
                aliases, numbers = self.read(name)
                found.append((name, aliases, numbers, convergence(name, aliases, processes)))
        return found

    def manifest(self, model: str, version: int) -> tuple[Manifest, Aliases]:
        """Raises UnknownModelError, UnknownVersionError or GoneVersionError."""
        manifest = self._models.manifest(model, version)
        aliases = self._aliases.read(model)
        if version in aliases.deleted:
            raise gone_version(model, version)
        return manifest, aliases

    def require_history(self, model: str) -> None:
        """A deleted model keeps its history. Raises UnknownModelError."""
        with suppress(GoneModelError):
            self._models.versions(model)

    def delete_version(self, model: str, version: int, reason: str, check: CheckAliases) -> None:
        """Does nothing for a version that is deleted already.

        Raises UnknownModelError or UnknownVersionError, and ConflictError for a version that an alias names or a job
        needs.
        """
        try:
            made_by = self._models.manifest(model, version).job_id
        except (GoneModelError, GoneVersionError):
            return

        def decide(present: Aliases) -> AliasMove | None:
            if version in present.deleted:
                return None
            check(present)
            require_unnamed(model, version, present)
            return self._entry(present, version, VERSION_DELETION, reason)

        self.change(model, decide, lambda name, deletion: self._aliases.delete(name, deletion, made_by))

    def delete_model(self, model: str, reason: str, check: CheckAliases) -> None:
        """Deletes all versions and aliases. Does nothing for a model that is deleted already.

        Raises UnknownModelError, and ConflictError while a job needs the model.
        """

        def decide(present: Aliases) -> AliasMove | None:
            try:
                remaining = remaining_versions(model, self._models.versions(model), present)
            except GoneModelError:
                return None
            check(present)
            return self._entry(present, remaining[-1], MODEL_DELETION, reason)

        self.change(model, decide, self._aliases.delete)

    def _entry(self, present: Aliases, version: int, action: str, reason: str) -> AliasMove:
        return AliasMove(present.generation + 1, "", version, None, self._clock(), action, reason)

    def change(self, model: str, decide: Decide, write: Callable[[str, AliasMove], None]) -> None:
        """Writes the entry that `decide` makes of the aliases as they are; None for no entry.

        Another caller may move an alias in between. Then it decides again, and may refuse.
        """
        while True:
            entry = decide(self._aliases.read(model))
            if entry is None:
                return
            with suppress(PreconditionFailedError):
                write(model, entry)
                return
