"""Deleting versions and models: the errors for those that are deleted, and for those that cannot be."""

from queuecast.domain.errors import ConflictError, GoneModelError, GoneVersionError
from queuecast.domain.findings.bounds import and_rest, list_names
from queuecast.domain.model import CHAMPION, MODEL_DELETION, Aliases, AliasMove


def gone_version(model: str, version: int) -> GoneVersionError:
    return GoneVersionError(f"version {version} of model {model} was deleted; the history of the model says when")


def gone_model(model: str) -> GoneModelError:
    return GoneModelError(f"model {model} was deleted; its history says when")


def remaining_versions(model: str, numbers: list[int], aliases: Aliases) -> list[int]:
    """Those that were not deleted. numbers: not empty. Raises GoneModelError if all were."""
    remaining = [number for number in numbers if number not in aliases.deleted]
    if not remaining:
        raise gone_model(model)
    return remaining


def require_unnamed(model: str, version: int, aliases: Aliases) -> None:
    """Raises ConflictError if an alias names the version."""
    names = aliases.names_of(version)
    if CHAMPION in names:
        detail = f"version {version} is the {CHAMPION} of model {model}; promote another version first"
        raise ConflictError(f"{detail}, or delete the model", code="in_use")
    if names:
        detail = f"{list_names(names)} of model {model} {'names' if len(names) == 1 else 'name'} version {version}"
        raise ConflictError(f"{detail}; move or delete the alias first", code="in_use")


def needed_by_jobs(model: str, deletion: AliasMove, count: int, job_ids: list[str]) -> ConflictError:
    """The refusal of a deletion. count: of the jobs that have not ended; job_ids: the first of them."""
    what = f"model {model}" if deletion.action == MODEL_DELETION else f"version {deletion.version} of model {model}"
    jobs = "1 job that has not ended needs" if count == 1 else f"{count} jobs that have not ended need"
    detail = f"{jobs} {what}: {', '.join(job_ids)}{and_rest(count - len(job_ids))}"
    return ConflictError(detail, code="in_use")
