"""The processes that are measured: started in sessions of their own, read through /proc, ended by pid.

A stack names them; this module knows nothing else about them.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
STOP_WAIT_S = 45.0
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of one process in MiB. pss counts a page shared by n processes as 1/n, so sums are right."""

    rss_mib: float
    pss_mib: float


class Processes:
    """Named process trees. CPU time is given for a tree's main process and for its descendants."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: list[str], environ: Mapping[str, str]) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            self._started[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def names(self) -> list[str]:
        return list(self._started)

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text(errors="replace")

    def require_running(self) -> None:
        """Raises OSError with the end of the log of a process that has exited."""
        for name, process in self._started.items():
            if process.poll() is not None:
                tail = " | ".join(self.log(name).splitlines()[-5:])
                raise OSError(f"{name} ended with code {process.returncode}: {tail}")

    def cpu_s(self) -> dict[str, float]:
        """Seconds since each tree's start: `name` is its main process, `name/children` the rest, ended ones too."""
        seconds = {}
        for name, process in self._started.items():
            own_s, ended_s = cpu_times_s(process.pid)
            living = [cpu_times_s(pid) for pid in descendants(process.pid)]
            seconds[name] = own_s
            seconds[f"{name}/children"] = ended_s + sum(own + ended for own, ended in living)
        return seconds

    def memory(self) -> dict[str, Memory]:
        found = {}
        for name, process in self._started.items():
            found[name] = memory_of([process.pid])
            found[f"{name}/children"] = memory_of(descendants(process.pid))
        return found

    def signal_all(self, number: signal.Signals) -> None:
        """To every process of every tree."""
        for process in self._started.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)

    def stop(self, *names: str) -> None:
        """Sends SIGTERM to each (by default all), then SIGKILL to the rest of its session. Safe to call twice."""
        chosen = {name: self._started.pop(name) for name in names or tuple(self._started)}
        for process in chosen.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_WAIT_S
        for process in chosen.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def cpu_times_s(pid: int) -> tuple[float, float]:
    """User and system seconds of a process, and of its children that have ended (proc(5), fields 14 to 17)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0, 0.0
    own, ended = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return own / TICKS_PER_S, ended / TICKS_PER_S


def machine_times_s() -> tuple[float, float]:
    """Seconds that all cores together were busy, and that there were in all, since the machine started (proc(5))."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]]
    idle = ticks[3] + ticks[4]  # idle and waiting for a disk
    return (sum(ticks) - idle) / TICKS_PER_S, sum(ticks) / TICKS_PER_S


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in task.read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def memory_of(pids: list[int]) -> Memory:
    sizes_kib = {"Rss": 0, "Pss": 0}
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name in sizes_kib:
                    sizes_kib[name] += int(rest.split()[0])
    return Memory(sizes_kib["Rss"] / 1024, sizes_kib["Pss"] / 1024)
