"""Name, New chat, and the list of chats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from app import plain, theming
from app.actions import Actions
from app.store.records import Conversation
from app.widgets.chat_list import ChatList, Sign

WIDTH: Final = 264


class Sidebar(QFrame):
    """`opened(id)`, `renamed(id, title)`, `pin_requested(id)`, `delete_requested(id)`; everything
    else is an action of the table."""

    opened = Signal(object)
    renamed = Signal(object, str)
    pin_requested = Signal(object)
    delete_requested = Signal(object)

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("sidebar")
        self.setAccessibleName("Sidebar")
        self.setFixedWidth(WIDTH)
        self._titles: dict[int, str] = {}
        self.chats = ChatList(actions)
        inner = QVBoxLayout()
        inner.setContentsMargins(12, 4, 12, 8)
        inner.setSpacing(0)
        inner.addLayout(_name_row())
        inner.addWidget(_new_chat_button(actions))
        inner.addSpacing(8)
        inner.addWidget(self.chats, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(inner, 1)
        layout.addWidget(_foot(actions))
        self.chats.opened.connect(self.opened)
        self.chats.renamed.connect(self.renamed)
        self.chats.pin_requested.connect(self.pin_requested)
        self.chats.delete_requested.connect(self.delete_requested)

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
    button.setAccessibleName(action.text())
    button.clicked.connect(action.trigger)
    words, key = plain.Label(action.text()), plain.Label(actions.keys("new_chat"), "secondary")
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
    for name, words in (("choose_model", "Models"),):
        button = action_button(actions, name)
        button.setText(words)
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
    button.setAccessibleName(actions.text(name))
    button.setEnabled(action.isEnabled())
    plain.set_tool_tip(button, actions.tip(name))
    button.clicked.connect(action.trigger)
    action.enabledChanged.connect(button.setEnabled)
    return button
