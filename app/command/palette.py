"""The palette: actions, models and chats by their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import (
    QEvent,
    QObject,
    QPoint,
    QRect,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from app import plain, theming
from app.widgets.floating import go_round
from app.widgets.row_delegate import Index, RowDelegate
from app.widgets.search_field import SearchField
from app.words import translate

WIDTH: Final = 600
TOP: Final = 96
ROW: Final = 36
MOST_ROWS: Final = 12
MOST_IN_SECTION: Final = 6
"""Entries of a section that are shown, but for the first one."""

SCRIM: Final = {False: 51, True: 115}
"""Of 255: how dark what lies behind is made, in light and dark."""

ENTRY: Final = Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class Entry:
    section: str
    text: str
    run: Callable[[], None]
    detail: str = ""
    """At the end of the row: a key, a size, a date."""
    icon: str = ""


def matching(entries: Sequence[Entry], words: str) -> list[Entry]:
    """Those that have all of the words, whatever their case; those that begin with them first."""
    wanted = words.casefold().split()
    found = [e for e in entries if all(word in e.text.casefold() for word in wanted)]
    if wanted:
        found.sort(key=lambda entry: not entry.text.casefold().startswith(wanted[0]))
    sections: dict[str, list[Entry]] = {entry.section: [] for entry in entries}
    for entry in found:
        sections[entry.section].append(entry)
    first = next(iter(sections), "")
    return [
        entry
        for section, own in sections.items()
        for entry in own[: len(own) if section == first else MOST_IN_SECTION]
    ]


def marked(text: str, words: str) -> list[tuple[str, bool]]:
    """The text in parts, each with whether it is one of the words."""
    lower, parts, at = text.casefold(), [], 0
    if len(lower) != len(text):  # a letter that has another length in the other case
        return [(text, False)]
    while at < len(text):
        hits = [(lower.find(word, at), word) for word in words.casefold().split()]
        found = min(((place, -len(word)) for place, word in hits if place >= 0), default=None)
        if found is None:
            parts.append((text[at:], False))
            break
        place, length = found[0], -found[1]
        parts += [(text[at:place], False), (text[place : place + length], True)]
        at = place + length
    return [part for part in parts if part[0]]


class Palette(QWidget):
    """Lies over the whole window until something is chosen; Esc or a click beside it closes it."""

    def __init__(self, window: QWidget, entries: Sequence[Entry]) -> None:
        super().__init__(window)
        self._around = window
        self._entries = entries
        plain.set_name(self, translate("Palette", "Commands"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._before = window.focusWidget()
        self.card = QFrame(self)
        self.card.setObjectName("palette")
        name = translate("Palette", "Name of a command, model or chat")
        self.field = SearchField("paletteField", name, self._take_key)
        plain.set_placeholder(self.field, translate("Palette", "What do you want to do?"))
        self.list = QListWidget()
        self.list.setObjectName("paletteList")
        plain.set_name(self.list, translate("Palette", "What fits"))
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setItemDelegate(_EntryDelegate(self))
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        row = QHBoxLayout()
        row.setContentsMargins(16, 0, 16, 0)
        row.setSpacing(12)
        row.addWidget(theming.IconLabel("search", "muted", 18))
        row.addWidget(self.field, 1)
        layout = QVBoxLayout(self.card)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self.list)
        layout.addLayout(_hints())
        self.field.textChanged.connect(self._fill)
        self.list.itemClicked.connect(self._run)
        window.installEventFilter(self)
        self._fill("")
        self.show()
        self.raise_()
        self.field.setFocus()

    @property
    def words(self) -> str:
        return self.field.text()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._around and event.type() is QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if not self.card.geometry().contains(event.position().toPoint()):
            self.leave()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(0, 0, 0, SCRIM[theming.theme().dark]))
        painter.end()

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab stays in it."""
        return go_round(self, forward)

    def leave(self) -> None:
        if self._before is not None:
            self._before.setFocus()
        self.close()

    def _take_key(self, event: QKeyEvent) -> bool:
        match Qt.Key(event.key()):
            case Qt.Key.Key_Down:
                self._move(1)
            case Qt.Key.Key_Up:
                self._move(-1)
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                if item := self.list.currentItem():
                    self._run(item)
            case Qt.Key.Key_Escape:
                self.leave()
            case _:
                return False
        return True

    def _move(self, step: int) -> None:
        """To the next row that can be chosen, and from the end to the beginning."""
        count = self.list.count()
        for distance in range(1, count + 1):
            row = (self.list.currentRow() + step * distance) % count
            if self.list.item(row).data(ENTRY) is not None:
                self.list.setCurrentRow(row)
                return

    def _fill(self, words: str) -> None:
        self.list.clear()
        section = ""
        for entry in matching(self._entries, words):
            if entry.section != section:
                section = entry.section
                heading = QListWidgetItem(section, self.list)
                heading.setFlags(Qt.ItemFlag.NoItemFlags)
            item = QListWidgetItem(plain.one_line(entry.text), self.list)
            item.setData(ENTRY, entry)
        if not self.list.count():
            nothing = QListWidgetItem(translate("Palette", "Nothing has this name"), self.list)
            nothing.setFlags(Qt.ItemFlag.NoItemFlags)
        self._move(1)
        self._place()

    def _place(self) -> None:
        around = self._around.rect()
        self.setGeometry(around)
        rows = min(self.list.count(), MOST_ROWS)
        self.list.setFixedHeight(max(1, min(rows * ROW + 8, around.height() - TOP - 160)))
        width = min(WIDTH, around.width() - 32)
        self.card.setFixedWidth(width)
        self.card.adjustSize()
        self.card.move((around.width() - width) // 2, min(TOP, around.height() // 8))

    def _run(self, item: QListWidgetItem) -> None:
        entry = item.data(ENTRY)
        if entry is not None:
            self.leave()
            entry.run()


def _hints() -> QHBoxLayout:
    row = QHBoxLayout()
    row.setContentsMargins(16, 8, 16, 10)
    row.setSpacing(16)
    for words in (translate("Palette", "↑↓ choose"), translate("Palette", "Enter opens")):
        row.addWidget(plain.Label(words, "secondary"))
    row.addStretch()
    row.addWidget(plain.Label(translate("Palette", "Esc closes"), "secondary"))
    return row


class _EntryDelegate(RowDelegate):
    def __init__(self, palette: Palette) -> None:
        super().__init__(ROW, palette)
        self._palette = palette

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        entry, theme = index.data(ENTRY), theming.theme()
        room = QRect(option.rect).adjusted(8, 0, -8, 0)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if entry is None:
            painter.setPen(QColor(theme.muted))
            inner = room.adjusted(12, 4, -12, 0)
            painter.drawText(inner, Qt.AlignmentFlag.AlignVCenter, str(index.data()))
            painter.restore()
            return
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.raised))
            painter.drawRoundedRect(room, 8, 8)
        if entry.icon:
            at = QRect(room.topLeft() + QPoint(10, (ROW - 18) // 2), QSize(18, 18))
            theming.icon(entry.icon, "text").paint(painter, at)
        painter.setPen(QColor(theme.muted))
        painter.drawText(
            room.adjusted(0, 0, -12, 0),
            Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight,
            entry.detail,
        )
        end = painter.fontMetrics().horizontalAdvance(entry.detail) + 28
        self._draw_name(painter, room.adjusted(40, 0, -end, 0), str(index.data()))
        painter.restore()

    def _draw_name(self, painter: QPainter, room: QRect, name: str) -> None:
        metrics = painter.fontMetrics()
        shown = metrics.elidedText(name, Qt.TextElideMode.ElideRight, room.width())
        x = room.left()
        for part, hit in marked(shown, self._palette.words):
            painter.setPen(QColor(theming.theme().accent if hit else theming.theme().text))
            painter.drawText(
                QRect(x, room.top(), room.width(), room.height()),
                Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft,
                part,
            )
            x += metrics.horizontalAdvance(part)
