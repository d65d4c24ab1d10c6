"""One program on one home: a second start raises the window that is there.

The first one listens on a local socket in its data folder, or on a pipe named after that folder; a
second one connects, says so, and ends. A socket whose process is gone refuses, and is removed.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

RAISE: Final = b"raise\n"
PATIENCE_MS: Final = 1000
"""How long an answer of the first window is waited for."""

LONGEST_PATH: Final = 100
"""Bytes of a socket's path, of which some systems take 104."""


def address_of(folder: Path) -> str:
    """The same for every process on this folder, and another for each folder and user."""
    path = folder.absolute() / "window.socket"
    if sys.platform != "win32" and len(str(path).encode()) <= LONGEST_PATH:
        return str(path)
    return f"hearth-{hashlib.sha256(str(path).encode()).hexdigest()[:24]}"


def raise_other(folder: Path) -> bool:
    """Whether a window on this folder has answered, and comes to the front."""
    socket = QLocalSocket()
    socket.connectToServer(address_of(folder))
    if not socket.waitForConnected(PATIENCE_MS):
        return False
    socket.write(RAISE)
    socket.waitForBytesWritten(PATIENCE_MS)
    answered = socket.waitForReadyRead(PATIENCE_MS) and bool(socket.readAll())
    socket.disconnectFromServer()
    return answered


class OnlyWindow(QObject):
    """`raise_asked()`: another start wants the window in front."""

    raise_asked = Signal()

    def __init__(self, folder: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._on_connection)
        address = address_of(folder)
        if not self._server.listen(address):
            QLocalServer.removeServer(address)  # left by a process that was killed
            self._server.listen(address)

    @property
    def listens(self) -> bool:
        return self._server.isListening()

    def close(self) -> None:
        self._server.close()

    def _on_connection(self) -> None:
        while (socket := self._server.nextPendingConnection()) is not None:
            socket.disconnected.connect(socket.deleteLater)
            socket.readyRead.connect(lambda socket=socket: self._on_words(socket))
            if socket.bytesAvailable():
                self._on_words(socket)

    def _on_words(self, socket: QLocalSocket) -> None:
        if bytes(socket.readAll().data()).startswith(RAISE):
            socket.write(b"here\n")
            socket.flush()
            self.raise_asked.emit()
