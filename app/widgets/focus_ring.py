"""The ring around what has the focus by a key, for what has no border of its own."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QObject, QRectF, Qt
from PySide6.QtGui import QColor, QFocusEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from app import theming

WIDTH: Final = 2
CORNER: Final = 8

BY_KEY: Final = {
    Qt.FocusReason.TabFocusReason,
    Qt.FocusReason.BacktabFocusReason,
    Qt.FocusReason.ShortcutFocusReason,
}


class FocusRing(QWidget):
    """Lies over the widget around which it is; a click never shows it."""

    def __init__(self, around: QWidget) -> None:
        super().__init__(around)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        around.installEventFilter(self)
        self.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: ARG002
        """The widget has got or lost the focus."""
        if isinstance(event, QFocusEvent):
            around = self.parentWidget()
            if around is not None:
                self.setGeometry(around.rect())
            self.setVisible(event.gotFocus() and event.reason() in BY_KEY)
            self.raise_()
        return False

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(theming.theme().accent), WIDTH))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(2, 2, -2, -2), CORNER, CORNER)
        painter.end()
