"""Work that takes longer than a frame, in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from PySide6.QtCore import QObject, Signal

T = TypeVar("T")


class Background(QObject):
    """Does one piece of work after the other; result and error come back by the same door, in the
    thread of whoever asked. Work touches no widget."""

    _done = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="background")
        self._done.connect(self._on_done)

    def run(self, work: Callable[[], T], then: Callable[[T | Exception], None]) -> None:
        """Has `work` done, and calls `then` with what it returned or raised."""

        def do() -> None:
            try:
                result: T | Exception = work()
            except Exception as error:  # noqa: BLE001 - it is the caller's, who gets it
                result = error
            self._done.emit(then, result)

        self._thread.submit(do)

    def close(self) -> None:
        """Nothing more is begun."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _on_done(self, then: Callable[[object], None], result: object) -> None:
        then(result)
