"""What is written and not sent is there again, whatever one does before."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.store.store import Store
from app.window import MainWindow
from tests.app.conftest import TIMEOUT_MS, MakeWindow


def field(window: MainWindow) -> Any:
    return window.page.composer.field


def write(window: MainWindow, text: str) -> None:
    window.page.composer.set_text(text)


def saved(qtbot: QtBot, store: Store, text: str) -> None:
    """Waits until the draft of the chat that has not begun is in the store."""
    qtbot.waitUntil(lambda: store.setting("draft") == text, timeout=TIMEOUT_MS)


@pytest.fixture
def chat(store: Store) -> int:
    conversation = store.add_conversation("Rainbows")
    store.add_prompt(conversation, "What is a rainbow?")
    return conversation


def test_each_chat_has_its_own(make_window: MakeWindow, chat: int) -> None:
    window = make_window()
    write(window, "of a new one")
    window.dialogue.open(chat)
    assert field(window).toPlainText() == ""
    write(window, "of rainbows")
    window.new_chat()
    assert field(window).toPlainText() == "of a new one"
    window.dialogue.open(chat)
    assert field(window).toPlainText() == "of rainbows"


def test_it_is_saved_while_one_writes_and_there_at_the_next_start(
    make_window: MakeWindow, qtbot: QtBot, store: Store
) -> None:
    window = make_window()
    write(window, "half a thought")
    saved(qtbot, store, "half a thought")
    assert field(make_window()).toPlainText() == "half a thought"


def test_what_was_sent_is_no_draft(ready: MakeWindow, qtbot: QtBot, store: Store) -> None:
    window = ready()
    write(window, "Hello")
    saved(qtbot, store, "Hello")
    QTest.keyClick(field(window), Qt.Key.Key_Return)
    saved(qtbot, store, "")
    window.new_chat()
    assert field(window).toPlainText() == ""


def test_reading_the_same_chat_again_leaves_it_alone(make_window: MakeWindow, chat: int) -> None:
    window = make_window()
    window.dialogue.open(chat)
    write(window, "mine")
    window.dialogue.open(chat)
    assert field(window).toPlainText() == "mine"


def test_a_prompt_that_is_changed_is_no_draft(make_window: MakeWindow, chat: int) -> None:
    window = make_window()
    window.dialogue.open(chat)
    write(window, "mine")
    window.page.edit_last()
    assert field(window).toPlainText() == "What is a rainbow?"
    window.new_chat()
    window.dialogue.open(chat)
    assert field(window).toPlainText() == "mine"


def test_an_example_can_be_undone(make_window: MakeWindow) -> None:
    window = make_window()
    write(window, "mine")
    window.page.welcome.example_chosen.emit("An example")
    assert field(window).toPlainText() == "An example"
    field(window).undo()
    assert field(window).toPlainText() == "mine"
