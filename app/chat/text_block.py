"""A segment of text on screen: paragraphs, lists, quotations, and the bubble of a prompt."""

from __future__ import annotations

import math
from typing import Final

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QWidget

from app import plain, theming
from app.chat.block_widget import BlockWidget, Hits
from app.chat.blocks import BUBBLE_PAD, Block, Kind
from app.chat.flow import Flow, Leaf, Run, Style, plain_flow
from app.chat.formulas import Formulas, Key
from app.chat.link_spots import Link, LinkSpots, has_links, links_of
from app.chat.paragraph import Paragraph
from app.chat.typesetting import Inline, Typesetter, bar, draw_found, draw_grounds, inlines, link_at
from app.words import translate

BUBBLE: Final = 560
"""Width of a prompt's bubble at most, px."""

BUBBLE_SIDE: Final = 16
BUBBLE_CORNER: Final = 12
FREE: Final = 48
"""Px that a bubble leaves free beside it in a narrow column."""

INDENT: Final = 20
"""Px before what was thought: the arrow of its head and the gap after it."""

RULE: Final = (7, 2)
"""Px from the column's edge to the rule beside what was thought, and its width."""

CARET: Final = (8, 17)
"""Width and height, px."""

BOX: Final = 16
"""Px of the box of a task."""

BAR: Final = 3
"""Px of the bar beside a quotation."""

NUMBER_GAP: Final = 7
"""Px between the number of an item and its text."""

LEAST_WIDTH: Final = 60
"""Px that are left to text however far it is moved in."""

NAMES: Final[dict[Kind, str]] = {
    "prompt": translate("TextBlock", "You wrote"),
    "thought": translate("TextBlock", "Thinking"),
    "reply": translate("TextBlock", "Reply"),
}
"""For screen readers."""


