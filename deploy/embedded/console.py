"""Prints the output of several processes on one terminal, each line with its time and the name of its process."""

import datetime
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Any

from honcho.colour import get_colours
from honcho.printer import Message, Printer

SYSTEM = "system"


class PipeSafePrinter(Printer):  # type: ignore[misc]
    """Ignores a closed pipe. In `make run | head`, this process must live on to stop the processes it started."""

    def write(self, message: Any) -> None:
        try:
            super().write(message)
        except OSError:
            self.output = Path(os.devnull).open("w")  # noqa: SIM115 - open until the process ends


class Console:
    """Safe to share between threads, but not with signal handlers: one may interrupt the thread that holds the lock."""

    def __init__(self, names: Iterable[str]) -> None:
        self._colours = dict(zip(names, get_colours(), strict=False))
        self._printer = PipeSafePrinter(sys.stdout, width=max(map(len, [SYSTEM, *self._colours])))
        self._lock = Lock()

    def print_line(self, name: str, text: bytes | str) -> None:
        message = Message("line", text, datetime.datetime.now(), name, self._colours.get(name))
        with self._lock:
            self._printer.write(message)

    def print_system(self, text: str) -> None:
        """Prints a line from `make run` itself."""
        self.print_line(SYSTEM, text)
