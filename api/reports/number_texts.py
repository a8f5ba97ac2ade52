"""Numbers of a report as text for people."""

import math


def number_text(value: float | None) -> str:
    """Four significant digits, with separators: 0.8123, 12,350. A dash if there is no number."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def signed_text(value: float | None) -> str:
    """A difference, with three significant digits."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    return f"{value:+,.0f}" if abs(value) >= 1000 else f"{value:+.3g}"


def share_text(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.1%}".replace("%", " %")


def tick_text(value: float) -> str:
    return f"{0.0 if abs(value) < 1e-12 else value:.4g}"


def seconds_text(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


def shortened_label(text: str, most: int) -> str:
    """Cut in the middle, because long names often begin alike."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 3
    return f"{text[: most - 1 - tail]}…{text[-tail:]}"
