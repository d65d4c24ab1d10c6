"""Short motion of what opens: none if the person or the system wants none."""

from __future__ import annotations

from typing import Final, Literal

from PySide6.QtCore import QEasingCurve, QPoint, QPropertyAnimation
from PySide6.QtWidgets import QApplication, QStyle, QWidget

SHORT_MS: Final = 100
"""Of what floats: a popover, a toast."""

DRAWER_MS: Final = 120
RISE: Final = QPoint(0, 4)
"""Px from which what floats comes."""

Wish = Literal["system", "none"]
_wish: Wish = "system"
_NAME: Final = "motion"


def choose(wish: Wish) -> None:
    global _wish
    _wish = wish


def is_wanted() -> bool:
    """The system says it by the duration that its style gives animations."""
    if _wish == "none":
        return False
    hint = QStyle.StyleHint.SH_Widget_Animation_Duration
    return QApplication.style().styleHint(hint) > 0


def slide(widget: QWidget, from_: QPoint, duration_ms: int) -> None:
    """Moves a widget to where it is from so many px away; the next motion takes its place."""
    before = widget.findChild(QPropertyAnimation, _NAME)
    if before is not None:
        widget.move(before.endValue())
        before.stop()
    if not is_wanted():
        return
    motion = QPropertyAnimation(widget, b"pos", widget)
    motion.setObjectName(_NAME)
    motion.setDuration(duration_ms)
    motion.setEasingCurve(QEasingCurve.Type.OutCubic)
    motion.setStartValue(widget.pos() + from_)
    motion.setEndValue(widget.pos())
    motion.start(QPropertyAnimation.DeletionPolicy.DeleteWhenStopped)
