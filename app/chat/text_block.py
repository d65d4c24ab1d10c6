"""A segment of text on screen: paragraphs, selection, caret, and the bubble of a prompt."""

from __future__ import annotations

import math
from typing import Final

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QWidget

from app import theming
from app.chat.block_widget import BlockWidget
from app.chat.blocks import BUBBLE_PAD, Block, Kind
from app.chat.flow import Flow, Leaf, plain_flow
from app.chat.paragraph import Paragraph

LINE_HEIGHT: Final = 1.5
"""Of the font's size."""

BUBBLE: Final = 560
"""Width of a prompt's bubble at most, px."""

BUBBLE_SIDE: Final = 14
BUBBLE_CORNER: Final = 12
FREE: Final = 48
"""Px that a bubble leaves free beside it in a narrow column."""

INDENT: Final = 20
"""Px before what was thought: the arrow of its head and the gap after it."""

RULE: Final = (7, 2)
"""Px from the column's edge to the rule beside what was thought, and its width."""

CARET_WIDTH: Final = 7

NAMES: Final[dict[Kind, str]] = {"prompt": "You wrote", "thought": "Thinking", "reply": "Reply"}
"""For screen readers."""


class TextBlock(BlockWidget):
    """Mouse and keyboard belong to the transcript around it."""

    def __init__(self, block: Block, parent: QWidget) -> None:
        super().__init__(block, parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._flow = Flow([])
        self._paragraphs: list[Paragraph] = []
        self._tops: list[int] = []
        self._laid_out_at = -1
        self._selected = (0, 0)
        """Shown offsets."""
        self.ensurePolished()  # its height is asked for before it is shown

    # ------------------------------------------------------------------ BlockWidget

    def show_block(self, block: Block) -> None:
        if block is not self.block:
            self._selected = (0, 0)
        self.block = block
        flow = plain_flow(block.source, block.start, ends=block.ends)
        same = _same_leaves(self._flow.leaves, flow.leaves)
        self._paragraphs[same:] = [self._paragraph(leaf) for leaf in flow.leaves[same:]]
        self._flow = flow
        self._laid_out_at = -1
        self.setAccessibleName(NAMES[block.kind])
        self.setAccessibleDescription(flow.text)
        self.update()

    def span(self, column: int) -> tuple[int, int]:
        if self.block.kind != "prompt":
            return 0, column
        most = max(100, min(BUBBLE, column - FREE))
        width = most
        if self.block.begins and self.block.ends:
            inside = most - 2 * BUBBLE_SIDE
            self._lay_out(inside)
            longest = max((each.natural_width for each in self._paragraphs), default=0.0)
            width = min(inside, math.ceil(longest) + 1) + 2 * BUBBLE_SIDE
        return column - width, width

    def height_at(self, width: int) -> int:
        left, top, right, bottom = self._insets()
        return self._lay_out(width - left - right) + top + bottom

    def select(self, start: int, stop: int) -> None:
        flow = self._flow
        selected = (flow.to_shown(start), flow.to_shown(stop)) if start < stop else (0, 0)
        if selected != self._selected:
            self._selected = selected
            self.update()

    def offset_at(self, point: QPoint) -> int:
        left, top, _, _ = self._insets()
        y = point.y() - top
        index = max((i for i, at in enumerate(self._tops) if at <= y), default=0)
        inside = self._paragraphs[index].offset_at(point.x() - left, y - self._tops[index])
        return self._flow.to_source(self._flow.starts[index] + inside)

    def has_text_at(self, point: QPoint) -> bool:
        return self.rect().contains(point)

    def word_at(self, offset: int) -> tuple[int, int]:
        text = self._flow.text
        shown = self._flow.to_shown(offset)
        start, stop = word_around(text, shown)
        return self._flow.to_source(start), self._flow.to_source(stop)

    # ------------------------------------------------------------------ what tests and others ask

    def text(self) -> str:
        """What is shown."""
        return self._flow.text

    def selected_text(self) -> str:
        return self._flow.text[slice(*self._selected)]

    def rect_of(self, words: str) -> QRectF:
        """Where the first of these words stands, px in this widget."""
        start = self._flow.text.index(words)
        index = self._flow.leaf_at(start)
        inside = start - self._flow.starts[index]
        left, top, _, _ = self._insets()
        box = next(self._paragraphs[index].boxes(inside, inside + len(words)))
        return box.translated(left, top + self._tops[index])

    # ------------------------------------------------------------------ layout

    def _insets(self) -> tuple[int, int, int, int]:
        """Px around the text: left, top, right, bottom."""
        if self.block.kind == "thought":
            return INDENT, 0, 0, 0
        if self.block.kind != "prompt":
            return 0, 0, 0, 0
        top = BUBBLE_PAD if self.block.begins else 0
        bottom = BUBBLE_PAD if self.block.ends else 0
        return BUBBLE_SIDE, top, BUBBLE_SIDE, bottom

    def _lay_out(self, width: int) -> int:
        """Px that the paragraphs take at this width."""
        if width == self._laid_out_at:
            return self._tops[-1]
        self._laid_out_at = width
        self._tops = [0]
        for paragraph in self._paragraphs:
            self._tops.append(self._tops[-1] + paragraph.lay_out(width))
        return self._tops[-1]

    def _paragraph(self, leaf: Leaf) -> Paragraph:
        return Paragraph(leaf.text, self.font(), line_height(self.font()), [])

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.FontChange:
            self._paragraphs = [self._paragraph(leaf) for leaf in self._flow.leaves]
            self._laid_out_at = -1
            self.update()

    # ------------------------------------------------------------------ painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        self._draw_ground(painter)
        left, top, right, _ = self._insets()
        self._lay_out(self.width() - left - right)
        exposed = QRectF(event.rect())
        role = "muted" if self.block.kind == "thought" else "text"
        painter.setPen(QColor(getattr(theming.theme(), role)))
        for index, paragraph in enumerate(self._paragraphs):
            at = QPointF(left, top + self._tops[index])
            if at.y() < exposed.bottom() and at.y() + paragraph.height > exposed.top():
                self._draw_selection(painter, index, at)
                paragraph.draw(painter, at, exposed)
        if self.block.streaming:
            self._draw_caret(painter, left, top)
        painter.end()

    def _draw_ground(self, painter: QPainter) -> None:
        """The bubble of a prompt, the rule beside a thought."""
        if self.block.kind == "prompt":
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            bubble = bubble_path(QRectF(self.rect()), self.block.begins, self.block.ends)
            painter.fillPath(bubble, QColor(theming.theme().user))
        elif self.block.kind == "thought":
            inset, width = RULE
            painter.fillRect(inset, 0, width, self.height(), QColor(theming.theme().line))

    def _draw_selection(self, painter: QPainter, index: int, at: QPointF) -> None:
        start, stop = self._selected
        begin = self._flow.starts[index]
        end = begin + len(self._flow.leaves[index].text)
        if start >= stop or start > end or stop < begin:
            return
        colour = theming.selection_colour()
        first, last = max(start, begin) - begin, min(stop, end) - begin
        for band in self._paragraphs[index].bands(first, last, goes_on=stop > end):
            painter.fillRect(band.translated(at), colour)

    def _draw_caret(self, painter: QPainter, left: int, top: int) -> None:
        caret = self._paragraphs[-1].caret().translated(left, top + self._tops[-2])
        caret.setWidth(CARET_WIDTH)
        painter.fillRect(caret.adjusted(1, 2, 1, -2), QColor(theming.theme().accent))


def _same_leaves(old: list[Leaf], new: list[Leaf]) -> int:
    """How many of them begin both lists."""
    same = 0
    for before, after in zip(old, new, strict=False):
        if before != after:
            break
        same += 1
    return same


def bubble_path(rect: QRectF, begins: bool, ends: bool) -> QPainterPath:
    """Rounded where a prompt begins and ends, but for the corner that points to the writer."""
    path = QPainterPath()
    path.setFillRule(Qt.FillRule.WindingFill)
    path.addRoundedRect(rect, BUBBLE_CORNER, BUBBLE_CORNER)
    corner = QRectF(rect.right() - 24, rect.bottom() - 24, 24, 24)
    path.addRoundedRect(corner, 2, 2)
    half = rect.height() / 2
    if not begins:
        path.addRect(rect.adjusted(0, 0, 0, -half))
    if not ends:
        path.addRect(rect.adjusted(0, half, 0, 0))
    return path


def word_around(text: str, at: int) -> tuple[int, int]:
    """Of letters and digits; else the one character."""
    if at < len(text) and not _in_word(text[at]) and at > 0 and _in_word(text[at - 1]):
        at -= 1
    start = stop = min(at, len(text))
    while start > 0 and _in_word(text[start - 1]):
        start -= 1
    while stop < len(text) and _in_word(text[stop]):
        stop += 1
    return (start, stop) if start < stop else (start, min(start + 1, len(text)))


def _in_word(letter: str) -> bool:
    return letter.isalnum() or letter in "_\u0300\u0301\u0302\u0308\u200d"


def line_height(font: QFont) -> int:
    """Px of a line of this font, at least as high as its letters."""
    wanted = round(LINE_HEIGHT * theming.pixel_size(font))
    return max(wanted, math.ceil(QFontMetricsF(font).height()))
