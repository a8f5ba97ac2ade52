"""SVG elements as text. Everything that is no markup already is escaped."""

from collections.abc import Iterable
from typing import Any

from markupsafe import Markup, escape


def element(name: str, *content: Any, **attributes: Any) -> Markup:
    """name: never from outside. `class_` is the attribute `class`, `text_anchor` is `text-anchor`; None is left out."""
    shown = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    parts = [Markup(' {}="{}"').format(key, _attribute(value)) for key, value in shown.items()]
    inside = Markup("").join(escape(each) for each in content)
    return Markup("<{0}{1}>{2}</{0}>").format(name, Markup("").join(parts), inside)


def drawing(title: str, width: float, height: float, content: Iterable[Markup], *, class_: str = "chart") -> Markup:
    """A drawing that scales with the page. title: read aloud by a screen reader, and shown under the pointer."""
    return element(
        "svg",
        element("title", title),
        *content,
        class_=class_,
        viewBox=f"0 0 {width:g} {height:g}",
        width=f"{width:g}",
        height=f"{height:g}",
        role="img",
    )


def text(x: float, y: float, words: str, *, class_: str | None = None, anchor: str | None = None) -> Markup:
    return element("text", words, x=x, y=y, class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def polyline(points: Iterable[tuple[float, float]], class_: str) -> Markup:
    """A path, which takes fewer bytes for each point than other elements."""
    steps = [f"{_coordinate(x)} {_coordinate(y)}" for x, y in points]
    return element("path", d="M" + "L".join(steps), class_=class_) if steps else Markup("")


def dots(points: Iterable[tuple[float, float]], class_: str) -> Markup:
    """All points in one path: lines without length, which round caps make visible."""
    steps = "".join(f"M{_coordinate(x)} {_coordinate(y)}h0" for x, y in points)
    return element("path", d=steps, class_=class_) if steps else Markup("")


def boxes(found: Iterable[tuple[float, float, float, float]], class_: str, opacity: float | None = None) -> Markup:
    """Filled rectangles in one path. found: x, y, width and height of each."""
    steps = "".join(
        f"M{_coordinate(x)} {_coordinate(y)}h{_coordinate(width)}v{_coordinate(height)}h-{_coordinate(width)}z"
        for x, y, width, height in found
    )
    return element("path", d=steps, class_=class_, fill_opacity=opacity) if steps else Markup("")


def _attribute(value: Any) -> str:
    return _coordinate(value) if isinstance(value, float) else str(value)


def _coordinate(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
