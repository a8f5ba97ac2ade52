"""Parses `Prefer`, `Accept` and `If-Match`."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from flask import request
from werkzeug.datastructures import MIMEAccept

from queuecast.domain.errors import InvalidInputError, PreconditionFailedError, PreconditionRequiredError
from queuecast.domain.job import Job
from queuecast.domain.model import Aliases

_SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
_ENTITY_TAG = re.compile(r'\s*(?:W/)?(?:"([!#-~]*)"|([0-9]+))\s*')


@lru_cache(maxsize=64)
def preferred_wait_s(prefer: str) -> float | None:
    """Seconds of `Prefer: wait=N`, at most 30, which is also meant by a `wait` without a number.

    None when absent or invalid: RFC 7240 wants the latter ignored, and takes an empty value for none.
    """
    max_wait_s = 30.0
    for preference in prefer[:1000].split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            number = value.strip().strip('"')
            if not number:
                return max_wait_s
            if _SECONDS.fullmatch(number):
                return min(float(number), max_wait_s)
    return None


def applied_wait(wait_s: float) -> str:
    """The value of `Preference-Applied`."""
    return f"wait={round(wait_s, 3):g}"


def preferred_media_type(offered: Sequence[str]) -> str | None:
    """The offered type that `Accept` prefers, the first one if it prefers none; None if it allows none of them.

    Parameters do not matter: `text/csv;charset=utf-8` allows CSV.
    """
    if "Accept" not in request.headers:
        return offered[0]
    ranges = [(accepted.partition(";")[0].strip(), quality) for accepted, quality in request.accept_mimetypes]
    accepted = MIMEAccept(ranges)
    best = max(offered, key=accepted.quality)
    return best if accepted.quality(best) > 0 else None


def require_match(present: str, what: str) -> None:
    """Checks the `If-Match` of the request, if it has one: `*` or the present tag.

    present: the tag without quotes. A weak tag counts too, because a proxy that compresses answers makes them weak.
    Raises PreconditionFailedError for another tag, and InvalidInputError for anything else.
    """
    tags = _matching_tags()
    if tags is not None and present not in tags:
        raise PreconditionFailedError(
            f'{what} is at "{present}", If-Match says {request.headers["If-Match"][:80]}; read it again'
        )


def _matching_tags() -> tuple[str | None, ...] | None:
    """The tag of `If-Match`, in one of two groups; None if any will do. Raises InvalidInputError."""
    if_match = request.headers.get("If-Match")
    if if_match is None or if_match.strip() == "*":
        return None
    tag = _ENTITY_TAG.fullmatch(if_match[:100])
    if tag is None:
        raise InvalidInputError(f'If-Match is {if_match[:80]!r}, expected the ETag as it was read, for example "3"')
    return tag.groups()


def require_condition() -> None:
    """Raises PreconditionRequiredError without `If-Match`: two callers that change a model must notice each other."""
    if "If-Match" not in request.headers:
        raise PreconditionRequiredError('If-Match is missing; send the ETag of the model, such as "3", or *')


def require_generation(model: str) -> Callable[[Aliases], None]:
    """As `require_match`, for a model that is read later. Raises InvalidInputError at once."""
    _matching_tags()
    return lambda aliases: require_match(str(aliases.generation), f"model {model}")


def require_revision(job: Job) -> None:
    """As `require_match`, for a job."""
    require_match(str(job.revision), f"job {job.id}")
