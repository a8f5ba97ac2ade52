"""Scales, their round ticks, and the frame of a plot."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from api.reports import svg
from api.reports.number_texts import tick_text


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps the numbers from `low` to `high` to the places from `start` to `end`, and numbers beyond to the nearest."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)

    def ticks(self, count: int) -> list[float]:
        """About that many round numbers within the scale."""
        rough = (self.high - self.low) / count
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * (1 - 1e-9))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [at * step for at in range(first, last + 1)]


def scale_around(values: Sequence[float], start: float, end: float, room: float = 0.08) -> Scale:
    """A scale with room at both ends. Values that are not finite are left out."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    spare = room * (high - low) or abs(high) * 0.1 or 1.0
    return Scale(low - spare, high + spare, start, end)


@dataclass(frozen=True, slots=True)
class Plot:
    """The rectangle of a plot within its drawing, with its two scales. y grows upwards."""

    x: Scale
    y: Scale

    def points(self, xs: Sequence[float], ys: Sequence[float]) -> Iterator[tuple[float, float]]:
        return ((self.x.place(x), self.y.place(y)) for x, y in zip(xs, ys, strict=True))

    def frame(self, x_title: str, y_title: str) -> Iterator[Markup]:
        """Grid, ticks and the titles of both axes."""
        left, right, top, bottom = self.x.start, self.x.end, self.y.end, self.y.start
        for value in self.y.ticks(5):
            at = self.y.place(value)
            yield svg.line(left, at, right, at, "grid")
            yield svg.text(left - 6, at + 4, tick_text(value), class_="tick", anchor="end")
        for value in self.x.ticks(5):
            at = self.x.place(value)
            yield svg.line(at, bottom, at, bottom + 4, "axis")
            yield svg.text(at, bottom + 17, tick_text(value), class_="tick", anchor="middle")
        yield svg.line(left, bottom, right, bottom, "axis")
        yield svg.text((left + right) / 2, bottom + 34, x_title, class_="axis-title", anchor="middle")
        yield svg.text(left - 34, top - 10, y_title, class_="axis-title")
