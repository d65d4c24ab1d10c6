"""Where prompts are written: Enter sends, Shift+Enter begins a line, Esc stops the reply."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app import look

ENTER_SENDS: Final = "Enter sends, Shift+Enter begins a new line"
ESC_STOPS: Final = "Esc stops the reply"

MOST_LINES: Final = 8
"""Lines that the field grows to before it scrolls."""


class PromptField(QPlainTextEdit):
    """Grows with its text. `submitted()` on Enter, `focused(bool)`, `grown()`."""

    submitted = Signal()
    focused = Signal(bool)
    grown = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("prompt")
        self.setAccessibleName("Prompt")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabChangesFocus(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().setDocumentMargin(0)
        self.document().documentLayout().documentSizeChanged.connect(lambda _: self._fit())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if enter and not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
            self.submitted.emit()
            return
        super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.focused.emit(True)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.focused.emit(False)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.FontChange:
            self._fit()

    def _fit(self) -> None:
        lines = round(self.document().size().height())
        shown = max(1, min(lines, MOST_LINES))
        height = shown * self.fontMetrics().lineSpacing() + 4
        scrolls = lines > MOST_LINES
        self.setVerticalScrollBarPolicy(
            Qt.ScrollBarPolicy.ScrollBarAsNeeded
            if scrolls
            else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        )
        if height != self.maximumHeight():
            self.setFixedHeight(height)
            self.grown.emit()


class Composer(QFrame):
    """Field and button. `sent(str)`; the owner clears the field with `clear` when it took it."""

    sent = Signal(str)
    stop_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("composer")
        self._answering = False
        self._reason = ""
        self.field = PromptField()
        self._hint = QLabel()
        self._hint.setObjectName("secondary")
        self._button = QToolButton()
        self._button.setObjectName("send")
        self._button.setIconSize(QSize(16, 16))
        self._button.setFixedSize(32, 32)
        self._button.clicked.connect(self._on_button)
        self.field.submitted.connect(self._submit)
        self.field.focused.connect(self._show_focus)
        self.field.textChanged.connect(self._refresh)
        self.field.installEventFilter(self)
        row = QHBoxLayout()
        row.addWidget(self._hint)
        row.addStretch()
        row.addWidget(self._button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 14, 12, 12)
        layout.setSpacing(8)
        layout.addWidget(self.field)
        layout.addLayout(row)
        self.setFocusProxy(self.field)
        self._refresh()

    @property
    def can_send(self) -> bool:
        return not self._answering and not self._reason

    def set_model(self, name: str) -> None:
        self.field.setPlaceholderText(f"Message {name}…" if name else "Write a message…")
        self.field.viewport().update()  # Qt repaints the cursor's width alone

    def set_reason(self, reason: str) -> None:
        """Why nothing can be sent now; empty when it can."""
        self._reason = reason
        self._refresh()

    def set_answering(self, answering: bool) -> None:
        """While a reply streams the button stops it."""
        self._answering = answering
        self._refresh()

    def set_text(self, text: str) -> None:
        self.field.setPlainText(text)
        self.field.moveCursor(self.field.textCursor().MoveOperation.End)

    def clear(self) -> None:
        self.field.clear()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if (
            self._answering
            and isinstance(event, QKeyEvent)
            and event.type() is QEvent.Type.KeyPress
            and event.key() == Qt.Key.Key_Escape
        ):
            self.stop_requested.emit()
            return True
        return super().eventFilter(watched, event)

    def _submit(self) -> None:
        text = self.field.toPlainText()
        if text.strip() and self.can_send:
            self.sent.emit(text)

    def _on_button(self) -> None:
        if self._answering:
            self.stop_requested.emit()
        else:
            self._submit()

    def _refresh(self) -> None:
        empty = not self.field.toPlainText().strip()
        self._button.setEnabled(self._answering or (self.can_send and not empty))
        self._button.setIcon(look.icon("stop" if self._answering else "send", "on_accent"))
        name = "Stop the reply" if self._answering else "Send"
        self._button.setAccessibleName(name)
        self._button.setToolTip(f"{name} ({'Esc' if self._answering else 'Enter'})")
        keys = ESC_STOPS if self._answering else ENTER_SENDS
        self._hint.setText(self._reason or keys)

    def _show_focus(self, focused: bool) -> None:
        self.setProperty("focused", focused)
        self.style().unpolish(self)
        self.style().polish(self)
