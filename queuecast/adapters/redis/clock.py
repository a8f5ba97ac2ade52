"""One clock for all processes of all machines: Redis's own, so that no deadline hangs on a machine's clock.

Asked for every few seconds; in between the monotonic clock counts on, which no clock change moves.
"""

import threading
import time

import redis

ASK_EVERY_S = 5.0
ASK_AGAIN_S = 0.5  # as long as Redis has never answered


class RedisClock:
    """Safe to share between threads: at worst two ask at once."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._first = threading.Lock()
        self._offset = time.time() - time.monotonic()  # until Redis has answered once
        self._has_answered = False
        self._asked_at = float("-inf")

    def __call__(self) -> float:
        """Seconds since the Unix epoch. Never raises: while Redis is away, the last answer counts on."""
        if not self._has_answered:
            with self._first:  # who comes meanwhile must not go by this machine's clock, which may be wrong by hours
                if not self._has_answered:
                    self._ask(ASK_AGAIN_S)
        else:
            self._ask(ASK_EVERY_S)
        return self._offset + time.monotonic()

    def _ask(self, every_s: float) -> None:
        now = time.monotonic()
        if now - self._asked_at <= every_s:
            return
        self._asked_at = now
        try:
            seconds, micros = self._redis.time()
        except redis.RedisError:
            return
        self._offset = seconds + micros / 1e6 - (now + time.monotonic()) / 2
        self._has_answered = True
