"""Searches all chats in a thread of its own, as one types."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial

from PySide6.QtCore import QObject, Signal

from app.background import Background
from app.store.errors import explained
from app.store.search import Hit, search
from app.store.store import Store

Opener = Callable[[], sqlite3.Connection]


class Searcher(QObject):
    """`found(words, list of Hit)`, `failed(StoreError)`: of the words that were asked for last;
    what was asked before is given up."""

    found = Signal(str, object)
    failed = Signal(object)

    def __init__(self, store: Store, background: Background, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._background = background
        self._words = ""
        self._running: sqlite3.Connection | None = None

    def search(self, words: str) -> None:
        self._words = words
        if self._running is not None:
            self._running.interrupt()
        if words.strip():
            work = partial(self._search, self._store.reader(), words)
            self._background.run(work, partial(self._tell, words))

    def _search(self, opened: Opener, words: str) -> list[Hit]:
        """In the other thread. Words that nobody waits for any more are not looked for."""
        if words != self._words:
            return []
        with closing(opened()) as connection:
            self._running = connection
            try:
                return search(connection, words)
            finally:
                self._running = None

    def _tell(self, words: str, result: list[Hit] | Exception) -> None:
        if words != self._words:
            return
        if isinstance(result, sqlite3.Error):
            self.failed.emit(explained(result, None))
        elif isinstance(result, Exception):
            raise result
        else:
            self.found.emit(words, result)
