"""Describes the machine of a run; its numbers mean nothing without it."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from deploy.embedded.server_programs import bundled_server, version_of


def machine() -> dict[str, str]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": str(os.cpu_count()),
        "cpu": _cpu_model(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "redis": str(version_of(bundled_server())),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
