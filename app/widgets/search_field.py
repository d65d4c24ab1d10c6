"""The field in which one searches: its owner is asked about each key before it is typed."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QLineEdit, QWidget

from app import plain


class SearchField(QLineEdit):
    """Esc is a key of the field, and no shortcut of the window."""

    def __init__(
        self,
        name: str,
        accessible_name: str,
        take_key: Callable[[QKeyEvent], bool],
        parent: QWidget | None = None,
    ) -> None:
        """`name`: the style's. `take_key`: whether the owner has done something with the key."""
        super().__init__(parent)
        self.setObjectName(name)
        plain.set_name(self, accessible_name)
        self._take_key = take_key

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent):
            if event.type() is QEvent.Type.KeyPress and self._take_key(event):
                return True
            if event.type() is QEvent.Type.ShortcutOverride and event.key() == Qt.Key.Key_Escape:
                event.accept()
                return True
        return super().event(event)
