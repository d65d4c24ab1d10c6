"""Where prompts are written: Enter sends, Shift+Enter begins a line, Esc stops the reply."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

from PySide6.QtCore import QEvent, QMimeData, QObject, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QFontMetricsF, QKeyEvent, QResizeEvent, QTextCursor
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPlainTextEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app import plain, theming
from app.chat.file_chips import FileChips
from app.chat.pasted import KIND, OBJECT, Pill, number_of, pill
from app.context.gauge import ContextGauge
from app.widgets.icon_button import IconButton
from app.words import joined, translate

SHIFT_SENDS: Final = translate("Composer", "Enter begins a new line, Shift+Enter sends")
ENTER_SENDS: Final = translate("Composer", "Enter sends, Shift+Enter begins a new line")
ESC_STOPS: Final = translate("Composer", "Esc stops the reply")
PASTED: Final = translate("Composer", "Long texts are sent whole; Backspace takes one out again")

MOST_LINES: Final = 8
"""Lines that the field grows to before it scrolls."""

FOLDED_LINES: Final = 2
"""The same while something else needs the room."""

MOST_TEXT: Final = 40_000
"""Characters of the field's text that can be edited without a stall."""

LONGEST_LINE: Final = 5000
"""The same of one line: Qt lays out all of it at every key, in a time that grows as its square."""

SHORT: Final = 1000
"""Characters that are inserted as text however much is there."""

LONGEST_NAME: Final = 60
"""Characters of a model's name in the empty field."""

LINE_ENDS: Final = str.maketrans(dict.fromkeys("\u2028\u2029\ufdd0\ufdd1", "\n"))
"""What stands for the end of a line in a document."""


class PromptField(QPlainTextEdit):
    """Grows with its text. `submitted()` on Enter, `focused(bool)`, `grown()`.

    A text too long to be edited is shown as a pill, and is whole in `toPlainText` and on the
    clipboard. To Qt it is one letter: it is deleted by one key and comes back with undo.
    """

    submitted = Signal()
    focused = Signal(bool)
    grown = Signal()
    files_pasted = Signal(object)
    """Paths of files that were pasted or dropped here."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("prompt")
        self.enter_sends = True
        """Else Enter begins a line, and Enter with another key sends."""
        plain.set_name(self, translate("Composer", "Prompt"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabChangesFocus(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._most_lines = MOST_LINES
        self._pasted: list[str] = []
        """Texts of the pills, also of deleted ones: undo brings them back."""
        self._pill = Pill(self)
        self.document().documentLayout().registerHandler(KIND, self._pill)
        self.document().setDocumentMargin(0)
        self.document().documentLayout().documentSizeChanged.connect(lambda _: self._fit())

    def toPlainText(self) -> str:
        """What was written, pasted texts in it. No-break spaces stay what they are."""
        return self._whole(self.document().toRawText(), QTextCursor(self.document()))

    def setPlainText(self, text: str) -> None:
        super().setPlainText("")
        self._pasted.clear()
        self.insertPlainText(text)

    def insertPlainText(self, text: str) -> None:
        cursor = self.textCursor()
        if self._is_too_long(text, cursor):
            self._pasted.append(text)
            cursor.insertText(OBJECT, pill(len(self._pasted) - 1, text))
        else:
            cursor.insertText(text)

    def canInsertFromMimeData(self, source: QMimeData) -> bool:
        return source.hasUrls() or super().canInsertFromMimeData(source)

    def insertFromMimeData(self, source: QMimeData) -> None:
        local = [url.toLocalFile() for url in source.urls() if url.isLocalFile()]
        if local:
            self.files_pasted.emit([Path(name) for name in local])
        elif source.hasText():
            self.insertPlainText(source.text())
            self.ensureCursorVisible()

    def createMimeDataFromSelection(self) -> QMimeData:
        cursor = self.textCursor()
        start = QTextCursor(self.document())
        start.setPosition(cursor.selectionStart())
        # Qt's own object: it would outlive one of Python's on the clipboard, and crash at exit.
        selected = super().createMimeDataFromSelection()
        selected.text()  # which is made when it is first asked for
        selected.clear()
        selected.setText(self._whole(cursor.selectedText(), start))
        return selected

    def set_most_lines(self, lines: int) -> None:
        """Lines that it grows to before it scrolls."""
        self._most_lines = lines
        self._fit()

    def is_blank(self) -> bool:
        letters = self.document().toRawText().replace(OBJECT, "")
        return not letters.strip() and not self.toPlainText().strip()

    def has_pasted(self) -> bool:
        """Whether there is a pill."""
        return bool(self._pasted) and OBJECT in self.document().toRawText()

    def _whole(self, raw: str, cursor: QTextCursor) -> str:
        """The document's text from the cursor on, with what its pills stand for."""
        first, *rest = raw.translate(LINE_ENDS).split(OBJECT)
        parts = [first]
        for part in rest:
            cursor = self.document().find(OBJECT, cursor)
            number = number_of(cursor.charFormat())
            parts += [OBJECT if number is None else self._pasted[number], part]
        return "".join(parts)

    def _is_too_long(self, text: str, cursor: QTextCursor) -> bool:
        """Whether the field would be slow with this text in it."""
        if len(text) <= SHORT:
            return False
        if self.document().characterCount() + len(text) > MOST_TEXT:
            return True
        lines = text.replace("\r", "\n").replace("\u2029", "\n").split("\n")
        return cursor.block().length() + max(map(len, lines)) > LONGEST_LINE

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            alone = not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
            if alone is self.enter_sends:
                self.submitted.emit()
            else:
                self.textCursor().insertBlock()
                self.ensureCursorVisible()
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

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()  # other lines at another width, of which the document tells nothing

    def _fit(self) -> None:
        lines = round(self.document().size().height())
        height = max(1, min(lines, self._most_lines)) * self._line_height() + 4
        scrolls = lines > self._most_lines
        self.setVerticalScrollBarPolicy(
            Qt.ScrollBarPolicy.ScrollBarAsNeeded
            if scrolls
            else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        )
        if height != self.maximumHeight():
            self.setFixedHeight(height)
            self.grown.emit()

    def _line_height(self) -> int:
        """Px; of the line of a pill where there is one, which is a little higher than others."""
        metrics = QFontMetricsF(self.font())
        pill = math.ceil(metrics.descent()) if self.has_pasted() else 0
        return math.ceil(metrics.height()) + pill


