"""The connection to Redis, and the translation of its errors to those of the ports."""

from collections.abc import Callable
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from queuecast.adapters.redis.server_check import ConnectionCheck, UnsuitableServerError
from queuecast.domain.errors import StoreFullError, UnavailableError


def connect(
    url: str,
    max_connections: int = 64,
    *,
    durable: bool = False,
    on_unsuitable: Callable[[str], object] | None = None,
) -> redis.Redis:
    """A client that fails fast instead of retrying by itself: a hidden retry would write twice.

    max_connections: a thread that finds all of them busy waits for one. By default redis-py would refuse it, and a
    gateway has more threads than it needs connections. durable: the server must have the commands that
    `RedisJobs(durable=True)` uses. on_unsuitable: see `ConnectionCheck`. While queuecast cannot use the server, every
    call raises UnsuitableServerError, which is a RedisError.
    """
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=5,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=5,
        socket_connect_timeout=3,
        socket_keepalive=True,
        redis_connect_func=ConnectionCheck(durable=durable, report=on_unsuitable),
    )
    return redis.Redis.from_pool(pool)


def call(command: Any, *args: Any, **kwargs: Any) -> Any:
    """Calls `command` of redis-py. Its errors become StoreFullError or UnavailableError."""
    try:
        return command(*args, **kwargs)
    except redis.OutOfMemoryError as error:
        raise StoreFullError(f"Redis has no memory left: {error}") from error
    except UnsuitableServerError as error:
        raise UnavailableError(f"this Redis cannot be used: {error}") from error
    except redis.RedisError as error:
        raise UnavailableError(f"Redis does not answer: {error}") from error
