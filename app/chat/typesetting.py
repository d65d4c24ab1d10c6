"""How paragraphs look: sizes, weights, faces and colours of their runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QFontInfo,
    QFontMetricsF,
    QPainter,
    QTextCharFormat,
)

from app import theming
from app.chat.flow import Leaf, Style
from app.chat.paragraph import Format, Paragraph, Placed

READING: Final = 15
"""Px for which the sizes here are given; they grow with the font."""

LINE: Final = 24
CODE_SIZE: Final = 13
CODE_LINE: Final = 20
NOTE_SIZE: Final = 11
INLINE_SIZE: Final = 16.5
DISPLAY_SIZE: Final = 19
"""Px of the letters of formulas, in a line and alone."""

HEADINGS: Final = {1: (20, 28), 2: (18, 28), 3: (16, 24)}
"""Px of letters and of lines; smaller headings are as large as text."""

STRONG: Final = 650
CODE_SIDE: Final = 4
"""Px before and behind code that stands in text, on its ground."""

CODE_CORNER: Final = 4
MATH_FAMILIES: Final = ("STIX Two Text", "STIXGeneral", "Cambria", "serif")


@dataclass(frozen=True)
class Inline:
    """What has a ground of its own or leads somewhere, between two offsets of a paragraph."""

    start: int
    stop: int
    style: int
    link: str


class Typesetter:
    """Makes paragraphs in one font; `role`: the colour of their text."""

    def __init__(self, font: QFont, role: str = "text", line: int = LINE) -> None:
        self.font = font
        self.role = role
        self._line = line
        self._scale = theming.pixel_size(font) / READING
        self._formats: dict[tuple[int, bool, bool], QTextCharFormat] = {}

    def px(self, size: float) -> int:
        """A size at READING px, in this font."""
        return round(size * self._scale)

    @property
    def line(self) -> int:
        """Px of a line of text, at least as high as its letters."""
        return max(self.px(self._line), math.ceil(QFontMetricsF(self.font).height()))

    def paragraph(self, leaf: Leaf, align: Qt.AlignmentFlag | None = None) -> Paragraph:
        font, line = self.font, self.line
        letters = DISPLAY_SIZE if leaf.kind == "math" else INLINE_SIZE
        if leaf.heading:
            size, height = HEADINGS.get(leaf.heading, (READING, LINE))
            letters *= size / READING
            font = QFont(font)
            font.setPixelSize(self.px(size))
            font.setWeight(QFont.Weight(STRONG))
            line = max(self.px(height), math.ceil(QFontMetricsF(font).height()))
        formats = []
        pictures = []
        at = 0
        for number, run in enumerate(leaf.runs):
            stop = at + len(run.text)
            following = leaf.runs[number + 1].style if number + 1 < len(leaf.runs) else Style.PLAIN
            look = self._look(run.style, bool(run.link), bool(leaf.heading))
            if run.picture:
                pictures.append(Placed(at, run.picture, self._scale * letters, QTextCharFormat()))
            elif run.style or run.link:
                formats.append(Format(at, stop, look))
            if (run.style ^ following) & Style.CODE and stop > at:
                formats.append(Format(stop - 1, stop, _spaced(look, self.px(CODE_SIDE))))
            at = stop
        if leaf.kind == "math":
            align = Qt.AlignmentFlag.AlignHCenter
        return Paragraph(leaf.text, font, line, formats, align, pictures=pictures)

    def _look(self, style: int, is_link: bool, is_heading: bool) -> QTextCharFormat:
        key = (style, is_link, is_heading)
        if key not in self._formats:
            self._formats[key] = self._made(*key)
        return self._formats[key]

    def _made(self, style: int, is_link: bool, is_heading: bool) -> QTextCharFormat:
        shown = theming.theme()
        look = QTextCharFormat()
        if style & (Style.CODE | Style.HTML | Style.SOURCE):
            look.setFontFamilies([code_family()])
            look.setProperty(QTextCharFormat.Property.FontPixelSize, self.px(CODE_SIZE))
        if style & Style.MATH:
            look.setFontFamilies(list(MATH_FAMILIES))
            look.setFontItalic(True)
        if style & Style.HTML:
            look.setForeground(QColor(shown.muted))
        if style & Style.BOLD or is_heading:
            look.setFontWeight(STRONG)
        if style & (Style.ITALIC | Style.IMAGE):
            look.setFontItalic(True)
        if style & Style.STRIKE:
            look.setFontStrikeOut(True)
        if style & Style.NOTE:
            look.setVerticalAlignment(QTextCharFormat.VerticalAlignment.AlignSuperScript)
            look.setForeground(QColor(shown.muted))
        if is_link:
            look.setForeground(QColor(shown.accent))
            look.setFontUnderline(True)
        return look


MONOSPACED: Final = (
    *("DejaVu Sans Mono", "Noto Sans Mono", "Liberation Mono", "Ubuntu Mono"),
    *("Cascadia Mono", "Consolas", "Menlo", "Courier New"),
)
"""Families for code if the system names one that is not monospaced, as a bare one does."""


def _spaced(look: QTextCharFormat, space: int) -> QTextCharFormat:
    """With so many px behind its letter."""
    spaced = QTextCharFormat(look)
    spaced.setFontLetterSpacingType(QFont.SpacingType.AbsoluteSpacing)
    spaced.setFontLetterSpacing(space)
    return spaced


@lru_cache(maxsize=1)
def code_family() -> str:
    """The system's face for code."""
    system = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    if QFontInfo(system).fixedPitch():
        return system.family()
    there = set(QFontDatabase.families())
    return next((family for family in MONOSPACED if family in there), system.family())


def inlines(leaf: Leaf) -> list[Inline]:
    """Of a paragraph: what is code or a link."""
    found = []
    at = 0
    for run in leaf.runs:
        stop = at + len(run.text)
        if run.link or run.style & Style.CODE:
            found.append(Inline(at, stop, run.style, run.link))
        at = stop
    return found


def draw_grounds(painter: QPainter, paragraph: Paragraph, marks: list[Inline], at: QPointF) -> None:
    """Behind code that stands in text."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(theming.theme().raised))
    for mark in marks:
        if mark.style & Style.CODE:
            for box in paragraph.boxes(mark.start, mark.stop):
                ground = box.translated(at).adjusted(-CODE_SIDE, -1, 0, 1)
                painter.drawRoundedRect(ground, CODE_CORNER, CODE_CORNER)
    painter.restore()


def draw_found(
    painter: QPainter,
    paragraph: Paragraph,
    found: list[tuple[int, int, bool]],
    begin: int,
    at: QPointF,
) -> None:
    """Behind what was found, in a paragraph that begins at a shown offset."""
    end = begin + len(paragraph.text)
    for start, stop, is_now in found:
        if start < end and stop > begin:
            shown = theming.theme()
            colour = QColor(shown.hit_now if is_now else shown.hit)
            for box in paragraph.boxes(max(start, begin) - begin, min(stop, end) - begin):
                painter.fillRect(box.translated(at), colour)


def link_at(paragraph: Paragraph, marks: list[Inline], x: float, y: float) -> str:
    """Where a link leads that stands at a point of a paragraph; empty if none does."""
    for mark in marks:
        if mark.link:
            for box in paragraph.boxes(mark.start, mark.stop):
                if box.contains(x, y):
                    return mark.link
    return ""


def bar(rect: QRectF, painter: QPainter) -> None:
    """The bar beside a quotation."""
    painter.fillRect(rect, QColor(theming.theme().thumb))
