"""Tells the system that a reply is ready, if it took long and nobody looks at the window."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication, QWidget

from app import plain, theming
from app.chat.replies import Replies, Reply
from app.store.records import StoredMessage
from app.words import now, translate

LONG_S: Final = 10.0
"""Seconds that a reply takes at least for it to be told."""


class Notifier(QObject):
    """`title_of`: of a conversation; `come`: brings the window to the front, with that one."""

    def __init__(
        self,
        replies: Replies,
        title_of: Callable[[int], str],
        come: Callable[[int], None],
        window: QWidget,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(window)
        self.is_wanted = True
        self._title_of = title_of
        self._window = window
        self._clock = clock
        self._began: dict[str, float] = {}
        self._conversation = 0
        self._tray: plain.TrayIcon | None = None
        self._come = come
        replies.began.connect(self._on_began)
        replies.finished.connect(self._on_finished)

    def _on_began(self, reply: Reply) -> None:
        self._began[reply.request] = self._clock()

    def _on_finished(self, reply: Reply, whole: StoredMessage) -> None:
        took = self._clock() - self._began.pop(reply.request, self._clock())
        stopped = whole.finish_reason == "stopped"
        if not self.is_wanted or stopped or took < LONG_S or self._window.isActiveWindow():
            return
        QApplication.alert(self._window)  # marks it where windows are listed
        self._conversation = reply.conversation
        self._say(self._title_of(reply.conversation))

    def _say(self, title: str) -> None:
        if not plain.TrayIcon.can_speak():
            return
        if self._tray is None:
            self._tray = plain.TrayIcon(theming.icon("flame", "accent"), self)
            self._tray.clicked.connect(lambda: self._come(self._conversation))
        self._tray.say(now(translate("Notifier", "The reply is ready")), title)
