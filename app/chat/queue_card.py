"""The prompts that wait for their turn, joined to the composer: each can be taken back."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from app import plain, theming
from app.store.records import Waiting
from app.widgets.elided import ElidedLabel
from app.words import translate

ROW: Final = 44
"""Px."""

MOST_ROWS: Final = 3
LONGEST: Final = 200
"""Letters of a prompt that are looked at."""


class QueueCard(QFrame):
    """`taken_back(Waiting)`: its words are wanted in the composer; `dropped(Waiting)`."""

    taken_back = Signal(object)
    dropped = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("queue")
        plain.set_name(self, translate("QueueCard", "Prompts that wait"))
        self._rows: list[QWidget] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(12, 0, 8, 0)
        self._layout.setSpacing(0)
        self.hide()

    def show_prompts(self, prompts: list[Waiting]) -> None:
        for row in self._rows:
            row.hide()
            row.deleteLater()
        self._rows = [self._row(waiting) for waiting in prompts[:MOST_ROWS]]
        if len(prompts) > MOST_ROWS:
            self._rows.append(plain.Label(f"+ {len(prompts) - MOST_ROWS}", "secondary"))
        for row in self._rows:
            self._layout.addWidget(row)
        self.setVisible(bool(prompts))

    def _row(self, waiting: Waiting) -> QWidget:
        row = QWidget()
        row.setFixedHeight(ROW)
        words = ElidedLabel(_shown(waiting))
        back = _button("edit", translate("QueueCard", "Take this prompt back"))
        drop = _button("close", translate("QueueCard", "Do not send this prompt"))
        back.clicked.connect(lambda: self.taken_back.emit(waiting))
        drop.clicked.connect(lambda: self.dropped.emit(waiting))
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(theming.IconLabel("clock", "muted", 16))
        layout.addWidget(words, 1)
        layout.addWidget(
            plain.Label(translate("QueueCard", "Sent when its turn comes"), "secondary")
        )
        layout.addWidget(back)
        layout.addWidget(drop)
        return row


def _shown(waiting: Waiting) -> str:
    """The words of a prompt, behind the names of its files."""
    names = [each.name for each in waiting.attachments]
    return " ".join((*names, *waiting.content[:LONGEST].split()))


def _button(icon: str, name: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(theming.icon(icon, "text"))
    button.setIconSize(QSize(16, 16))
    button.setFixedSize(28, 28)
    plain.set_name(button, name)
    plain.set_tool_tip(button, name)
    return button
