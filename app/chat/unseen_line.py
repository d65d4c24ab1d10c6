"""The line above which the model does not see the conversation."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app import plain, theming
from app.chat.block_widget import BlockWidget
from app.chat.blocks import Block
from app.words import translate

HEIGHT: Final = 24
WORDS: Final = translate("UnseenLine", "The model no longer sees what is above")


class UnseenLine(BlockWidget):
    """`undone()`: the model is to see the whole chat again."""

    undone = Signal()

    def __init__(self, block: Block, parent: QWidget) -> None:
        super().__init__(block, parent)
        self._undo = plain.Button(translate("UnseenLine", "Undo"), "link")
        plain.set_name(
            self._undo, translate("UnseenLine", "Let the model see the whole chat again")
        )
        self._undo.clicked.connect(self.undone)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        layout.addWidget(_Dashes(), 1)
        layout.addWidget(plain.Label(WORDS, "secondary"))
        layout.addWidget(self._undo)
        layout.addWidget(_Dashes(), 1)
        plain.set_name(self, WORDS)

    def height_at(self, width: int) -> int:  # noqa: ARG002
        return HEIGHT

    def buttons(self) -> list[QWidget]:
        return [self._undo]


class _Dashes(QWidget):
    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setPen(QPen(QColor(theming.theme().muted), 1, Qt.PenStyle.DashLine))
        middle = self.height() // 2
        painter.drawLine(0, middle, self.width(), middle)
        painter.end()
