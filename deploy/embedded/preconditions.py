"""Checks before anything starts: an unused data folder, at least one worker, free ports, and a usable Redis."""

import fcntl
import os
import socket
from contextlib import ExitStack, closing
from pathlib import Path

from queuecast.adapters.redis.server_check import UnsuitableServerError, check_server
from queuecast.config import Settings, variable

PORTS = ("api_port", "flower_port")
MAX_PORT = 65_535


class CannotStartError(Exception):
    """Names the obstacle and the setting that removes it."""


def lock_data_dir(data_dir: Path, stack: ExitStack) -> None:
    """Refuses a second run on the folder: two Redis servers would write to one append-only file."""
    data_dir.mkdir(parents=True, exist_ok=True)
    folder = os.open(data_dir, os.O_RDONLY)
    stack.callback(os.close, folder)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise CannotStartError(
            f"the folder {data_dir.resolve()} is in use by another run; set {variable('data_dir')} to another folder"
        ) from None


def require_workers(number: int) -> None:
    """Without a worker, jobs would wait forever."""
    if number < 1:
        raise CannotStartError(f"WORKERS is {number}, expected at least 1")


def require_ports(settings: Settings) -> None:
    for name in PORTS:
        port = getattr(settings, name)
        if port > MAX_PORT:
            raise CannotStartError(f"{variable(name)} is {port}, expected at most {MAX_PORT}")
    if settings.api_port == settings.flower_port:
        raise CannotStartError(
            f"{' and '.join(map(variable, PORTS))} are both {settings.api_port}; set one to another port"
        )
    for name in PORTS:
        _require_free(name, getattr(settings, name), settings)


def require_redis(settings: Settings) -> None:
    """Checks an external Redis, if one is configured. A server that does not answer yet is accepted."""
    if not os.environ.get(variable("redis_url")):
        return
    try:
        check_server(settings.redis_url_with_password, durable=settings.durability == "fsync")
    except UnsuitableServerError as error:
        raise CannotStartError(f"{variable('redis_url')}: {error}") from None


def _require_free(name: str, port: int, settings: Settings) -> None:
    host = settings.api_host if name == "api_port" else "127.0.0.1"
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotStartError(
                f"port {port} on {host} cannot be used ({error.strerror}); set {variable(name)} to another port, "
                f"for example: {variable(name)}={port + 1} make run"
            ) from None
