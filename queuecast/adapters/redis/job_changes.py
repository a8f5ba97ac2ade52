"""The changes of jobs, as Redis publishes them."""

import time
from collections.abc import Iterator

import redis

from queuecast.adapters.redis import keys
from queuecast.ports.jobs import Change


class ChangeListener:
    SILENCE_S = 4.0
    """After this long without a message the connection is pinged, and after as long again it counts as broken."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def changes(self) -> Iterator[list[Change]]:
        """Listens until closed, and reconnects. See `JobStore.changes`."""
        while True:
            try:
                yield from self._changes_of_a_connection()
            except redis.RedisError:
                time.sleep(0.5)  # Redis is away; the gateway's waits end by themselves

    def _changes_of_a_connection(self) -> Iterator[list[Change]]:
        with self._redis.pubsub() as subscription:  # type: ignore[no-untyped-call]
            subscription.subscribe(keys.CHANGES)
            is_pinged = False
            while True:
                # `get_message` would make a dictionary of each message, and every change of every job comes this way.
                message = subscription.parse_response(block=False, timeout=self.SILENCE_S)
                if message is None:
                    if is_pinged:
                        raise redis.ConnectionError(f"no answer to a ping within {self.SILENCE_S} s")
                    subscription.ping()  # nothing else notices a server that vanished without closing the connection
                    is_pinged = True
                    continue
                is_pinged = False
                if message[0] == b"message":
                    yield [Change(name.lstrip("+"), name[0] != "+") for name in message[2].decode().split(" ")]
                elif message[0] == b"subscribe":
                    yield [Change("", is_end=True)]  # from here on no change is missed
