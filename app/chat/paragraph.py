"""One paragraph of text, laid out and drawn by QTextLayout; its lines stand as we place them."""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, cast

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QFont,
    QFontMetricsF,
    QPainter,
    QTextCharFormat,
    QTextLayout,
    QTextLine,
    QTextOption,
)

from app.chat import formulas
from app.chat.flow import PLACE, Picture
from app.chat.selection import from_utf16, to_utf16

_WRAP: Final = QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere
_RIGHT_TO_LEFT: Final = ("R", "AL")
_STRONG: Final = ("L", *_RIGHT_TO_LEFT)
PICTURE_GAP: Final = 2
"""Px above and below a picture that is higher than its line."""

_DIRECTION_WITHIN: Final = 400
"""Characters in which the direction of a paragraph is looked for."""


@dataclass(frozen=True)
class Format:
    """How characters start to stop of a text are drawn."""

    start: int
    stop: int
    look: QTextCharFormat


@dataclass(frozen=True)
class Placed:
    """A picture in the place of the character at an offset of a text."""

    at: int
    picture: Picture
    size: float
    """Px of its letters."""
    look: QTextCharFormat
    """Of the character."""


class Paragraph:
    """Text with the height of its lines, px; offsets are characters of the text."""

    def __init__(
        self,
        text: str,
        font: QFont,
        line: int,
        formats: list[Format],
        align: Qt.AlignmentFlag | None = None,
        *,
        wraps: bool = True,
        pictures: Sequence[Placed] = (),
    ) -> None:
        """`align`: the side of its lines; by default the side at which its script begins."""
        self.text = text
        self._line = line
        self._width = -1.0
        self._tops: list[int] = []
        self._begins: list[int] = []
        """UTF-16 units before each line."""
        self._height = line
        self._first = 0
        self._layout = QTextLayout(text, font)
        self._layout.setCacheEnabled(True)
        self._layout.setTextOption(_option(text, align, wraps=wraps))
        self._formats = [_range(text, each) for each in formats]
        self._pictures = pictures
        self._place = QFontMetricsF(font).horizontalAdvance(PLACE) if pictures else 0.0
        self._fit(math.inf)

    @property
    def height(self) -> int:
        """Px at the width at which it was laid out."""
        return self._height

    @property
    def width(self) -> float:
        """Px at which it was laid out."""
        return self._width

    @property
    def baseline(self) -> float:
        """Px from its top to the foot of the letters in its first line."""
        if not self._tops:
            return self._line * 0.7
        line = self._layout.lineAt(0)
        return line.y() + line.ascent()

    @property
    def first_line(self) -> float:
        """Px from its top to its first line, which pictures may reach above."""
        return self._first

    @property
    def natural_width(self) -> float:
        """Px of its longest line."""
        lines = range(self._layout.lineCount())
        return max((self._layout.lineAt(i).naturalTextWidth() for i in lines), default=0.0)

    def lay_out(self, width: float) -> int:
        """Breaks the text into lines of this width, px; the height, px."""
        if width == self._width:
            return self._height
        self._width = width
        if self._pictures:
            self._fit(width)
        self._tops, self._begins = [], []
        self._first = top = 0
        self._layout.beginLayout()
        while (line := self._layout.createLine()).isValid():
            line.setLineWidth(width)
            height = max(self._line, math.ceil(line.height()))
            space = (height - line.height()) / 2
            above, below = self._beyond(line, space)
            line.setPosition(QPointF(0, top + above + space))
            if not self._tops:
                self._first = above
            self._begins.append(line.textStart())
            self._tops.append(top)
            top += above + height + below
        self._layout.endLayout()
        self._height = max(top, self._line)
        return self._height

    def _fit(self, width: float) -> None:
        """Gives each picture its room in the text: what is wider than a line is drawn smaller."""
        widest = [placed.picture.width * placed.size for placed in self._pictures]
        self._scales = [min(1.0, width / each) for each in widest]
        ranges = list(self._formats)
        for placed, wide, scale in zip(self._pictures, widest, self._scales, strict=True):
            look = QTextCharFormat(placed.look)
            look.setFontLetterSpacingType(QFont.SpacingType.AbsoluteSpacing)
            look.setFontLetterSpacing(wide * scale - self._place)
            ranges.append(_range(self.text, Format(placed.at, placed.at + 1, look)))
        self._layout.setFormats(ranges)

    def _in_line(self, line: QTextLine) -> Iterator[tuple[Placed, float, float]]:
        """The pictures of a line, px of their letters, and px at which they begin."""
        begin, end = line.textStart(), line.textStart() + line.textLength()
        for placed, scale in zip(self._pictures, self._scales, strict=True):
            units = to_utf16(self.text, placed.at)
            if begin <= units < end:
                left = min(x_of(line, units), x_of(line, units + 1))
                yield placed, placed.size * scale, left

    def _beyond(self, line: QTextLine, space: float) -> tuple[int, int]:
        """Px by which the pictures of a line reach beyond it, above and below. `space`: px of the
        line above and below its letters."""
        above = below = 0.0
        for placed, size, _ in self._in_line(line):
            picture = placed.picture
            above = max(above, picture.ascent * size + PICTURE_GAP - line.ascent() - space)
            below = max(below, picture.descent * size + PICTURE_GAP - line.descent() - space)
        return math.ceil(above), math.ceil(below)

    def draw(self, painter: QPainter, at: QPointF, clip: QRectF) -> None:
        self._layout.draw(painter, at, [], clip)
        for index in range(len(self._tops) if self._pictures else 0):
            line = self._layout.lineAt(index)
            for placed, size, left in self._in_line(line):
                origin = QPointF(at.x() + left, at.y() + line.y() + line.ascent())
                formulas.draw(painter, placed.picture, size, origin)

    def offset_at(self, x: float, y: float) -> int:
        """Of the character at a point."""
        if not self._tops:
            return 0
        index = max((i for i, top in enumerate(self._tops) if top <= y), default=0)
        line = self._layout.lineAt(index)
        units = line.xToCursor(x)
        end = line.textStart() + line.textLength()
        if units == end and index < len(self._tops) - 1:
            units -= 1  # a line that was broken ends before the place where the next one begins
        return from_utf16(self.text, units)

    def caret(self) -> QRectF:
        """Where more text will stand."""
        if not self._tops:
            return QRectF(0, 0, 0, self._line)
        line = self._layout.lineAt(len(self._tops) - 1)
        x = x_of(line, line.textStart() + line.textLength())
        return QRectF(x, self._tops[-1], 0, self._height - self._tops[-1])

    def bands(self, start: int, stop: int, *, goes_on: bool) -> Iterator[QRectF]:
        """What lies behind characters start to stop: the height of lines, without gaps. `goes_on`:
        the last line is marked to its end, as what follows is marked too."""
        first, last = to_utf16(self.text, start), to_utf16(self.text, stop)
        for index in range(len(self._tops)):
            line = self._layout.lineAt(index)
            begin, end = line.textStart(), line.textStart() + line.textLength()
            if last < begin or (last == begin and index > 0 and not goes_on) or first > end:
                continue
            yield from self._band(index, line, first, last, goes_on=goes_on)

    def _band(
        self, index: int, line: QTextLine, first: int, last: int, *, goes_on: bool
    ) -> Iterator[QRectF]:
        begin, end = line.textStart(), line.textStart() + line.textLength()
        is_last = index == len(self._tops) - 1
        top = self._tops[index]
        height = (self._height if is_last else self._tops[index + 1]) - top
        to_end = last > end or (goes_on and last >= end) or (last == end and not is_last)
        if first <= begin and to_end:
            yield QRectF(0, top, self._width, height)
            return
        edges = [x_of(line, max(begin, first)), x_of(line, min(end, last))]
        if to_end:
            edges[1] = 0.0 if self.is_right_to_left else self._width
        yield QRectF(min(edges), top, max(edges) - min(edges), height)

    def boxes(self, start: int, stop: int) -> Iterator[QRectF]:
        """Around characters start to stop, as high as their letters, for each line."""
        first, last = to_utf16(self.text, start), to_utf16(self.text, stop)
        above, below = bisect_right(self._begins, first) - 1, bisect_left(self._begins, last)
        for index in range(max(0, above), below):
            line = self._layout.lineAt(index)
            begin, end = line.textStart(), line.textStart() + line.textLength()
            if begin < last and first < end:
                edges = [x_of(line, max(begin, first)), x_of(line, min(end, last))]
                yield QRectF(min(edges), line.y(), max(edges) - min(edges), line.height())

    @property
    def is_right_to_left(self) -> bool:
        return self._layout.textOption().textDirection() is Qt.LayoutDirection.RightToLeft


