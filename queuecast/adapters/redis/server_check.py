"""Which Redis queuecast can use, and the check of every new connection.

The scripts need Redis 7.0: 6.2 cannot compile `#!lua flags=allow-oom`. `QUEUECAST_DURABILITY=fsync` needs WAITAOF,
which came with 7.2. Valkey began as Redis 7.2.4, so every version of it has both.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

REDIS, VALKEY = "Redis", "Valkey"
MIN_REDIS = (7, 0)
MIN_REDIS_FOR_FSYNC = (7, 2)


class UnsuitableServerError(redis.ConnectionError):
    """A server answers, and queuecast cannot use it: says what was found and what was expected."""


@dataclass(frozen=True, slots=True)
class ServerVersion:
    product: str
    numbers: tuple[int, ...]

    @property
    def release(self) -> tuple[int, ...]:
        """Major and minor: file formats and commands change only between these."""
        return self.numbers[:2]

    def __str__(self) -> str:
        return f"{self.product} {'.'.join(map(str, self.numbers))}"


def server_version(product: str, text: str) -> ServerVersion:
    return ServerVersion(product, tuple(int(number) for number in re.findall(r"\d+", text)[:3]))


def version_in_info(info: str) -> ServerVersion | None:
    """Reads `INFO server`. Valkey reports 7.2.4 as its `redis_version`, for clients that compare it."""
    found = dict(re.findall(r"^(\w+):(.*?)\r?$", info, re.MULTILINE))
    for product in (VALKEY, REDIS):
        text = found.get(f"{product.lower()}_version")
        if text:
            return server_version(product, text)
    return None


def version_refusal(found: ServerVersion, where: str, *, durable: bool) -> str | None:
    """Why a server of this version cannot be used; None when it can."""
    if found.product != REDIS or found.release >= (MIN_REDIS_FOR_FSYNC if durable else MIN_REDIS):
        return None
    if found.release < MIN_REDIS:
        return f"found {found} {where}, expected Redis {_text(MIN_REDIS)} or later, or Valkey"
    return (
        f"QUEUECAST_DURABILITY is fsync; found {found} {where}, expected Redis {_text(MIN_REDIS_FOR_FSYNC)} or later, "
        "or Valkey (with QUEUECAST_DURABILITY=everysec this server can be used)"
    )


class ConnectionCheck:
    """For redis-py's `redis_connect_func`: raises UnsuitableServerError before a connection is used for anything.

    Every connection is checked, not only the first: a gateway may start before Redis, and Redis may be replaced while
    the gateway runs. report: called with the reason, once until a connection is suitable again.
    """

    def __init__(self, *, durable: bool, report: Callable[[str], object] | None = None) -> None:
        self._durable = durable
        self._report = report
        self._reported = ""

    def __call__(self, connection: Any) -> None:
        connection.on_connect()
        where = f"at {connection.host}:{connection.port}" if hasattr(connection, "host") else f"at {connection.path}"
        refusal = _refusal(connection, where, durable=self._durable) or ""
        if refusal and refusal != self._reported and self._report is not None:
            self._report(refusal)
        self._reported = refusal
        if refusal:
            raise UnsuitableServerError(refusal)


def check_server(url: str, *, durable: bool) -> None:
    """Raises UnsuitableServerError when a server answers that cannot be used.

    Returns when it can be used, and within two seconds when none answers: a `ConnectionCheck` finds it later.
    """
    client = redis.Redis.from_url(
        url,
        socket_timeout=1.0,
        socket_connect_timeout=1.0,
        retry=Retry(NoBackoff(), 0),
        redis_connect_func=ConnectionCheck(durable=durable),
    )
    try:
        client.ping()
    except UnsuitableServerError:
        raise
    except redis.RedisError:
        return
    finally:
        client.close()


def _refusal(connection: Any, where: str, *, durable: bool) -> str | None:
    try:
        found = version_in_info(_answer(connection, "INFO", "server").decode(errors="replace"))
    except redis.ResponseError:
        found = None  # an ACL may forbid INFO; a command that is missing then fails with the server's own words
    refusal = None if found is None else version_refusal(found, where, durable=durable)
    if refusal is None and durable:
        refusal = _fsync_refusal(connection, where)
    return refusal


def _fsync_refusal(connection: Any, where: str) -> str | None:
    """A connection that has written nothing gets its answer at once, unless WAITAOF cannot work here at all."""
    try:
        _answer(connection, "WAITAOF", 1, 0, 1)
    except redis.ResponseError as error:
        if "appendonly" in str(error):
            return f"QUEUECAST_DURABILITY is fsync; found no append-only file {where}, expected `appendonly yes`"
        return f"QUEUECAST_DURABILITY is fsync; the server {where} refuses WAITAOF: {error}"
    return None


def _answer(connection: Any, *command: Any) -> Any:
    connection.send_command(*command)
    return connection.read_response()


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
