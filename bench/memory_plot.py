"""The memory of containers over time as a picture. Plain SVG, as in `bench.plot`."""

LEFT, TOP, WIDTH, HEIGHT, RIGHT, BOTTOM = 52, 48, 660, 260, 110, 40
COLORS = ("#06c", "#0a7", "#b30", "#888", "#a5a")
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #333 } .small { font-size: 11px; fill: #777 }
.axis { stroke: #ccc } .mark { stroke: #999; stroke-dasharray: 3 3 } .limit { stroke: #b30; stroke-width: 2 }
path { fill: none; stroke-width: 1.6 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .small { fill: #999 } .axis { stroke: #444 } }
"""
Seen = dict[str, list[tuple[float, float]]]


def memory_plot(samples: Seen, marks: dict[str, float], what: str, limit_mib: float = 512) -> str:
    """samples: (seconds, MiB) of each container. The line on top is the workers' and the gateway's limit."""
    end_s = max(at for seen in samples.values() for at, _ in seen)

    def x(at_s: float) -> float:
        return LEFT + WIDTH * at_s / end_s

    def y(mib: float) -> float:
        return TOP + HEIGHT * (1 - mib / limit_mib)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + RIGHT} {TOP + HEIGHT + BOTTOM}" '
        'role="img" aria-label="Memory of the containers while a batch runs">',
        f"<style>{STYLE}</style>",
        f'<text x="10" y="20">MiB while {what} of CSV go through two workers; red line: their limit</text>',
    ]
    for tick in range(0, int(limit_mib) + 1, 128):
        kind = "limit" if tick == limit_mib else "axis"
        parts.append(f'<line class="{kind}" x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text class="small" text-anchor="end" x="{LEFT - 6}" y="{y(tick) + 4:.1f}">{tick}</text>')
    for index, (name, at_s) in enumerate(marks.items()):
        parts.append(f'<line class="mark" x1="{x(at_s):.1f}" x2="{x(at_s):.1f}" y1="{TOP}" y2="{TOP + HEIGHT}"/>')
        place = f'x="{x(at_s):.1f}" y="{TOP + HEIGHT + 16 + 13 * (index % 2)}"'
        parts.append(f'<text class="small" text-anchor="middle" {place}>{name}, {at_s:.0f} s</text>')
    label_y = 0.0
    last = sorted(((seen[-1][1], name) for name, seen in samples.items() if seen), reverse=True)
    for mib, name in last:
        color = COLORS[list(samples).index(name) % len(COLORS)]
        line = "L".join(f"{x(at):.1f} {y(value):.1f}" for at, value in samples[name])
        parts.append(f'<path stroke="{color}" d="M{line}"/>')
        label_y = max(y(mib) + 4, label_y + 14)
        parts.append(f'<text x="{LEFT + WIDTH + 6}" y="{label_y:.1f}" style="fill: {color}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
