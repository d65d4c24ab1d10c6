"""Name, New chat, and the list of chats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app import plain, theming
from app.actions import Actions
from app.search.results import Results, summary
from app.store.records import Conversation
from app.store.search import Hit
from app.widgets.chat_list import ChatList, Sign
from app.widgets.search_field import SearchField
from app.words import joined, now, translate

WIDTH: Final = 264
HINT: Final = 184
"""Px for the words in the field of the search, between its icon and its edge."""


class Sidebar(QFrame):
    """`searched(words)`, `hit_chosen(Hit)`, `left()`: the search was ended; `opened(id)`,
    `renamed(id, title)`, `pin_requested(id)`, `delete_requested(ids)`, `export_requested(ids)`,
    `move_requested(ids, folder)`;
    everything else is an action of the table."""

    searched = Signal(str)
    hit_chosen = Signal(object)
    left = Signal()
    opened = Signal(object)
    renamed = Signal(object, str)
    pin_requested = Signal(object)
    delete_requested = Signal(object)
    export_requested = Signal(object)
    move_requested = Signal(object, object)

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("sidebar")
        plain.set_name(self, translate("Sidebar", "Sidebar"))
        self.setFixedWidth(WIDTH)
        self._titles: dict[int, str] = {}
        self.chats = ChatList(actions)
        self.search = SearchField("search", actions.text("search"), self._take_key)
        self._hint = joined("   ", (actions.text("search"), actions.keys("search")))
        self._short_hint = actions.text("search")
        self.search.addAction(theming.icon("search"), QLineEdit.ActionPosition.LeadingPosition)
        self.search.setClearButtonEnabled(True)
        self.results = Results()
        self.summary = plain.Label("", "columnName")
        self.summary.setContentsMargins(8, 8, 0, 4)
        found = QWidget()
        column = QVBoxLayout(found)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.summary)
        column.addWidget(self.results, 1)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.chats)
        self._stack.addWidget(found)
        inner = QVBoxLayout()
        inner.setContentsMargins(12, 4, 12, 8)
        inner.setSpacing(0)
        inner.addLayout(_name_row())
        inner.addWidget(_new_chat_button(actions))
        inner.addSpacing(8)
        inner.addWidget(self.search)
        inner.addSpacing(4)
        inner.addWidget(self._stack, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(inner, 1)
        layout.addWidget(_foot(actions))
        self.search.textChanged.connect(self._on_words)
        self.retranslate()
        self.results.chosen.connect(self.hit_chosen)
        self.chats.opened.connect(self.opened)
        self.chats.renamed.connect(self.renamed)
        self.chats.pin_requested.connect(self.pin_requested)
        self.chats.delete_requested.connect(self.delete_requested)
        self.chats.export_requested.connect(self.export_requested)
        self.chats.move_requested.connect(self.move_requested)

    def retranslate(self) -> None:
        """The key stands in the field if there is room for it."""
        self.search.ensurePolished()
        room = self.search.fontMetrics().horizontalAdvance(now(self._hint)) <= HINT
        plain.set_placeholder(self.search, self._hint if room else self._short_hint)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)

    def show_hits(self, hits: list[Hit]) -> None:
        """In the place of the list, as long as there are words to look for."""
        self.results.show_hits(hits)
        self.summary.setText(summary(hits))
        self._stack.setCurrentIndex(1)

    def focus_search(self) -> None:
        """Puts the cursor where all chats are searched."""
        self.search.setFocus()
        self.search.selectAll()

    def _take_key(self, event: QKeyEvent) -> bool:
        """Esc ends the search, Down goes to what was found."""
        match Qt.Key(event.key()):
            case Qt.Key.Key_Escape:
                self.search.clear()
                self.left.emit()
            case Qt.Key.Key_Down | Qt.Key.Key_Return | Qt.Key.Key_Enter if self.results.count():
                self.results.setCurrentRow(0)
                self.results.setFocus()
            case _:
                return False
        return True

    def _on_words(self, words: str) -> None:
        if not words.strip():
            self._stack.setCurrentIndex(0)
        self.searched.emit(words)

    def show_conversations(
        self,
        conversations: list[Conversation],
        current: int | None,
        signs: Mapping[int, Sign] | None = None,
    ) -> None:
        self._titles = {conversation.id: conversation.title for conversation in conversations}
        self.chats.show_conversations(conversations, current, signs)


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


def _new_chat_button(actions: Actions) -> plain.Button:
    action = actions["new_chat"]
    button = plain.Button("", "newChat")
    plain.set_name(button, actions.text("new_chat"))
    button.clicked.connect(action.trigger)
    words, key = (
        plain.Label(actions.text("new_chat")),
        plain.Label(actions.keys("new_chat"), "secondary"),
    )
    icon = theming.IconLabel("newchat", "text", 18)
    for label in (icon, words, key):
        label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    row = QHBoxLayout(button)
    row.setContentsMargins(10, 0, 12, 0)
    row.setSpacing(8)
    row.addWidget(icon)
    row.addWidget(words)
    row.addStretch()
    row.addWidget(key)
    return button


def _foot(actions: Actions) -> QFrame:
    """What a person looks for at the lower left."""
    foot = QFrame()
    foot.setObjectName("foot")
    row = QHBoxLayout(foot)
    row.setContentsMargins(8, 6, 8, 6)
    row.setSpacing(4)
    for name, words in (
        ("choose_model", translate("Sidebar", "Models")),
        ("settings", translate("Sidebar", "Settings")),
    ):
        button = action_button(actions, name)
        plain.set_text(button, words)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setFixedHeight(36)
        row.addWidget(button)
    row.addStretch()
    row.addWidget(action_button(actions, "shortcuts"))
    return foot


def action_button(actions: Actions, name: str, size: int = 32) -> QToolButton:
    """An icon that does what an action of the table does, and is disabled with it."""
    action = actions[name]
    button = QToolButton()
    button.setIcon(action.icon())
    button.setIconSize(QSize(18, 18))
    button.setMinimumSize(size, size)
    plain.set_name(button, actions.text(name))
    button.setEnabled(action.isEnabled())
    plain.set_tool_tip(button, actions.tip(name))
    button.clicked.connect(action.trigger)
    action.enabledChanged.connect(button.setEnabled)
    return button