class TextBlock(BlockWidget):
    """Mouse and keyboard belong to the transcript around it."""

    def __init__(self, block: Block, parent: QWidget, formulas: Formulas) -> None:
        super().__init__(block, parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._formulas = formulas
        self._missing: set[Key] = set()
        """Formulas that are shown as their source until they are drawn."""
        formulas.drawn.connect(self._on_drawn)
        self._flow = Flow([])
        self._paragraphs: list[Paragraph] = []
        self._inlines: list[list[Inline]] = []
        self._tops: list[int] = []
        """Px at which each paragraph begins, and at which the last one ends."""
        self._laid_out_at = -1
        self._selected = (0, 0)
        """Shown offsets."""
        self._spots = LinkSpots(self, self.link_chosen)
        self._found: list[tuple[int, int, bool]] = []
        """Shown offsets of hits, and whether one is the present one."""
        self.ensurePolished()  # its height is asked for before it is shown
        self._setter = self._typesetter()

    # ------------------------------------------------------------------ BlockWidget

    def show_block(self, block: Block) -> None:
        self.block = block
        old, content = self._flow, self._content()
        self._flow, self._missing = self._formulas.with_pictures(content)
        self._typeset(_same_leaves(old.leaves, self._flow.leaves))
        plain.set_name(self, NAMES[block.kind])
        plain.set_description(self, content.text)
        if self.isVisible():
            self._place_spots()
        self.update()

    def buttons(self) -> list[QWidget]:
        return self._spots.widgets

    def _place_spots(self) -> None:
        """Puts what the keyboard reaches where the links stand."""
        links: list[Link] = []
        if has_links(self._flow):
            left, _, right, _ = self._insets()
            self._lay_out(self.width() - left - right)
            for index, paragraph in enumerate(self._paragraphs):
                links += links_of(paragraph, self._inlines[index], self._place_of(index))
        self._spots.show(links)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_spots()

    def _on_drawn(self, formulas: set[Key]) -> None:
        if not self._missing.isdisjoint(formulas):
            self.show_block(self.block)
            self.resized.emit()

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

    def show_found(self, hits: Hits, now: int) -> None:
        shown = self._flow.to_shown
        found = [(shown(a), shown(b), at == now) for at, (a, b) in enumerate(hits)]
        if found != self._found:
            self._found = found
            self.update()

    def offset_at(self, point: QPoint) -> int:
        index, at = self._leaf_at(point)
        inside = self._paragraphs[index].offset_at(at.x(), at.y())
        return self._flow.to_source(self._flow.starts[index] + inside)

    def has_text_at(self, point: QPoint) -> bool:
        return self.rect().contains(point)

    def link_at(self, point: QPoint) -> str:
        if not self.rect().contains(point):
            return ""
        index, at = self._leaf_at(point)
        return link_at(self._paragraphs[index], self._inlines[index], at.x(), at.y())

    def word_at(self, offset: int) -> tuple[int, int]:
        start, stop = word_around(self._flow.text, self._flow.to_shown(offset))
        return self._flow.to_source(start), self._flow.to_source(stop)

    # ------------------------------------------------------------------ what tests ask

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
        box = next(self._paragraphs[index].boxes(inside, inside + len(words)))
        return box.translated(self._place_of(index))

    # ------------------------------------------------------------------ layout

    def _content(self) -> Flow:
        block = self.block
        if isinstance(block.content, Flow):
            return block.content
        if block.kind != "reply":
            return plain_flow(block.source, block.start, ends=block.ends)
        plain = plain_flow(block.source, block.start, ends=block.ends)
        return Flow([_as_source(leaf) for leaf in plain.leaves])

    def _typesetter(self) -> Typesetter:
        return Typesetter(self.font(), "muted" if self.block.kind == "thought" else "text")

    def _typeset(self, same: int) -> None:
        """Makes the paragraphs anew, but for as many at the beginning."""
        fresh = self._flow.leaves[same:]
        self._paragraphs[same:] = [self._setter.paragraph(leaf) for leaf in fresh]
        self._inlines[same:] = [inlines(leaf) for leaf in fresh]
        self._laid_out_at = -1

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
        self._tops = []
        at = 0
        for number, (leaf, paragraph) in enumerate(
            zip(self._flow.leaves, self._paragraphs, strict=True)
        ):
            at += leaf.above if number else 0
            self._tops.append(at)
            if leaf.kind == "rule":
                at += 1
            else:
                at += paragraph.lay_out(max(LEAST_WIDTH, width - _moved_in(leaf)))
        self._tops.append(at)
        return at

    def _place_of(self, index: int) -> QPointF:
        """Where a paragraph begins, px in this widget."""
        left, top, _, _ = self._insets()
        mirrored = self._paragraphs[index].is_right_to_left
        moved_in = 0 if mirrored else _moved_in(self._flow.leaves[index])
        return QPointF(left + moved_in, top + self._tops[index])

    def _leaf_at(self, point: QPoint) -> tuple[int, QPointF]:
        """The paragraph at a point of this widget, and the point in it."""
        y = point.y() - self._insets()[1]
        index = max((i for i, at in enumerate(self._tops[:-1]) if at <= y), default=0)
        return index, QPointF(point) - self._place_of(index)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._setter = self._typesetter()
            self._typeset(0)
            self.update()

    # ------------------------------------------------------------------ painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        self._draw_ground(painter)
        left, _, right, _ = self._insets()
        self._lay_out(self.width() - left - right)
        exposed = QRectF(event.rect())
        for index, paragraph in enumerate(self._paragraphs):
            at = self._place_of(index)
            if at.y() < exposed.bottom() and at.y() + paragraph.height > exposed.top():
                self._draw_leaf(painter, index, at, exposed)
        if self.block.streaming:
            self._draw_caret(painter)
        painter.end()

    def _draw_leaf(self, painter: QPainter, index: int, at: QPointF, exposed: QRectF) -> None:
        leaf, paragraph = self._flow.leaves[index], self._paragraphs[index]
        self._draw_around(painter, index)
        pale = self.block.faded or any(each.kind == "quotation" for each in leaf.around)
        colour = QColor(getattr(theming.theme(), "muted" if pale else self._setter.role))
        if self._inlines[index]:
            draw_grounds(painter, paragraph, self._inlines[index], at)
        begin = self._flow.starts[index]
        draw_found(painter, paragraph, self._found, begin, at)
        self._draw_selection(painter, index, at)
        if leaf.kind == "rule":
            line = QRectF(at.x(), at.y(), self.width() - at.x(), 1)
            painter.fillRect(line, QColor(theming.theme().line))
            return
        painter.setPen(colour)
        if leaf.marker:
            self._draw_marker(painter, index, at)
        paragraph.draw(painter, at, exposed)

    def _draw_ground(self, painter: QPainter) -> None:
        """The bubble of a prompt, the rule beside a thought."""
        if self.block.kind == "prompt":
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            bubble = bubble_path(QRectF(self.rect()), self.block.begins, self.block.ends)
            if not self.block.faded:
                painter.fillPath(bubble, QColor(theming.theme().user))
            elif self.block.begins and self.block.ends:
                rounded = bubble_path(
                    QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), True, True
                )
                painter.strokePath(rounded, QPen(QColor(theming.theme().line), 1))
        elif self.block.kind == "thought":
            inset, width = RULE
            painter.fillRect(inset, 0, width, self.height(), QColor(theming.theme().line))

    def _draw_around(self, painter: QPainter, index: int) -> None:
        """The bars of the quotations that a paragraph stands in, up to the paragraph above."""
        leaf = self._flow.leaves[index]
        x = float(self._insets()[0])
        mirrored = self._paragraphs[index].is_right_to_left
        for depth, each in enumerate(leaf.around):
            if each.kind == "quotation":
                goes_on = (
                    index
                    and self._flow.leaves[index - 1].around[: depth + 1]
                    == (leaf.around[: depth + 1])
                )
                top = self._tops[index] - (leaf.above if goes_on else 0)
                edge = self.width() - x - BAR if mirrored else x
                height = self._tops[index] + self._paragraphs[index].height - top
                bar(QRectF(edge, top, BAR, height), painter)
            x += each.inset

    def _draw_marker(self, painter: QPainter, index: int, at: QPointF) -> None:
        """Before the first line of an item: a bullet, a number or a box."""
        leaf, paragraph = self._flow.leaves[index], self._paragraphs[index]
        line = self._setter.line
        top = at.y() + paragraph.first_line
        mirrored = paragraph.is_right_to_left
        inset = leaf.around[-1].inset if leaf.around else 0
        x = self.width() - _moved_in(leaf) if mirrored else at.x() - inset
        if leaf.marker in ("[ ]", "[x]"):
            _draw_box(painter, QRectF(x, top + (line - BOX) / 2, BOX, BOX), leaf.marker == "[x]")
        elif leaf.marker == "•":
            painter.save()
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setBrush(painter.pen().color())
            painter.setPen(Qt.PenStyle.NoPen)
            centre = QPointF(x + (inset - 8 if mirrored else 8), top + line / 2 + 1)
            painter.drawEllipse(centre, 2.5, 2.5)
            painter.restore()
        else:
            painter.setFont(self.font())
            width = painter.fontMetrics().horizontalAdvance(leaf.marker)
            left = x + NUMBER_GAP if mirrored else x + inset - NUMBER_GAP - width
            painter.drawText(QPointF(left, at.y() + paragraph.baseline), leaf.marker)

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
        above = self._flow.leaves[index].above if index else 0
        if above and start < begin:
            left, _, right, _ = self._insets()
            gap = QRectF(left, at.y() - above, self.width() - left - right, above)
            painter.fillRect(gap, colour)

    def _draw_caret(self, painter: QPainter) -> None:
        index = len(self._paragraphs) - 1
        caret = self._paragraphs[index].caret().translated(self._place_of(index))
        width, height = CARET
        place = QRectF(caret.x() + 2, caret.center().y() - height / 2, width, height)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        path = QPainterPath()
        path.addRoundedRect(place, 2, 2)
        painter.fillPath(path, QColor(theming.theme().accent))


