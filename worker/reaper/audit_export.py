"""Copies the audit trail from Redis to the file store, so that aliases can be rebuilt when Redis is lost.

The order of the steps keeps the trail complete: lock the file, read Redis, append, fsync, then take the model off the
list of unexported ones unless its aliases moved again. If the process is killed after any step, the next export does
the rest. The files of a deleted version go after its deletion is in the audit file, so the file never names a version
as champion whose files are gone.
"""

from queuecast.domain.errors import DamagedFileError, ForkedTrailError
from queuecast.domain.model import moves_beyond
from queuecast.logs import get_logger
from queuecast.ports.audit import AuditTrails, UnexportedMoves
from queuecast.ports.models import ModelRegistry
from worker.reaper.version_removal import VersionRemoval

log = get_logger()
CURE = "queuecast admin rebuild-aliases"


class AuditExport:
    """Raises UnavailableError when Redis is away; a file that cannot be written is logged, once for each reason."""

    def __init__(self, aliases: UnexportedMoves, trails: AuditTrails, models: ModelRegistry) -> None:
        self._aliases = aliases
        self._trails = trails
        self._models = models
        self._removal = VersionRemoval(models)
        self._logged: dict[str, str] = {}

    def export(self) -> int:
        """Appends the moves since the last export and returns their number. One round trip if there are none."""
        return sum(self._export(model) for model in self._aliases.unexported())

    def export_all(self) -> int:
        """The same for every model. Run at start-up, it finds moves older than the list and a Redis that was lost."""
        with_file = self._trails.models()
        known = {*self._models.models(), *with_file, *self._aliases.unexported()}
        return sum(self._export(model) for model in sorted(known) if model in with_file or self._aliases.history(model))

    def _export(self, model: str) -> int:
        try:
            with self._trails.locked(model) as trail:
                # Read after locking: otherwise the lines of another exporter look like moves that Redis lacks.
                stored = self._aliases.history(model)
                new = moves_beyond(trail.moves, stored)
                if new:
                    trail.append(new)
                self._removal.remove(model, stored)
                self._aliases.mark_exported(model, len(stored))
        except ForkedTrailError as error:
            self._log_once(model, "audit_trail_forked", error.detail)
            return 0
        except DamagedFileError as error:
            self._log_once(model, "audit_trail_damaged", error.detail)
            return 0
        except OSError as error:
            self._log_once(model, "audit_trail_write_failed", str(error))
            return 0
        self._logged.pop(model, None)
        if new:
            log.info("alias_moves_exported", model=model, moves=len(new), generation=len(stored))
        return len(new)

    def _log_once(self, model: str, event: str, reason: str) -> None:
        """The export is tried again every second, and would log the same line each time."""
        if self._logged.get(model) != reason:
            self._logged[model] = reason
            log.error(event, model=model, reason=reason, cure=CURE)
