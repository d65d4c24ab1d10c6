"""The window's process from start to end."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from typing import Final

from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler
from PySide6.QtWidgets import QApplication

from app import language
from app.chat import accessible
from app.engine_client import EngineClient
from app.folders import data_folder
from app.only_window import OnlyWindow, raise_other
from app.store.database import open_in_memory
from app.store.store import FILE, Store, open_store
from app.theming import Look
from app.uncaught import Uncaught
from app.upgrade import upgrade
from app.window import MainWindow
from ground import places, private

NO_PLATFORM: Final = (
    "hearth: the display cannot be opened. Check DISPLAY or WAYLAND_DISPLAY, and whether the "
    "system libraries that Qt needs are there (`python3 start.py` names them), or use "
    "`python3 start.py ask PROMPT` on the terminal."
)


def application() -> QApplication:
    private.restrict_process()
    before = qInstallMessageHandler(_while_opening)
    made = QApplication(sys.argv[:1])
    qInstallMessageHandler(before)
    made.setApplicationName("hearth")
    made.setApplicationDisplayName("Hearth")
    made.setDesktopFileName("hearth")
    made.setQuitOnLastWindowClosed(False)  # the engine leaves first
    return made


def _while_opening(kind: QtMsgType, context: QMessageLogContext, message: str) -> None:  # noqa: ARG001
    """Qt aborts the process when no display can be opened: a person gets a sentence first."""
    if kind is QtMsgType.QtFatalMsg:
        sys.stderr.write(f"{NO_PLATFORM}\n")
        sys.stderr.flush()
        os._exit(2)
    sys.stderr.write(f"{message}\n")


def open_window(running: QApplication) -> MainWindow:
    """Shows the window; the engine starts right after it is painted."""
    uncaught = Uncaught()
    uncaught.install()
    language.choose("system")
    accessible.install()
    Look(running)
    store, problem = opened_store()
    window = MainWindow(store, EngineClient(parent=running), problem)
    uncaught.tell = window.tell_fault
    window.painted.connect(window.start_engine)
    # What is there now stays: left out, the collector stops for 14 ms less each time.
    window.painted.connect(gc.freeze)
    window.closed.connect(store.close)
    window.show()
    return window


def opened_store() -> tuple[Store, str]:
    """The user's chats and ""; or an empty store in memory, and why nothing will be saved."""
    try:
        upgrade(data_folder() / FILE)
        return open_store(data_folder())
    except places.NoPlaceError as error:
        return Store(open_in_memory()), " ".join(error.args)


def run_window() -> int:
    running = application()
    with suppress(places.NoPlaceError):  # the window says it
        if raise_other(data_folder()):
            return 0
    window = open_window(running)
    with suppress(places.NoPlaceError):
        only = OnlyWindow(data_folder(), window)
        only.raise_asked.connect(window.come_to_front)
        window.closed.connect(only.close)
    window.closed.connect(running.quit)
    return running.exec()
