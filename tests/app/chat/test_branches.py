"""Versions of prompts and replies in the real window."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from app.chat.reply_rows import Footer, PromptRow
from app.store.records import NO_TROUBLE, Figures
from app.store.store import Store
from app.window import MainWindow
from tests.app.conftest import TIMEOUT_MS, MakeWindow

ANSWER = "A rainbow is light that rain has sorted by colour. "


def filled(store: Store) -> int:
    chat = store.add_conversation("Rainbows")
    for number in range(2):
        store.add_prompt(chat, f"Question {number}?")
        reply = store.add_reply(chat, "smollm2")
        store.finish_reply(reply, f"Answer {number}.", "stop", Figures(), NO_TROUBLE)
    return chat


def row(window: MainWindow, kind: type[PromptRow | Footer], number: int) -> PromptRow | Footer:
    """The row under a prompt or a reply, from above."""
    found = [w for w in window.page.transcript.viewport().findChildren(kind) if w.isVisible()]
    found.sort(key=lambda widget: widget.y())
    made = found[number]
    assert isinstance(made, kind)
    return made


def press(row: PromptRow | Footer, name: str) -> None:
    button = next(b for b in row.findChildren(QAbstractButton) if b.accessibleName() == name)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_a_prompt_is_changed_in_the_composer_and_both_versions_can_be_read(
    qtbot: QtBot, ready: MakeWindow, store: Store
) -> None:
    chat = filled(store)
    window = ready()
    window._open(chat)
    composer, transcript = window.page.composer, window.page.transcript
    composer.set_text("a draft")
    press(row(window, PromptRow, 0), "Change the prompt")
    assert composer.field.toPlainText() == "Question 0?"
    assert window.page.edit_bar.isVisible()
    composer.set_text("Why is it round?")
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        QTest.keyClick(composer.field, Qt.Key.Key_Return)
    assert transcript.text() == "Why is it round?\n\n" + ANSWER
    assert composer.field.toPlainText() == "a draft"
    assert not window.page.edit_bar.isVisible()
    switch = row(window, PromptRow, 0).versions
    assert switch._which.text() == "2 / 2"
    assert not switch.next.isEnabled()
    press(row(window, PromptRow, 0), "Show the version before")
    assert transcript.text() == "Question 0?\n\nAnswer 0.\n\nQuestion 1?\n\nAnswer 1."
    assert row(window, PromptRow, 0).versions._which.text() == "1 / 2"


def test_up_in_the_empty_composer_changes_the_last_prompt_and_esc_leaves_it(
    ready: MakeWindow, store: Store
) -> None:
    chat = filled(store)
    window = ready()
    window._open(chat)
    field = window.page.composer.field
    QTest.keyClick(field, Qt.Key.Key_Up)
    assert field.toPlainText() == "Question 1?"
    QTest.keyClick(field, Qt.Key.Key_Escape)
    assert field.toPlainText() == ""
    assert not window.page.edit_bar.isVisible()
    assert len(store.messages(chat)) == 4


def test_any_reply_is_written_again_beside_what_is_there(
    qtbot: QtBot, ready: MakeWindow, store: Store
) -> None:
    chat = filled(store)
    window = ready()
    window._open(chat)
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        press(row(window, Footer, 0), "Write the reply again")
    assert window.page.transcript.text() == "Question 0?\n\n" + ANSWER
    window.actions_table["previous_version"].trigger()
    assert window.page.transcript.text().endswith("Question 1?\n\nAnswer 1.")
    window.actions_table["next_version"].trigger()
    assert window.page.transcript.text().endswith(ANSWER)
    assert len(store.messages(chat)) == 5


def test_another_chat_leaves_the_prompt_as_it_is(ready: MakeWindow, store: Store) -> None:
    chat = filled(store)
    window = ready()
    window._open(chat)
    window.actions_table["edit_last"].trigger()
    window.new_chat()
    assert not window.page.edit_bar.isVisible()
    assert window.page.editing is None
    assert window.page.composer.field.toPlainText() == ""


def test_a_prompt_is_not_changed_while_a_reply_runs(
    qtbot: QtBot, ready: MakeWindow, store: Store
) -> None:
    chat = filled(store)
    window = ready("endless")
    window._open(chat)
    with qtbot.waitSignal(window.dialogue.text_added, timeout=TIMEOUT_MS):
        window.send("Tell me")
    window.actions_table["edit_last"].trigger()
    assert "can be changed when it is done" in window.page.composer._hint.text()
    QTest.keyClick(window.page.composer.field, Qt.Key.Key_Return)
    assert window.page.editing is not None
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        window.dialogue.stop()
    assert window.page.composer.can_send
