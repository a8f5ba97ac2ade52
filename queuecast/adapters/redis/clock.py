"""One clock for all processes of all machines: Redis's own, so that no deadline depends on a machine's clock.

Redis is asked every few seconds; in between the monotonic clock counts, which no change of the system time moves.
"""

import threading
import time

import redis


class RedisClock:
    """Safe to share between threads: at worst two of them ask at once."""

    ASK_EVERY_S = 5.0
    RETRY_EVERY_S = 0.5
    """Until Redis has answered for the first time."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._first = threading.Lock()
        self._offset = time.time() - time.monotonic()  # until Redis has answered
        self._has_answered = False
        self._asked_at = float("-inf")

    def __call__(self) -> float:
        """Seconds since the Unix epoch. Never raises: while Redis is away, the clock counts on from its last answer."""
        if not self._has_answered:
            with self._first:  # other threads wait: this machine's clock may be wrong by hours
                if not self._has_answered:
                    self._ask(self.RETRY_EVERY_S)
        else:
            self._ask(self.ASK_EVERY_S)
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
