"""One supervised process: its command, its lives, its children and its end."""

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Member:
    """One supervised process. `starts` counts its lives; `ready_at` is when the present one said so."""

    name: str
    role: str
    command: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None
    is_wanted: bool = True
    starts: int = 0
    start_at: float = 0.0
    log_offset: int = 0


def children(pid: int) -> list[int]:
    """The direct children of a process; none when it is gone."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def celery_member(name: str, role: str, queue: str) -> Member:
    worker = ("celery", "-A", "worker.main", "worker", "-Q", queue, "-n", f"{name}@%h", "-c", "1")
    return Member(name, role, (*worker, "--without-gossip", "--without-mingle", "-E", "-l", "INFO"))


def has_exited(pid: int) -> bool:
    """Without reaping it: until that is done its pid, and its session's, are nobody else's."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def end_session(process: subprocess.Popen[bytes]) -> int:
    """Kills what is left of a member, as the end of its container would, and returns the main process's exit code."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()
