"""What does not fit, and the ways on: leave out old turns, shorten, or a longer context."""

from __future__ import annotations

from enum import Enum
from typing import Final

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QHideEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QVBoxLayout,
    QWidget,
)

from app import plain, theming
from app.context.use import ContextUse, share
from app.number_format import count
from app.words import joined, translate

NARROW: Final = 560
"""Px of width below which only the ways themselves are shown."""
BAR_HEIGHT: Final = 16
"""Px; the mark at the limit is higher by 2 at either side."""
SEGMENTS: Final = (
    ("memory_others", "chat"),
    ("memory_cache", "message"),
    ("memory_workspace", "reserved"),
)
"""Of the bar: colour role and field of ContextUse."""
LEGEND: Final = {
    "chat": translate("ContextCard", "Chat so far"),
    "message": translate("ContextCard", "Your message"),
    "reserved": translate("ContextCard", "Kept for the reply"),
}


class Way(Enum):
    LEAVE_OUT = "leave out"
    SHORTEN = "shorten"
    LONGER = "longer"


class ContextCard(QFrame):
    """`chosen(Way)` by the button; `left()` by Cancel or Esc; `shown(bool)`."""

    chosen = Signal(object)
    left = Signal()
    shown = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("contextCard")
        self._title = plain.Label("", "cardTitle")
        self._of = plain.Label("", "secondary")
        self._bar = _Bar()
        self._legend = {name: plain.Label("", "secondary") for _, name in SEGMENTS}
        self._key = QWidget()
        self._mark = plain.Label("", "secondary")
        self._options = {way: _Option() for way in Way}
        self._group = QButtonGroup(self)
        self._send = plain.Button(translate("ContextCard", "Send"), "primary")
        self._cancel = plain.Button(translate("ContextCard", "Cancel"), "quiet")
        self._build()
        self._send.clicked.connect(lambda: self.chosen.emit(self._way))
        self._cancel.clicked.connect(self.left)
        self._group.buttonToggled.connect(lambda *_: self._name_button())
        self.hide()

    def show_use(self, use: ContextUse, longer: int | None) -> None:
        """`longer`: a context in tokens that would do, and with which the model can be loaded."""
        self._title.setText(
            translate("ContextCard", "This no longer fits: %n tokens too many", "", 1).of(
                use.excess
            )
            if use.exact
            else translate("ContextCard", "This is far longer than the context")
        )
        self._of.setText(translate("ContextCard", "%n tokens of context", "", 1).of(use.capacity))
        self._bar.show_use(use)
        for name, label in self._legend.items():
            label.setText(
                joined(" ", (LEGEND[name], count(getattr(use, name))))
                if use.exact
                else LEGEND[name]
            )
        self._mark.setText(
            translate("ContextCard", "the line marks {capacity}").format(
                capacity=count(use.capacity)
            )
        )
        self._show_options(use, longer)
        self._choose(_best(use, longer))
        plain.set_name(self, self._title.text())
        self.show()
        self._options[self._way].radio.setFocus()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A narrow window has room for what the ways are, and not for their reasons."""
        super().resizeEvent(event)
        narrow = event.size().width() < NARROW
        for widget in (self._of, self._key):
            widget.setVisible(not narrow)
        for option in self._options.values():
            option.set_narrow(narrow)

    def _show_options(self, use: ContextUse, longer: int | None) -> None:
        turns = (use.left_out + 1) // 2
        most = use.most_of_message
        self._options[Way.LEAVE_OUT].show_option(
            translate("ContextCard", "Leave out the %n oldest turns", "", 1).of(turns),
            translate(
                "ContextCard", "The model no longer sees them; you do, above a line in the chat."
            ),
            share(use.kept + use.reserved, use.capacity),
            translate("ContextCard", "%n tokens freed", "", 1).of(use.freed) if use.exact else "",
            shown=use.left_out > 0,
        )
        self._options[Way.SHORTEN].show_option(
            translate("ContextCard", "Shorten your message"),
            translate("ContextCard", "Back to the box. It may have %n tokens.", "", 1).of(most)
            if most
            else translate("ContextCard", "Back to the box."),
            "",
            translate("ContextCard", "%n tokens to cut", "", 1).of(use.excess)
            if use.exact and most
            else "",
            shown=True,
        )
        context = longer or 0
        self._options[Way.LONGER].show_option(
            translate("ContextCard", "Load the model with a longer context"),
            translate("ContextCard", "%n tokens, if the memory suffices for them.", "", 1).of(
                context
            ),
            share(use.total, context) if use.exact else "",
            translate("ContextCard", "%n tokens more", "", 1).of(max(0, context - use.capacity)),
            shown=longer is not None,
        )

    @property
    def _way(self) -> Way:
        return next(way for way, option in self._options.items() if option.radio.isChecked())

    def _choose(self, way: Way) -> None:
        self._options[way].radio.setChecked(True)
        self._name_button()

    def _name_button(self) -> None:
        names = {
            Way.LEAVE_OUT: translate("ContextCard", "Send"),
            Way.SHORTEN: translate("ContextCard", "Shorten"),
            Way.LONGER: translate("ContextCard", "Load and send"),
        }
        checked = [way for way, option in self._options.items() if option.radio.isChecked()]
        self._send.setText(names[checked[0]] if checked else translate("ContextCard", "Send"))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.shown.emit(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.shown.emit(False)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._send.click()
        else:
            super().keyPressEvent(event)

    def _build(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self._title)
        head.addStretch()
        head.addWidget(self._of)
        legend = QHBoxLayout(self._key)
        legend.setContentsMargins(0, 0, 0, 0)
        legend.setSpacing(6)
        for role, name in SEGMENTS:
            legend.addWidget(_Swatch(role))
            legend.addWidget(self._legend[name])
            legend.addSpacing(10)
        legend.addStretch()
        legend.addWidget(self._mark)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch()
        buttons.addWidget(self._cancel)
        buttons.addWidget(self._send)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        layout.addLayout(head)
        layout.addWidget(self._bar)
        layout.addWidget(self._key)
        for option in self._options.values():
            layout.addWidget(option)
            self._group.addButton(option.radio)
        layout.addLayout(buttons)


def _best(use: ContextUse, longer: int | None) -> Way:
    """What is chosen first: what sends the message as it is, with the least loss."""
    if use.left_out:
        return Way.LEAVE_OUT
    if longer and not use.most_of_message:
        return Way.LONGER
    return Way.SHORTEN


class _Option(QFrame):
    """One way: radio button with its name, a sentence, and at the right what comes of it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("contextOption")
        self.radio = plain.RadioButton()
        self.radio.setMinimumHeight(20)
        self.radio.toggled.connect(self._show_chosen)
        self._said = plain.Label("", "secondary", wraps=True)
        self._result = plain.Label("", "optionResult")
        self._beside = plain.Label("", "secondary")
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self.radio)
        below = QHBoxLayout()
        below.setContentsMargins(24, 0, 0, 0)
        below.addWidget(self._said)
        words.addLayout(below)
        results = QVBoxLayout()
        results.setSpacing(2)
        for label in (self._result, self._beside):
            label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            results.addWidget(label)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.setSpacing(12)
        layout.addLayout(words, 1)
        layout.addLayout(results)

    def show_option(self, name: str, said: str, result: str, beside: str, *, shown: bool) -> None:
        self.radio.setText(name)
        self._said.setText(said)
        self._result.setText(result)
        self._beside.setText(beside)
        plain.set_description(self.radio, f"{said} {result} {beside}".strip())
        self.setVisible(shown)

    def set_narrow(self, narrow: bool) -> None:
        for label in (self._said, self._beside):
            label.setVisible(not narrow)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: ARG002
        self.radio.setChecked(True)
        self.radio.setFocus()

    def _show_chosen(self, chosen: bool) -> None:
        self.setProperty("chosen", chosen)
        self.style().unpolish(self)
        self.style().polish(self)


