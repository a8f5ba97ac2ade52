"""The drawings of a report. Each takes facts and returns one SVG element, with a title that says its facts in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from api.reports import svg
from api.reports.axes import Plot, Scale, scale_around
from api.reports.number_texts import number_text, share_text, shortened_label, signed_text
from queuecast.domain.gate import MetricScores, Score
from queuecast.domain.reports import Calibration, Curve, Importance, Residuals, TargetRows


@dataclass(frozen=True, slots=True)
class Series:
    """One version in all drawings of a page. name: for people. style: its class in the styles of the page."""

    name: str
    style: str

    def __str__(self) -> str:
        return self.name


def curve_chart(title: str, x_title: str, y_title: str, curves: dict[Series, Curve], chance: str) -> Markup:
    """Curves of the versions in the unit square. chance: `diagonal` for the line of a random ranking, or empty."""
    plot = _square()
    areas = ", ".join(f"{role}: {number_text(curve.area)}" for role, curve in curves.items())
    content = list(plot.frame(x_title, y_title))
    if chance == "diagonal":
        content.append(svg.polyline(plot.points([0, 1], [0, 1]), "guide"))
    content += [svg.polyline(plot.points(curve.x, curve.y), f"line {role.style}") for role, curve in curves.items()]
    return svg.drawing(f"{title}: areas, {areas}", 330, 300, content)


def calibration_chart(title: str, found: dict[Series, Calibration]) -> Markup:
    plot = _square()
    content = [*plot.frame("predicted probability", "observed share")]
    content.append(svg.polyline(plot.points([0, 1], [0, 1]), "guide"))
    for role, each in found.items():
        points = list(
            plot.points([each_bin.predicted for each_bin in each.bins], [each_bin.observed for each_bin in each.bins])
        )
        content += [svg.polyline(points, f"line {role.style}"), svg.dots(points, f"dot {role.style}")]
    errors = ", ".join(f"{role}: {share_text(each.error)}" for role, each in found.items())
    return svg.drawing(f"{title}: expected calibration error {errors}", 330, 300, content)


def score_chart(scores: MetricScores) -> Markup:
    """The scores of both versions with their intervals, on one scale."""
    found = {role: score for role, score in _by_role(scores) if score is not None}
    scale = scale_around([bound for score in found.values() for bound in _bounds(score)], 8, 292)
    content: list[Markup] = []
    for at, (role, score) in enumerate(found.items()):
        content += _interval(scale, score, 10.0 + 16 * at, role)
    words = "; ".join(f"{role} {_interval_text(score)}" for role, score in found.items())
    return svg.drawing(f"{scores.metric}: {words}", 300, 36, [*content], class_="strip")


def interval_chart(metric: str, role: Series, score: Score, among: Sequence[Score | None]) -> Markup:
    """One score with its interval, on a scale that has all scores of `among`."""
    scale = scale_around([bound for each in among if each is not None for bound in _bounds(each)], 8, 292)
    return svg.drawing(
        f"{metric}: {role} {_interval_text(score)}", 300, 20, _interval(scale, score, 10.0, role.style), class_="strip"
    )


def difference_chart(difference: Score, margin: float | None) -> Markup:
    """A difference with its interval, against no difference and against the loss that counts as none."""
    limits = [0.0, *_bounds(difference), *([-margin] if margin else [])]
    scale = scale_around(limits, 8, 292)
    zero = scale.place(0.0)
    content = [svg.line(zero, 2, zero, 26, "axis")]
    if margin:
        content.append(svg.line(scale.place(-margin), 2, scale.place(-margin), 26, "guide"))
    role = "worse" if difference.highest < 0 else "better" if difference.lowest > 0 else "even"
    content += _interval(scale, difference, 14.0, role)
    bound = f", at most {number_text(margin)} may be lost" if margin else ""
    return svg.drawing(f"difference {_interval_text(difference)}{bound}", 300, 28, content, class_="strip")


def matrix_chart(title: str, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Markup:
    """A confusion matrix. The color is the share of the true class; few classes have their numbers too."""
    size = 64.0 if len(labels) < 5 else float(276 // len(labels))
    left, top = 84.0, 62.0
    levels = [[_level(count, sum(of_class)) for count in of_class] for of_class in counts]
    boxes: dict[int, list[tuple[float, float, float, float]]] = {}
    numbers = []
    for row, of_row in enumerate(levels):
        column = 0
        for level, run in groupby(of_row):  # neighbors of one color are one box
            width = len(list(run))
            boxes.setdefault(level, []).append((left + column * size, top + row * size, width * size, size))
            column += width
        if len(labels) <= 8:
            for column, count in enumerate(counts[row]):
                x, y = left + (column + 0.5) * size, top + (row + 0.5) * size + 4
                tone = "on-dark" if of_row[column] > 4 else "on-light"
                numbers.append(svg.text(x, y, f"{count:,}", class_=f"cell {tone}", anchor="middle"))
    content = [svg.boxes(found, "cell-box", 0.06 + 0.94 * level / 8) for level, found in sorted(boxes.items())]
    content += [*numbers, *_matrix_labels(labels, left, top, size)]
    side = size * len(labels)
    content.append(svg.text(left + side / 2, 14, "predicted", class_="axis-title", anchor="middle"))
    content.append(svg.text(4, top - 8, "true", class_="axis-title"))
    return svg.drawing(title, max(330.0, left + side + 8), top + side + 8, content)


def _level(count: int, total: int) -> int:
    """One of nine shades. Only a count of 0 has the lightest."""
    return max(1, round(8 * count / total)) if count else 0


def _matrix_labels(labels: Sequence[str], left: float, top: float, size: float) -> list[Markup]:
    tick = "tick" if size >= 12 else "tick tiny"
    most = 12
    rows = [
        svg.text(left - 5, top + at * size + size / 2 + 4, shortened_label(label, most), class_=tick, anchor="end")
        for at, label in enumerate(labels)
    ]
    columns = []
    is_short = size >= 40 and all(len(label) <= 6 for label in labels)
    for at, label in enumerate(labels):
        if is_short:
            columns.append(svg.text(left + (at + 0.5) * size, top - 8, label, class_=tick, anchor="middle"))
            continue
        x = left + at * size + size / 2 + 3
        turn = f"rotate(-60 {x:.1f} {top - 6:.1f})"
        columns.append(svg.element("text", shortened_label(label, 7), x=x, y=top - 6, class_=tick, transform=turn))
    return rows + columns


def residual_chart(title: str, found: dict[Series, Residuals]) -> Markup:
    """The histograms of the versions as outlines on one scale."""
    edges = next(iter(found.values())).edges
    highest = max(max(each.counts) for each in found.values()) or 1
    plot = Plot(Scale(edges[0], edges[-1], 52, 318), Scale(0, highest * 1.05, 250, 24))
    content = [*plot.frame("target less prediction", "rows")]
    if edges[0] < 0 < edges[-1]:
        content.append(svg.line(plot.x.place(0), 24, plot.x.place(0), 250, "guide"))
    for role, each in found.items():
        xs = [edge for edge in edges for _ in (0, 1)]
        ys = [0, *(count for count in each.counts for _ in (0, 1)), 0]
        content.append(svg.polyline(plot.points(xs, ys), f"line {role.style}"))
    words = ", ".join(f"mean of {role}: {number_text(each.mean)}" for role, each in found.items())
    return svg.drawing(f"{title}: {words}", 330, 300, content)


def spread_chart(title: str, role: Series, found: Residuals) -> Markup:
    """Each point is a row: its prediction and its residual."""
    x, y = scale_around(found.predictions, 58, 318), scale_around([*found.differences, 0.0], 250, 24)
    plot = Plot(x, y)
    content = [*plot.frame("prediction", "target less prediction")]
    content += [
        svg.line(58, y.place(0), 318, y.place(0), "guide"),
        svg.dots(plot.points(found.predictions, found.differences), f"point {role.style}"),
    ]
    return svg.drawing(title, 330, 300, content)


def importance_chart(found: Importance) -> Markup:
    """A bar for each column, with its spread."""
    high = max([each.drop + each.deviation for each in found.columns] + [1e-12])
    low = min([each.drop - each.deviation for each in found.columns] + [0.0])
    scale = Scale(low, high, 132, 296)
    content = []
    for at, each in enumerate(found.columns):
        y = 4.0 + 20 * at
        start, end = sorted((scale.place(0.0), scale.place(each.drop)))
        least, most = scale.place(each.drop - each.deviation), scale.place(each.drop + each.deviation)
        content += [
            svg.text(126, y + 11, shortened_label(each.column, 19), class_="tick", anchor="end"),
            svg.boxes([(start, y, max(end - start, 0.5), 13)], "bar challenger"),
            svg.line(least, y + 6.5, most, y + 6.5, "spread"),
            svg.text(302, y + 11, signed_text(each.drop), class_="tick"),
        ]
    title = f"Fall of {found.metric} if the values of a column are shuffled"
    return svg.drawing(title, 366, 20.0 * len(found.columns) + 8, content, class_="chart wide")


def balance_chart(title: str, rows: Sequence[TargetRows]) -> Markup:
    """For each class or range, its share of the fitted rows, if there are any, and of the held-out rows."""
    totals = {"fitted": sum(each.fitted for each in rows), "held-out": sum(each.held_out for each in rows) or 1}
    totals = {side: total for side, total in totals.items() if total}
    counts = [{"fitted": each.fitted, "held-out": each.held_out} for each in rows]
    shares = [{side: each[side] for side in totals} for each in counts]
    high = max([count / totals[role] for each in shares for role, count in each.items()] + [1e-12])
    scale = Scale(0.0, high, 122, 268)
    content = []
    for at, (each, of_row) in enumerate(zip(rows, shares, strict=True)):
        y = 4.0 + 30 * at
        content.append(svg.text(116, y + 15, shortened_label(each.label, 18), class_="tick", anchor="end"))
        for role, count in of_row.items():
            top = y + 6 if len(totals) == 1 else y if role == "fitted" else y + 12
            share = count / totals[role]
            width = max(scale.place(share) - scale.start, 0.5)
            content.append(svg.boxes([(scale.start, top, width, 10)], f"bar {role}"))
            words = f"{count:,} ({share_text(share)})"
            content.append(svg.text(scale.start + width + 5, top + 9, words, class_="tick tiny"))
    return svg.drawing(title, 360, 30.0 * len(rows) + 6, content, class_="chart wide")


def _square() -> Plot:
    return Plot(Scale(0.0, 1.0, 46, 318), Scale(0.0, 1.0, 250, 24))


def _interval(scale: Scale, score: Score, y: float, role: str) -> list[Markup]:
    low, high = (scale.place(bound) for bound in (score.lowest, score.highest))
    middle = scale.place(score.value)
    return [
        svg.line(low, y, high, y, f"interval {role}"),
        svg.line(low, y - 4, low, y + 4, f"interval {role}"),
        svg.line(high, y - 4, high, y + 4, f"interval {role}"),
        svg.dots([(middle, y)], f"dot {role}"),
    ]


def _by_role(scores: MetricScores) -> tuple[tuple[str, Score | None], ...]:
    return ("champion", scores.champion), ("challenger", scores.challenger)


def _bounds(score: Score) -> tuple[float, float, float]:
    return score.lowest, score.value, score.highest


def _interval_text(score: Score) -> str:
    return f"{number_text(score.value)} (95 % interval {number_text(score.low)} to {number_text(score.high)})"
