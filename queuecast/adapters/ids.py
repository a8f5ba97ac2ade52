"""Ids that sort by the time of creation: `job_` or `file_` and a UUIDv7 (RFC 9562)."""

import uuid_utils


def new_id(kind: str) -> str:
    return f"{kind}_{uuid_utils.uuid7()}"
