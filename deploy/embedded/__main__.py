"""`make run`: starts an embedded Redis and all processes of queuecast, and stops them on Ctrl-C.

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
from deploy.embedded.preconditions import CannotStartError, lock_data_dir, require_ports, require_redis, require_workers
from deploy.embedded.redis_server import RedisServer
from deploy.embedded.server_programs import configured_server
from deploy.embedded.supervisor import ProcessSupervisor
from queuecast.adapters.disk.embedded_redis import redis_folder
from queuecast.config import SettingError, Settings, read_settings, variable

ROOT = Path(__file__).resolve().parents[2]
STOP_WAIT_S = 60  # a worker finishes its jobs first, and Celery's own shutdown can take half a minute
ONE_SHOT = ("demo",)


@dataclass(frozen=True, slots=True)
class StopReason:
    """Why everything stops, and the exit code for it."""

    text: str
    code: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="prediction workers to start (default: 2)")
    options = parser.parse_args()
    # SimpleQueue.put is reentrant: a signal handler may call it while the thread it interrupts holds the queue.
    reasons: SimpleQueue[StopReason] = SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda given, _: reasons.put(StopReason(f"{signal.Signals(given).name} received", 0)))
    try:
        require_workers(options.workers)
        settings = read_settings()
        with ExitStack() as stack:
            lock_data_dir(settings.data_dir, stack)
            require_ports(settings)
            require_redis(settings)
            reason = _run(settings, options.workers, reasons, stack)
    except (CannotStartError, SettingError, OSError) as error:
        print(f"queuecast cannot start: {error}", file=sys.stderr)
        return 1
    if reason.code:
        print(f"queuecast has stopped: {reason.text}", file=sys.stderr)
    return reason.code


def _run(settings: Settings, workers: int, reasons: SimpleQueue[StopReason], stack: ExitStack) -> StopReason:
    """Starts everything and returns the first reason to stop; closing the stack then stops all processes."""
    procfile = parse_procfile((ROOT / "Procfile").read_text())
    commands = list(expand_processes(procfile.processes, {"worker": workers}))
    console = Console(["redis", *(command.name for command in commands)])

    def stop_with_error(text: str) -> None:
        reasons.put(StopReason(text, 1))

    redis_url = os.environ.get("QUEUECAST_REDIS_URL") or _embedded_redis(settings, console, stop_with_error, stack)
    environ = _environ(settings, redis_url)
    supervisors: list[ProcessSupervisor] = []
    stack.callback(_stop, supervisors)
    for command in commands:
        if not reasons.empty():
            break
        supervisor = ProcessSupervisor(
            command.name,
            partial(_launch, command.cmd, environ | command.env),
            console,
            stop_with_error,
            restarts=command.name.partition(".")[0] not in ONE_SHOT,
        )
        supervisor.start()
        supervisors.append(supervisor)
    reason = _first(reasons)
    console.print_system(f"{reason.text}; stopping everything")
    return reason


def _first(reasons: SimpleQueue[StopReason]) -> StopReason:
    """Polls once a second: a signal that arrives just before the wait begins does not wake it, and would be missed."""
    while True:
        with suppress(Empty):
            return reasons.get(timeout=1)


def _launch(command: str, environ: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", command],  # the Procfile's lines contain shell variables
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _stop(supervisors: list[ProcessSupervisor]) -> None:
    for supervisor in supervisors:
        supervisor.request_stop()
    deadline = time.monotonic() + STOP_WAIT_S
    for supervisor in supervisors:
        supervisor.wait(deadline)


def _environ(settings: Settings, redis_url: str) -> dict[str, str]:
    return {
        **os.environ,
        **{variable(setting.name): str(getattr(settings, setting.name)) for setting in fields(settings)},
        variable("redis_url"): redis_url,
        variable("data_dir"): str(settings.data_dir.resolve()),
        # INFO logs would bury the demo's output; they belong in a file or a container.
        variable("log_level"): os.environ.get(variable("log_level"), "WARNING"),
        # The demo fits a model while the workers run, and OpenMP pools that share a machine slow each other down.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(settings.model_threads or 1)),
        "QUEUECAST_URL": f"http://127.0.0.1:{settings.api_port}",
        "CELERY_BROKER_URL": redis_url,  # for Flower: its command line would show the password to every user
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }


def _embedded_redis(
    settings: Settings, console: Console, stop_with_error: Callable[[str], None], stack: ExitStack
) -> str:
    server = RedisServer(
        redis_folder(settings.data_dir),
        maxmemory_bytes=settings.redis_maxmemory_mb * 2**20,
        program=configured_server(settings),
    )
    stack.callback(server.stop)
    supervisor = ProcessSupervisor("redis", server.launch, console, stop_with_error)
    supervisor.start(server.start())
    stack.callback(_stop, [supervisor])
    return server.url


if __name__ == "__main__":
    sys.exit(main())
