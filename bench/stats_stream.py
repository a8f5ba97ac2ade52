"""`docker stats`, read while it runs: the memory of some containers, about once a second.

Its memory usage leaves out inactive page cache, which the kernel frees first.
"""

import json
import subprocess
import threading
import time

UNITS_MIB = {"GiB": 1024.0, "MiB": 1.0, "KiB": 1 / 1024, "kB": 1 / 1049, "B": 1 / 2**20}
AGAIN_S = 0.3


class StatsStream:
    """samples: (seconds since it began, MiB) of each container; marks: the seconds at which something happened."""

    def __init__(self, names: dict[str, str]) -> None:
        """names: of the containers, by id."""
        self.samples: dict[str, list[tuple[float, float]]] = {name: [] for name in names.values()}
        self.marks: dict[str, float] = {}
        self._names = names
        self._began = time.monotonic()
        command = ["docker", "stats", "--no-trunc", "--format", "{{json .}}", *names]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._reader = threading.Thread(target=self._read, name="docker stats")
        self._reader.start()

    def mark(self, what: str) -> None:
        self.marks[what] = time.monotonic() - self._began

    def stop(self) -> None:
        self._process.kill()  # at a SIGTERM it goes on
        self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            begin, end = line.find("{"), line.rfind("}")  # between escape codes that clear a terminal
            if begin < 0 or end < 0:
                continue
            found = json.loads(line[begin : end + 1])
            used = found["MemUsage"].partition(" / ")[0]
            seen, at_s = self.samples[self._names[found["ID"]]], time.monotonic() - self._began
            # It prints what it knows twice a second; of a container that has ended, dashes.
            if used[:1].isdigit() and (not seen or at_s - seen[-1][0] > AGAIN_S):
                seen.append((at_s, _mib(used)))


def _mib(text: str) -> float:
    unit = next(unit for unit in UNITS_MIB if text.endswith(unit))
    return float(text.removesuffix(unit)) * UNITS_MIB[unit]
