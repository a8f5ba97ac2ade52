"""Progress of a job on stderr: a bar in a terminal, and for a batch now and then a line in a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

from queuecast.cli.job_tables import progress_text
from queuecast.cli.terminal import duration_text, note, notes_above, size_text, stderr_console
from queuecast.client.job import JobHandle

Show = Callable[[str, int, int | None, str], None]
"""Called with a stage, the amount done, the total (None: unknown) and the unit."""


@contextmanager
def job_progress(job: JobHandle) -> Iterator[Callable[[JobHandle], None] | None]:
    """Shows a bar with state, stage and progress while the block runs; yields the callback for changes of the job.

    Yields None outside a terminal, so that the caller need not ask for every change.
    """
    console = stderr_console()
    if not console.is_terminal:
        yield None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[count]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar, notes_above(console):
        task = bar.add_task("", total=None, count="")

        def show(job: JobHandle) -> None:
            progress = job.body.get("progress") or {}
            bar.update(
                task,
                description=_stage_text(job),
                completed=progress.get("done", 0),
                total=progress.get("total"),
                count=progress_text(job.body),
            )
            bar.refresh()  # the next tick may come after a short job has ended

        show(job)
        yield show


def _stage_text(job: JobHandle) -> str:
    progress = job.body.get("progress") or {}
    stage = f", {progress['stage']}" if progress.get("stage") else ""
    rows = f" ({progress['rows']} rows)" if progress.get("rows") is not None else ""
    return f"{job.body['type']} {job.state}{stage}{rows}"


class StageSpeed:
    """Measures speed and time left within one stage, from the first report of that stage."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage = ""
        self._first_at, self._first_done = 0.0, 0

    def measure(self, stage: str, done: int, total: int | None) -> tuple[float, float | None]:
        """Units per second, 0 while unknown; and the seconds left, None while unknown."""
        now = self._clock()
        if stage != self._stage or done < self._first_done:
            self._stage, self._first_at, self._first_done = stage, now, done
        elapsed_s = now - self._first_at
        speed = (done - self._first_done) / elapsed_s if elapsed_s > 0 else 0.0
        return speed, (total - done) / speed if speed and total is not None else None


class BatchProgress:
    """Callbacks for the upload, the job and the download of a batch, which all report to one line."""

    def __init__(self, show: Show) -> None:
        self._show = show

    def upload(self, done: int, total: int) -> None:
        self._show("upload", done, total, "bytes")

    def download(self, done: int, total: int) -> None:
        self._show("download", done, total, "bytes")

    def job(self, job: JobHandle) -> None:
        progress = job.body.get("progress")
        # A batch is queued again before its parts are joined, and has progress then.
        if job.state not in ("running", "queued") or not progress:
            self._show(job.state, 0, None, "")
            return
        bad = f", {progress['errors']:,} bad" if progress.get("errors") else ""
        stage = f"{progress.get('stage') or job.state}{bad}"
        self._show(stage, progress["done"], progress["total"] or None, progress["unit"])


@contextmanager
def batch_progress(clock: Callable[[], float] = time.monotonic) -> Iterator[BatchProgress]:
    console = stderr_console()
    speed = StageSpeed(clock)
    if not console.is_terminal:
        yield BatchProgress(_print_lines(speed, clock))
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=12),
        TextColumn("{task.fields[count]}", markup=False, table_column=Column(no_wrap=True)),
    )
    with Progress(*columns, console=console, transient=True) as bar, notes_above(console):
        task = bar.add_task("", total=None, count="")

        def show(stage: str, done: int, total: int | None, unit: str) -> None:
            count = _count_text(speed, stage, done, total, unit)
            # A new stage is drawn at once, because the next tick may come after a short stage has ended.
            is_new = bar.tasks[task].description != stage
            bar.update(task, description=stage, completed=done, total=total, count=count, refresh=is_new)

        yield BatchProgress(show)


def _print_lines(speed: StageSpeed, clock: Callable[[], float]) -> Show:
    """Prints a line every 10 s, and so none for a short batch."""
    last = clock()

    def show(stage: str, done: int, total: int | None, unit: str) -> None:
        nonlocal last
        count = _count_text(speed, stage, done, total, unit)
        if clock() - last >= 10:
            last = clock()
            note(f"{stage} {count}".rstrip())

    return show


def _count_text(speed: StageSpeed, stage: str, done: int, total: int | None, unit: str) -> str:
    per_second, left_s = speed.measure(stage.partition(",")[0], done, total)
    if total is None:
        return ""
    if unit == "bytes":
        count = f"{size_text(done)} of {size_text(total)}"
        speed_text = f"{size_text(int(per_second))}/s"
    else:
        count = f"{done:,}/{total:,} {unit}"
        speed_text = f"{per_second:,.0f}/s"
    if not per_second:
        return count
    left = "" if left_s is None or done >= total else f"  {_left_text(left_s)} left"
    return f"{count}  {speed_text}{left}"


def _left_text(seconds: float) -> str:
    """An estimate, so without tenths of a second."""
    return f"{max(1, round(seconds))} s" if seconds < 60 else duration_text(timedelta(seconds=seconds))
