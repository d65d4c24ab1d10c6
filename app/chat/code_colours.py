"""Asks a child process which colours code has; the window never waits for it."""

from __future__ import annotations

import atexit
import json
import sys
from collections import deque
from functools import partial
from typing import Final

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, Signal
from shiboken6 import isValid

from app.engine_command import ROOT
from ground import environment

Span = tuple[int, int, str]
"""Start and length in characters, and the letter of a role."""

LONGEST: Final = 100_000
"""Characters of code that is coloured."""

PATIENCE_MS: Final = 4000
"""For one text, after which the child is killed."""

KEPT: Final = 32
"""Answers kept for code that comes back into sight."""


class CodeColours(QObject):
    """`coloured(number, list of Span)`: the answer to the request of this number. Code for which
    the child took too long has no colours."""

    coloured = Signal(int, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process: QProcess | None = None
        self._asked: deque[tuple[int, str, str]] = deque()
        """Number, language and text of what is not answered."""
        self._kept: dict[tuple[str, str], list[Span]] = {}
        self._number = 0
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self._give_up)

    def ask(self, language: str, text: str) -> int:
        """The number of the request; its answer comes later, never from within this call."""
        self._number += 1
        number = self._number
        known = self._kept.get((language, text))
        if known is not None or not language or len(text) > LONGEST:
            QTimer.singleShot(0, self, lambda: self.coloured.emit(number, known or []))
            return number
        self._asked.append((number, language, text))
        if len(self._asked) == 1:
            self._send()
        return number

    def _send(self) -> None:
        """Has the child answer the first request."""
        if self._process is None:
            self._process = self._started()
        self._patience.start()
        line = json.dumps(self._asked[0]) + "\n"
        self._process.write(line.encode())

    def _started(self) -> QProcess:
        process = QProcess()
        _running.add(process)
        self.destroyed.connect(partial(_end, process))
        variables = QProcessEnvironment()
        for name, value in environment.of_child(PYTHONPATH=str(ROOT)).items():
            variables.insert(name, value)
        process.setProcessEnvironment(variables)
        process.setStandardErrorFile(QProcess.nullDevice())
        process.readyReadStandardOutput.connect(self._read)
        process.finished.connect(self._on_end)
        process.finished.connect(partial(_forget, process))
        process.errorOccurred.connect(self._on_error)
        process.start(sys.executable, ["-P", "-m", "app.chat.colour_child"])
        return process

    def _read(self) -> None:
        while self._process and self._process.canReadLine():
            number, spans = json.loads(bytes(self._process.readLine().data()))
            self._answer(number, [tuple(span) for span in spans])

    def _answer(self, number: int, spans: list[Span]) -> None:
        self._patience.stop()
        if self._asked and self._asked[0][0] == number:
            _, language, text = self._asked.popleft()
            self._kept[language, text] = spans
            if len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        self.coloured.emit(number, spans)
        if self._asked:
            self._send()

    def _give_up(self) -> None:
        if self._process:
            self._process.kill()

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart:
            self._on_end()

    def _on_end(self) -> None:
        """The code that it was asked for stays as it is; another child takes the next."""
        self._process = None
        if self._asked:
            self._answer(self._asked[0][0], [])


_running: Final[set[QProcess]] = set()
"""Children that have not ended. Qt complains of one that is forgotten before."""


def _end(process: QProcess) -> None:
    """Has a child end, which reads the end of its input."""
    if process in _running:
        process.closeWriteChannel()


@atexit.register
def _end_all() -> None:
    """Before Qt is taken down, which would complain of each."""
    for process in list(_running):
        process.kill()
        process.waitForFinished(1000)


def _forget(process: QProcess, *_: object) -> None:
    _running.discard(process)
    if isValid(process):  # not where Qt itself is taken down
        process.deleteLater()
