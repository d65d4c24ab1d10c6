from __future__ import annotations

from collections import Counter

import pytest
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

import resources
from app.actions import ROWS, Actions
from app.command.palette import Palette
from app.command.shortcuts import ShortcutSheet
from app.plain import Label
from app.theming import Look
from app.window import MainWindow
from tests.app.conftest import POPUP, MakeWindow


def test_names_and_shortcuts_are_given_once() -> None:
    assert max(Counter(row.name for row in ROWS).values()) == 1
    keys = Counter(row.keys for row in ROWS if row.keys)
    assert max(keys.values()) == 1


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_action_has_words_an_icon_and_a_key_that_qt_knows(row) -> None:  # type: ignore[no-untyped-def]
    assert row.text
    assert "<svg" in resources.icon_source(row.icon)
    assert not row.keys or QKeySequence(row.keys).toString() == row.keys


def test_a_tip_says_what_it_does_and_its_key(qtbot: QtBot, look: Look) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    actions = Actions(window)
    assert actions.tip("new_chat") == f"New chat ({actions.keys('new_chat')})"
    assert actions.tip("delete") == "Move this chat to the trash"


def test_every_action_of_the_window_is_connected(make_window: MakeWindow) -> None:
    window = make_window()
    names = [action.objectName() for action in window.actions_table]
    assert [name for name in names if not is_connected(window, name)] == []


def is_connected(window: MainWindow, name: str) -> bool:
    return window.actions_table[name].receivers("2triggered(bool)") > 0


@POPUP
def test_the_sheet_shows_every_shortcut(make_window: MakeWindow, qtbot: QtBot) -> None:
    window = make_window()
    window.actions_table["shortcuts"].trigger()
    sheet = window.findChild(ShortcutSheet)
    assert isinstance(sheet, ShortcutSheet)
    words = {label.text() for label in sheet.findChildren(Label)}
    table = window.actions_table
    for action in table:
        if table.keys(action.objectName()):
            assert {table.text(action.objectName()), table.keys(action.objectName())} <= words
    with qtbot.waitSignal(sheet.destroyed):
        sheet.accept()


@POPUP
def test_the_palette_does_what_the_table_has(make_window: MakeWindow) -> None:
    window = make_window()
    triggered = QSignalSpy(window.actions_table["sidebar"].triggered)
    window.actions_table["palette"].trigger()
    palette = window.findChild(Palette)
    assert isinstance(palette, Palette)
    QTest.keyClicks(palette.field, "hide the chats")
    QTest.keySequence(palette.field, QKeySequence("Return"))
    assert triggered.count() == 1
    assert not window.sidebar.isVisible()
