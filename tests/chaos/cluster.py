"""The service in real processes, under a supervisor that restarts them when they exit, like Docker.

Signals go only to processes started here, by pid. Only the supervisor reaps a member's main process, and only after it
has killed the member's session. Until then, the system cannot give the pid to another process.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import httpx2
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.embedded.redis_server import RedisServer, free_port
from tests.chaos.member import Member, celery_member, end_session, has_exited
from tests.chaos.plan import REAPERS, START_LIMIT_S, WORKERS

REPOSITORY = Path(__file__).resolve().parents[2]
STOP_LIMIT_S = 45.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass
class Cluster:
    """Redis, a gateway, workers, a trainer and two reapers."""

    folder: Path
    seed: int
    settings: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.redis = RedisServer(self.folder / "redis")
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.data = self.folder / "data"
        self.exits: list[tuple[str, int]] = []
        address = ("--host", "127.0.0.1", "--port", str(port), "--blocking-threads", "32")
        members = [Member("gateway", "gateway", ("granian", "--interface", "wsgi", *address, "api.main:app"))]
        members += [celery_member(f"worker{n}", "worker", "predict") for n in range(1, WORKERS + 1)]
        members += [celery_member("trainer", "trainer", "train")]
        if has_reaper():
            members += [Member(f"reaper{n}", "reaper", ("worker.reaper",)) for n in range(1, REAPERS + 1)]
        self.members = {member.name: member for member in members}
        self._random = random.Random(f"{self.seed}/supervisor")
        self._frozen: set[int] = set()
        self._ending = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)

    def start(self) -> None:
        """Returns when the gateway answers and every worker consumes."""
        self.redis.start()
        self._supervisor.start()
        self.wait_ready(START_LIMIT_S)

    def wait_ready(self, limit_s: float, *names: str) -> None:
        """Waits for the named members (default: all). Raises TimeoutError with the names of the missing ones."""
        deadline = time.monotonic() + limit_s
        while missing := [name for name in names or self.members if not self.is_ready(name)]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{', '.join(missing)} not ready within {limit_s:g} s; logs are in {self.folder}")
            time.sleep(0.1)

    def is_ready(self, name: str) -> bool:
        member = self.members[name]
        if member.process is None:
            return False
        if member.role == "gateway":
            with contextlib.suppress(httpx2.HTTPError):
                return httpx2.get(f"{self.url}/livez", timeout=1).status_code == 200
            return False
        if member.role == "reaper":
            return True
        with (self.folder / f"{name}.log").open("rb") as log:
            log.seek(member.log_offset)
            return b" ready." in log.read()

    def of_role(self, *roles: str) -> list[Member]:
        return [member for member in self.members.values() if member.role in roles and member.process]

    def signal(self, pid: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    @contextlib.contextmanager
    def frozen(self, pids: list[int]) -> Iterator[None]:
        """Suspends processes for the time of the block, and always resumes them."""
        self._frozen.update(pids)
        try:
            for pid in pids:
                self.signal(pid, signal.SIGSTOP)
            yield
        finally:
            self._resume(pids)

    def connect(self) -> redis.Redis:
        """A client that fails fast instead of retrying."""
        return redis.Redis.from_url(self.redis.url, socket_timeout=5, retry=Retry(NoBackoff(), 0))

    def reconfigure(self, **settings: object) -> None:
        """Restarts every member with other settings and waits for them."""
        self.settings |= settings
        starts_before = {name: member.starts for name, member in self.members.items()}
        for member in self.of_role("gateway", "worker", "trainer", "reaper"):
            self.signal(member.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + START_LIMIT_S
        while any(member.starts == starts_before[name] for name, member in self.members.items()):
            if time.monotonic() > deadline:
                raise TimeoutError("a member did not restart with its new settings")
            time.sleep(0.1)
        self.wait_ready(START_LIMIT_S)

    def stop(self) -> None:
        """Ends all processes started here. Safe to call twice, and after a failed start."""
        self._ending.set()
        if self._supervisor.is_alive():
            self._supervisor.join(10)
        self._resume(list(self._frozen))
        running = [member.process for member in self.members.values() if member.process]
        for process in running:
            self.signal(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_LIMIT_S
        while time.monotonic() < deadline and not all(has_exited(process.pid) for process in running):
            time.sleep(0.1)
        for member in self.members.values():
            if member.process:
                end_session(member.process)
                member.process = None
        self.redis.stop()

    def _resume(self, pids: list[int]) -> None:
        for pid in pids:
            self._frozen.discard(pid)
            self.signal(pid, signal.SIGCONT)

    def _supervise(self) -> None:
        while not self._ending.wait(0.05):
            for member in self.members.values():
                if member.process is not None and has_exited(member.process.pid):
                    self.exits.append((member.name, end_session(member.process)))
                    member.process = None
                    member.start_at = time.monotonic() + self._random.uniform(0.2, 1.0)
                if member.process is None and member.is_wanted and time.monotonic() >= member.start_at:
                    self._start(member)

    def _start(self, member: Member) -> None:
        path = self.folder / f"{member.name}.log"
        member.log_offset = path.stat().st_size if path.exists() else 0
        with path.open("ab") as log:
            member.process = subprocess.Popen(
                [sys.executable, "-m", *member.command],
                cwd=REPOSITORY,
                env=self._environ(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        member.starts += 1

    def _environ(self) -> dict[str, str]:
        own = {"REDIS_URL": self.redis.url, "DATA_DIR": self.data, **self.settings}
        named = {f"QUEUECAST_{name.upper()}": str(value) for name, value in own.items()}
        return {**os.environ, **ONE_THREAD, "PYTHONPATH": str(REPOSITORY), **named}


def has_reaper() -> bool:
    return find_spec("worker.reaper") is not None
