"""The Idempotency-Key of a request, and a fingerprint of all that was asked for."""

import hashlib

from flask import request

from queuecast.domain.errors import (
    InvalidInputError,
)
from queuecast.ports.jobs import IdempotencyKey

MAX_KEY_CHARS = 255


def repeat_of(*parts: str | bytes) -> IdempotencyKey | None:
    """What the request's Idempotency-Key and `parts`, all that was asked for, make of it; None without a key.

    Raises InvalidInputError for a key that cannot be one.
    """
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if not (key.isascii() and key.isprintable() and 0 < len(key) <= MAX_KEY_CHARS):
        detail = f"Idempotency-Key has {len(key)} characters, expected 1 to {MAX_KEY_CHARS} printable ones of ASCII"
        raise InvalidInputError(detail)
    fingerprint = hashlib.sha256(request.path.encode())
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        fingerprint.update(b"%d:" % len(data) + data)
    # There are no accounts: all callers share one space of keys.
    return IdempotencyKey(hashlib.sha256(key.encode()).hexdigest(), fingerprint.hexdigest())
