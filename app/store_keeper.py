"""Saves what could not be saved as soon as it can be, and tells what is wrong with the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QObject, QTimer, Signal

from app.notices import Level, Notice, Notices
from app.store.errors import StoreError
from app.store.store import Store
from app.words import joined, translate

CALM_MS: Final = 1000
LOCKED_MS: Final = 100
"""Between two looks while somebody else holds the database; a lock mostly ends within some ms."""


OVER_MS: Final = 10_000
"""How long it is said that a trouble is over."""

STORE: Final = "store"
"""What this says is about."""


class StoreKeeper(QObject):
    """`moved(Moved)`: ids have changed; `changed()`: what can be read is not what it was;
    `free()`, again and again: nobody holds the database."""

    moved = Signal(object)
    changed = Signal()
    free = Signal()

    def __init__(self, store: Store, notices: Notices, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._notices = notices
        self._shown: StoreError | None = None
        self._state = self._problems()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.look)
        self._timer.start(CALM_MS)
        notices.left.connect(self._on_left)

    def look(self) -> None:
        """Has the store try again, and tells how that went."""
        self._store.retry()
        for moved in self._store.take_moves():
            self.moved.emit(moved)
        before, self._state = self._state, self._problems()
        if self._state != before:
            self.changed.emit()
        self.show_problem()
        trouble = self._store.trouble
        held = trouble is not None and trouble.passes
        forgets = trouble is None and self._store.forget_words()
        self._timer.setInterval(LOCKED_MS if held or forgets else CALM_MS)
        if not held:
            self.free.emit()

    def _problems(self) -> tuple[bool, StoreError | None]:
        """Whether there is trouble, and the news."""
        return self._store.trouble is not None, self._store.news

    def hurry(self) -> None:
        """Somebody waits for the database."""
        self._timer.start(LOCKED_MS)

    def stop(self) -> None:
        """The window has closed."""
        self._timer.stop()

    def show_problem(self) -> None:
        """Shows what is wrong now, but no problem twice; says that it is over, and hides then."""
        problem = self._store.trouble or self._store.news
        if _words(problem) == _words(self._shown):
            return
        self._shown = problem
        if problem:
            self._say(problem)
        elif self._notices.about(STORE):
            title, detail = (
                translate("StoreKeeper", "Your chats are saved again"),
                translate("StoreKeeper", "Nothing is missing from the file now."),
            )
            over = Notice(STORE, title, detail, level=Level.NOTE, lasts_ms=OVER_MS)
            self._notices.say(over)

    def tell(self, error: StoreError) -> None:
        """Shows what the store has just refused, whether or not it was dismissed before."""
        self._shown = self._store.trouble
        self._say(error)

    def _say(self, problem: StoreError) -> None:
        self._notices.say(Notice(STORE, problem.title, problem.sentences))

    def ask_to_quit(self, quit_now: Callable[[], None]) -> None:
        """Asks whether to lose what is not saved; the question goes when all is saved."""
        self._shown = self._store.trouble
        self._notices.say(
            Notice(
                STORE,
                translate("StoreKeeper", "Quit without saving?"),
                translate("StoreKeeper", "Not saved yet: {unsaved}. {shown}").format(
                    unsaved=joined(", ", self._store.unsaved),
                    shown=self._shown.sentences if self._shown else "",
                ),
                translate("StoreKeeper", "Saving is tried again each second while Hearth is open."),
                Level.QUESTION,
                translate("StoreKeeper", "Quit without saving"),
                quit_now,
            )
        )

    def _on_left(self, notice: Notice) -> None:
        if notice.about != STORE:
            return
        if self._shown is not None and self._shown is self._store.news:
            self._store.dismiss_news()
            self._shown = None
            self.show_problem()


def _words(problem: StoreError | None) -> tuple[str, str]:
    return (problem.title, str(problem)) if problem else ("", "")
