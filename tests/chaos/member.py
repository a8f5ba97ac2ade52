"""One supervised process: its command, its starts, its children and its end."""

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Member:
    """One supervised process. `starts` counts its starts; the log of the current one begins at `log_offset`."""

    name: str
    role: str
    command: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None
    is_wanted: bool = True
    starts: int = 0
    start_at: float = 0.0
    log_offset: int = 0


def children(pid: int) -> list[int]:
    """The direct children of a process; empty if the process is gone."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def celery_member(name: str, role: str, queue: str) -> Member:
    worker = ("celery", "-A", "worker.main", "worker", "-Q", queue, "-n", f"{name}@%h", "-c", "1")
    return Member(name, role, (*worker, "--without-gossip", "--without-mingle", "-E", "-l", "INFO"))


def has_exited(pid: int) -> bool:
    """Whether the process has exited, without reaping it: until then, the system does not reuse its pid."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def end_session(process: subprocess.Popen[bytes]) -> int:
    """Kills all processes of a member, as a stopped container would, and returns the exit code of the main process."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()
