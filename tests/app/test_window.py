from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QTextEdit,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

import app.__main__
import engine
from app.chat.reply_rows import Footer, ThinkingHead
from app.chat.text_block import TextBlock
from app.chat.transcript import Transcript
from app.engine import EngineState
from app.engine_command import ROOT
from app.models.loader import LoadingModel, ReadyModel
from app.models.picker import ModelPicker
from app.notices import Level, Notice
from app.store.records import NO_TROUBLE, Figures
from app.store.store import Store, open_store
from app.widgets.chat_list import ID, SIGN
from app.widgets.icon_button import IconButton
from app.widgets.sidebar import WIDTH
from app.window import FOLD_WIDTH, MainWindow
from tests.app.conftest import FREEZES, POPUP, TIMEOUT_MS, MakeWindow, freeze, process_of
from tests.app.stand_in import IMPORTED

CONTROL = Qt.KeyboardModifier.ControlModifier
ANSWER = "A rainbow is light that rain has sorted by colour. "


def write(window: MainWindow, prompt: str) -> None:
    QTest.keyClicks(window.page.composer.field, prompt)
    QTest.keyClick(window.page.composer.field, Qt.Key.Key_Return)


def ask(qtbot: QtBot, window: MainWindow, prompt: str) -> None:
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        write(window, prompt)


def streams(qtbot: QtBot, window: MainWindow, prompt: str) -> None:
    with qtbot.waitSignal(window.dialogue.text_added, timeout=TIMEOUT_MS):
        write(window, prompt)


