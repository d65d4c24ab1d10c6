"""What floats in its window until one is done with it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QCloseEvent, QColor, QKeyEvent, QMouseEvent, QShowEvent
from PySide6.QtWidgets import QApplication, QFrame, QGraphicsDropShadowEffect, QWidget
from shiboken6 import isValid


class Floating(QFrame):
    """Floats in its window, not in one of its own: no platform draws that alike, with round corners
    and over everything. Closes on Esc, and on a click or focus elsewhere; is deleted then, and the
    focus goes back to where it was.
    """

    def __init__(self, opener: QWidget) -> None:
        """The opener is what was clicked: clicking it again is its own affair."""
        super().__init__(opener.window())
        self._opener = opener
        self._focus_before = QApplication.focusWidget()
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        QApplication.instance().installEventFilter(self)  # type: ignore[union-attr]

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        match event.type():
            case QEvent.Type.ShortcutOverride | QEvent.Type.KeyPress:
                if isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
                    event.accept()
                    if event.type() is QEvent.Type.KeyPress:
                        self.close()
                    return True
            case QEvent.Type.MouseButtonPress | QEvent.Type.FocusIn:
                if isinstance(watched, QWidget) and not self._is_ours(watched):
                    self.close()
            case QEvent.Type.Resize:
                if watched is self.window():
                    self.fit()
            case _:
                pass
        return False

    def mousePressEvent(self, event: QMouseEvent) -> None:
        event.accept()  # else it goes on to the window, as a click elsewhere

    def closeEvent(self, event: QCloseEvent) -> None:
        QApplication.instance().removeEventFilter(self)  # type: ignore[union-attr]
        held = self.isAncestorOf(self.focusWidget() or self)
        super().closeEvent(event)
        if held and self._focus_before and isValid(self._focus_before):
            self._focus_before.setFocus()

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab stays in it, as long as it is there."""
        return go_round(self, forward)

    def fit(self) -> None:
        """The window has another size."""
        self.close()

    def _is_ours(self, widget: QWidget) -> bool:
        """A menu or a list that it opens is a window of its own, and belongs to it."""
        if widget.window() is not self.window():
            return True
        return widget in (self, self._opener) or self.isAncestorOf(widget)


def shadow(parent: QWidget) -> QGraphicsDropShadowEffect:
    """Below what floats."""
    made = QGraphicsDropShadowEffect(parent)
    made.setBlurRadius(28)
    made.setOffset(0, 6)
    made.setColor(QColor(0, 0, 0, 46))
    return made


def go_round(around: QWidget, forward: bool) -> bool:
    """Puts the focus on the next of what can have it inside, behind the last on the first; whether
    there is one."""
    inside: list[QWidget] = []
    at = around.nextInFocusChain()
    while at is not None and at is not around:
        if around.isAncestorOf(at) and _takes_tab(at):
            inside.append(at)
        at = at.nextInFocusChain()
    focused = QApplication.focusWidget()
    place = inside.index(focused) if focused in inside else -1
    if inside:
        step = 1 if forward else -1
        inside[(place + step) % len(inside)].setFocus(Qt.FocusReason.TabFocusReason)
    return bool(inside)


def _takes_tab(widget: QWidget) -> bool:
    takes = bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)
    return takes and widget.isVisible() and widget.isEnabled() and widget.focusProxy() is None
