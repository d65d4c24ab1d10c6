from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pytest
from PySide6.QtGui import QKeySequence
from PySide6.QtPrintSupport import QPrintDialog
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QDialog, QFileDialog, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

import resources
from app.actions import ROWS, Actions
from app.command.palette import Palette
from app.command.shortcuts import ShortcutSheet
from app.models.loader import NoModel
from app.models.picker import ModelPicker
from app.plain import Label
from app.settings.drawer import ChatDrawer
from app.settings.page import SettingsPage
from app.store.records import NO_TROUBLE, Figures
from app.store.store import Store
from app.theming import Look
from app.widgets.trash import TrashDialog
from app.window import MainWindow
from tests.app.conftest import POPUP, TIMEOUT_MS, MakeWindow


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


@dataclass
class Case:
    """A window with two chats of two turns, the second one open, whose model is ready."""

    qtbot: QtBot
    window: MainWindow
    store: Store

    @property
    def titles(self) -> list[str]:
        return [known.title for known in self.store.conversations()]

    @property
    def current(self) -> int:
        assert self.window.dialogue.conversation is not None
        return self.window.dialogue.conversation

    def until(self, holds: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(holds, timeout=TIMEOUT_MS)

    def opens(self, kind: type[QDialog]) -> None:
        dialog = self.window.findChild(kind)
        assert isinstance(dialog, kind)
        dialog.reject()

    def deleted(self) -> None:
        assert self.titles == ["Chat 0"]

    def pinned(self) -> None:
        assert [known.pinned for known in self.store.conversations()] == [True, False]

    def regenerates(self) -> None:
        assert self.window.dialogue.answering
        self.until(lambda: not self.window.dialogue.answering)
        assert len(self.store.messages(self.current)) == 5

    def edits(self) -> None:
        assert self.window.page.composer.field.toPlainText() == "Question 1?"

    def palette(self) -> None:
        palette = self.window.findChild(Palette)
        assert isinstance(palette, Palette)
        palette.leave()

    def settings(self) -> None:
        assert not self.window.page.isVisible()
        assert self.window.findChild(SettingsPage) is not None

    def sized(self, percent: int) -> None:
        assert self.window.settings.settings.text_size == percent

    def renames(self) -> None:
        assert self.window.sidebar.chats.findChild(QLineEdit, "rename") is not None


EFFECTS: Final[dict[str, Callable[[Case], object]]] = {
    "new_chat": lambda case: case.until(lambda: case.window.dialogue.conversation is None),
    "search": lambda case: case.until(case.window.sidebar.search.hasFocus),
    "rename": Case.renames,
    "pin": Case.pinned,
    "export": lambda case: case.opens(QFileDialog),
    "print": lambda case: case.opens(QPrintDialog),
    "export_all": lambda case: case.opens(QFileDialog),
    "import": lambda case: case.opens(QFileDialog),
    "delete": Case.deleted,
    "trash": lambda case: case.opens(TrashDialog),
    "find": lambda case: case.until(case.window.page.find_bar.isVisible),
    "regenerate": Case.regenerates,
    "edit_last": Case.edits,
    "to_end": lambda case: case.until(lambda: case.window.page.transcript.following),
    "choose_model": lambda case: case.opens(ModelPicker),
    "sidebar": lambda case: case.until(lambda: not case.window.sidebar.isVisible()),
    "palette": Case.palette,
    "settings": Case.settings,
    "chat_settings": lambda case: case.until(lambda: case.window.findChild(ChatDrawer) is not None),
    "larger": lambda case: case.sized(110),
    "smaller": lambda case: case.sized(90),
    "normal_size": lambda case: case.sized(100),
    "unload": lambda case: case.until(lambda: isinstance(case.window.loader.state, NoModel)),
    "shortcuts": lambda case: case.opens(ShortcutSheet),
}
"""What can be seen right after an action was done. The others have tests of their own: stop and
start_engine in test_window, versions in test_branches, continue in
test_message_menu, attach in test_files_in_window, quit below."""

ELSEWHERE: Final = {
    "attach",
    "continue",
    "stop",
    "start_engine",
    "previous_version",
    "next_version",
    "quit",
}


def test_every_action_has_an_effect_that_is_looked_at() -> None:
    assert {row.name for row in ROWS} == set(EFFECTS) | ELSEWHERE


@POPUP
@pytest.mark.parametrize("name", EFFECTS)
def test_an_action_does_what_it_says(
    qtbot: QtBot, ready: MakeWindow, store: Store, name: str
) -> None:
    for number in range(2):
        chat = store.add_conversation(f"Chat {number}")
        for _ in range(2):
            store.add_prompt(chat, f"Question {number}?")
            reply = store.add_reply(chat, "smollm2")
            store.finish_reply(reply, "Answer.", "stop", Figures(), NO_TROUBLE)
    window = ready()
    window._open(chat)
    window.activateWindow()
    action = window.actions_table[name]
    assert action.isEnabled()
    action.trigger()
    EFFECTS[name](Case(qtbot, window, store))


def test_quit_closes_the_window(qtbot: QtBot, make_window: MakeWindow) -> None:
    window = make_window()
    with qtbot.waitSignal(window.closed, timeout=TIMEOUT_MS):
        window.actions_table["quit"].trigger()
    assert not window.isVisible()


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