def is_right_to_left(text: str) -> bool:
    """Whether the first letter of a text is written from right to left."""
    if text.isascii():
        return False
    directions = map(unicodedata.bidirectional, text[:_DIRECTION_WITHIN])
    return next((d for d in directions if d in _STRONG), "L") in _RIGHT_TO_LEFT


def _option(text: str, align: Qt.AlignmentFlag | None, *, wraps: bool) -> QTextOption:
    option = QTextOption()
    right_to_left = is_right_to_left(text)
    option.setWrapMode(_WRAP if wraps else QTextOption.WrapMode.NoWrap)
    option.setTextDirection(
        Qt.LayoutDirection.RightToLeft if right_to_left else Qt.LayoutDirection.LeftToRight
    )
    side = Qt.AlignmentFlag.AlignRight if right_to_left else Qt.AlignmentFlag.AlignLeft
    option.setAlignment((align or side) | Qt.AlignmentFlag.AlignAbsolute)
    return option


def _range(text: str, given: Format) -> QTextLayout.FormatRange:
    made = QTextLayout.FormatRange()
    made.start = to_utf16(text, given.start)
    made.length = to_utf16(text, given.stop) - made.start
    made.format = given.look
    return made


def x_of(line: QTextLine, units: int) -> float:
    """Px from the left at which a UTF-16 unit of a line stands."""
    at, _ = cast(tuple[float, int], line.cursorToX(units))
    return at
