"""Leader election: the leader keeps one key alive. When it dies the key expires, and another process takes it."""

import os
import uuid

import redis

from queuecast.adapters.redis.connection import call
from queuecast.adapters.redis.script_loader import Script


class RedisLeader:
    """key: the one in Redis that the leader keeps alive.

    Two processes may lead at once for a moment, when one was silent for longer than `term_s`: their work must tolerate
    that.
    """

    def __init__(self, client: redis.Redis, key: str, term_s: float) -> None:
        self._key = key
        self._term_ms = int(term_s * 1000)
        self._process = f"{os.uname().nodename}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._take = Script(client, "take_leadership")
        self._release = Script(client, "release_leadership")

    def leads(self) -> bool:
        """Takes or keeps the leadership; False while another process has it."""
        return bool(call(self._take, key=self._key, process=self._process, term_ms=self._term_ms))

    def resign(self) -> None:
        call(self._release, key=self._key, process=self._process)
