"""Searching all chats in the real window."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.store.records import NO_TROUBLE, Figures
from app.store.store import Store
from app.window import MainWindow
from tests.app.conftest import TIMEOUT_MS, MakeWindow


def filled(store: Store) -> tuple[int, int, int]:
    """A chat with 40 turns, of which one reply in the middle, in a branch that is not shown, names
    a lighthouse; and another chat."""
    other = store.add_conversation("Other")
    store.add_prompt(other, "Nothing of interest")
    chat = store.add_conversation("Long")
    found = shown = 0
    for number in range(20):
        store.add_prompt(chat, f"Question {number}? " + "word " * 200)
        reply = store.add_reply(chat, "smollm2")
        store.finish_reply(reply, f"Answer {number}", "stop", Figures(), NO_TROUBLE)
        if number == 10:
            shown = reply
    found = store.add_reply(chat, "smollm2", [shown])
    store.finish_reply(found, "The lighthouse", "stop", Figures(), NO_TROUBLE)
    store.choose(chat, shown)
    return other, chat, found


def search(qtbot: QtBot, window: MainWindow, words: str) -> None:
    window.actions_table["search"].trigger()
    with qtbot.waitSignal(window.searcher.found, timeout=TIMEOUT_MS):
        QTest.keyClicks(window.sidebar.search, words)


def test_a_hit_opens_its_chat_at_its_message_whatever_branch_it_is_in(
    qtbot: QtBot, make_window: MakeWindow, store: Store
) -> None:
    other, chat, found = filled(store)
    window = make_window()
    window._open(other)
    search(qtbot, window, "lighth")
    assert window.sidebar.summary.text() == "1 hit in 1 chat"
    QTest.keyClick(window.sidebar.search, Qt.Key.Key_Down)
    QTest.keyClick(window.sidebar.results, Qt.Key.Key_Return)
    assert window.dialogue.conversation == chat
    assert [m.id for m in store.tree(chat).path][-1] == found
    transcript = window.page.transcript
    places = [w.geometry() for b, w in transcript.widgets().items() if b.message == found]
    assert any(transcript.viewport().rect().contains(place) for place in places)
    assert window.sidebar.results.isVisible()  # the next hit may be wanted
    assert window.page.find_bar.isVisible()
    assert transcript.selected_text() == "lighthouse"


def test_esc_brings_the_list_back(qtbot: QtBot, make_window: MakeWindow, store: Store) -> None:
    filled(store)
    window = make_window()
    search(qtbot, window, "nothing")
    assert not window.sidebar.chats.isVisible()
    QTest.keyClick(window.sidebar.search, Qt.Key.Key_Escape)
    assert window.sidebar.chats.isVisible()
    assert window.sidebar.search.text() == ""


def test_what_is_not_there_is_said(qtbot: QtBot, make_window: MakeWindow, store: Store) -> None:
    filled(store)
    window = make_window()
    search(qtbot, window, "zzz")
    assert window.sidebar.summary.text() == "Nothing was found"
