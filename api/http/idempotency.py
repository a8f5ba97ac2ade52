"""Reads the Idempotency-Key of a request, with a fingerprint of the request."""

import hashlib

from flask import request

from queuecast.domain.errors import InvalidInputError
from queuecast.ports.jobs import IdempotencyKey


def read_idempotency_key(*parts: str | bytes) -> IdempotencyKey | None:
    """None without the header. parts: everything that distinguishes this request from another one to the same path.

    Raises InvalidInputError for an invalid key.
    """
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if not (key.isascii() and key.isprintable() and 0 < len(key) <= 255):
        detail = f"Idempotency-Key has {len(key)} characters, expected 1 to 255 printable ASCII characters"
        raise InvalidInputError(detail)
    fingerprint = hashlib.sha256(request.path.encode())
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        fingerprint.update(b"%d:" % len(data) + data)
    # There are no accounts, so all callers share one key space.
    return IdempotencyKey(hashlib.sha256(key.encode()).hexdigest(), fingerprint.hexdigest())
