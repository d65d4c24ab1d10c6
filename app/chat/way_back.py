"""The way back to the end of a conversation, and the fade in which its text ends below."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from app import plain, theming
from app.words import translate

FADE: Final = 24
"""Px of the fade at the lower edge."""

FADE_BELOW_PILL: Final = 84
"""The same while the pill stands there, so that it never stands on text."""

PILL_HEIGHT: Final = 36
PILL_ABOVE: Final = 10
"""Px between the pill and the lower edge."""


class Fade(QWidget):
    """Lets what lies below it vanish towards the lower edge. The mouse goes through it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        ground = QColor(theming.theme().background)
        clear = QColor(ground)
        clear.setAlpha(0)
        fade = QLinearGradient(0, 0, 0, self.height())
        fade.setColorAt(0, clear)
        fade.setColorAt(1, ground)
        painter = QPainter(self)
        painter.fillRect(self.rect(), fade)
        painter.end()


class WayBack(plain.Button):
    """A pill that leads to the end, and says whether a reply is being written there."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__("", "toEnd", parent)
        self.setLayoutDirection(Qt.LayoutDirection.RightToLeft)  # the arrow stands behind the words
        self.setIcon(theming.icon("end", "text"))
        self.setIconSize(QSize(16, 16))
        self.setFixedHeight(PILL_HEIGHT)
        self.setCursor(Qt.CursorShape.ArrowCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        plain.set_name(self, translate("WayBack", "Go to the end of the conversation"))
        plain.set_tool_tip(self, translate("WayBack", "Go to the end (End)"))
        self.hide()

    def show_writing(self, writing: bool) -> None:
        self.setText(
            translate("WayBack", "Writing") if writing else translate("WayBack", "To the end")
        )
