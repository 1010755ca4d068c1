"""A chart without a plotting library: each figure as a bar, in units of its target."""

from __future__ import annotations

from html import escape

from benches.figures import Figure

WIDTH = 900
LABELS = 330
ROW = 24
TOP = 62
BAR = 12
FULL = 370
"""Pixels of a bar that is exactly at its target … times 1.25, so that a miss is seen to be one."""
BEYOND = 1.25

STYLE = """\
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 }
.quiet { fill: #656d76; font-size: 12px }
.track { fill: #eaeef2 }
.met { fill: #2f81b7 }
.missed { fill: #d1603d }
.target { stroke: #24292f; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .quiet { fill: #9198a1 }
  .track { fill: #2a313c }
  .met { fill: #58a6d6 }
  .missed { fill: #e8845f }
  .target { stroke: #e6edf3 }
}"""


def cost(figure: Figure) -> float:
    """How much of its target a figure uses up: 1 is just met, less is better."""
    assert figure.target is not None
    if figure.sense == "at least":
        return figure.target / figure.value if figure.value else BEYOND
    return figure.value / figure.target


def bar(kind: str, middle: float, length: float) -> str:
    y = middle - BAR / 2
    return f'<rect class="{kind}" x="{LABELS}" y="{y}" width="{length:.1f}" height="{BAR}" rx="3"/>'


def draw(figures: list[Figure]) -> str:
    shown = [figure for figure in figures if figure.target]  # An exact zero is no length.
    height = TOP + ROW * len(shown) + 14
    mark = LABELS + FULL / BEYOND
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label="Figures measured, in units of their targets">',
        f"<style>{STYLE}</style>",
        '<text class="title" x="12" y="24">How much of its target each figure uses</text>',
        '<text class="quiet" x="12" y="44">shorter is better; the line is the target</text>',
        f'<text class="quiet" x="{mark}" y="44" text-anchor="middle">target</text>',
    ]
    for i, figure in enumerate(shown):
        y = TOP + ROW * i
        middle = y + ROW / 2
        used = cost(figure)
        length = max(2.0, min(used, BEYOND) / BEYOND * FULL)
        kind = "met" if figure.met else "missed"
        label = figure.what.split(" (ratio")[0]
        values = f"{figure.shown} (target {figure.shown_target})"
        out += [
            f'<text x="{LABELS - 10}" y="{middle + 4.5}" text-anchor="end">{escape(label)}</text>',
            bar("track", middle, FULL),
            bar(kind, middle, length),
            f'<text class="quiet" x="{LABELS + FULL + 10}" y="{middle + 4}">{escape(values)}</text>',
        ]
    bottom = TOP + ROW * len(shown)
    out.append(f'<line class="target" x1="{mark}" x2="{mark}" y1="{TOP - 10}" y2="{bottom + 2}"/>')
    out.append("</svg>\n")
    return "\n".join(out)
