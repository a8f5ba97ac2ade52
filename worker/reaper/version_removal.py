"""Removes the files of deleted versions, in the process that may write to their folders."""

from queuecast.domain.model import AliasMove, aliases_after
from queuecast.logs import get_logger
from queuecast.ports.models import ModelRegistry

log = get_logger()


class VersionRemoval:
    """A removal that fails is logged, once for each reason, and tried again by the next call."""

    def __init__(self, models: ModelRegistry) -> None:
        self._models = models
        self._logged: dict[tuple[str, int], str] = {}

    def remove(self, model: str, moves: list[AliasMove]) -> None:
        """moves: the whole history of the model. A version that an alias names stays in any case."""
        after = aliases_after(moves)
        for version in sorted(after.deleted - set(after.versions.values())):
            try:
                is_removed = self._models.remove(model, version)
            except OSError as error:
                self._log_once(model, version, str(error))
            else:
                self._logged.pop((model, version), None)
                if is_removed:
                    log.info("version_removed", model=model, version=version)

    def _log_once(self, model: str, version: int, reason: str) -> None:
        if self._logged.get((model, version)) != reason:
            self._logged[model, version] = reason
            log.error("version_removal_failed", model=model, version=version, reason=reason)
