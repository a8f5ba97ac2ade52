"""What a process that serves does to itself, tried in processes of their own."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

NEEDS_TWO_CORES = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs Linux and two cores"
)
STATE = "print(gc.get_freeze_count() > 0, gc.get_threshold()[0], len(os.sched_getaffinity(0)), flush=True)"
PIN = """
import os, sys
from queuecast.process_tuning import pin_to_one_core
pin_to_one_core(sys.argv[1])
print(*os.sched_getaffinity(0), flush=True)
sys.stdin.read()
"""


HOLES = """
import time
from queuecast.process_tuning import return_freed_pages

def resident_mib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

return_freed_pages(0.2)
blocks = [bytes(2_000) for _ in range(40_000)]
full = resident_mib()
pins = blocks[::50]
del blocks
freed = resident_mib()
time.sleep(1)
print(full - freed, freed - resident_mib())
"""


def output(code: str, repository: Path) -> list[str]:
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, timeout=60, check=True
    )
    return ended.stdout.split()


@NEEDS_TWO_CORES
def test_importing_the_gateway_changes_nothing_in_the_process(repository: Path) -> None:
    frozen, threshold, cores = output(f"import gc, os, api.main\n{STATE}", repository)

    assert (frozen, threshold) == ("False", output("import gc; print(gc.get_threshold()[0])", repository)[0])
    assert int(cores) == len(os.sched_getaffinity(0))


@NEEDS_TWO_CORES
def test_the_served_gateway_is_frozen_and_pinned_and_collects_rarely(repository: Path) -> None:
    code = f"import gc, os, api.serve\napp = api.serve.gateway()\n{STATE}\nimport api.main\nprint(app is api.main.app)"

    assert output(code, repository) == ["True", "20000", "1", "True"]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc")
def test_free_pages_between_used_ones_are_returned(repository: Path) -> None:
    at_once, later = map(float, output(HOLES, repository))

    assert at_once < 10
    assert later > 40


@NEEDS_TWO_CORES
def test_processes_are_pinned_to_different_cores_until_all_are_taken_and_give_them_back(repository: Path) -> None:
    environ = os.environ | {"PYTHONPATH": str(repository)}
    group = f"test-{os.getpid()}"  # gateways of other tests have reservations too
    pinned: list[subprocess.Popen[str]] = []

    def pin() -> int:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen([sys.executable, "-c", PIN, group], text=True, env=environ, **pipes)
        pinned.append(process)
        assert process.stdout is not None
        return int(process.stdout.readline())

    try:
        available = os.sched_getaffinity(0)
        first = [pin() for _ in available]
        extra = pin()
        pinned[0].communicate(timeout=20)
        again = pin()
    finally:
        for process in pinned[1:]:
            process.communicate(timeout=20)

    assert set(first) == available
    assert extra in available
    assert again == first[0]