class _Swatch(QWidget):
    """A colour of the bar, beside what it stands for."""

    def __init__(self, role: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._role = role
        self.setFixedSize(8, 8)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(getattr(theming.theme(), self._role)))
        painter.drawRoundedRect(self.rect(), 2, 2)
        painter.end()


class _Bar(QWidget):
    """Chat, message and reply side by side, and a line at what the context holds."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(BAR_HEIGHT + 4)
        self._use: ContextUse | None = None

    def sizeHint(self) -> QSize:
        return QSize(320, BAR_HEIGHT + 4)

    def show_use(self, use: ContextUse) -> None:
        self._use = use
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        use = self._use
        if use is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        whole = QRectF(0, 2, self.width(), BAR_HEIGHT)
        shape = QPainterPath()
        shape.addRoundedRect(whole, 8, 8)
        painter.setClipPath(shape)
        scale = self.width() / max(1, use.total, use.capacity)
        left = 0.0
        for role, name in SEGMENTS:
            width = getattr(use, name) * scale
            painter.fillRect(
                QRectF(left, 2, width, BAR_HEIGHT), QColor(getattr(theming.theme(), role))
            )
            left += width + 1
        painter.setClipping(False)
        mark = min(use.capacity * scale, self.width() - 2.0)
        painter.fillRect(QRectF(mark, 0, 2, BAR_HEIGHT + 4), QColor(theming.theme().text))
        painter.end()
