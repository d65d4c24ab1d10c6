"""What went wrong with Hearth as a whole: title, detail, hint, one button. And the undo toast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app import plain, theming

TOAST_MS: Final = 10000

MOST_WORDS: Final = 400
"""Px of a toast's sentence at most."""


class Banner(QWidget):
    """A card, and room around it; both gone until there is something to say.

    `left()` when it goes because a button of it was pressed.
    """

    left = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.card = QFrame()
        self.card.setObjectName("banner")
        self._action: Callable[[], None] | None = None
        self.title = plain.SelectableLabel("", "cardTitle")
        self.detail = plain.SelectableLabel()
        self.button = plain.Button()
        self.button.clicked.connect(self._act)
        self.dismiss = dismiss = QToolButton()
        dismiss.setIcon(theming.icon("close", "text"))
        dismiss.setIconSize(QSize(16, 16))
        dismiss.setFixedSize(32, 32)
        dismiss.setAccessibleName("Dismiss")
        dismiss.clicked.connect(self._leave)
        words = QVBoxLayout()
        words.setSpacing(4)
        words.addWidget(self.title)
        words.addWidget(self.detail)
        layout = QHBoxLayout(self.card)
        layout.setContentsMargins(16, 12, 8, 12)
        layout.setSpacing(12)
        layout.addLayout(words, 1)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignVCenter)
        layout.addWidget(dismiss, 0, Qt.AlignmentFlag.AlignTop)
        around = QVBoxLayout(self)
        around.setContentsMargins(0, 12, 0, 12)
        around.addWidget(self.card)
        self.hide()

    def say(
        self,
        title: str,
        detail: str,
        hint: str = "",
        button: str = "",
        action: Callable[[], None] | None = None,
        *,
        stays: bool = False,
    ) -> None:
        """One that stays can only be left by its button: there is no other way on."""
        self.title.setText(title)
        self.detail.setText("\n".join(part for part in (detail, hint) if part))
        self.card.setAccessibleName(f"{title}. {detail} {hint}".strip())
        self.button.setText(button)
        self.button.setVisible(bool(button))
        self.dismiss.setVisible(not stays)
        self._action = action
        self.show()

    def _act(self) -> None:
        action = self._action
        self._leave()
        if action:
            action()

    def _leave(self) -> None:
        self.hide()
        self.left.emit()


class Toast(QFrame):
    """One sentence and its undoing, for a while, above the content."""

    def __init__(self, parent: QWidget, above: QWidget) -> None:
        """Floats over the parent, above a child of it."""
        super().__init__(parent)
        self._around = parent
        self._above = above
        self.setObjectName("toast")
        self._undo: Callable[[], None] | None = None
        self._whole = ""
        self._words = plain.Label()
        self.button = plain.Button("Undo", "link")
        self.button.clicked.connect(self._on_undo)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 8, 12, 8)
        layout.setSpacing(12)
        layout.addWidget(self._words)
        layout.addWidget(self.button)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(TOAST_MS)
        self._timer.timeout.connect(self.hide)
        self.hide()

    def say(self, words: str, undo: Callable[[], None]) -> None:
        self._whole = words
        self._undo = undo
        self.place()
        self.show()
        self.raise_()
        self._timer.start()

    def place(self) -> None:
        around = self._around.rect()
        room = min(MOST_WORDS, around.width() - 160)
        metrics = self._words.fontMetrics()
        self._words.setText(
            metrics.elidedText(plain.one_line(self._whole), Qt.TextElideMode.ElideMiddle, room)
        )
        self.adjustSize()
        floor = self._above.mapTo(self._around, self._above.rect().topLeft()).y()
        self.move((around.width() - self.width()) // 2, floor - self.height() - 12)

    def _on_undo(self) -> None:
        self.hide()
        if self._undo:
            self._undo()
