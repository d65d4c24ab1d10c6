from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from app import notifier, plain
from app.settings.values import Settings
from app.window import MainWindow
from tests.app.conftest import TIMEOUT_MS, MakeWindow


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the system is told, which here has no tray."""
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(plain.TrayIcon, "can_speak", lambda: True)
    monkeypatch.setattr(plain.TrayIcon, "say", lambda _, title, words: told.append((title, words)))
    monkeypatch.setattr(notifier, "LONG_S", 0.0)
    monkeypatch.setattr(MainWindow, "isActiveWindow", lambda _: False)
    return told


def answered(qtbot: QtBot, window: MainWindow) -> None:
    with qtbot.waitSignal(window.dialogue.replies.finished, timeout=TIMEOUT_MS):
        window.send("Why is it round?")


def test_a_reply_is_told_if_nobody_looks(
    qtbot: QtBot, ready: MakeWindow, said: list[tuple[str, str]]
) -> None:
    answered(qtbot, ready())
    assert said == [("The reply is ready", "Why is it round?")]


def test_a_short_reply_is_not_told(
    qtbot: QtBot, ready: MakeWindow, said: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier, "LONG_S", 60.0)
    answered(qtbot, ready())
    assert said == []


def test_nothing_is_told_while_one_looks(
    qtbot: QtBot, ready: MakeWindow, said: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MainWindow, "isActiveWindow", lambda _: True)
    answered(qtbot, ready())
    assert said == []


def test_nothing_is_told_if_that_is_set(
    qtbot: QtBot, ready: MakeWindow, said: list[tuple[str, str]]
) -> None:
    window = ready()
    window.settings.set(Settings(notify="no"))
    answered(qtbot, window)
    assert said == []