def until_ready(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.waitUntil(lambda: isinstance(window.loader.state, ReadyModel), timeout=TIMEOUT_MS)


def listed(window: MainWindow) -> list[str]:
    return list(window.sidebar._titles.values())


def rows(window: MainWindow) -> list[QListWidgetItem]:
    chats = window.sidebar.chats
    return [chats.item(row) for row in range(chats.count())]


def model_id(window: MainWindow) -> str:
    state = window.loader.state
    return state.loaded.model.id if isinstance(state, ReadyModel) else ""


def current(window: MainWindow) -> int:
    assert window.dialogue.conversation is not None
    return window.dialogue.conversation


def in_footer(window: MainWindow, name: str) -> IconButton:
    footers = window.page.transcript.viewport().findChildren(Footer)
    footer = max((f for f in footers if f.isVisible()), key=Footer.y)
    return next(b for b in footer.findChildren(IconButton) if b.accessibleName() == name)


# ---------------------------------------------------------------------------- a chat


def test_the_engine_starts_after_the_first_paint(qtbot: QtBot, make_window: MakeWindow) -> None:
    window = make_window()
    painted = QSignalSpy(window.painted)
    assert window.engine.state is EngineState.CLOSED
    qtbot.waitUntil(lambda: painted.count() > 0)
    window.update()
    QApplication.processEvents()
    assert painted.count() == 1


def test_a_prompt_is_answered_and_kept(qtbot: QtBot, ready: MakeWindow, store: Store) -> None:
    window = ready()
    ask(qtbot, window, "Why is it round?")
    assert window.page.composer.field.toPlainText() == ""
    assert window.page.transcript.text() == "Why is it round?\n\n" + ANSWER
    assert listed(window) == ["Why is it round?"]
    assert window.header.title.text() == "Why is it round?"
    assert [m.content for m in store.messages(current(window))] == ["Why is it round?", ANSWER]
    assert window.status.rate.text() == "212"


def test_a_chat_whose_numbers_no_int_of_qt_holds_goes_on(
    qtbot: QtBot, ready: MakeWindow, store: Store
) -> None:
    """SQLite numbers rows in 64 bits, and goes on from the largest number that it finds."""
    chat, message = 2**40, 2**41
    store._db.execute(
        "INSERT INTO conversations (id, title, created_at, updated_at) VALUES (?, 'Old', 0, 0)",
        [chat],
    )
    store._db.execute(
        "INSERT INTO messages (id, conversation_id, role, content, state, created_at)"
        " VALUES (?, ?, 'user', 'Hi', 'complete', 0)",
        [message, chat],
    )
    window = ready("", "--thinking", "Is it round?")
    window._list()
    window.sidebar.chats.setCurrentRow(1)
    QTest.keyClick(window.sidebar.chats, Qt.Key.Key_Return)
    assert current(window) == chat
    ask(qtbot, window, "Why?")
    assert window.page.transcript.text().endswith(ANSWER)
    window.sidebar.renamed.emit(chat, "New")
    assert listed(window) == ["New"]


def test_what_a_model_thinks_gives_way_to_its_answer(
    qtbot: QtBot, ready: MakeWindow, store: Store
) -> None:
    window = ready("", "--thinking", "Is it round? Seen from above, yes.", "--word-ms", "5")
    transcript = window.page.transcript
    write(window, "Why is it round?")
    with qtbot.waitSignal(window.dialogue.thinking_ended, timeout=TIMEOUT_MS):
        pass
    assert "Seen" not in transcript.text()
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        pass
    assert transcript.text() == "Why is it round?\n\n" + ANSWER
    (head,) = transcript.viewport().findChildren(ThinkingHead)
    QTest.mouseClick(head.buttons()[0], Qt.MouseButton.LeftButton)
    assert "Seen from above" in transcript.text()
    reply = store.messages(current(window))[1]
    assert (reply.content, reply.thinking.text.split()[0]) == (ANSWER, "Is")
    assert reply.thinking.seconds > 0
    window.dialogue.open(current(window))
    assert "Seen" not in transcript.text()


def test_what_is_sent_while_the_model_loads_waits_visibly_and_is_then_sent(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    window = make_window("", "--load-ms", "200")
    composer = window.page.composer
    assert "starting" in composer._hint.text()
    window.start_engine()
    qtbot.waitUntil(lambda: isinstance(window.loader.state, LoadingModel), timeout=TIMEOUT_MS)
    assert composer._hint.text() == "Sent when the model is ready"
    write(window, "Early")
    assert composer.field.toPlainText() == ""
    assert window.page.queue.isVisible()
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        pass
    assert "Enter sends" in composer._hint.text()
    assert not window.page.queue.isVisible()
    assert window.page.transcript.text() == "Early\n\n" + ANSWER


def queued(qtbot: QtBot, window: MainWindow, name: str) -> QToolButton:
    """The first button of this name beside the prompts that wait."""

    def shown() -> list[QToolButton]:
        buttons = window.page.queue.findChildren(QToolButton)
        return [b for b in buttons if b.accessibleName() == name and b.isVisible()]

    qtbot.waitUntil(lambda: bool(shown()), timeout=TIMEOUT_MS)
    return shown()[0]


def test_a_prompt_that_waits_can_be_taken_back_into_the_composer(
    qtbot: QtBot, ready: MakeWindow
) -> None:
    window = ready("endless")
    streams(qtbot, window, "Tell me")
    write(window, "And then?")
    write(window, "And at last?")
    window.page.composer.set_text("half")
    QTest.mouseClick(queued(qtbot, window, "Take this prompt back"), Qt.MouseButton.LeftButton)
    assert window.page.composer.field.toPlainText() == "And then?\n\nhalf"
    QTest.mouseClick(queued(qtbot, window, "Do not send this prompt"), Qt.MouseButton.LeftButton)
    assert not window.page.queue.isVisible()
    assert window.dialogue.queue == []


def test_an_example_is_put_into_the_composer(ready: MakeWindow) -> None:
    window = ready()
    welcome = window.page.welcome
    assert welcome.isVisible()
    assert welcome.model.text() == "SmolLM2 135M Instruct is ready."
    example = next(b for b in welcome.examples.findChildren(QPushButton))
    QTest.mouseClick(example, Qt.MouseButton.LeftButton)
    assert window.page.composer.field.toPlainText() == example.accessibleName()
    assert not window.dialogue.answering


@pytest.mark.parametrize("way", ["button", "escape", "footer"])
def test_a_reply_is_stopped_and_the_chat_goes_on(
    qtbot: QtBot, ready: MakeWindow, store: Store, way: str
) -> None:
    window = ready("endless")
    streams(qtbot, window, "Tell me")
    qtbot.waitUntil(lambda: len(window.page.transcript.text()) > 20, timeout=TIMEOUT_MS)
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        if way == "button":
            QTest.mouseClick(window.page.composer._button, Qt.MouseButton.LeftButton)
        elif way == "escape":
            QTest.keyClick(window.page.transcript, Qt.Key.Key_Escape)
        else:
            QTest.mouseClick(in_footer(window, "Stop the reply"), Qt.MouseButton.LeftButton)
    reply = store.messages(current(window))[1]
    assert reply.finish_reason == "stopped"
    assert reply.content.startswith("A rainbow")
    assert window.page.transcript.text().endswith(reply.content)
    assert window.page.composer.can_send


def test_loading_a_model_stops_the_reply_first(
    qtbot: QtBot, ready: MakeWindow, store: Store
) -> None:
    window = ready("endless")
    streams(qtbot, window, "Tell me")
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        window.loader.load(IMPORTED.id)
    assert store.messages(current(window))[1].finish_reason == "stopped"
    qtbot.waitUntil(lambda: model_id(window) == IMPORTED.id, timeout=TIMEOUT_MS)


def test_regenerate_answers_again_in_place(qtbot: QtBot, ready: MakeWindow, store: Store) -> None:
    window = ready()
    ask(qtbot, window, "Why?")
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        QTest.mouseClick(in_footer(window, "Write the reply again"), Qt.MouseButton.LeftButton)
    assert window.page.composer.field.hasFocus()
    assert window.page.transcript.text() == "Why?\n\n" + ANSWER
    assert len(store.tree(current(window)).path) == 2


def test_another_chat_can_be_read_while_a_reply_streams(qtbot: QtBot, ready: MakeWindow) -> None:
    window = ready("endless")
    streams(qtbot, window, "Tell me")
    first = current(window)
    window.new_chat()
    assert window.page.transcript.text() == ""
    assert window.header.title.text() == "New chat"
    hint = window.page.composer._hint
    assert hint.text() == "Sent when another chat's reply is done"
    write(window, "And this?")
    second = current(window)
    assert window.page.queue.isVisible()
    signs = {item.data(ID): item.data(SIGN) for item in rows(window)}
    assert (signs[first], signs[second]) == ("writes", "waits")
    window.sidebar.opened.emit(first)
    assert hint.text() == "Esc stops the reply"
    assert not window.page.queue.isVisible()
    QTest.keyClick(window, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: window.dialogue.queue == [], timeout=TIMEOUT_MS)
    signs = {item.data(ID): item.data(SIGN) for item in rows(window)}
    assert (signs[first], signs[second]) == ("", "writes")
    window.sidebar.opened.emit(second)
    assert hint.text() == "Esc stops the reply"
    window.new_chat()
    window.dialogue.stop_in(second)
    qtbot.waitUntil(lambda: not window.dialogue.replies.running, timeout=TIMEOUT_MS)
    assert {item.data(ID): item.data(SIGN) for item in rows(window)}[second] == "new"
    window.sidebar.opened.emit(second)
    assert {item.data(ID): item.data(SIGN) for item in rows(window)}[second] == ""


def test_the_reply_goes_on_in_a_chat_that_is_opened_again(qtbot: QtBot, ready: MakeWindow) -> None:
    window = ready("endless")
    streams(qtbot, window, "Tell me")
    first = current(window)
    window.new_chat()
    window.sidebar.opened.emit(first)
    assert window.page.transcript.text().startswith("Tell me\n\nA")
    with qtbot.waitSignal(window.dialogue.text_added, timeout=TIMEOUT_MS):
        pass
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        window.dialogue.stop()


# ---------------------------------------------------------------------------- faults


def test_a_dead_engine_keeps_everything_and_is_started_again(
    qtbot: QtBot, ready: MakeWindow, store: Store
) -> None:
    window = ready("dies")
    ask(qtbot, window, "What happened?")
    banner = window.page.banner
    assert banner.isVisible()
    assert banner.title.text() == "The engine has stopped"
    assert "illegal memory access" in banner.detail.text()
    assert "Your chats are kept." in banner.detail.text()
    assert window.page.transcript.text() == "What happened?\n\nA rainbow is "
    assert window.page.composer._hint.text() == "The engine has stopped"
    assert window.status.badge.text() == "No model"
    write(window, "Still there?")
    assert window.page.composer.field.toPlainText() == "Still there?"
    QTest.mouseClick(banner.button, Qt.MouseButton.LeftButton)
    assert window.page.composer.field.hasFocus()
    until_ready(qtbot, window)
    assert not banner.isVisible()
    assert window.page.composer.can_send
    assert [m.content for m in store.messages(current(window))] == [
        "What happened?",
        "A rainbow is ",
    ]


@FREEZES
def test_a_hung_engine_is_said_and_replaced_and_nothing_is_lost(
    qtbot: QtBot, impatient: None, ready: MakeWindow, store: Store
) -> None:
    window = ready("endless")
    streams(qtbot, window, "What happened?")
    freeze(qtbot, window.engine)
    banner = window.page.banner
    assert banner.title.text() == "The engine does not answer"
    assert "your chats and the reply so far are kept" in banner.detail.text()
    assert not banner.dismiss.isVisible()
    assert window.page.composer._hint.text() == "The engine does not answer"
    shown = window.page.transcript.text()
    QTest.keyClicks(window.page.composer.field, "Still there?")
    QTest.mouseClick(banner.button, Qt.MouseButton.LeftButton)
    until_ready(qtbot, window)
    assert not banner.isVisible()
    assert window.page.composer.field.toPlainText() == "Still there?"
    prompt, reply = store.messages(current(window))
    assert f"{prompt.content}\n\n{reply.content}" == shown
    assert reply.trouble.title == "The engine did not answer"


@FREEZES
def test_a_hung_engine_that_comes_back_goes_on_with_its_reply(
    qtbot: QtBot, impatient: None, ready: MakeWindow
) -> None:
    window = ready("endless")
    streams(qtbot, window, "What happened?")
    freeze(qtbot, window.engine)
    with qtbot.waitSignal(window.dialogue.text_added, timeout=TIMEOUT_MS):
        os.kill(process_of(window.engine), signal.SIGCONT)
    assert window.dialogue.answering
    assert not window.page.banner.isVisible()
    assert model_id(window)


def test_the_way_to_start_a_dead_engine_stays(qtbot: QtBot, ready: MakeWindow) -> None:
    window = ready("dies")
    ask(qtbot, window, "What happened?")
    banner = window.page.banner
    assert not banner.dismiss.isVisible()
    window.loader.remove("any")
    assert banner.button.text() == "Start the engine again"
    window.notices.say(Notice("window", "Another", "that can be dismissed"))
    assert banner.button.text() == "Start the engine again"
    assert banner.more.text() == "2 more"


def test_regenerate_without_an_engine_leads_to_the_reason(
    qtbot: QtBot, ready: MakeWindow, store: Store
) -> None:
    window = ready("dies")
    ask(qtbot, window, "What happened?")
    QTest.mouseClick(in_footer(window, "Write the reply again"), Qt.MouseButton.LeftButton)
    assert window.page.composer.field.hasFocus()
    assert window.page.composer._hint.text() == "The engine has stopped"
    assert window.page.banner.button.isVisible()
    assert len(store.tree(current(window)).path) == 2


def test_loading_a_model_starts_a_dead_engine(qtbot: QtBot, ready: MakeWindow) -> None:
    window = ready("dies")
    ask(qtbot, window, "What happened?")
    window.loader.load(IMPORTED.id)
    assert not window.page.banner.isVisible()
    until_ready(qtbot, window)
    assert model_id(window) == IMPORTED.id


@pytest.mark.parametrize(
    ("script", "title"),
    [
        ("newer", "Window and engine are of different versions"),
        ("garbage_first", "The engine did not say hello"),
    ],
)
def test_an_engine_that_cannot_be_used_is_said_so(
    qtbot: QtBot, make_window: MakeWindow, script: str, title: str
) -> None:
    window = make_window(script)
    with qtbot.waitSignal(window.engine.died, timeout=TIMEOUT_MS):
        window.start_engine()
    assert window.page.banner.title.text() == title
    assert window.page.banner.button.text() == "Start the engine again"
    assert not window.page.composer.can_send


def test_a_model_that_cannot_be_loaded_offers_another(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    window = make_window("load_fails")
    window.start_engine()
    qtbot.waitUntil(window.page.banner.isVisible, timeout=TIMEOUT_MS)
    assert window.page.banner.title.text() == "There is not enough memory"
    assert "Choose a smaller model." in window.page.banner.detail.text()
    assert window.page.banner.button.text() == "Choose a model"
    assert "Choose a model first" in window.page.composer._hint.text()


def test_a_model_whose_attention_could_not_be_checked_answers_all_the_same(
    qtbot: QtBot, ready: MakeWindow
) -> None:
    window = ready("check_fails")
    qtbot.waitUntil(window.page.banner.isVisible, timeout=TIMEOUT_MS)
    assert window.page.banner.title.text() == "There is not enough memory"
    assert window.status.badge.text() == "Attention not checked"
    ask(qtbot, window, "Why?")
    assert window.page.transcript.text() == "Why?\n\n" + ANSWER
    assert window.status.badge.text() == "Attention not checked"


def test_a_reply_that_fails_is_told_in_its_place(qtbot: QtBot, ready: MakeWindow) -> None:
    window = ready("reply_fails")
    ask(qtbot, window, "Why?")
    transcript = window.page.transcript
    cards = list(transcript.viewport().findChildren(QWidget, "troubleCard"))
    assert [card.accessibleName() for card in cards] == [
        "There is not enough memory. The GPU has no room for the cache. Choose a shorter context."
    ]
    assert in_footer(window, "Write the reply again").isVisible()
    assert window.page.composer.can_send


# ---------------------------------------------------------------------------- conversations


def filled(store: Store, count: int) -> list[int]:
    made = []
    for number in range(count):
        conversation = store.add_conversation(f"Chat {number}")
        store.add_prompt(conversation, f"Question {number}?")
        reply = store.add_reply(conversation, "m")
        store.finish_reply(reply, f"Answer {number}.", "stop", Figures(), NO_TROUBLE)
        made.append(conversation)
    return made


def test_a_deleted_chat_comes_back_with_undo(make_window: MakeWindow, store: Store) -> None:
    _, second = filled(store, 2)
    window = make_window()
    window._open(second)
    window.sidebar.delete_requested.emit([second])
    assert listed(window) == ["Chat 0"]
    assert window.page.transcript.text() == ""
    assert window._toast.isVisible()
    assert window._toast._words.text() == "Moved “Chat 1” to the trash"
    composer = window.page.composer
    assert (
        window._toast.geometry().bottom()
        < composer.mapTo(window.page, composer.rect().topLeft()).y()
    )
    QTest.mouseClick(window._toast.button, Qt.MouseButton.LeftButton)
    assert listed(window) == ["Chat 1", "Chat 0"]
    assert window.page.transcript.text() == "Question 1?\n\nAnswer 1."
    assert not window._toast.isVisible()


def test_deleting_another_chat_leaves_the_open_one(make_window: MakeWindow, store: Store) -> None:
    first, second = filled(store, 2)
    window = make_window()
    window._open(first)
    window.sidebar.delete_requested.emit([second])
    assert window.dialogue.conversation == first
    assert window.page.transcript.text() == "Question 0?\n\nAnswer 0."


def test_deleting_the_chat_that_streams_stops_its_reply(
    qtbot: QtBot, ready: MakeWindow, store: Store
) -> None:
    window = ready("endless")
    streams(qtbot, window, "Tell me")
    conversation = current(window)
    with qtbot.waitSignal(window.dialogue.replies.finished, timeout=TIMEOUT_MS):
        window.sidebar.delete_requested.emit([conversation])
    assert store.messages(conversation)[1].finish_reason == "stopped"
    assert window.page.composer.can_send


def test_a_chat_is_renamed_in_list_and_header(make_window: MakeWindow, store: Store) -> None:
    (first,) = filled(store, 1)
    window = make_window()
    window._open(first)
    window.sidebar.renamed.emit(first, "Better")
    assert listed(window) == ["Better"]
    assert window.header.title.text() == "Better"


# ---------------------------------------------------------------------------- closing


def test_closing_while_a_reply_streams_keeps_what_came_and_ends_the_engine(
    qtbot: QtBot, ready: MakeWindow, file_store: Store, tmp_path: Path
) -> None:
    window = ready("endless", store=file_store)
    streams(qtbot, window, "Tell me")
    shown = window.page.transcript.text
    qtbot.waitUntil(lambda: len(shown()) > 20, timeout=TIMEOUT_MS)
    with qtbot.waitSignal(window.closed, timeout=TIMEOUT_MS):
        window.close()
    assert process_of(window.engine) == 0
    later, problem = open_store(tmp_path / "data")
    assert not problem
    prompt, reply = later.messages(current(window))
    assert prompt.content == "Tell me"
    assert reply.content.startswith("A rainbow")
    assert (reply.state, reply.finish_reason) == ("complete", "stopped")
    later.close()


def test_size_and_place_are_those_of_last_time(
    qtbot: QtBot, make_window: MakeWindow, store: Store
) -> None:
    window = make_window()
    window.resize(500, 420)  # less than a screen, also at one and a half of its size
    with qtbot.waitSignal(window.closed, timeout=TIMEOUT_MS):
        window.close()
    again = make_window()
    assert (again.width(), again.height()) == (500, 420)


# ---------------------------------------------------------------------------- sizes


def test_a_small_window_folds_the_sidebar(make_window: MakeWindow, store: Store) -> None:
    (first,) = filled(store, 1)
    window = make_window()
    window.resize(FOLD_WIDTH, 600)
    assert window.sidebar.isVisible()
    assert not window.header.menu.isVisible()
    window.resize(FOLD_WIDTH - 1, 600)
    assert not window.sidebar.isVisible()
    assert not window.status.machine.isVisible()
    assert window.header.menu.isVisible()
    QTest.mouseClick(window.header.menu, Qt.MouseButton.LeftButton)
    assert window.sidebar.isVisible()
    window.sidebar.opened.emit(first)
    assert not window.sidebar.isVisible()
    window.resize(1180, 600)
    assert window.sidebar.isVisible()


def test_in_a_small_window_the_sidebar_lies_over_the_page(make_window: MakeWindow) -> None:
    window = make_window()
    window.resize(480, 400)
    QApplication.processEvents()
    page = window.page.geometry()
    QTest.keyClick(window, Qt.Key.Key_B, CONTROL)
    QApplication.processEvents()
    sidebar = window.sidebar
    assert sidebar.chats.hasFocus()
    assert sidebar.width() == WIDTH
    assert sidebar.geometry().bottom() < window.status.y()
    assert sidebar.y() >= window.header.geometry().bottom()  # its button closes it again
    assert window.page.geometry() == page
    assert window.childAt(sidebar.geometry().center()) in sidebar.findChildren(QWidget)
    window.resize(500, 500)
    assert sidebar.geometry().bottom() == window.height() - window.status.height() - 1
    window.page.composer.setFocus()
    assert not sidebar.isVisible()
    window.resize(1180, 600)
    QApplication.processEvents()
    assert sidebar.geometry().topLeft() == QPoint(0, 0)
    assert window.page.mapTo(window, QPoint()).x() == WIDTH


def test_a_height_alone_folds_nothing_again(make_window: MakeWindow) -> None:
    window = make_window()
    window.resize(700, 600)
    QTest.mouseClick(window.header.menu, Qt.MouseButton.LeftButton)
    window.resize(700, 500)
    assert window.sidebar.isVisible()


@pytest.mark.parametrize("size", [(480, 400), (640, 480), (1180, 760)])
def test_nothing_of_the_welcome_is_cut_or_overlaps(
    qtbot: QtBot, ready: MakeWindow, size: tuple[int, int]
) -> None:
    window = ready()
    window.resize(*size)
    QApplication.processEvents()
    welcome = window.page.welcome
    items = (welcome._rows.itemAt(row) for row in range(welcome._rows.count()))
    widgets = (item.widget() for item in items if item is not None)
    parts = [widget for widget in widgets if widget is not None and widget.isVisible()]
    parts.sort(key=lambda widget: widget.y())
    assert len(parts) >= 4
    for upper, lower in pairwise(parts):
        assert upper.geometry().bottom() < lower.y()
    for part in parts:
        if isinstance(part, QLabel | QPushButton):
            assert part.height() >= part.minimumSizeHint().height()


# ---------------------------------------------------------------------------- keys and names


@POPUP
def test_shortcuts(qtbot: QtBot, ready: MakeWindow) -> None:
    window = ready()
    ask(qtbot, window, "Why?")
    QTest.keyClick(window, Qt.Key.Key_N, CONTROL)
    assert window.dialogue.conversation is None
    assert window.page.composer.field.hasFocus()
    QTest.keyClick(window, Qt.Key.Key_B, CONTROL)
    assert not window.sidebar.isVisible()
    QTest.keyClick(window, Qt.Key.Key_B, CONTROL)
    assert window.sidebar.isVisible()
    QTest.keyClick(window, Qt.Key.Key_M, CONTROL)
    picker = window.findChild(ModelPicker)
    assert isinstance(picker, ModelPicker)
    picker.reject()


def interactive(window: QWidget) -> list[QWidget]:
    kinds = (QAbstractButton, QLineEdit, QComboBox, QAbstractItemView, Transcript)
    found = [w for kind in kinds for w in window.findChildren(kind)]
    return [w for w in found if w.isVisible() and w.isEnabled() and not is_inner(w)]


def tabbed(window: QWidget) -> set[QWidget]:
    """Every widget that Tab leads to, round once."""
    seen: list[QWidget] = []
    while (widget := QApplication.focusWidget()) not in seen:
        assert widget is not None
        seen.append(widget)
        QTest.keyClick(widget, Qt.Key.Key_Tab)
    return set(seen)


def test_tab_reaches_everything(qtbot: QtBot, ready: MakeWindow, store: Store) -> None:
    (first,) = filled(store, 1)
    window = ready()
    window.page.composer.set_text("Something to send")
    window.page.composer.setFocus()
    reached = tabbed(window)
    missing = [w for w in interactive(window) if w not in reached]
    assert missing == []
    window._open(first)
    assert window.page.composer.field.hasFocus()
    reached = tabbed(window)
    missing = [w for w in interactive(window) if w not in reached]
    assert missing == []
    assert in_footer(window, "Write the reply again") in reached
    assert not any(isinstance(w, TextBlock) for w in reached)


@POPUP
def test_tab_reaches_everything_in_the_picker(qtbot: QtBot, ready: MakeWindow) -> None:
    window = ready()
    window.open_picker()
    picker = window.findChild(ModelPicker)
    assert isinstance(picker, ModelPicker)
    qtbot.waitUntil(picker.filter.hasFocus)
    picker.view.selectRow(1)
    reached = tabbed(picker)
    assert [w for w in interactive(picker) if w not in reached] == []
    picker.reject()


@POPUP
def test_what_the_picker_says_is_not_said_behind_it(qtbot: QtBot, ready: MakeWindow) -> None:
    window = ready()
    window.open_picker()
    with qtbot.waitSignal(window.loader.trouble, timeout=TIMEOUT_MS):
        window.loader.add("/models/empty")
    assert not window.page.banner.isVisible()
    picker = window.findChild(ModelPicker)
    assert isinstance(picker, ModelPicker)
    with qtbot.waitSignal(picker.destroyed, timeout=TIMEOUT_MS):
        picker.reject()
    with qtbot.waitSignal(window.loader.trouble, timeout=TIMEOUT_MS):
        window.loader.add("/models/empty")
    assert window.page.banner.isVisible()


@POPUP
def test_everything_one_can_act_on_has_a_name(
    qtbot: QtBot, ready: MakeWindow, store: Store
) -> None:
    (first,) = filled(store, 1)
    window = ready("endless")
    window._open(first)
    streams(qtbot, window, "Tell me")
    window.notices.say(Notice("window", "Title", button="Do it", action=lambda: None))
    window.notices.say(Notice("chats", "Deleted", level=Level.DONE, button="Undo"))
    window.open_picker()
    picker = window.findChild(ModelPicker)
    assert isinstance(picker, ModelPicker)
    kinds = (QAbstractButton, QLineEdit, QComboBox, QAbstractItemView, QProgressBar, QTextEdit)
    nameless = [
        f"{type(w).__name__} {w.objectName()}"
        for root in (window, picker)
        for kind in kinds
        for w in root.findChildren(kind)
        if not spoken(w) and not is_inner(w)
    ]
    assert nameless == []
    assert spoken(window.page.transcript) == "Conversation"
    assert spoken(window.page.composer.field) == "Prompt"
    picker.reject()
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        window.dialogue.stop()


def spoken(widget: QWidget) -> str:
    """The name that a screen reader is given."""
    interface = QAccessible.queryAccessibleInterface(widget)
    name = interface.text(QAccessible.Text.Name) if interface else ""
    return name or widget.accessibleName()


def is_inner(widget: QWidget) -> bool:
    """A part that Qt itself puts into one of its widgets, or that waits for its next use."""
    if widget.objectName().startswith("qt_") or widget.metaObject().className() in (
        "QTableCornerButton",
        "QHeaderView",
        "QComboBoxListView",
        "QLineEditIconButton",
    ):
        return True
    parent = widget.parent()
    return not widget.isVisible() or isinstance(parent, QComboBox | QAbstractItemView)


# ---------------------------------------------------------------------------- the program


def run(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    }
    return subprocess.run(
        [sys.executable, "-P", "-m", "app", *arguments],
        env={**clean, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is a display")
def test_without_a_display_a_sentence_says_what_to_do() -> None:
    left = run([])
    assert left.returncode == 2
    assert left.stdout == ""
    (line,) = left.stderr.splitlines()
    assert line.startswith("hearth: there is no display to open a window on.")
    assert line.endswith("or use `python3 start.py ask PROMPT` on the terminal.")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="X11 is Linux's")
def test_a_display_that_cannot_be_opened_is_a_sentence_too() -> None:
    left = run([], DISPLAY=":4711")
    assert left.returncode == 2
    assert "Traceback" not in left.stderr
    assert "could not connect to display :4711" in left.stderr
    assert left.stderr.splitlines()[-1].startswith("hearth: the display cannot be opened.")


def test_help_names_the_verbs() -> None:
    left = run(["--help"])
    assert left.returncode == 0
    for verb in ("ask", "models", "doctor", "--smoke"):
        assert verb in left.stdout


@pytest.mark.parametrize("timeout", ["inf", "nan", "-1", "0", "1e12", "soon"])
def test_a_timeout_that_is_none_is_a_usage_error(timeout: str) -> None:
    left = run(["--smoke", "hi", "--timeout", timeout])
    assert left.returncode == 2
    assert f"'{timeout}' is not a number of seconds above 0" in left.stderr
    assert "Traceback" not in left.stderr


def test_a_picture_without_a_prompt_is_a_usage_error() -> None:
    left = run(["--screenshot", "window.png"])
    assert left.returncode == 2
    assert left.stderr.endswith("--screenshot needs --smoke PROMPT\n")


def test_the_version_is_the_engines() -> None:
    left = run(["--version"])
    assert left.returncode == 0
    assert left.stdout == f"Hearth {engine.__version__}\n"


def test_ctrl_c_is_left_to_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGINT)
    while_waiting: list[object] = []

    def call(command: list[str], env: dict[str, str]) -> int:
        while_waiting.append(signal.getsignal(signal.SIGINT))
        return 3

    monkeypatch.setattr(subprocess, "call", call)
    try:
        assert app.__main__.wait_for(["engine"], {}) == 3
    finally:
        signal.signal(signal.SIGINT, before)
    assert while_waiting == [signal.SIG_IGN]


def test_the_window_imports_no_torch() -> None:
    script = (
        "import sys, app.program, app.smoke, app.models.picker; "
        "print([m for m in ('torch', 'transformers', 'numpy') if m in sys.modules])"
    )
    left = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert left.stdout.strip() == "[]"


# ---------------------------------------------------------------------------- the first impression


def test_the_model_that_comes_with_hearth_is_called_a_demo(ready: MakeWindow) -> None:
    window = ready()
    assert window.page.welcome.card.isVisible()
    assert window.page.composer.field.placeholderText() == "Message the demo model…"


@POPUP
def test_without_a_model_there_is_one_button_and_no_examples(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    window = make_window("no_models")
    with qtbot.waitSignal(window.loader.models_changed, timeout=TIMEOUT_MS):
        window.start_engine()
    welcome = window.page.welcome
    assert not welcome.examples.isVisible()
    QTest.mouseClick(welcome.card.button, Qt.MouseButton.LeftButton)
    picker = window.findChild(ModelPicker)
    assert isinstance(picker, ModelPicker)
    picker.reject()


def test_a_list_that_lies_over_the_chat_closes_by_esc_and_by_a_click_beside_it(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    window = make_window()
    window.resize(700, 600)
    window.activateWindow()
    ways: tuple[Callable[[], None], ...] = (
        lambda: QTest.mouseClick(window._shade, Qt.MouseButton.LeftButton),
        lambda: QTest.keyClick(window.sidebar.chats, Qt.Key.Key_Escape),
    )
    for closes in ways:
        window.actions_table["sidebar"].trigger()
        assert window.sidebar.isVisible()
        assert window._shade.geometry().left() == window.sidebar.width()
        closes()
        qtbot.waitUntil(lambda: not window.sidebar.isVisible())
        assert not window._shade.isVisible()
    window.resize(1200, 600)
    assert window.sidebar.isVisible()
    assert not window._shade.isVisible()
