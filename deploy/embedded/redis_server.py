"""A private Redis for `make run` or a test run: the Valkey from a wheel, unless another server is configured.

It listens on 127.0.0.1 with a password, an append-only file and `noeviction`.
"""

import secrets
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import redis

from deploy.embedded.preconditions import CannotStartError
from deploy.embedded.redis_folder import load_failure, record_writer, require_readable
from deploy.embedded.server_programs import bundled_server, version_of
from queuecast.adapters.disk.embedded_redis import forget_url, publish_url

START_WAIT_S = 20.0
STOP_WAIT_S = 20.0


class RedisServer:
    """One server on one folder. `stop` flushes the append-only file before it ends the process."""

    def __init__(
        self, folder: Path, port: int | None = None, maxmemory_bytes: int = 0, program: str | None = None
    ) -> None:
        """folder: holds the server's files; a second start loads the data of the first. maxmemory_bytes: 0 is no limit.

        program: the path of a server; None is the bundled one.
        """
        self._program = program or bundled_server()
        self._folder = folder.resolve()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log = self._folder / "server.log"
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
        """Returns when the server has loaded its data and answers.

        Raises CannotStartError if the server cannot read the data, and OSError with the last lines of its log if it
        does not start for another reason.
        """
        version = version_of(self._program)
        require_readable(self._folder, version)
        log_start = self._log.stat().st_size if self._log.exists() else 0
        process = self.launch()
        if not self._is_ready():
            self.stop()
            log = self._log.read_bytes()[log_start:].decode(errors="replace")
            failure = load_failure(self._folder, version, log)
            if failure is not None:
                raise CannotStartError(failure)
            raise OSError("the Redis server did not start: " + " | ".join(log.splitlines()[-5:]))
        record_writer(self._folder, version)
        return process

    def launch(self) -> subprocess.Popen[bytes]:
        """Starts the process without waiting for it. A restart keeps the port, the password and the data."""
        config = self._folder / "server.conf"
        config.touch(mode=0o600)
        config.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\ndir {self._folder}\n"
            "appendonly yes\nappendfsync everysec\nsave ''\ndaemonize no\n"
            f"maxmemory {self._maxmemory_bytes}\nmaxmemory-policy noeviction\n"
        )
        publish_url(self._folder, self.url)
        with self._log.open("ab") as log:
            # A session of its own, so that Ctrl-C does not stop Redis while other processes still write to it.
            self._process = subprocess.Popen(
                [self._program, str(config)], stdout=log, stderr=log, cwd=self._folder, start_new_session=True
            )
        return self._process

    def _is_ready(self) -> bool:
        """Waits until the server answers. False if it exits or does not answer in time."""
        client = redis.Redis.from_url(self.url, socket_timeout=1)
        deadline = time.monotonic() + START_WAIT_S
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            try:
                client.ping()
            except redis.RedisError:
                time.sleep(0.05)
            else:
                client.close()
                return True
        return False

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
        (self._folder / "server.conf").unlink(missing_ok=True)  # do not leave its password on disk
        forget_url(self._folder)

    def kill(self) -> None:
        """Simulates a crash, for tests. `start` brings the server back on the same port.

        Everything that the server has answered is in its append-only file. Without `always`, a server with a slow disk
        keeps up to two seconds of it in its memory, and a test would fail on a busy machine only.
        """
        if self._process is not None:
            with suppress(redis.RedisError), redis.Redis.from_url(self.url, socket_timeout=10) as client:
                client.config_set("appendfsync", "always")  # waits for a forced write that still runs
                client.ping()  # answered after the write of everything before
            self._process.kill()
            self._process.wait()
            self._process = None


def free_port() -> int:
    """A port that is free now, from a range that the system does not use for outgoing connections.

    Linux uses ports from 32768 for those (ip(7), ip_local_port_range), macOS and Windows from 49152. Raises OSError.
    """
    for _ in range(100):
        port = 20_000 + secrets.randbelow(12_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("found no free port between 20000 and 32767 in 100 tries")
