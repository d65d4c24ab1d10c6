"""What a block shows, and where each of its characters stands in the source. Knows no Qt.

Offsets are characters. A shown offset counts one character between two paragraphs.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

BREAK: Final = "\u2028"
"""Ends a line within a paragraph."""

GAP: Final = 12
"""Px below a paragraph."""


TIGHT: Final = 4
"""Px between items of a list without blank lines."""


class Style:
    """Flags of a run. Plain numbers: those of `enum` take 10 µs to combine."""

    PLAIN: Final = 0
    BOLD: Final = 1
    ITALIC: Final = 2
    STRIKE: Final = 4
    CODE: Final = 8
    MATH: Final = 16
    """Its source."""
    HTML: Final = 32
    """Its source."""
    IMAGE: Final = 64
    """What it is said to show."""
    NOTE: Final = 128
    """The number of a footnote."""
    SOURCE: Final = 256
    """Of a whole answer."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A formula that was drawn. Lengths are in the size of its letters."""

    width: float
    ascent: float
    descent: float
    svg: bytes


PLACE: Final = "\u00a0"
"""The character in whose place a picture stands: it is in every font, and shows nothing."""


@dataclass(frozen=True)
class Run:
    """Characters in one style, which follow one another in the source."""

    text: str
    source: int
    """Offset of the first one."""
    style: int = Style.PLAIN
    link: str = ""
    picture: Picture | None = None
    """What stands in the place of the text, which is PLACE then."""
    span: int = -1
    """Characters of the source that it shows; by default as many as it has."""

    def __post_init__(self) -> None:
        if self.span < 0:
            object.__setattr__(self, "span", len(self.text))


@dataclass(frozen=True)
class Around:
    """What a paragraph stands in: a quotation, or an item of a list."""

    kind: Literal["quotation", "item"]
    inset: int
    """Px before what stands in it."""


@dataclass(frozen=True)
class Leaf:
    """A paragraph, heading or rule."""

    runs: tuple[Run, ...]
    kind: Literal["text", "rule", "math"] = "text"
    heading: int = 0
    """1 to 6; 0 for other paragraphs."""
    around: tuple[Around, ...] = ()
    """From outside in."""
    marker: str = ""
    """What stands before the first line of an item: "•", "3.", "[ ]", "[x]"."""
    above: int = 0
    """Px to what stands above it."""

    @cached_property
    def text(self) -> str:
        return "".join(run.text for run in self.runs)


class Flow:
    """Paragraphs, one below the other."""

    def __init__(self, leaves: list[Leaf]) -> None:
        self.leaves = leaves
        self.starts: list[int] = []
        """Shown offset at which each begins."""
        self._shown: list[int] = []
        self._sources: list[int] = []
        self._lengths: list[int] = []
        self._spans: list[int] = []
        at = 0
        for leaf in leaves:
            self.starts.append(at)
            for run in leaf.runs:
                self._shown.append(at)
                self._sources.append(run.source)
                self._lengths.append(len(run.text))
                self._spans.append(run.span)
                at += len(run.text)
            at += 1

    @cached_property
    def text(self) -> str:
        return "\n".join(leaf.text for leaf in self.leaves)

    def to_source(self, shown: int) -> int:
        return _translated(shown, self._shown, self._lengths, self._sources, self._spans)

    def to_shown(self, source: int) -> int:
        """Of the nearest character that is shown, if this one is not."""
        return _translated(source, self._sources, self._spans, self._shown, self._lengths)

    def leaf_at(self, shown: int) -> int:
        """Number of the paragraph that holds a character."""
        return max(0, bisect_right(self.starts, shown) - 1)

    def copied(self, start: int, stop: int) -> str:
        """Source offsets start to stop as plain text, with the markers of lists."""
        first, last = self.to_shown(start), self.to_shown(stop)
        copied: list[str] = []
        for index in range(self.leaf_at(first), self.leaf_at(last) + 1):
            leaf, begin = self.leaves[index], self.starts[index]
            text = leaf.text[max(0, first - begin) : max(0, last - begin)]
            if copied:
                copied.append("\n\n" if leaf.above > TIGHT else "\n")
            if leaf.marker and first <= begin:
                copied.append(f"{leaf.marker} ")
            copied.append(text.replace(BREAK, "\n"))
        return "".join(copied)


@dataclass(frozen=True)
class Code:
    """A block of code."""

    text: str
    language: str
    around: tuple[Around, ...]
    lines: tuple[int, ...]
    """Source offset of each line; of a block that stands in its source as it is, of the first."""

    def to_source(self, shown: int) -> int:
        if len(self.lines) == 1:
            return self.lines[0] + shown
        start = self.text.rfind("\n", 0, shown) + 1
        number = self.text.count("\n", 0, start)
        return self.lines[min(number, len(self.lines) - 1)] + shown - start

    def to_shown(self, source: int) -> int:
        if len(self.lines) == 1:
            return max(0, min(source - self.lines[0], len(self.text)))
        number = max(0, bisect_right(self.lines, source) - 1)
        at = 0
        for _ in range(number):
            at = self.text.find("\n", at) + 1
        end = self.text.find("\n", at)
        length = (end if end >= 0 else len(self.text)) - at
        return at + max(0, min(source - self.lines[number], length))

    def copied(self, start: int, stop: int) -> str:
        return self.text[self.to_shown(start) : self.to_shown(stop)]


Align = Literal["left", "right", "centre"]


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of cells."""

    flow: Flow
    """The cells, one a leaf, row by row."""
    columns: int
    aligns: tuple[Align, ...]
    around: tuple[Around, ...]
    has_head: bool = True
    """Whether the first row holds the heads. It does not where a long table goes on."""

    def without_head(self) -> Table:
        cells = self.flow.leaves[self.columns :]
        return Table(Flow(cells), self.columns, self.aligns, self.around, has_head=False)

    @property
    def rows(self) -> int:
        return len(self.flow.leaves) // self.columns

    def copied(self, start: int, stop: int) -> str:
        """Cells parted by tabs, as spreadsheets take them."""
        flow = self.flow
        first, last = flow.to_shown(start), flow.to_shown(stop)
        copied = ""
        for index in range(flow.leaf_at(first), flow.leaf_at(last) + 1):
            begin = flow.starts[index]
            text = flow.leaves[index].text[max(0, first - begin) : max(0, last - begin)]
            if copied:
                copied += "\t" if index % self.columns else "\n"
            copied += text.replace(BREAK, " ")
        return copied


Content = Flow | Code | Table


def _translated(
    offset: int, here: list[int], lengths: list[int], there: list[int], spans: list[int]
) -> int:
    """From offsets here to offsets there, by runs with a beginning and a length on each side. A
    place within a picture is its beginning."""
    if not here:
        return 0
    index = max(0, bisect_right(here, offset) - 1)
    inside = max(0, min(offset - here[index], lengths[index]))
    if lengths[index] != spans[index]:
        inside = spans[index] if inside == lengths[index] else 0
    return there[index] + inside


def plain_flow(source: str, start: int, *, ends: bool) -> Flow:
    """Each line is a paragraph. `start`: offset of the source in its part; `ends`: whether nothing
    follows it. The line end that cut it from what follows is the gap to that."""
    text = source if ends else source.removesuffix("\n").removesuffix("\r")
    leaves = []
    at = start
    for line in text.split("\n"):
        leaves.append(Leaf((Run(line.removesuffix("\r"), at),)))
        at += len(line) + 1
    return Flow(leaves)
