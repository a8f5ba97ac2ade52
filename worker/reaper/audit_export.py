"""The audit trail follows Redis into the file store, so that aliases can be rebuilt when Redis is lost.

The order is what keeps it whole: lock the file, read Redis, append, fsync, and only then take the model off the list of
what is to be done, if nobody moved meanwhile. Killed after any of these, the next export does what is left.
"""

from queuecast.domain.errors import DamagedFileError, ForkedTrailError
from queuecast.domain.model import moves_beyond
from queuecast.logs import get_logger
from queuecast.ports.audit import AuditTrails, UnexportedMoves
from queuecast.ports.models import ModelRegistry

log = get_logger()
CURE = "queuecast admin rebuild-aliases"


class AuditExport:
    """Raises UnavailableError when Redis is away; a file that cannot be written is logged, once for each reason."""

    def __init__(self, aliases: UnexportedMoves, trails: AuditTrails, models: ModelRegistry) -> None:
        self._aliases = aliases
        self._trails = trails
        self._models = models
        self._logged: dict[str, str] = {}

    def export(self) -> int:
        """Appends what moved since the last time; how many moves. One round trip when nothing did."""
        return sum(self._export(model) for model in self._aliases.unexported())

    def export_all(self) -> int:
        """The same for every model: at start-up, for moves older than the list, and to say so when Redis was lost."""
        with_file = self._trails.models()
        known = {*self._models.models(), *with_file, *self._aliases.unexported()}
        return sum(self._export(model) for model in sorted(known) if model in with_file or self._aliases.history(model))

    def _export(self, model: str) -> int:
        try:
            with self._trails.locked(model) as trail:
                # Read behind the lock: read before it, another exporter's lines would look like moves Redis lacks.
                stored = self._aliases.history(model)
                new = moves_beyond(trail.moves, stored)
                if new:
                    trail.append(new)
                self._aliases.mark_exported(model, len(stored))
        except ForkedTrailError as error:
            self._log_once(model, "audit_trail_forked", error.detail)
            return 0
        except DamagedFileError as error:
            self._log_once(model, "audit_trail_damaged", error.detail)
            return 0
        except OSError as error:
            self._log_once(model, "audit_trail_not_written", str(error))
            return 0
        self._logged.pop(model, None)
        if new:
            log.info("alias_moves_filed", model=model, moves=len(new), generation=len(stored))
        return len(new)

    def _log_once(self, model: str, event: str, reason: str) -> None:
        """The model stays on the list and is tried again every second; its log line would come as often."""
        if self._logged.get(model) != reason:
            self._logged[model] = reason
            log.error(event, model=model, reason=reason, cure=CURE)
