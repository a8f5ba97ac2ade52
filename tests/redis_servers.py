"""The server for the tests: the bundled one, or the program that `QUEUECAST_TEST_REDIS_SERVER` names."""

import os
from pathlib import Path
from typing import Any

from deploy.embedded.redis_server import RedisServer
from deploy.embedded.server_programs import bundled_server, named_server

VARIABLE = "QUEUECAST_TEST_REDIS_SERVER"


def server_under_test() -> str:
    """The path of the server program for the tests."""
    name = os.environ.get(VARIABLE)
    return named_server(name) if name else bundled_server()


def redis_server_in(folder: Path, **options: Any) -> RedisServer:
    """A `RedisServer` with that program, not started yet."""
    return RedisServer(folder, program=server_under_test(), **options)
