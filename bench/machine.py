"""Describes the machine of a run; its numbers mean nothing without it."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from subprocess import run

from deploy.embedded.redis_server import server_program


def machine() -> dict[str, str]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": str(os.cpu_count()),
        "cpu": _cpu_model(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "redis": _redis_version(),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _redis_version() -> str:
    """`Valkey 9.1.2`, from `Valkey server v=9.1.2 sha=...`."""
    said = run([server_program(), "--version"], capture_output=True, text=True, timeout=10, check=True).stdout.split()
    return f"{said[0]} {said[2].removeprefix('v=')}"
