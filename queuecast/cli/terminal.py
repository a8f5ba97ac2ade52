"""The terminal: stdout for results, stderr for notes, and the texts of values, sizes and durations."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

_bars: list[Console] = []


def stdout_console() -> Console:
    width = None if sys.stdout.isatty() else 240  # nothing is cut where another program reads the table
    return Console(width=width, markup=False, highlight=False, emoji=False)


def stderr_console() -> Console:
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def say(text: str) -> None:
    stdout_console().print(text, soft_wrap=True)


def confirm(question: str, refusal: str) -> None:
    """Asks a person. Raises ValueError with the refusal where no person can answer, and Abort for a no."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ValueError(refusal)
    click.confirm(question, abort=True, err=True)


@contextmanager
def notes_above(bar: Console) -> Iterator[None]:
    """Notes are printed above a bar that this console shows while the block runs, not into its line."""
    _bars.append(bar)
    try:
        yield
    finally:
        _bars.remove(bar)


def note(text: str) -> None:
    """Prints a dim line on stderr, apart from the result."""
    console = _bars[-1] if _bars else stderr_console()
    console.print(Text(text, style="dim"), soft_wrap=True)


def new_table(*headings: str, gap: int = 2) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, gap, 0, 0))
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table


def short_text(value: Any) -> str:
    """A value in few characters: floats with six digits, None as a dash."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(short_text(item) for item in value)
    return str(value)


def size_text(size_bytes: int) -> str:
    if size_bytes < 1024:
        return f"{size_bytes} B"
    if size_bytes < 1024**2:
        return f"{size_bytes / 1024:.0f} KiB"
    return f"{size_bytes / 1024**2:.1f} MiB" if size_bytes < 1024**3 else f"{size_bytes / 1024**3:.1f} GiB"


def duration_text(duration: timedelta) -> str:
    seconds = max(0.0, duration.total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
