"""A button that is an icon: its words are in the tooltip, and for screen readers."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtWidgets import QToolButton, QWidget

from app import plain, theming

ICON: Final = 20
COPIED_MS: Final = 1200


class IconButton(QToolButton):
    """`size`: px of the button; `name`: for screen readers, `tip` for those who see it."""

    def __init__(
        self, icon: str, name: str, tip: str, size: int = 32, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("iconButton")
        self._icon = icon
        self.setIcon(theming.icon(icon))
        self.setIconSize(QSize(ICON, ICON))
        self.setFixedSize(size, size)
        plain.set_name(self, name)
        self.setCursor(Qt.CursorShape.ArrowCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        plain.set_tool_tip(self, tip)

    def tick(self) -> None:
        """Says for a moment that something was done."""
        self.setIcon(theming.icon("check", "text"))
        QTimer.singleShot(COPIED_MS, self, lambda: self.setIcon(theming.icon(self._icon)))
