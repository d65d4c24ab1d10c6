"""What is to be said to the person, in one queue: nothing overwrites another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from PySide6.QtCore import QObject, QTimer, Signal


class Level(IntEnum):
    """The higher, the sooner it is shown."""

    DONE = 0
    """Something was done, and can be undone for a while."""
    NOTE = 1
    """Good to know."""
    PROBLEM = 2
    """Something does not work."""
    QUESTION = 3
    """Nothing goes on before it is answered."""


@dataclass(frozen=True)
class Notice:
    about: str
    """What it is about: a later notice about the same takes its place, and `withdraw` names it."""
    title: str
    detail: str = ""
    hint: str = ""
    level: Level = Level.PROBLEM
    button: str = ""
    action: Callable[[], None] | None = None
    stays: bool = False
    """It can only be left by its button: there is no other way on."""
    lasts_ms: int = 0
    """It goes by itself after that long; 0 for never."""


class Notices(QObject):
    """The notices that are not settled yet, the most urgent first, then the oldest.

    `changed()`; `left(Notice)` when the person is done with one.
    """

    changed = Signal()
    left = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: list[Notice] = []

    @property
    def waiting(self) -> list[Notice]:
        return sorted(self._waiting, key=lambda notice: -notice.level)

    def about(self, subject: str) -> Notice | None:
        return next((known for known in self._waiting if known.about == subject), None)

    def say(self, notice: Notice) -> None:
        """Queues it, in the place of one about the same."""
        subjects = [known.about for known in self._waiting]
        if notice.about in subjects:
            self._waiting[subjects.index(notice.about)] = notice
        else:
            self._waiting.append(notice)
        if notice.lasts_ms:
            QTimer.singleShot(notice.lasts_ms, self, lambda: self._drop(notice))
        self.changed.emit()

    def withdraw(self, subject: str) -> None:
        """What it says is no longer so."""
        if known := self.about(subject):
            self._drop(known)

    def leave(self, notice: Notice) -> None:
        """The person has read it, or pressed its button."""
        self._drop(notice)
        self.left.emit(notice)

    def _drop(self, notice: Notice) -> None:
        if any(known is notice for known in self._waiting):
            self._waiting = [known for known in self._waiting if known is not notice]
            self.changed.emit()
