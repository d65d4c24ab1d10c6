"""Finds words in the chat on screen."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QHideEvent, QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QWidget

from app import number_format, plain, theming
from app.chat.selection import Place
from app.chat.transcript import Transcript
from app.widgets.search_field import SearchField
from app.words import Words, now, translate

SIZE: Final = QSize(316, 44)
SIDE: Final = 16


class FindBar(QFrame):
    """Floats over the upper right of the transcript. `left()`."""

    left = Signal()

    def __init__(self, transcript: Transcript, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("findBar")
        self.setFixedSize(SIZE)
        self._transcript = transcript
        self._around = parent
        self._found: list[tuple[Place, Place]] = []
        self._at = 0
        self.field = SearchField(
            "findField", translate("FindBar", "Find in this chat"), self._take_key
        )
        plain.set_placeholder(self.field, translate("FindBar", "Find in this chat"))
        self.count = plain.Label("", "secondary")
        self.up = _button("up", translate("FindBar", "Find the one before (Shift+Enter)"))
        self.down = _button("down", translate("FindBar", "Find the next (Enter)"))
        close = _button("close", translate("FindBar", "Close (Esc)"))
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 0, 8, 0)
        row.setSpacing(4)
        row.addWidget(theming.IconLabel("search", "muted", 16))
        row.addWidget(self.field, 1)
        for widget in (self.count, self.up, self.down, close):
            row.addWidget(widget)
        self.field.textChanged.connect(self._look)
        self.up.clicked.connect(lambda: self.step(-1))
        self.down.clicked.connect(lambda: self.step(1))
        close.clicked.connect(self.leave)
        self.hide()

    def open_with(self, words: str = "") -> None:
        """Looks for these words, or for what is written there."""
        if words:
            self.field.setText(words)
        self.place()
        self.show()
        self.raise_()
        self.field.setFocus()
        self.field.selectAll()
        self._look()

    def show_at(self, words: str, message: int) -> None:
        """Shows what a search found in this message; the focus stays where it is."""
        self.field.setText(words)
        turn = self._transcript.turn_of(message)
        own = [at for at, (start, _) in enumerate(self._found) if start.turn == turn]
        if own:
            self._at = own[0]
            self._show()
            self.place()
            self.show()
            self.raise_()

    def leave(self) -> None:
        self.hide()
        self.left.emit()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._transcript.found.show(())

    def place(self) -> None:
        self.move(self._around.width() - self.width() - SIDE, 8)

    def step(self, way: int) -> None:
        """To the next place (1) or the one before (-1), and from the end to the beginning."""
        if self._found:
            self._at = (self._at + way) % len(self._found)
            self._show()

    def _take_key(self, event: QKeyEvent) -> bool:
        back = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        match Qt.Key(event.key()):
            case Qt.Key.Key_Escape:
                self.leave()
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self.step(-1 if back else 1)
            case _:
                return False
        return True

    def _look(self) -> None:
        """From the end, which is what one has read last."""
        words = self.field.text()
        self._found = self._transcript.find_words(words)
        self._at = len(self._found) - 1
        self._transcript.found.show(())
        if self._found:
            self._show()
        self._tell()

    def _show(self) -> None:
        self._transcript.show_span(*self._found[self._at])
        self._transcript.found.show(self._found, self._at)
        self._tell()

    def _tell(self) -> None:
        if not self.field.text():
            self.count.setText("")
        elif self._found:
            at, of = number_format.count(self._at + 1), number_format.count(len(self._found))
            self.count.setText(translate("FindBar", "{at} of {of}").format(at=at, of=of))
        else:
            self.count.setText(translate("FindBar", "Not found"))
        for button in (self.up, self.down):
            button.setEnabled(len(self._found) > 1)


def _button(icon: str, name: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(theming.icon(icon, "text"))
    button.setIconSize(QSize(16, 16))
    button.setFixedSize(28, 28)
    plain.set_name(button, Words(lambda: now(name).split(" (", maxsplit=1)[0]))
    plain.set_tool_tip(button, name)
    return button
