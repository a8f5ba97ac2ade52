"""Supervises one process: prints its output, and restarts it when it exits unexpectedly.

Only honcho's Procfile parser and printer are used. Its manager stops all processes when one exits, and reads their
output through forked processes and a shared queue; a SIGKILL at the wrong moment leaves that queue locked. Here, one
thread supervises each process.
"""

import os
import signal
import time
from collections.abc import Callable
from subprocess import Popen
from threading import Event, Lock, Thread

from deploy.embedded.console import Console

FIRST_DELAY_S = 1.0
MAX_DELAY_S = 30.0
BACKOFF_RESET_S = 60.0  # a run of this length is healthy
STARTUP_S = 20.0  # a worker imports scikit-learn before it rejects a setting
MAX_START_FAILURES = 5
KILLED_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)
OUTPUT_DRAIN_S = 2.0


class RestartPolicy:
    """How long to wait before the next start, and when to give up."""

    def __init__(self) -> None:
        self._delay_s = FIRST_DELAY_S
        self._failures = 0
        self._has_started = False

    def delay_s(self, ran_s: float, code: int) -> float | None:
        """The delay before the next start. None: give up, because every start so far has failed.

        A process that once survived its startup is restarted without limit. Being killed from outside is no failure.
        """
        self._has_started |= ran_s >= STARTUP_S
        self._failures += code not in KILLED_FROM_OUTSIDE
        if not self._has_started and self._failures >= MAX_START_FAILURES:
            return None
        delay_s = FIRST_DELAY_S if ran_s >= BACKOFF_RESET_S else self._delay_s
        self._delay_s = min(2 * delay_s, MAX_DELAY_S)
        return delay_s


class ProcessSupervisor:
    """Runs one process until `request_stop`.

    launch: starts the process as the leader of its own process group. on_give_up: called with the reason when the
    process cannot be kept running, from the supervisor's thread. restarts: false for a process that runs only once.
    """

    def __init__(
        self,
        name: str,
        launch: Callable[[], Popen[bytes]],
        console: Console,
        on_give_up: Callable[[str], None],
        *,
        restarts: bool = True,
    ) -> None:
        self._name = name
        self._launch = launch
        self._console = console
        self._on_give_up = on_give_up
        self._restarts = restarts
        self._policy = RestartPolicy()
        self._process: Popen[bytes] | None = None
        self._lock = Lock()  # a stop request must not come between a launch and the assignment of its process
        self._must_stop = Event()
        self._thread = Thread(target=self._supervise, name=name, daemon=True)

    def start(self, running: Popen[bytes] | None = None) -> None:
        """running: a process that `launch` has already started."""
        self._process = running
        self._thread.start()

    def request_stop(self) -> None:
        """Sends SIGTERM to the process, not to its group, which would kill Celery's pool in the middle of a job."""
        with self._lock:
            self._must_stop.set()
            if self._process is not None:
                self._process.terminate()

    def wait(self, deadline: float) -> None:
        """Returns when the process is gone. Kills it after the deadline, a value of `time.monotonic`."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        while self._thread.is_alive():
            process = self._process
            if process is not None:
                _kill_group(process.pid)
            self._thread.join(1)

    def _supervise(self) -> None:
        delay_s: float | None = 0.0
        while delay_s is not None and not self._must_stop.wait(delay_s):
            started = time.monotonic()
            try:
                code = self._run()
                ending = _describe_exit(code)
            except OSError as error:  # too many processes, or a full disk under a log file
                code, ending = 1, f"could not be started ({error})"
            if self._must_stop.is_set() or not self._restarts:
                self._console.print_system(f"{self._name} {ending}")
                return
            delay_s = self._policy.delay_s(time.monotonic() - started, code)
            if delay_s is None:
                self._on_give_up(f"{self._name} {ending}, {MAX_START_FAILURES} times in a row right after its start")
            else:
                self._console.print_system(f"{self._name} {ending}; restarting in {delay_s:g} s")

    def _run(self) -> int:
        with self._lock:
            if self._process is None and not self._must_stop.is_set():
                self._process = self._launch()
                self._console.print_system(f"{self._name} started (pid={self._process.pid})")
            process = self._process
        if process is None:
            return 0
        reader = Thread(target=self._print_output, args=(process,), daemon=True)
        reader.start()
        code = process.wait()
        # Orphaned children of a killed process would hold its port, or run jobs that a new worker takes again.
        _kill_group(process.pid)
        reader.join(OUTPUT_DRAIN_S)
        with self._lock:
            self._process = None
        return code

    def _print_output(self, process: Popen[bytes]) -> None:
        for line in process.stdout or ():
            self._console.print_line(self._name, line)


def _describe_exit(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"exited with code {code}"


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS raises the latter for a group of zombies
        return
