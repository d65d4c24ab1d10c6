"""Errors that nobody caught: where they happened is told, and no word of what they say.

The message of an error may hold a conversation: `KeyError` says its key, `UnicodeEncodeError` the
text. Messages stay in the process; types, files, lines and functions go to stderr.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType


class Uncaught:
    """Takes the place of Python's own reports, and tells the first error of each kind and place."""

    def __init__(self) -> None:
        self.tell: Callable[[str], None] = lambda _: None
        """Is given a kind and a place, as a person reads it; on the thread of the window."""
        self._told: set[str] = set()

    def install(self) -> None:
        sys.excepthook = self._on_error
        threading.excepthook = lambda failed: report(failed.exc_value)
        sys.unraisablehook = lambda failed: report(failed.exc_value)

    def _on_error(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        report(error)
        where = place(error)
        if where not in self._told:  # an error while painting comes again with each painting
            self._told.add(where)
            self.tell(where)


def report(error: BaseException | None) -> None:
    """Writes where the error, and those that led to it, came from."""
    if error is None or sys.stderr is None:
        return
    for link in _chain(error):
        came = "".join(traceback.format_tb(link.__traceback__))
        sys.stderr.write(f"hearth: {type(link).__name__}, which nobody caught\n{came}")
    sys.stderr.flush()


def place(error: BaseException) -> str:
    """KeyError in _place (transcript.py, line 459)."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    last = frames[-1]
    file = Path(last.filename).name
    return f"{type(error).__name__} in {last.name} ({file}, line {last.lineno})"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """From the first error to the one that was raised last."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _chain(before)
    yield error
