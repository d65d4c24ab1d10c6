"""Asks a child process which colours code has."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, QTimer, Signal

from app.chat.child_process import ChildProcess

Span = tuple[int, int, str]
"""Start and length in characters, and the letter of a role."""

LONGEST: Final = 100_000
"""Characters of code that is coloured."""

PATIENCE_MS: Final = 10_000
"""For one text, after which the child is killed."""

KEPT: Final = 32
"""Answers kept for code that comes back into sight."""


class CodeColours(QObject):
    """`coloured(number, list of Span)`: the answer to the request of this number. Code for which
    the child took too long has no colours."""

    coloured = Signal(int, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._child = ChildProcess("app.chat.colour_child", PATIENCE_MS, self)
        self._child.answered.connect(self._take)
        self._asked: dict[int, tuple[str, str]] = {}
        self._kept: dict[tuple[str, str], list[Span]] = {}
        self._known = 0
        """Requests that needed no child; their numbers are negative."""

    def ask(self, language: str, text: str) -> int:
        """The number of the request; its answer comes later, never from within this call."""
        known = self._kept.get((language, text))
        if known is not None or not language or len(text) > LONGEST:
            self._known += 1
            number = -self._known
            QTimer.singleShot(0, self, lambda: self.coloured.emit(number, known or []))
            return number
        number = self._child.ask(language, text)
        self._asked[number] = (language, text)
        return number

    def _take(self, number: int, answer: list[list[object]] | None) -> None:
        spans: list[Span] = [tuple(span) for span in answer or []]  # type: ignore[misc]
        self._kept[self._asked.pop(number)] = spans
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        self.coloured.emit(number, spans)
