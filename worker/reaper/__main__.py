"""Starts the reaper: `python -m worker.reaper`."""

import signal
import threading
from pathlib import Path

from queuecast.config import read_settings
from queuecast.logs import configure_logs
from worker.reaper.reaper import Reaper, run_until


def main() -> None:
    settings = read_settings()
    configure_logs(settings.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_until(stop, Reaper(settings), Path(settings.health_file) if settings.health_file else None)


if __name__ == "__main__":
    main()
