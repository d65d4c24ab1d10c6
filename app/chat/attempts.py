"""What has to be saved before it is done, and waits while the database is locked."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from app.store.errors import StoreError


class Attempts(QObject):
    """One at a time. `waiting_changed(bool)`: one waits; `failed(StoreError)`: it cannot be saved,
    and waiting would not help."""

    waiting_changed = Signal(bool)
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: Callable[[], None] | None = None

    @property
    def waits(self) -> bool:
        return self._waiting is not None

    def make(self, attempt: Callable[[], None]) -> bool:
        """Whether it succeeded now. It raises StoreError if nothing of it was saved; if that
        passes, it waits."""
        try:
            attempt()
        except StoreError as error:
            self._wait_with(attempt if error.passes else None)
            if not error.passes:
                self.failed.emit(error)
            return False
        self._wait_with(None)
        return True

    def again(self) -> None:
        """Tries what waits once more."""
        if self._waiting:
            self.make(self._waiting)

    def give_up(self) -> None:
        self._wait_with(None)

    def _wait_with(self, attempt: Callable[[], None] | None) -> None:
        waited = self.waits
        self._waiting = attempt
        if self.waits is not waited:
            self.waiting_changed.emit(self.waits)
