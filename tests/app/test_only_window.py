from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QSignalSpy
from pytestqt.qtbot import QtBot

from app.engine_command import ROOT
from app.only_window import OnlyWindow, address_of
from tests.app.conftest import POPUP, TIMEOUT_MS, MakeWindow

SECOND_START = """
import sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from app.only_window import raise_other
application = QCoreApplication([])
sys.exit(0 if raise_other(Path(sys.argv[1])) else 3)
"""

LISTENS = """
import sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from app.only_window import OnlyWindow
application = QCoreApplication([])
only = OnlyWindow(Path(sys.argv[1]))
print(only.listens, flush=True)
application.exec()
"""


def started(script: str, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", script, str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )


def exit_code(qtbot: QtBot, process: subprocess.Popen[bytes]) -> int:
    """Of a process that may speak with this one while it runs."""
    with process:
        qtbot.waitUntil(lambda: process.poll() is not None, timeout=4 * TIMEOUT_MS)
    return process.returncode


def test_a_second_start_is_heard_by_the_first(qtbot: QtBot, tmp_path: Path) -> None:
    only = OnlyWindow(tmp_path)
    asked = QSignalSpy(only.raise_asked)
    assert only.listens
    assert exit_code(qtbot, started(SECOND_START, tmp_path)) == 0
    assert asked.count() == 1
    other = tmp_path / "other"
    other.mkdir()
    assert exit_code(qtbot, started(SECOND_START, other)) == 3
    only.close()
    assert exit_code(qtbot, started(SECOND_START, tmp_path)) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe goes with its process there")
def test_a_socket_that_a_killed_process_left_is_taken_over(qtbot: QtBot, tmp_path: Path) -> None:
    with started(LISTENS, tmp_path) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"True\n"
        first.send_signal(signal.SIGKILL)
    assert Path(address_of(tmp_path)).exists()
    assert exit_code(qtbot, started(SECOND_START, tmp_path)) == 3
    only = OnlyWindow(tmp_path)
    assert only.listens
    assert exit_code(qtbot, started(SECOND_START, tmp_path)) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="pipes have no mode there")
def test_only_its_user_may_speak_to_it(qapp: object, tmp_path: Path) -> None:
    only = OnlyWindow(tmp_path)
    assert Path(address_of(tmp_path)).stat().st_mode & 0o077 == 0
    only.close()


def test_an_address_is_short_enough_and_belongs_to_its_folder(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 60)
    assert len(address_of(deep)) < 100
    assert address_of(deep) != address_of(tmp_path / ("lang" * 60))


@POPUP
def test_the_window_comes_back_from_the_task_bar(make_window: MakeWindow) -> None:
    window = make_window()
    window.showMinimized()
    window.come_to_front()
    assert not window.windowState() & Qt.WindowState.WindowMinimized
    assert window.isVisible()
