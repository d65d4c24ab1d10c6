"""Notices as a card, and as the toast that offers to undo what was done."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app import motion, plain, theming
from app.notices import Level, Notice, Notices
from app.words import joined, now, translate

MOST_WORDS: Final = 400
"""Px of a toast's sentence at most."""


class Banner(QWidget):
    """The first of the notices about some subjects as a card, and room around it; both gone while
    there is none.

    `left()` when one goes because a button of it was pressed.
    """

    left = Signal()

    def __init__(
        self, notices: Notices, subjects: frozenset[str], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._notices = notices
        self._subjects = subjects
        self._shown: Notice | None = None
        self.card = QFrame()
        self.card.setObjectName("banner")
        self.title = plain.SelectableLabel("", "cardTitle")
        self.detail = plain.SelectableLabel()
        self.more = plain.Label("", "secondary")
        self.button = plain.Button()
        self.button.clicked.connect(self._act)
        self.dismiss = dismiss = QToolButton()
        dismiss.setIcon(theming.icon("close", "text"))
        dismiss.setIconSize(QSize(16, 16))
        dismiss.setFixedSize(32, 32)
        plain.set_name(dismiss, translate("Banner", "Dismiss"))
        dismiss.clicked.connect(self._leave)
        words = QVBoxLayout()
        words.setSpacing(4)
        words.addWidget(self.title)
        words.addWidget(self.detail)
        layout = QHBoxLayout(self.card)
        layout.setContentsMargins(16, 12, 8, 12)
        layout.setSpacing(12)
        layout.addLayout(words, 1)
        layout.addWidget(self.more, 0, Qt.AlignmentFlag.AlignVCenter)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignVCenter)
        layout.addWidget(dismiss, 0, Qt.AlignmentFlag.AlignTop)
        around = QVBoxLayout(self)
        around.setContentsMargins(0, 12, 0, 12)
        around.addWidget(self.card)
        notices.changed.connect(self._show_first)
        self.hide()

    def _show_first(self) -> None:
        own = [known for known in self._notices.waiting if known.about in self._subjects]
        self._shown = own[0] if own else None
        if self._shown:
            self._show(self._shown, len(own) - 1)
        self.setVisible(bool(own))

    def _show(self, notice: Notice, others: int) -> None:
        self.title.setText(notice.title)
        self.detail.setText(joined("\n", (notice.detail, notice.hint)))
        said = joined(" ", (joined("", (notice.title, ".")), notice.detail, notice.hint))
        plain.set_name(self.card, said)
        self.more.setText(translate("Banner", "%n more", "", 1).of(others) if others else "")
        self.more.setVisible(bool(others))
        self.button.setText(notice.button)
        self.button.setVisible(bool(notice.button))
        self.dismiss.setVisible(not notice.stays)

    def _act(self) -> None:
        action = self._shown.action if self._shown else None
        self._leave()
        if action:
            action()

    def _leave(self) -> None:
        if self._shown:
            self._notices.leave(self._shown)
        self.left.emit()


class Toast(QFrame):
    """The last thing that was done, and its undoing, for a while, above the content."""

    def __init__(self, notices: Notices, parent: QWidget, above: QWidget) -> None:
        """Floats over the parent, above a child of it."""
        super().__init__(parent)
        self._notices = notices
        self._around = parent
        self._above = above
        self.setObjectName("toast")
        self._shown: Notice | None = None
        self._words = plain.Label()
        self.button = plain.Button(translate("Banner", "Undo"), "link")
        self.button.clicked.connect(self._act)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 8, 12, 8)
        layout.setSpacing(12)
        layout.addWidget(self._words)
        layout.addWidget(self.button)
        notices.changed.connect(self._show_last)
        self.hide()

    def _show_last(self) -> None:
        done = [known for known in self._notices.waiting if known.level is Level.DONE]
        self._shown = done[-1] if done else None
        if self._shown:
            self.button.setText(self._shown.button)
            self.button.setVisible(bool(self._shown.button))
            self.place()
            self.raise_()
            if self.isHidden():
                motion.slide(self, motion.RISE, motion.SHORT_MS)
        self.setVisible(bool(done))

    def place(self) -> None:
        around = self._around.rect()
        room = min(MOST_WORDS, around.width() - 160)
        metrics = self._words.fontMetrics()
        said = plain.one_line(now(self._shown.title)) if self._shown else ""
        self._words.setText(metrics.elidedText(said, Qt.TextElideMode.ElideRight, room))
        self.adjustSize()
        floor = self._above.mapTo(self._around, self._above.rect().topLeft()).y()
        self.move((around.width() - self.width()) // 2, floor - self.height() - 12)

    def _act(self) -> None:
        notice = self._shown
        if notice:
            self._notices.leave(notice)
            if notice.action:
                notice.action()
