"""The number of processors for this process: the quota of its control group, and those of the machine.

Reads /proc and /sys under `root` only.
"""

import os
from pathlib import Path

ROOT = Path("/")


def cpu_quota(root: Path = ROOT) -> float | None:
    """Processors that the control group may use at a time, such as 1.5 for `docker run --cpus 1.5`; None for no limit.

    A group's limit holds for the groups in it, so the least one up to the root counts. In a container the path in
    /proc/self/cgroup may be the host's, which is not there; the container's own group is then the root.
    """
    limits = []
    for controllers, path in _groups(root):
        if not controllers:
            found = [_v2_limit(folder) for folder in _upwards(root / "sys/fs/cgroup", path)]
        elif "cpu" in controllers:
            mount = root / "sys/fs/cgroup" / ",".join(controllers)
            mount = mount if mount.is_dir() else root / "sys/fs/cgroup/cpu"
            found = [_v1_limit(folder) for folder in _upwards(mount, path)]
        else:
            continue
        limits += [limit for limit in found if limit is not None]
    return min(limits, default=None)


def cpu_count(root: Path = ROOT) -> int:
    """Threads that can run at a time here, at least 1.

    Rounded down: a thread more than the quota gets all of them stopped for the rest of the period.
    """
    # The processors that this process is bound to, as os.process_cpu_count() has it from Python 3.13 on.
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(root)
    return count if quota is None else max(1, min(count, int(quota)))


def _groups(root: Path) -> list[tuple[list[str], str]]:
    """The control groups of this process: controllers (none for version 2) and path."""
    lines = _text(root / "proc/self/cgroup").splitlines()
    parts = [line.split(":", 2) for line in lines if line.count(":") >= 2]
    return [([name for name in names.split(",") if name], path.strip("/")) for _, names, path in parts]


def _upwards(mount: Path, path: str) -> list[Path]:
    folder = mount / path
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(mount))]


def _v2_limit(folder: Path) -> float | None:
    return _ratio(_text(folder / "cpu.max").split())


def _v1_limit(folder: Path) -> float | None:
    return _ratio([_text(folder / "cpu.cfs_quota_us").strip(), _text(folder / "cpu.cfs_period_us").strip()])


def _ratio(words: list[str]) -> float | None:
    """Quota by period; `max` and -1 are no limit."""
    if len(words) != 2 or not all(word.isdecimal() for word in words) or "0" in words:
        return None
    return int(words[0]) / int(words[1])


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
