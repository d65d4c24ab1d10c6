"""A process of the window that answers requests one by one; the window never waits for it."""

from __future__ import annotations

import atexit
import json
import sys
from functools import partial
from typing import Any, Final

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, Signal
from shiboken6 import isValid

from app.engine_command import ROOT
from ground import environment

MOST_WAITING: Final = 64
"""Requests that wait for the process; the oldest ones of more are given up."""


class ChildProcess(QObject):
    """`answered(number, answer)`: to the request of this number; None if the process took longer
    than `patience_ms` for it, was killed, or could not be started, or if too many came after it.
    Another process takes the next."""

    answered = Signal(int, object)

    def __init__(self, module: str, patience_ms: int, parent: QObject | None = None) -> None:
        """`module`: the program, which reads a JSON list a line, number first, and writes
        `[number, answer]`."""
        super().__init__(parent)
        self._module = module
        self._process: QProcess | None = None
        self._asked: list[tuple[Any, ...]] = []
        """What is not answered, number and request: first what the process does now."""
        self._number = 0
        self._patience = QTimer(self, singleShot=True, interval=patience_ms)
        self._patience.timeout.connect(self._give_up)

    def ask(self, *request: str | bool) -> int:
        """The number of the request; its answer comes later, never from within this call."""
        self._number += 1
        self._asked.insert(1, (self._number, *request))  # the newest first: it is looked at
        if len(self._asked) == 1:
            self._send()
        while len(self._asked) > MOST_WAITING:
            number = self._asked.pop()[0]
            QTimer.singleShot(0, self, partial(self.answered.emit, number, None))
        return self._number

    def _send(self) -> None:
        """Has the process answer the first request."""
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
        process.start(sys.executable, ["-P", "-m", self._module])
        return process

    def _read(self) -> None:
        while self._process and self._process.canReadLine():
            number, answer = json.loads(bytes(self._process.readLine().data()))
            self._answer(number, answer)

    def _answer(self, number: int, answer: object) -> None:
        self._patience.stop()
        del self._asked[0]
        if self._asked:  # before anybody asks for more because of this answer
            self._send()
        self.answered.emit(number, answer)

    def _give_up(self) -> None:
        if self._process:
            self._process.kill()

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart:
            self._on_end()

    def _on_end(self) -> None:
        self._process = None
        if self._asked:
            self._answer(self._asked[0][0], None)


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