def _moved_in(leaf: Leaf) -> int:
    """Px that a paragraph is moved in."""
    return sum(each.inset for each in leaf.around)


def _as_source(leaf: Leaf) -> Leaf:
    return Leaf(tuple(Run(run.text, run.source, Style.SOURCE) for run in leaf.runs))


def _same_leaves(old: list[Leaf], new: list[Leaf]) -> int:
    """How many of them begin both lists."""
    same = 0
    for before, after in zip(old, new, strict=False):
        if before != after:
            break
        same += 1
    return same


def _draw_box(painter: QPainter, box: QRectF, is_done: bool) -> None:
    shown = theming.theme()
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(shown.muted if is_done else shown.outline), 1.5))
    if is_done:
        painter.setBrush(QColor(shown.muted))
    painter.drawRoundedRect(box.adjusted(0.75, 0.75, -0.75, -0.75), 3.5, 3.5)
    if is_done:
        painter.setPen(QPen(QColor(shown.background), 1.75))
        middle = box.center()
        tick = [QPointF(-3.5, 0.2), QPointF(-1, 2.8), QPointF(3.7, -2.8)]
        painter.drawPolyline([middle + point for point in tick])
    painter.restore()


def bubble_path(rect: QRectF, begins: bool, ends: bool) -> QPainterPath:
    """Rounded where a prompt begins and ends."""
    path = QPainterPath()
    path.setFillRule(Qt.FillRule.WindingFill)
    path.addRoundedRect(rect, BUBBLE_CORNER, BUBBLE_CORNER)
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
    return letter.isalnum() or letter == "_" or letter in _JOINING


_JOINING: Final = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u0327\u0328\u200d"
"""Accents and joiners, which are part of the word that they stand in."""
