"""Models, versions and aliases: valid names, the manifest of a version, the target of a rollback."""

import re
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from queuecast.domain.columns.roles import ColumnRoles
from queuecast.domain.errors import Finding, ForkedTrailError, InvalidInputError, PreconditionFailedError
from queuecast.domain.gate.gate_settings import GateSettings
from queuecast.domain.holdout import HoldoutRule
from queuecast.domain.signature import Signature
from queuecast.domain.trainings.fit_mode import FitMode
from queuecast.domain.trainings.searching import SearchSummary

CHAMPION = "champion"
CHALLENGER = "challenger"
DELETION = "delete"
"""The action of a move after which the alias does not exist."""
ROLLBACK = "rollback"
"""The action of a move of the champion to the one before, by a person or by a worker that cannot serve the new one."""
VERSION_DELETION = "delete_version"
MODEL_DELETION = "delete_model"
"""The actions of a deletion. The alias of such an entry is empty. The deletion of a model ends all of its aliases and
all versions up to `version`; a later push continues with the next number."""
NAME_RULE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class BadCell:
    """Why a row of a training file was left out. row: counted from 1. column: None if the whole row does not fit.

    file: the name of the file, if it is one of several.
    """

    row: int
    column: str | None
    code: str
    detail: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class Lineage:
    """The origin of a retrained version."""

    parent_version: int
    file_sha256: str
    params: dict[str, Any]
    train_rows: int
    holdout_rows: int
    bad_rows: int = 0
    """The number of rows that did not fit and were left out."""
    bad_cells: tuple[BadCell, ...] = ()
    """The first cells of these rows that did not fit."""
    more_files_sha256: tuple[str, ...] = ()
    """Of the files after the first one."""
    roles: ColumnRoles = field(default_factory=ColumnRoles)
    findings: int = 0
    """The number of findings about the data and the fit; the evaluation has the first."""
    mode: FitMode = FitMode.REFIT
    search: SearchSummary | None = None
    """The search that found some of the params; None without one."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The facts about one version. The file is written once, next to the bytes it describes, and never changes."""

    model: str
    version: int
    sha256: str
    size_bytes: int
    created_at: float
    job_id: str
    source: str
    estimator: str
    environment: dict[str, str]
    signature: Signature
    target: tuple[str, ...] = ()
    classes: Any = None
    holdout: HoldoutRule | None = None
    """The split that the version was fitted with; None if the rows that it has seen are unknown."""
    metrics: dict[str, Any] = field(default_factory=dict)
    lineage: Lineage | None = None
    description: str = ""
    compared_rows: int = 0
    """The number of rows whose answers were compared with those of the process that fitted the version."""
    gate: GateSettings = field(default_factory=GateSettings)
    """By which the trainings of this version are judged."""
    params: tuple[str, ...] = ()
    """The names that the estimator's `set_params` takes; empty if they are unknown, or too many."""
    can_update: bool | None = None
    """Whether the estimator, or the last step of a pipeline, has `partial_fit`; None if it is unknown."""

    def may_have_target(self, names: tuple[str, ...]) -> bool:
        """Whether the version may have learned the target of these columns. A `y` without a name was recorded as
        `target`, or as `target0`, `target1`, and so on; that may be any target."""
        known = self.target
        return known in ((), ("target",), tuple(f"target{index}" for index in range(len(known))), names)

    def model_info(self) -> dict[str, Any]:
        """The `model` field in the result of a prediction or a batch."""
        return {
            "name": self.model,
            "version": self.version,
            "sha256": self.sha256,
            "sklearn": self.environment["sklearn"],
        }


@dataclass(frozen=True, slots=True)
class AliasMove:
    """One entry of a model's audit trail: an alias moved or was deleted, or a version or the model was deleted.

    The version of a deleted alias is the one that it named.
    """

    generation: int
    alias: str
    version: int
    previous: int | None
    at: float
    action: str
    reason: str = ""
    job_id: str | None = None

    @property
    def is_deletion(self) -> bool:
        return self.action == DELETION

    def deletes(self, version: int) -> bool:
        if self.action == MODEL_DELETION:
            return version <= self.version
        return self.action == VERSION_DELETION and version == self.version


@dataclass(frozen=True, slots=True)
class Aliases:
    """The version of each alias of a model. `generation` counts the moves, so a writer can name the state it read."""

    generation: int = 0
    versions: dict[str, int] = field(default_factory=dict)
    deleted: frozenset[int] = frozenset()
    """The deleted versions. No later version gets one of their numbers."""

    def names_of(self, version: int) -> list[str]:
        return sorted(alias for alias, named in self.versions.items() if named == version)


