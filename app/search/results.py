"""The chats in which something was found, each with its first hit in context."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from PySide6.QtCore import QDate, QLocale, QPointF, QRect, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QKeyEvent,
    QPainter,
    QPen,
    QTextCharFormat,
    QTextLayout,
    QTextOption,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyleOptionViewItem,
    QWidget,
)

from app import plain, theming
from app.store.search import MOST_HITS, Hit, Piece
from app.widgets.row_delegate import Index, RowDelegate
from app.words import translate

ROW: Final = 72
SIDE: Final = 8
LINES: Final = 2
FOUND: Final = Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class Found:
    """One chat with what was found in it."""

    first: Hit
    count: int


def by_chat(hits: list[Hit]) -> list[Found]:
    """The chats in the order of their first hits."""
    chats: dict[int, list[Hit]] = {}
    for hit in hits:
        chats.setdefault(hit.conversation, []).append(hit)
    return [Found(own[0], len(own)) for own in chats.values()]


def summary(hits: list[Hit]) -> str:
    """11 hits in 5 chats."""
    if not hits:
        return translate("SearchResults", "Nothing was found")
    chats = len(by_chat(hits))
    if len(hits) >= MOST_HITS:
        found = translate("SearchResults", "%n+ hits", "", 1).of(MOST_HITS)
    else:
        found = translate("SearchResults", "%n hits", "", 1).of(len(hits))
    return translate("SearchResults", "{found} in %n chats", "", 1).of(chats).format(found=found)


def day(at: float) -> str:
    """14:32 of today, else 12 Nov, with the year of another year."""
    when, today = datetime.fromtimestamp(at).astimezone(), datetime.now().astimezone()
    if when.date() == today.date():
        return when.strftime("%H:%M")
    form = "d MMM" if when.year == today.year else "d MMM yyyy"
    return QLocale().toString(QDate(when.year, when.month, when.day), form)


class Results(QListWidget):
    """`chosen(Hit)` by click or Enter."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("results")
        plain.set_name(self, translate("SearchResults", "What was found"))
        self.setMouseTracking(True)
        self.setItemDelegate(_ResultDelegate(self))
        self.setUniformItemSizes(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.itemClicked.connect(self._choose)

    def show_hits(self, hits: list[Hit]) -> None:
        self.clear()
        for found in by_chat(hits):
            said = "".join(piece.text for piece in found.first.pieces)
            item = QListWidgetItem(plain.one_line(f"{found.first.title}. {said}"), self)
            item.setData(FOUND, found)
            plain.set_tool_tip(item, found.first.title)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        item = self.currentItem()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and item is not None:
            self._choose(item)
            return
        super().keyPressEvent(event)

    def _choose(self, item: QListWidgetItem) -> None:
        self.chosen.emit(item.data(FOUND).first)


class _ResultDelegate(RowDelegate):
    def __init__(self, results: Results) -> None:
        super().__init__(ROW, results)
        self._results = results

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        found, theme = index.data(FOUND), theming.theme()
        room = QRect(option.rect).adjusted(0, 0, 0, -2)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if selected or option.state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.selected if selected else theme.raised))
            painter.drawRoundedRect(room, 8, 8)
        if selected and self._results.hasFocus():
            painter.setPen(QPen(QColor(theme.accent), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(room.adjusted(1, 1, -1, -1), 7, 7)
        inner = room.adjusted(SIDE, 8, -SIDE, -6)
        small = QFont(option.font)
        small.setPixelSize(max(11, round(theming.pixel_size(option.font) * 12 / 14)))
        self._paint_head(painter, inner, option.font, small, found)
        self._paint_words(painter, inner.adjusted(0, 21, 0, 0), small, found.first.pieces)
        painter.restore()

    def _paint_head(
        self, painter: QPainter, room: QRect, font: QFont, small: QFont, found: Found
    ) -> None:
        top = QRect(room.left(), room.top(), room.width(), 20)
        painter.setFont(small)
        painter.setPen(QColor(theming.theme().muted))
        date = day(found.first.at)
        painter.drawText(top, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, date)
        end = painter.fontMetrics().horizontalAdvance(date) + 8
        painter.setFont(font)
        painter.setPen(QColor(theming.theme().text))
        title = painter.fontMetrics().elidedText(
            plain.one_line(found.first.title), Qt.TextElideMode.ElideRight, room.width() - end
        )
        painter.drawText(top, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, title)

    def _paint_words(
        self, painter: QPainter, room: QRect, font: QFont, pieces: tuple[Piece, ...]
    ) -> None:
        """Two lines, with what was looked for marked."""
        theme = theming.theme()
        layout = QTextLayout("".join(plain.one_line(piece.text) for piece in pieces), font)
        layout.setTextOption(QTextOption(Qt.AlignmentFlag.AlignLeft))
        formats, at = [], 0
        for piece in pieces:
            length = len(plain.one_line(piece.text))
            marked = QTextCharFormat()
            marked.setForeground(QColor(theme.text if piece.hit else theme.muted))
            if piece.hit:
                marked.setBackground(QColor(theme.caution_back))
            span = QTextLayout.FormatRange()
            span.start, span.length, span.format = at, length, marked
            formats.append(span)
            at += length
        layout.setFormats(formats)
        layout.beginLayout()
        y = 0.0
        for _ in range(LINES):
            line = layout.createLine()
            if not line.isValid():
                break
            line.setLineWidth(room.width())
            line.setPosition(QPointF(0, y))
            y += line.height()
        layout.endLayout()
        layout.draw(painter, QPointF(room.topLeft()))
