"""One clock for all processes of all machines: Redis's own, so that no deadline hangs on a machine's clock.

Asked for every few seconds; in between the monotonic clock counts on, which no clock change moves.
"""

import time

import redis

ASK_EVERY_S = 5.0


class RedisClock:
    """Safe to share between threads: at worst two ask at once."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._offset = time.time() - time.monotonic()  # until Redis has answered once
        self._asked_at = float("-inf")

    def __call__(self) -> float:
        """Seconds since the Unix epoch. Never raises: while Redis is away, the last answer counts on."""
        now = time.monotonic()
        if now - self._asked_at > ASK_EVERY_S:
            self._asked_at = now
            try:
                seconds, micros = self._redis.time()
            except redis.RedisError:
                return self._offset + now
            answered = time.monotonic()
            self._offset = seconds + micros / 1e6 - (now + answered) / 2
            now = answered
        return self._offset + now
