"""At most one call in an interval: the first at once, the last never lost."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, QTimer


class Throttle(QObject):
    """Calls `action` at most once each `interval_ms`, however often it is asked to."""

    def __init__(
        self, interval_ms: int, action: Callable[[], None], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._action = action
        self._asked = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(interval_ms)
        self._timer.timeout.connect(self._on_interval)

    def __call__(self) -> None:
        """Asks for a call: now when the last one is an interval ago, else at its end."""
        if self._timer.isActive():
            self._asked = True
        else:
            self._run()

    def flush(self) -> None:
        """Makes the call that is still owed, at once."""
        if self._asked:
            self._run()

    def cancel(self) -> None:
        """Forgets the call that is still owed."""
        self._asked = False

    def _on_interval(self) -> None:
        if self._asked:
            self._run()

    def _run(self) -> None:
        self._asked = False
        self._timer.start()
        self._action()