def require_name(name: str, what: str, pointer: str = "") -> None:
    """Raises InvalidInputError unless `name` can be a model's or an alias's name (it becomes a folder name)."""
    if not NAME_RULE.fullmatch(name):
        detail = (
            f"{what} {name[:80]!r} is not a name; expected 1 to 64 of a-z, 0-9, '-' and '_', "
            "beginning with a letter or a digit"
        )
        raise InvalidInputError(detail, (Finding(pointer, "bad_name", detail),))


def require_alias(name: str) -> None:
    """Raises InvalidInputError unless an alias may have this name. A number would be taken for a version."""
    require_name(name, "alias")
    if name.isdecimal():
        detail = f"alias {name!r} is a number, expected a name with a letter, '-' or '_'"
        raise InvalidInputError(detail, (Finding("", "bad_name", detail),))


def require_reason(manifest: Manifest, alias: str, reason: str) -> None:
    """Raises InvalidInputError for a promotion without a reason of a version that its training did not find fit."""
    verdict = manifest.metrics.get("verdict")
    if alias != CHAMPION or verdict not in ("worse", "incomparable") or reason.strip():
        return
    why = manifest.metrics.get("reason")
    detail = (
        f"the training of version {manifest.version} found it {verdict}{f' ({why})' if why else ''}; its promotion "
        f"needs a reason, which the history of model {manifest.model} keeps"
    )
    raise InvalidInputError(detail, (Finding("/reason", "reason_required", detail, "no reason", "a reason"),))


def previous_champion(history: list[AliasMove]) -> int | None:
    """The version that a rollback returns to: the champion before the current one, without rolled back ones.

    history: oldest first. Rolling back twice goes back two promotions and does not swing between two. Deleted versions
    are passed over.
    """
    champions = _champions(history)
    return champions[-2] if len(champions) > 1 else None


def _champions(history: list[AliasMove]) -> list[int]:
    """The champions that were not rolled back, the current one last, without deleted versions."""
    champions: list[int] = []
    for move in history:
        if move.action in (VERSION_DELETION, MODEL_DELETION):
            champions = [version for version, _ in groupby(each for each in champions if not move.deletes(each))]
        elif move.alias != CHAMPION:
            continue
        elif move.action == ROLLBACK and len(champions) > 1:
            champions.pop()
        elif not champions or champions[-1] != move.version:
            champions.append(move.version)
    return champions


def aliases_after(moves: list[AliasMove]) -> Aliases:
    """The aliases and the deleted versions of a model after all of its moves. moves: oldest first."""
    versions: dict[str, int] = {}
    deleted: set[int] = set()
    for move in moves:
        if move.action == MODEL_DELETION:
            versions.clear()
            deleted.update(range(1, move.version + 1))
        elif move.action == VERSION_DELETION:
            deleted.add(move.version)
        elif move.is_deletion:
            versions.pop(move.alias, None)
        else:
            versions[move.alias] = move.version
    return Aliases(len(moves), versions, frozenset(deleted))


def without_previous_champion(model: str, history: list[AliasMove]) -> str:
    """Why `previous_champion` finds none, in words."""
    since = max((at for at, move in enumerate(history, 1) if move.action == MODEL_DELETION), default=0)
    champions = [move for move in history[since:] if move.alias == CHAMPION]
    if len(_champions(champions)) > 1:
        return f"the champions of model {model} before version {champions[-1].version} were deleted"
    if any(move.action == ROLLBACK for move in champions):
        first = f"version {champions[-1].version}, its first champion"
        return f"every promotion of model {model} has been rolled back, to {first}; there is none before it"
    return f"model {model} has had only one champion, so there is none to go back to"


def moves_in_common(filed: list[AliasMove], stored: list[AliasMove]) -> int:
    """The number of moves that both trails begin with."""
    shorter = min(len(filed), len(stored))
    return next((at for at in range(shorter) if filed[at] != stored[at]), shorter)


def moves_beyond(filed: list[AliasMove], stored: list[AliasMove]) -> list[AliasMove]:
    """The stored moves that are not in the file yet.

    Raises ForkedTrailError unless the stored moves begin with those of the file.
    """
    same = moves_in_common(filed, stored)
    if same < len(filed):
        raise ForkedTrailError(
            f"the audit file has {len(filed)} moves and Redis {len(stored)}, of which the first {same} agree"
        )
    return stored[same:]


def moved_in_between(model: str, present: int, expected: int) -> PreconditionFailedError:
    """present, expected: generations."""
    return PreconditionFailedError(
        f"the aliases of {model} are at generation {present}, not at {expected}: one was moved in between"
    )
