"""What several processes print, on one terminal, each line with the time and the name of who printed it."""

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


class LastingPrinter(Printer):  # type: ignore[misc]
    """Prints for as long as somebody reads. `make run | head` must not end the one who has to stop the others."""

    def write(self, message: Any) -> None:
        try:
            super().write(message)
        except OSError:
            self.output = Path(os.devnull).open("w")  # noqa: SIM115 - open until the process ends


class Console:
    """Safe to share between threads. Not for signal handlers: one could interrupt the thread that holds the lock."""

    def __init__(self, names: Iterable[str]) -> None:
        self._colours = dict(zip(names, get_colours(), strict=False))
        self._printer = LastingPrinter(sys.stdout, width=max(map(len, [SYSTEM, *self._colours])))
        self._lock = Lock()

    def show(self, name: str, text: bytes | str) -> None:
        message = Message("line", text, datetime.datetime.now(), name, self._colours.get(name))
        with self._lock:
            self._printer.write(message)

    def say(self, text: str) -> None:
        """A line from the one who keeps the processes."""
        self.show(SYSTEM, text)
