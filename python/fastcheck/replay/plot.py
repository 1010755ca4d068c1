"""Burn over time as an SVG picture: stacked areas, one per plan. Text in, text out; no plotting library.

The picture follows the reader's light or dark setting. Each area carries its exact total as `data-total`.
"""

from collections.abc import Sequence
from decimal import Decimal
from xml.sax.saxutils import escape, quoteattr

from fastcheck.replay.report import plain

WIDTH, HEIGHT = 960, 480
LEFT, RIGHT, TOP, BOTTOM = 84, 24, 96, 56
"""Margins of the plot area, px: room for tick labels, title and legend."""

LIGHT = ("#4c78c8", "#e08a3c", "#3f9f8c", "#a569b8", "#c45b66", "#8a8f3c")
DARK = ("#6f9ae8", "#f0a35e", "#5fc4ae", "#c48fd6", "#e2808a", "#b4b95e")
"""Fill colours, told apart by the colour-blind in this order; used again from the start after the sixth."""

Points = Sequence[tuple[int, Sequence[Decimal]]]
"""(ms, credits burned until then by each series), ascending."""


def burn_over_time(names: Sequence[str], points: Points, title: str, subtitle: str = "") -> str:
    """A complete SVG file. The first of `names` is at the bottom of the stack."""
    if not points:
        raise ValueError("no points to draw")
    start_ms, span_ms = points[0][0], max(1, points[-1][0] - points[0][0])
    totals = points[-1][1]
    y_ticks = ticks(float(sum(totals, Decimal(0))))
    y_top = y_ticks[-1]
    bottom = HEIGHT - BOTTOM

    def x(ms: float) -> float:
        return LEFT + (ms - start_ms) / span_ms * (WIDTH - LEFT - RIGHT)

    def y(credits: float) -> float:
        return bottom - credits / y_top * (bottom - TOP)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        f' width="{WIDTH}" height="{HEIGHT}" role="img" aria-labelledby="title">',
        f'<title id="title">{escape(title)}</title>',
        f"<style>{_style()}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="32">{escape(title)}</text>',
        f'<text x="{LEFT}" y="52">{escape(subtitle)}</text>',
        *_legend(names, totals),
    ]
    for tick in y_ticks:
        out.append(
            f'<line class="grid" x1="{LEFT}" y1="{y(tick):.1f}" x2="{WIDTH - RIGHT}" y2="{y(tick):.1f}"/>'
        )
        out.append(f'<text class="end" x="{LEFT - 10}" y="{y(tick) + 4:.1f}">{_number(tick)}</text>')
    below = [Decimal(0)] * len(points)
    for index, name in enumerate(names):
        above = [base + values[index] for base, (_, values) in zip(below, points, strict=True)]
        path = _area(
            [x(ms) for ms, _ in points],
            [y(float(value)) for value in below],
            [y(float(value)) for value in above],
        )
        attributes = f"data-plan={quoteattr(name)} data-total={quoteattr(plain(totals[index]))}"
        out.append(f'<path class="area s{index % len(LIGHT)}" {attributes} d="{path}"/>')
        below = above
    unit_ms, unit = _time_unit(span_ms)
    for tick in ticks(span_ms / unit_ms):
        if tick * unit_ms <= span_ms * 1.001:
            at = x(start_ms + tick * unit_ms)
            out.append(f'<line class="axis" x1="{at:.1f}" y1="{bottom}" x2="{at:.1f}" y2="{bottom + 5}"/>')
            out.append(f'<text class="mid" x="{at:.1f}" y="{bottom + 21}">{_number(tick)}</text>')
    middle_x, middle_y = (LEFT + WIDTH - RIGHT) / 2, (TOP + bottom) / 2
    out += [
        f'<line class="axis" x1="{LEFT}" y1="{bottom}" x2="{WIDTH - RIGHT}" y2="{bottom}"/>',
        f'<text class="mid" x="{middle_x:.1f}" y="{HEIGHT - 12}">time in the trace, {unit}</text>',
        f'<text class="mid" transform="translate(20 {middle_y:.1f}) rotate(-90)">credits burned</text>',
        "</svg>",
    ]
    return "\n".join(out) + "\n"


def ticks(largest: float) -> list[float]:
    """About five round numbers from 0 to the first one that is not below `largest`."""
    if not largest > 0:
        return [0.0, 1.0]
    power = 1.0
    while power * 10 <= largest:
        power *= 10
    while power > largest:
        power /= 10
    step = next(power * f for f in (0.1, 0.2, 0.25, 0.5, 1, 2, 2.5, 5, 10) if largest / (power * f) <= 6)
    count = -int(-largest // step) if largest % step else int(largest / step)
    while count * step < largest:
        count += 1
    return [i * step for i in range(count + 1)]


def _area(xs: Sequence[float], lower: Sequence[float], upper: Sequence[float]) -> str:
    edge = [f"{x:.1f} {y:.2f}" for x, y in zip(xs, upper, strict=True)]
    back = [f"{x:.1f} {y:.2f}" for x, y in zip(reversed(xs), reversed(lower), strict=True)]
    return "M" + "L".join([*edge, *back]) + "Z"


def _legend(names: Sequence[str], totals: Sequence[Decimal]) -> list[str]:
    out, at = [], float(LEFT)
    for index, (name, total) in enumerate(zip(names, totals, strict=True)):
        label = f"{name}  {total:,.2f}"
        out.append(f'<rect class="s{index % len(LIGHT)}" x="{at:.0f}" y="66" width="12" height="12" rx="2"/>')
        out.append(f'<text class="legend" x="{at + 18:.0f}" y="76">{escape(label)}</text>')
        at += 18 + 7.2 * len(label) + 22
    return out


def _style() -> str:
    fills = "".join(f".s{i}{{fill:{colour}}}" for i, colour in enumerate(LIGHT))
    dark_fills = "".join(f".s{i}{{fill:{colour}}}" for i, colour in enumerate(DARK))
    return (
        "text{font:13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#4a5560}"
        ".title{font-size:18px;font-weight:600;fill:#15202b}.legend{fill:#15202b;white-space:pre}"
        ".end{text-anchor:end}.mid{text-anchor:middle}.paper{fill:#fff}"
        ".grid{stroke:#e3e8ed}.axis{stroke:#8793a0}.area{stroke:#fff;stroke-width:.75}"
        f"{fills}"
        "@media(prefers-color-scheme:dark){text{fill:#a9b4c0}.title,.legend{fill:#eef2f6}.paper{fill:#14191f}"
        f".grid{{stroke:#2a323b}}.axis{{stroke:#697685}}.area{{stroke:#14191f}}{dark_fills}}}"
    )


def _time_unit(span_ms: int) -> tuple[int, str]:
    for unit_ms, unit in ((86_400_000, "days"), (3_600_000, "hours"), (60_000, "minutes"), (1000, "seconds")):
        if span_ms >= 2 * unit_ms:
            return unit_ms, unit
    return 1, "milliseconds"


def _number(value: float) -> str:
    return f"{value:,.10f}".rstrip("0").rstrip(".")
