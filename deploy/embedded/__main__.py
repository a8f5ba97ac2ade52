"""`make run`: an embedded Redis and all processes of queuecast under one roof, until Ctrl-C.

python -m deploy.embedded --workers 2
"""

import argparse
import fcntl
import os
import signal
import socket
import sys
from contextlib import ExitStack, closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import honcho.manager
from honcho.environ import expand_processes, parse_procfile
from honcho.printer import Printer

from deploy.embedded.redis_server import RedisServer
from queuecast.config import SettingError, Settings, read_settings, variable

ROOT = Path(__file__).resolve().parents[2]
STOP_WAIT_S = 60  # a worker finishes what it runs; Celery's own stop can take half a minute


class CannotStartError(Exception):
    """Says what is in the way and which setting moves it."""


class MainProcesses:
    """Signals for honcho: SIGTERM to a process, not to its group, or Celery's pool would die with a job in hand."""

    def terminate(self, pid: int) -> None:
        _signal(os.kill, pid, signal.SIGTERM)

    def kill(self, pid: int) -> None:
        _signal(os.killpg, pid, signal.SIGKILL)


class LastingPrinter(Printer):  # type: ignore[misc]
    """Prints for as long as somebody reads. `make run | head` must not end the one who has to stop the others."""

    def write(self, message: Any) -> None:
        try:
            super().write(message)
        except OSError:
            self.output = Path(os.devnull).open("w")  # noqa: SIM115 - open until the process ends


class Manager(honcho.manager.Manager):  # type: ignore[misc]
    """honcho's own, but for a signal that comes before all processes have told their pids: it would fail on it."""

    def __init__(self) -> None:
        super().__init__(LastingPrinter(sys.stdout))
        self._procmgr = MainProcesses()
        self._must_stop = False

    def terminate(self) -> None:
        self._must_stop = True
        if self._all_started():
            super().terminate()

    def _system_print(self, data: str) -> None:
        super()._system_print(data)  # among others, that a process has started
        if self._must_stop and self._all_started():
            super().terminate()


def main() -> int:
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="prediction workers to start (default: 2)")
    options = parser.parse_args()
    try:
        settings = read_settings()
        with ExitStack() as stack:
            _lock(settings.data_dir, stack)
            for name in ("api_port", "flower_port"):
                _require_free(name, getattr(settings, name), settings)
            redis_url = os.environ.get("QUEUECAST_REDIS_URL") or _embedded_redis(settings.data_dir, stack)
            return _run(settings, redis_url, options.workers)
    except KeyboardInterrupt:  # before the processes were there to be told
        return 130
    except (CannotStartError, SettingError, OSError) as error:
        print(f"queuecast cannot start: {error}", file=sys.stderr)
        return 1


def _run(settings: Settings, redis_url: str, workers: int) -> int:
    environ = {
        **os.environ,
        **{variable(each.name): str(getattr(settings, each.name)) for each in fields(settings)},
        variable("redis_url"): redis_url,
        variable("data_dir"): str(settings.data_dir.resolve()),
        # The screen is for the tour; a file or a container is for the logs.
        variable("log_level"): os.environ.get(variable("log_level"), "WARNING"),
        # The example fits beside running workers: two pools of OpenMP threads on one machine wait for one another.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(settings.model_threads)),
        "QUEUECAST_URL": f"http://127.0.0.1:{settings.api_port}",
        "CELERY_BROKER_URL": redis_url,  # for Flower: on its command line everybody could read the password
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
    honcho.manager.KILL_WAIT = STOP_WAIT_S
    manager = Manager()
    procfile = parse_procfile((ROOT / "Procfile").read_text())
    for process in expand_processes(procfile.processes, {"worker": workers}, environ):
        manager.add_process(process.name, process.cmd, env=process.env, cwd=str(ROOT))
    manager.loop()
    was_asked = manager.returncode in (130, 143)  # SIGINT, SIGTERM
    return 0 if was_asked else manager.returncode or 1


def _embedded_redis(data_dir: Path, stack: ExitStack) -> str:
    server = RedisServer(data_dir / "redis")
    server.start()
    stack.callback(server.stop)
    return server.url


def _lock(data_dir: Path, stack: ExitStack) -> None:
    """Two runs on one folder would write one log of writes from two servers."""
    data_dir.mkdir(parents=True, exist_ok=True)
    folder = os.open(data_dir, os.O_RDONLY)
    stack.callback(os.close, folder)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise CannotStartError(
            f"the folder {data_dir.resolve()} is in use by another run; set {variable('data_dir')} to another folder"
        ) from None


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


def _signal(send: object, pid: int, number: signal.Signals) -> None:
    try:
        send(pid, number)  # type: ignore[operator]
    except ProcessLookupError:
        return  # gone already, which is what is wanted


if __name__ == "__main__":
    sys.exit(main())
