"""A result as one SVG: prefill time, memory and decode rate against the context, and the longest
context against the memory that it must fit in.

Two colours, Hearth's and the others', that can be seen on white and on black; what is of the same
colour differs by its dashes and its mark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from engine.bench.result import Result, Way, What

HEARTH: Final = "#D8582A"
OTHERS: Final = "#2F8FD0"
STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#555}.title{font-size:14px;font-weight:600}"
    ".grid{stroke:#888;stroke-opacity:.25}.axis{stroke:#888}"
    "@media(prefers-color-scheme:dark){text{fill:#bbb}}"
)
DASHES: Final = ("", "7 4", "2 3", "9 3 2 3")
WIDTH, HEIGHT = 300.0, 200.0
GAP, BELOW = 84.0, 96.0
"""From a panel to the one beside it, and to the one under it."""
COLUMNS: Final = 2
LEFT, TOP = 74.0, 40.0
LEGEND_ROW: Final = 18.0
LEGEND_COLUMNS: Final = 3
LEGEND_WIDTH: Final = 228.0


@dataclass(frozen=True)
class Panel:
    what: What
    title: str
    unit: float
    """What a figure is divided by."""
    across: str = "context, tokens"


PANELS: Final = (
    Panel("prefill", "Prefill, ms", 1),
    Panel("memory", "Peak extra memory, MB", 1e6),
    Panel("decode", "Decode, tokens/s", 1),
    Panel("longest", "Longest context, tokens", 1, "GiB for weights and all else"),
)


@dataclass(frozen=True)
class Line:
    way: Way
    points: tuple[tuple[int, float], ...]
    """What is across, and the median."""


@dataclass(frozen=True)
class Frame:
    """Where values stand in one panel; the context's axis is logarithmic, the other begins at 0."""

    x: float
    y: float
    contexts: tuple[int, ...]
    top: float

    def across(self, context: int) -> float:
        first, last = math.log2(self.contexts[0]), math.log2(self.contexts[-1])
        share = (math.log2(context) - first) / (last - first) if last > first else 0.5
        return self.x + share * WIDTH

    def up(self, value: float) -> float:
        return self.y + HEIGHT * (1 - value / self.top)


def svg(result: Result) -> str:
    panels = [(panel, lines(result, panel)) for panel in PANELS]
    panels = [(panel, found) for panel, found in panels if found]
    ways = list(dict.fromkeys(line.way for _, found in panels for line in found))
    styles = {way: style(way, ways) for way in ways}
    parts = [
        part
        for place, (panel, found) in enumerate(panels)
        for part in drawn(panel, found, styles, *corner(place))
    ]
    below = corner(COLUMNS * math.ceil(len(panels) / COLUMNS))[1] - TOP + 6
    parts += legend(styles, below)
    width = LEFT + COLUMNS * (WIDTH + GAP)
    height = below + LEGEND_ROW * math.ceil(len(ways) / LEGEND_COLUMNS)
    title = escape(f"{result.model.name} on {result.machine.device}")
    size = f"{width:.0f} {height:.0f}"
    begin = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img">'
    head = f"<title>{title}</title><style>{STYLE}</style>"
    return "\n".join([begin, head, *parts, "</svg>\n"])


def lines(result: Result, panel: Panel) -> list[Line]:
    """Without contexts of 0: they have no place on a logarithmic axis."""
    found = []
    for way in result.ways(panel.what):
        points = sorted(
            (one.context, one.figure.median / panel.unit)
            for one in result.measurements
            if (one.way, one.what) == (way, panel.what) and one.figure and one.context
        )
        if points:
            found.append(Line(way, tuple(points)))
    return found


def style(way: Way, ways: Sequence[Way]) -> str:
    """Attributes of a line: its colour by whose it is, its dashes by which of those it is."""
    ours = [other for other in ways if (other.program == "Hearth") == (way.program == "Hearth")]
    colour = HEARTH if way.program == "Hearth" else OTHERS
    return f'stroke="{colour}" stroke-dasharray="{DASHES[ours.index(way) % len(DASHES)]}"'


def corner(place: int) -> tuple[float, float]:
    """The upper left one of the panel at that place."""
    row, column = divmod(place, COLUMNS)
    return LEFT + column * (WIDTH + GAP), TOP + row * (HEIGHT + BELOW)


def drawn(
    panel: Panel, found: Sequence[Line], styles: dict[Way, str], x: float, y: float
) -> list[str]:
    contexts = tuple(sorted({context for line in found for context, _ in line.points}))
    ticks = nice(max(value for line in found for _, value in line.points))
    frame = Frame(x, y, contexts, ticks[-1])
    parts = [text(x, y - 16, panel.title, "start", "title")]
    for tick in ticks:
        height = frame.up(tick)
        parts.append(rule(x, height, x + WIDTH, height, "grid" if tick else "axis"))
        parts.append(text(x - 8, height + 4, f"{tick:,.10g}", "end"))
    below = y + HEIGHT
    parts += [text(frame.across(c), below + 18, f"{c:,}", "middle") for c in contexts]
    parts.append(text(x + WIDTH / 2, below + 38, panel.across, "middle"))
    for line in found:
        points = [(frame.across(c), frame.up(value)) for c, value in line.points]
        path = " ".join(f"{across:.1f},{up:.1f}" for across, up in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke-width="2" {styles[line.way]}/>')
        parts += [
            f'<circle cx="{across:.1f}" cy="{up:.1f}" r="2.5" fill="none" stroke-width="2" '
            f"{styles[line.way].split()[0]}/>"
            for across, up in points
        ]
    return parts


def legend(styles: dict[Way, str], below: float) -> list[str]:
    parts = []
    for place, (way, attributes) in enumerate(styles.items()):
        row, column = divmod(place, LEGEND_COLUMNS)
        x, y = LEFT + column * LEGEND_WIDTH, below + row * LEGEND_ROW
        parts.append(
            f'<line x1="{x:.0f}" y1="{y:.0f}" x2="{x + 34:.0f}" y2="{y:.0f}" stroke-width="2" '
            f"{attributes}/>"
        )
        parts.append(text(x + 42, y + 4, way.label, "start"))
    return parts


def nice(most: float, count: int = 4) -> list[float]:
    """From 0 to at least `most` in steps of 1, 2 or 5 times a power of ten."""
    rough = (most or 1.0) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * unit for unit in (1, 2, 5, 10) if power * unit >= rough)
    return [step * number for number in range(math.ceil((most or 1.0) / step) + 1)]


def text(x: float, y: float, said: str, anchor: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(said)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
