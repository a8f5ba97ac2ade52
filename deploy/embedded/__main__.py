"""`make run`: an embedded Redis and all processes of queuecast under one roof, until Ctrl-C.

python -m deploy.embedded --workers 2
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from honcho.environ import expand_processes, parse_procfile

from deploy.embedded.console import Console
from deploy.embedded.preconditions import CannotStartError, lock, require_ports, require_redis, require_workers
from deploy.embedded.redis_server import RedisServer
from deploy.embedded.server_programs import chosen_server
from deploy.embedded.supervisor import ProcessSupervisor
from queuecast.adapters.disk.embedded_redis import redis_folder
from queuecast.config import SettingError, Settings, read_settings, variable

ROOT = Path(__file__).resolve().parents[2]
STOP_WAIT_S = 60  # a worker finishes what it runs; Celery's own stop can take half a minute
ENDS_BY_ITSELF = ("tour",)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why everything is to stop, and the exit code for it."""

    text: str
    code: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="prediction workers to start (default: 2)")
    options = parser.parse_args()
    reasons: SimpleQueue[Reason] = SimpleQueue()  # a signal handler may put while the thread it interrupts puts or gets
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda given, _: reasons.put(Reason(f"{signal.Signals(given).name} received", 0)))
    try:
        require_workers(options.workers)
        settings = read_settings()
        with ExitStack() as stack:
            lock(settings.data_dir, stack)
            require_ports(settings)
            require_redis(settings)
            reason = _run(settings, options.workers, reasons, stack)
    except (CannotStartError, SettingError, OSError) as error:
        print(f"queuecast cannot start: {error}", file=sys.stderr)
        return 1
    if reason.code:
        print(f"queuecast has stopped: {reason.text}", file=sys.stderr)
    return reason.code


def _run(settings: Settings, workers: int, reasons: SimpleQueue[Reason], stack: ExitStack) -> Reason:
    """Starts everything and returns the first reason to stop; the stack then stops what was started."""
    procfile = parse_procfile((ROOT / "Procfile").read_text())
    commands = list(expand_processes(procfile.processes, {"worker": workers}))
    screen = Console(["redis", *(each.name for each in commands)])

    def give_up(text: str) -> None:
        reasons.put(Reason(text, 1))

    redis_url = os.environ.get("QUEUECAST_REDIS_URL") or _embedded_redis(settings, screen, give_up, stack)
    environ = _environ(settings, redis_url)
    started: list[ProcessSupervisor] = []
    stack.callback(_stop, started)
    for each in commands:
        if not reasons.empty():
            break
        kept = each.name.partition(".")[0] not in ENDS_BY_ITSELF
        keeper = ProcessSupervisor(
            each.name, partial(_launch, each.cmd, environ | each.env), screen, give_up, kept=kept
        )
        keeper.start()
        started.append(keeper)
    reason = _first(reasons)
    screen.say(f"{reason.text}; stopping everything")
    return reason


def _first(reasons: SimpleQueue[Reason]) -> Reason:
    """Wakes up every second: a signal that comes just before the wait begins does not end it, and would be missed."""
    while True:
        with suppress(Empty):
            return reasons.get(timeout=1)


def _launch(command: str, environ: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", command],  # the lines of the Procfile have variables in them
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _stop(keepers: list[ProcessSupervisor]) -> None:
    for keeper in keepers:
        keeper.ask_to_stop()
    deadline = time.monotonic() + STOP_WAIT_S
    for keeper in keepers:
        keeper.wait(deadline)


def _environ(settings: Settings, redis_url: str) -> dict[str, str]:
    return {
        **os.environ,
        **{variable(each.name): str(getattr(settings, each.name)) for each in fields(settings)},
        variable("redis_url"): redis_url,
        variable("data_dir"): str(settings.data_dir.resolve()),
        # The screen is for the tour; a file or a container is for the logs.
        variable("log_level"): os.environ.get(variable("log_level"), "WARNING"),
        # The example fits beside running workers: two pools of OpenMP threads on one machine wait for one another.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(settings.model_threads or 1)),
        "QUEUECAST_URL": f"http://127.0.0.1:{settings.api_port}",
        "CELERY_BROKER_URL": redis_url,  # for Flower: on its command line everybody could read the password
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }


def _embedded_redis(settings: Settings, screen: Console, give_up: Callable[[str], None], stack: ExitStack) -> str:
    server = RedisServer(
        redis_folder(settings.data_dir),
        maxmemory_bytes=settings.redis_maxmemory_mb * 2**20,
        program=chosen_server(settings),
    )
    stack.callback(server.stop)
    keeper = ProcessSupervisor("redis", server.launch, screen, give_up)
    keeper.start(server.start())
    stack.callback(_stop, [keeper])
    return server.url


if __name__ == "__main__":
    sys.exit(main())
