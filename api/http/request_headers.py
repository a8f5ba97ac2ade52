"""Parses `Prefer` and `If-Match`."""

from functools import lru_cache

from queuecast.domain.errors import InvalidInputError


@lru_cache(maxsize=64)
def preferred_wait_s(prefer: str) -> float | None:
    """Seconds of `Prefer: wait=N`, at most 30. None when absent or invalid: RFC 7240 wants the latter ignored."""
    for preference in prefer.split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait" and value.strip().strip('"').isdecimal():
            return min(float(value.strip().strip('"')), 30.0)
    return None


def expected_generation(if_match: str) -> int | None:
    """The generation in `If-Match: "12"`; None for `*`. Raises InvalidInputError for anything else."""
    tag = if_match.strip()
    if tag == "*":
        return None
    number = tag.removeprefix("W/").strip('"')
    if not number.isdecimal() or len(number) > 18:
        raise InvalidInputError(f'If-Match is {if_match[:80]!r}, expected the ETag of the model, for example "3"')
    return int(number)