class Composer(QFrame):
    """Field and button. `sent(str)`; the owner clears the field with `clear` when it took it.
    `escaped()`: Esc, with no reply to stop; `up_pressed()` in an empty field."""

    sent = Signal(str)
    stop_requested = Signal()
    escaped = Signal()
    up_pressed = Signal()
    attach_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("composer")
        self._answering = False
        self._reason = ""
        self._note = ""
        self.field = PromptField()
        self.files = FileChips()
        self.gauge = ContextGauge()
        attach = IconButton(
            "attach",
            translate("Composer", "Attach text or code"),
            translate("Composer", "Attach text or code (Ctrl+Shift+A)"),
        )
        attach.clicked.connect(self.attach_requested)
        self.files.changed.connect(self._refresh)
        self._hint = plain.Label("", "secondary")
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
        row.addWidget(attach)
        row.addWidget(self._hint)
        row.addStretch()
        row.addWidget(self.gauge)
        row.addWidget(self._button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 14, 12, 12)
        layout.setSpacing(8)
        layout.addWidget(self.files)
        layout.addWidget(self.field)
        layout.addLayout(row)
        self.setFocusProxy(self.field)
        self._refresh()

    @property
    def can_send(self) -> bool:
        """Whether a prompt is taken now; while a reply runs it waits for its turn."""
        return not self._reason

    @property
    def _stops(self) -> bool:
        """Whether the button stops the reply: there is nothing to send."""
        return self._answering and self._is_blank

    @property
    def _is_blank(self) -> bool:
        """Whether there is nothing to send."""
        return self.field.is_blank() and not self.files.files

    def set_model(self, name: str) -> None:
        shown = plain.one_line(name, LONGEST_NAME)
        plain.set_placeholder(
            self.field,
            translate("Composer", "Message {model}…").format(model=shown)
            if name
            else translate("Composer", "Write a message…"),
        )
        self.field.viewport().update()  # Qt repaints the cursor's width alone

    def set_reason(self, reason: str) -> None:
        """Why nothing can be sent now; empty when it can."""
        self._reason = reason
        self._refresh()

    def set_enter_sends(self, *, sends: bool) -> None:
        """Else it begins a line."""
        self.field.enter_sends = sends
        self._refresh()

    def set_note(self, note: str) -> None:
        """What becomes of a prompt that is sent now; empty if it is sent at once."""
        self._note = note
        self._refresh()

    def set_answering(self, answering: bool) -> None:
        """While a reply streams the button stops it."""
        self._answering = answering
        self._refresh()

    def set_text(self, text: str) -> None:
        self.field.setPlainText(text)
        self.field.moveCursor(self.field.textCursor().MoveOperation.End)

    def replace_text(self, text: str) -> None:
        """In the place of what is written, which undo brings back."""
        self.field.selectAll()
        self.field.insertPlainText(text)

    def fold(self, folded: bool) -> None:
        """Leaves room for what stands above it."""
        self.field.set_most_lines(FOLDED_LINES if folded else MOST_LINES)

    def clear(self) -> None:
        self.field.setPlainText("")
        self.files.set_files(())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() is QEvent.Type.KeyPress:
            if event.key() == Qt.Key.Key_Escape:
                (self.stop_requested if self._answering else self.escaped).emit()
                return True
            if event.key() == Qt.Key.Key_Up and self.field.is_blank():
                self.up_pressed.emit()
                return True
        return super().eventFilter(watched, event)

    def _submit(self) -> None:
        text = self.field.toPlainText()
        if not self._is_blank and self.can_send:
            self.sent.emit(text)

    def _on_button(self) -> None:
        if self._stops:
            self.stop_requested.emit()
        else:
            self._submit()

    def _refresh(self) -> None:
        ready = self.can_send and not self._is_blank
        stops = self._stops
        self._button.setEnabled(stops or ready)
        self._button.setIcon(theming.icon("stop" if stops else "send", "on_accent"))
        name = translate("Composer", "Stop the reply") if stops else translate("Composer", "Send")
        plain.set_name(self._button, name)
        plain.set_tool_tip(self._button, joined(" ", (name, "(Esc)" if stops else "(Enter)")))
        self._hint.setText(self._reason or self._said())

    def _said(self) -> str:
        if self._stops:
            return ESC_STOPS
        if self._note:
            return self._note
        if self.field.has_pasted():
            return PASTED
        return ENTER_SENDS if self.field.enter_sends else SHIFT_SENDS

    def _show_focus(self, focused: bool) -> None:
        self.setProperty("focused", focused)
        self.style().unpolish(self)
        self.style().polish(self)
