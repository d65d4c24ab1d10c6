"""What is typed with the focus elsewhere in the chat."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.chat.reply_rows import Footer
from app.store.records import NO_TROUBLE, Figures
from app.store.store import Store
from app.window import MainWindow
from tests.app.conftest import MakeWindow


@pytest.fixture
def window(make_window: MakeWindow, store: Store) -> MainWindow:
    chat = store.add_conversation("A chat")
    store.add_prompt(chat, "First prompt")
    reply = store.add_reply(chat, "smollm2")
    store.finish_reply(reply, "A reply.", "stop", Figures(), NO_TROUBLE)
    made = make_window()
    made._open(chat)
    return made


def test_letters_go_to_the_composer(window: MainWindow) -> None:
    window.page.transcript.setFocus()
    QTest.keyClicks(window.page.transcript, "Hi, you")
    assert window.page.composer.field.toPlainText() == "Hi, you"
    assert window.page.composer.field.hasFocus()


def test_a_letter_on_a_button_goes_there_too_and_its_own_keys_do_not(window: MainWindow) -> None:
    row = next(w for w in window.page.transcript.widgets().values() if isinstance(w, Footer))
    row._copy.setFocus()
    QTest.keyClick(row._copy, Qt.Key.Key_Space)
    assert QGuiApplication.clipboard().text() == "A reply."
    assert window.page.composer.field.toPlainText() == ""
    QTest.keyClick(row._copy, Qt.Key.Key_W)
    assert window.page.composer.field.toPlainText() == "w"


def test_shortcuts_and_keys_that_move_do_not(window: MainWindow) -> None:
    transcript = window.page.transcript
    transcript.setFocus()
    for key in (Qt.Key.Key_Home, Qt.Key.Key_PageUp, Qt.Key.Key_Delete, Qt.Key.Key_Escape):
        QTest.keyClick(transcript, key)
    QTest.keyClick(transcript, Qt.Key.Key_J, Qt.KeyboardModifier.ControlModifier)
    assert window.page.composer.field.toPlainText() == ""
    assert transcript.hasFocus()


def test_what_is_pasted_goes_to_the_composer(window: MainWindow) -> None:
    QGuiApplication.clipboard().setText("pasted")
    window.page.transcript.setFocus()
    QTest.keyClick(window.page.transcript, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    assert window.page.composer.field.toPlainText() == "pasted"


def test_up_in_an_empty_composer_changes_the_last_prompt(window: MainWindow, qtbot: QtBot) -> None:
    field = window.page.composer.field
    field.setFocus()
    QTest.keyClick(field, Qt.Key.Key_Up)
    assert field.toPlainText() == "First prompt"
    assert window.page.editing is not None
