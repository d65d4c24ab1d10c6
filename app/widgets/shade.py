"""What lies beside a drawer while it is open: a click on it closes the drawer."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QWidget


class Shade(QWidget):
    """Shown with the drawer while that floats over its window; draws nothing."""

    def __init__(self, drawer: QWidget, floats: Callable[[], bool], leave: Callable[[], object]):
        super().__init__(drawer.window())
        self._drawer = drawer
        self._floats = floats
        self._leave = leave
        drawer.installEventFilter(self)
        self.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: ARG002
        if event.type() in (QEvent.Type.Show, QEvent.Type.Resize, QEvent.Type.Move):
            self._follow()
        elif event.type() is QEvent.Type.Hide:
            self.hide()
        return False

    def mousePressEvent(self, event: QMouseEvent) -> None:
        event.accept()
        self._leave()

    def _follow(self) -> None:
        shown = not self._drawer.isHidden() and self._floats()
        self.setVisible(shown)
        if shown:
            drawer, window = self._drawer, self.window()
            self.setGeometry(
                drawer.width(), drawer.y(), window.width() - drawer.width(), drawer.height()
            )
            self.raise_()
