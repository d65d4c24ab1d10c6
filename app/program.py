"""The window's process from start to end."""

from __future__ import annotations

import sys

from PySide6.QtWidgets import QApplication

from app.engine_client import EngineClient
from app.folders import data_folder
from app.look import Look
from app.store.store import open_store
from app.window import MainWindow


def application() -> QApplication:
    made = QApplication(sys.argv[:1])
    made.setApplicationName("hearth")
    made.setApplicationDisplayName("Hearth")
    made.setDesktopFileName("hearth")
    made.setQuitOnLastWindowClosed(False)  # the engine leaves first
    return made


def open_window(running: QApplication) -> MainWindow:
    """Shows the window; the engine starts right after it is painted."""
    Look(running)
    store, problem = open_store(data_folder())
    window = MainWindow(store, EngineClient(parent=running), problem)
    window.painted.connect(window.start_engine)
    window.closed.connect(store.close)
    window.show()
    return window


def run_window() -> int:
    running = application()
    window = open_window(running)
    window.closed.connect(running.quit)
    return running.exec()
