"""Name, New chat, and the conversations by day."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from itertools import groupby
from typing import Final

from PySide6.QtCore import QModelIndex, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QInputDialog,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QVBoxLayout,
    QWidget,
)

from app import plain, theming
from app.store.records import Conversation

WIDTH: Final = 264
ROW: Final = 33
ID: Final = Qt.ItemDataRole.UserRole


def day_group(updated_at: float, today: date) -> str:
    """The heading under which a conversation stands, whatever its time is said to be."""
    for heading, days in (("Today", 0), ("Yesterday", 1), ("Last 7 days", 6)):
        if updated_at >= _midnight(today - timedelta(days=days)):
            return heading
    return "Older"


def _midnight(day: date) -> float:
    """When a day begins here, seconds since the epoch."""
    return datetime.combine(day, time()).astimezone().timestamp()


class ChatList(QListWidget):
    """Conversations under headings. Enter opens, F2 renames, Delete deletes."""

    opened = Signal(object)
    rename_requested = Signal(object)
    delete_requested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._current: int | None = None
        self.setObjectName("chats")
        self.setAccessibleName("Chats")
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._show_menu)
        self.clicked.connect(self._open)

    def show_conversations(self, conversations: list[Conversation], current: int | None) -> None:
        """Lists them; scrolls to the current one when it is another than before."""
        scrolled, same = self.verticalScrollBar().value(), current == self._current
        self._current = current
        self.clear()
        today = datetime.now().astimezone().date()
        for heading, group in groupby(conversations, lambda c: day_group(c.updated_at, today)):
            self._add_heading(heading)
            for conversation in group:
                self._add(conversation, selected=conversation.id == current)
        if same:
            self.doItemsLayout()
            self.verticalScrollBar().setValue(scrolled)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        chosen = self.currentItem()
        signals = {
            Qt.Key.Key_Return: self.opened,
            Qt.Key.Key_Enter: self.opened,
            Qt.Key.Key_F2: self.rename_requested,
            Qt.Key.Key_Delete: self.delete_requested,
        }
        signal = signals.get(Qt.Key(event.key()))
        if signal is not None and chosen is not None and chosen.data(ID) is not None:
            signal.emit(chosen.data(ID))
            return
        super().keyPressEvent(event)

    def _add_heading(self, text: str) -> None:
        item = QListWidgetItem(self)
        item.setFlags(Qt.ItemFlag.NoItemFlags)
        item.setSizeHint(QSize(0, ROW))
        label = plain.Label(text, "columnName")
        label.setContentsMargins(3, 8, 0, 0)
        self.setItemWidget(item, label)

    def _add(self, conversation: Conversation, *, selected: bool) -> None:
        item = QListWidgetItem(plain.one_line(conversation.title), self)
        item.setData(ID, conversation.id)
        plain.set_tool_tip(item, conversation.title)
        item.setSizeHint(QSize(0, ROW))
        if selected:
            self.setCurrentItem(item)

    def _open(self, index: QModelIndex) -> None:
        conversation = index.data(ID)
        if conversation is not None:
            self.opened.emit(conversation)

    def _show_menu(self, at: QPoint) -> None:
        item = self.itemAt(at)
        if item is None or item.data(ID) is None:
            return
        conversation = item.data(ID)
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Rename…\tF2", lambda: self.rename_requested.emit(conversation))
        menu.addAction("Delete\tDel", lambda: self.delete_requested.emit(conversation))
        menu.popup(self.viewport().mapToGlobal(at))


class Sidebar(QFrame):
    new_chat = Signal()
    opened = Signal(object)
    renamed = Signal(object, str)
    delete_requested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("sidebar")
        self.setAccessibleName("Sidebar")
        self.setFixedWidth(WIDTH)
        self._titles: dict[int, str] = {}
        self._new = _new_chat_button()
        self.chats = ChatList()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 4, 12, 8)
        layout.setSpacing(0)
        layout.addLayout(_name_row())
        layout.addWidget(self._new)
        layout.addSpacing(8)
        layout.addWidget(self.chats, 1)
        self._new.clicked.connect(self.new_chat)
        self.chats.opened.connect(self.opened)
        self.chats.rename_requested.connect(self._ask_title)
        self.chats.delete_requested.connect(self.delete_requested)

    def show_conversations(self, conversations: list[Conversation], current: int | None) -> None:
        self._titles = {conversation.id: conversation.title for conversation in conversations}
        self.chats.show_conversations(conversations, current)

    def _ask_title(self, conversation: int) -> None:
        dialog = QInputDialog(self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle("Rename chat")
        dialog.setLabelText("Name of this chat")
        dialog.setTextValue(self._titles.get(conversation, ""))
        dialog.textValueSelected.connect(lambda title: self._rename(conversation, title))
        dialog.open()

    def _rename(self, conversation: int, title: str) -> None:
        if title.strip():
            self.renamed.emit(conversation, title.strip())


def _name_row() -> QHBoxLayout:
    name = plain.Label("Hearth", "name")
    row = QHBoxLayout()
    row.setContentsMargins(4, 0, 0, 0)
    row.setSpacing(8)
    row.addWidget(theming.IconLabel("flame", "accent", 18))
    row.addWidget(name)
    row.addStretch()
    name.setFixedHeight(48)
    return row


def _new_chat_button() -> plain.Button:
    button = plain.Button("", "newChat")
    button.setAccessibleName("New chat")
    words, key = plain.Label("New chat"), plain.Label("Ctrl N", "secondary")
    for label in (words, key):
        label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    row = QHBoxLayout(button)
    row.setContentsMargins(13, 0, 12, 0)
    row.addWidget(words)
    row.addStretch()
    row.addWidget(key)
    return button
