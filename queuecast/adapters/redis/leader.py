"""Who leads: one key that the leader keeps alive. It ends by itself when the leader is gone, and another takes it."""

import os
import uuid

import redis

from queuecast.adapters.redis.connection import translated
from queuecast.adapters.redis.lane_scripts import ALLOW_OOM

# Whoever leads sees to what was accepted already, and that must go on when memory is used up.
_LEAD = (
    ALLOW_OOM
    + """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
)
_RESIGN = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class RedisLeader:
    """A leader that was silent for longer than `term_s` may meet another: whatever it does must bear that."""

    def __init__(self, client: redis.Redis, office: str, term_s: float) -> None:
        self._key = f"qc:{office}"
        self._term_ms = int(term_s * 1000)
        self._me = f"{os.uname().nodename}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._lead = client.register_script(_LEAD)
        self._resign = client.register_script(_RESIGN)

    def leads(self) -> bool:
        """Takes or keeps the office; False while another has it."""
        return bool(translated(self._lead, keys=[self._key], args=[self._me, self._term_ms]))

    def resign(self) -> None:
        translated(self._resign, keys=[self._key], args=[self._me])
