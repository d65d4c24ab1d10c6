"""How full the context is, in the composer's row: a bar, and the tokens in words."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app import number_format, plain, theming
from app.context.use import ContextUse
from app.words import translate

BAR: Final = (64, 4)
"""Px."""


class _Bar(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedSize(*BAR)
        self._share = 0.0
        self._role = "muted"

    def show_share(self, share: float, role: str) -> None:
        self._share, self._role = min(max(share, 0.0), 1.0), role
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        width, height = self.width(), self.height()
        for part, role in ((1.0, "raised"), (self._share, self._role)):
            painter.setBrush(QColor(getattr(theming.theme(), role)))
            painter.drawRoundedRect(QRectF(0, 0, part * width, height), 2, 2)
        painter.end()


class ContextGauge(QWidget):
    """Nothing is shown where the tokens are not known."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bar = _Bar()
        self._words = plain.Label("", "gauge")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 8, 0)
        layout.setSpacing(8)
        layout.addWidget(self._bar)
        layout.addWidget(self._words)
        self.hide()

    def show_use(self, use: ContextUse | None) -> None:
        self.setVisible(use is not None)
        if use is None:
            return
        warns = use.nearly_full or not use.exact
        self._bar.show_share(use.tokens / max(1, use.capacity), "caution" if warns else "muted")
        tokens, capacity = number_format.count(use.tokens), number_format.count(use.capacity)
        counted = (
            tokens
            if use.exact
            else translate("ContextGauge", "more than {tokens}").format(tokens=tokens)
        )
        self._words.setText(
            translate("ContextGauge", "{counted} of {capacity}").format(
                counted=counted, capacity=capacity
            )
        )
        self._words.setProperty("warns", warns)
        self._words.style().unpolish(self._words)
        self._words.style().polish(self._words)
        said = translate(
            "ContextGauge",
            "Context: {counted} of {capacity} tokens. The chat has {chat}, your message "
            "{message}; {reserved} are kept for the reply.",
        ).format(
            counted=counted,
            capacity=capacity,
            chat=number_format.count(use.chat),
            message=number_format.count(use.message),
            reserved=number_format.count(use.reserved),
        )
        plain.set_tool_tip(self, said)
        plain.set_name(self, said)
