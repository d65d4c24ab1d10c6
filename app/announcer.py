"""Says to who does not see the window what has just happened in it."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent
from PySide6.QtWidgets import QWidget

from app import plain
from app.chat.dialogue import Dialogue
from app.notices import Level, Notice, Notices
from app.store.records import StoredMessage
from app.words import Words, joined, translate

LONGEST: Final = 2000
"""Letters of a reply that are read out by themselves; the whole is in the conversation."""

POLITE: Final = QAccessible.AnnouncementPoliteness.Polite
ASSERTIVE: Final = QAccessible.AnnouncementPoliteness.Assertive


class Announcer(QObject):
    """A reply that is finished, and each notice once."""

    def __init__(self, dialogue: Dialogue, notices: Notices, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._notices = notices
        self._said: list[Notice] = []
        dialogue.finished.connect(self._on_finished)
        notices.changed.connect(self._on_notices)

    def _on_finished(self, reply: StoredMessage) -> None:
        self._say(finished_words(reply), POLITE)

    def _on_notices(self) -> None:
        waiting = self._notices.waiting
        for notice in waiting:
            if not any(notice is said for said in self._said):
                urgent = notice.level >= Level.PROBLEM
                said = joined(". ", (notice.title, notice.detail, notice.hint))
                self._say(said, ASSERTIVE if urgent else POLITE)
        self._said = waiting

    def _say(self, words: str, politeness: QAccessible.AnnouncementPoliteness) -> None:
        if not QAccessible.isActive():
            return
        event = QAccessibleAnnouncementEvent(self._window, plain.several_lines(words, LONGEST))
        event.setPoliteness(politeness)
        QAccessible.updateAccessibility(event)


def finished_words(reply: StoredMessage) -> Words:
    """What is said of a reply that has come to its end."""
    if reply.trouble.title:
        return joined(". ", (translate("Announcer", "The reply failed"), reply.trouble.title))
    return joined(". ", (translate("Announcer", "The reply is finished"), reply.content))
