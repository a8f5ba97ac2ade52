"""How far a batch is, on stderr: a bar in a terminal, and where a log is kept a line now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Column

from queuecast.cli.rendering import duration_text, note, size_text, stderr_console
from queuecast.client.job import JobHandle

LINE_EVERY_S = 10.0
Show = Callable[[str, int, int | None, str], None]
"""Called with what is done, how much of it, of how much in all (None: not known), and what is counted."""


class Pace:
    """Speed and time left in one stage, from its first sight on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage = ""
        self._began, self._first = 0.0, 0

    def told(self, stage: str, done: int, total: int | None) -> tuple[float, float | None]:
        """Units a second, 0 while it cannot be said; and the seconds that are left."""
        now = self._clock()
        if stage != self._stage or done < self._first:
            self._stage, self._began, self._first = stage, now, done
        passed = now - self._began
        speed = (done - self._first) / passed if passed > 0 else 0.0
        return speed, (total - done) / speed if speed and total is not None else None


class BulkProgress:
    """Turns what uploads, jobs and downloads tell into one line. Give its methods as their callbacks."""

    def __init__(self, show: Show) -> None:
        self._show = show

    def upload(self, done: int, total: int) -> None:
        self._show("upload", done, total, "bytes")

    def download(self, done: int, total: int) -> None:
        self._show("download", done, total, "bytes")

    def job(self, job: JobHandle) -> None:
        now = job.body.get("progress")
        # Between its chunks and their joining a batch waits for a worker: that is not its beginning.
        if job.state not in ("running", "queued") or not now:
            self._show(job.state, 0, None, "")
            return
        bad = f", {now['errors']:,} bad" if now.get("errors") else ""
        self._show(f"{now.get('stage') or job.state}{bad}", now["done"], now["total"], now["unit"])


@contextmanager
def bulk_progress(clock: Callable[[], float] = time.monotonic) -> Iterator[BulkProgress]:
    console = stderr_console()
    pace = Pace(clock)
    if not console.is_terminal:
        yield BulkProgress(_lines(pace, clock))
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=12),
        TextColumn("{task.fields[told]}", markup=False, table_column=Column(no_wrap=True)),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, told="")

        def show(stage: str, done: int, total: int | None, unit: str) -> None:
            told = _told(pace, stage, done, total, unit)
            is_new = bar.tasks[task].description != stage
            # Not first at the next tick: a short stage would be over without having been seen.
            bar.update(task, description=stage, completed=done, total=total, told=told, refresh=is_new)

        yield BulkProgress(show)


def _lines(pace: Pace, clock: Callable[[], float]) -> Show:
    """A line every LINE_EVERY_S: a batch of seconds tells its end only."""
    last = clock()

    def show(stage: str, done: int, total: int | None, unit: str) -> None:
        nonlocal last
        told = _told(pace, stage, done, total, unit)
        if clock() - last >= LINE_EVERY_S:
            last = clock()
            note(f"{stage} {told}".rstrip())

    return show


def _told(pace: Pace, stage: str, done: int, total: int | None, unit: str) -> str:
    speed, left_s = pace.told(stage.partition(",")[0], done, total)
    if total is None:
        return ""
    if unit == "bytes":
        told = f"{size_text(done)} of {size_text(total)}"
        pace_text = f"{size_text(int(speed))}/s"
    else:
        told = f"{done:,}/{total:,} {unit}"
        pace_text = f"{speed:,.0f}/s"
    if not speed:
        return told
    left = "" if left_s is None or done >= total else f"  {_whole_text(left_s)} left"
    return f"{told}  {pace_text}{left}"


def _whole_text(seconds: float) -> str:
    """Time that is left, which nobody knows to the tenth of a second."""
    return f"{max(1, round(seconds))} s" if seconds < 60 else duration_text(timedelta(seconds=seconds))
