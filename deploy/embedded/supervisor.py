"""One process kept running: its lines go to the screen, and when it ends unasked it is started again.

honcho's own manager ends all processes when one ends, and reads each through a forked process and a shared queue,
which a SIGKILL at the wrong moment leaves locked for the others. So its Procfile and its printer are used, and a
thread a process instead of its manager.
"""

import os
import signal
import time
from collections.abc import Callable
from subprocess import Popen
from threading import Event, Lock, Thread

from deploy.embedded.console import Console

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
RUNS_WELL_AFTER_S = 60.0
FAILS_AT_ONCE_BEFORE_S = 20.0  # a worker that refuses a setting has imported scikit-learn first
TRIES = 5
FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)
LAST_LINES_WAIT_S = 2.0


class RestartPolicy:
    """How long to wait before the next start, and when to give up."""

    def __init__(self) -> None:
        self._pause_s = FIRST_PAUSE_S
        self._failures = 0
        self._has_run = False

    def pause_s(self, ran_s: float, code: int) -> float | None:
        """None: it has failed at once on all of its first tries, so the next one would too.

        A process that has run longer once is never given up, and whoever was killed did not fail.
        """
        self._has_run |= ran_s >= FAILS_AT_ONCE_BEFORE_S
        self._failures += code not in FROM_OUTSIDE
        if not self._has_run and self._failures >= TRIES:
            return None
        pause_s = FIRST_PAUSE_S if ran_s >= RUNS_WELL_AFTER_S else self._pause_s
        self._pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return pause_s


class ProcessSupervisor:
    """launch: starts the process, as the leader of its own group. give_up: told why, from another thread.

    A process that is not `kept` may end when it likes.
    """

    def __init__(
        self,
        name: str,
        launch: Callable[[], Popen[bytes]],
        screen: Console,
        give_up: Callable[[str], None],
        *,
        kept: bool = True,
    ) -> None:
        self._name = name
        self._launch = launch
        self._screen = screen
        self._give_up = give_up
        self._kept = kept
        self._patience = RestartPolicy()
        self._process: Popen[bytes] | None = None
        self._lock = Lock()  # between the start of a process and the wish to stop it
        self._must_stop = Event()
        self._thread = Thread(target=self._keep, name=name, daemon=True)

    def start(self, running: Popen[bytes] | None = None) -> None:
        """running: a process that `launch` has started already."""
        self._process = running
        self._thread.start()

    def ask_to_stop(self) -> None:
        """SIGTERM to the process, not to its group, or Celery's pool would die with a job in hand."""
        with self._lock:
            self._must_stop.set()
            if self._process is not None:
                self._process.terminate()

    def wait(self, deadline: float) -> None:
        """Returns when the process is gone. Past the deadline, in the time of `time.monotonic`, it is killed."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        while self._thread.is_alive():
            process = self._process
            if process is not None:
                _kill_group(process.pid)
            self._thread.join(1)

    def _keep(self) -> None:
        pause_s: float | None = 0.0
        while pause_s is not None and not self._must_stop.wait(pause_s):
            started = time.monotonic()
            try:
                code = self._run()
                ended = _ending(code)
            except OSError as error:  # no more processes, or a full disk under a log
                code, ended = 1, f"could not be started ({error})"
            if self._must_stop.is_set() or not self._kept:
                self._screen.say(f"{self._name} {ended}")
                return
            pause_s = self._patience.pause_s(time.monotonic() - started, code)
            if pause_s is None:
                self._give_up(f"{self._name} {ended}, {TRIES} times in a row right after its start")
            else:
                self._screen.say(f"{self._name} {ended}; it is started again in {pause_s:g} s")

    def _run(self) -> int:
        with self._lock:
            if self._process is None and not self._must_stop.is_set():
                self._process = self._launch()
                self._screen.say(f"{self._name} started (pid={self._process.pid})")
            process = self._process
        if process is None:
            return 0
        reader = Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        code = process.wait()
        # What a killed process leaves behind would hold its port, or run the same jobs.
        _kill_group(process.pid)
        reader.join(LAST_LINES_WAIT_S)
        with self._lock:
            self._process = None
        return code

    def _read(self, process: Popen[bytes]) -> None:
        for line in process.stdout or ():
            self._screen.show(self._name, line)


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        return
