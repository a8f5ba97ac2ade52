"""Runs the Compose stack under its own project name, ports and image tags, and removes all of it at the end."""

import json
import os
import shutil
import subprocess
from types import TracebackType

from bench.processes import ROOT
from deploy.embedded.redis_server import free_port

DOCKER = shutil.which("docker") or "docker"
VERSION = "bulk"
IMAGES = ("api", "flower", "worker")


class ComposeStack:
    def __init__(self, project: str, workers: int, worker_limit: str) -> None:
        """worker_limit: of each worker's memory, as Compose writes it."""
        self.port = free_port()
        self._project = project
        self._workers = workers
        self._settings = {
            "QUEUECAST_VERSION": VERSION,
            "QUEUECAST_API_PORT": str(self.port),
            "QUEUECAST_FLOWER_PORT": str(free_port()),
            "QUEUECAST_WORKER_MEM_LIMIT": worker_limit,
        }

    def __enter__(self) -> "ComposeStack":
        try:
            self._compose("up", "-d", "--build", "--wait", "--scale", f"worker={self._workers}")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._remove()

    def container_ids(self, service: str) -> list[str]:
        return self._compose("ps", "-q", service).split()

    def _compose(self, *arguments: str) -> str:
        command = [DOCKER, "compose", "--env-file", os.devnull, "-p", self._project, *arguments]
        environ = os.environ | self._settings
        ended = subprocess.run(command, cwd=ROOT, env=environ, check=False, capture_output=True, text=True, timeout=900)
        if ended.returncode != 0:
            raise OSError(f"docker compose {' '.join(arguments)}: code {ended.returncode}: {ended.stderr[-2000:]}")
        return ended.stdout

    def _remove(self) -> None:
        self._compose("down", "-v", "--timeout", "20")
        for name in IMAGES:
            docker("image", "rm", f"queuecast-{name}:{VERSION}", check=False)


def docker(*arguments: str, check: bool = True) -> str:
    return subprocess.run([DOCKER, *arguments], check=check, capture_output=True, text=True, timeout=120).stdout


def ran_out_of_memory(container_id: str) -> bool:
    return bool(json.loads(docker("inspect", container_id))[0]["State"]["OOMKilled"])


def largest_process_mib(container_id: str) -> int | None:
    """Peak memory of the container's largest process, without the page cache; None if the container has ended."""
    found = docker("exec", container_id, "sh", "-c", "cat /proc/[0-9]*/status", check=False)
    peaks_kib = [int(line.split()[1]) for line in found.splitlines() if line.startswith("VmHWM:")]
    return max(peaks_kib) // 1024 if peaks_kib else None
