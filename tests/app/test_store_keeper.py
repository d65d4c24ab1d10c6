"""What the window does while the database is full, locked, read-only, deleted or damaged."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.store.store import FILE, Store, open_store
from app.window import MainWindow
from tests.app.conftest import TIMEOUT_MS, MakeWindow

ANSWER = "A rainbow is light that rain has sorted by colour. "


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks more often than each second, as tests wait for it."""
    monkeypatch.setattr("app.store_keeper.CALM_MS", 50)
    monkeypatch.setattr("app.store_keeper.OVER_MS", 1000)


@contextmanager
def locked(folder: Path, *, readers: bool = False) -> Iterator[None]:
    """Another program writes, or with `readers` lets nobody read either."""
    connection = sqlite3.connect(folder / "data" / FILE, isolation_level=None)
    if readers:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    if readers:
        connection.execute("COMMIT")
    yield
    connection.close()


def fill(store: Store) -> None:
    """No page can be added, as on a full disk."""
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")


def make_room(store: Store) -> None:
    store._db.execute("PRAGMA max_page_count = 1000000")


def write(window: MainWindow, prompt: str) -> None:
    window.page.composer.field.setPlainText(prompt)
    QTest.keyClick(window.page.composer.field, Qt.Key.Key_Return)


def said(window: MainWindow) -> str:
    banner = window.page.storage_banner
    return f"{banner.title.text()}: {banner.detail.text()}" if banner.isVisible() else ""


def until_said(qtbot: QtBot, window: MainWindow, words: str) -> None:
    qtbot.waitUntil(
        lambda: words in said(window) if words else not said(window), timeout=TIMEOUT_MS
    )


def titles(window: MainWindow) -> list[str]:
    return list(window.sidebar._titles.values())


def contents(window: MainWindow, store: Store) -> list[str]:
    assert window.dialogue.conversation is not None
    return [message.content for message in store.messages(window.dialogue.conversation)]


def test_that_nothing_will_be_saved_stays_said(ready: MakeWindow) -> None:
    window = ready(problem="No folder can be made.")
    window._keeper.look()
    assert said(window) == "Nothing will be saved: No folder can be made."


def test_on_a_full_disk_the_prompt_stays_written_until_there_is_room(
    qtbot: QtBot, ready: MakeWindow, file_store: Store
) -> None:
    window = ready(store=file_store)
    prompt = "Why? " * 1200  # more than a page, and fewer letters than the context has tokens
    fill(file_store)
    write(window, prompt)
    assert said(window).startswith("The disk is full: There is no room left")
    assert window.page.composer.field.toPlainText() == prompt
    assert window.page.transcript.text() == ""
    make_room(file_store)
    until_said(qtbot, window, "")
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        QTest.keyClick(window.page.composer.field, Qt.Key.Key_Return)
    assert contents(window, file_store) == [prompt, ANSWER]


def test_a_reply_that_ends_on_a_full_disk_is_saved_when_there_is_room(
    qtbot: QtBot, ready: MakeWindow, file_store: Store, tmp_path: Path
) -> None:
    window = ready("", "--text", "word " * 1500, store=file_store)
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        write(window, "Why?")
        fill(file_store)
    until_said(qtbot, window, "The disk is full")
    make_room(file_store)
    until_said(qtbot, window, "")
    with sqlite3.connect(tmp_path / "data" / FILE) as other:
        lengths = other.execute("SELECT length(content), state FROM messages").fetchall()
    other.close()
    assert lengths == [(4, "complete"), (len(window.page.transcript.text()) - 6, "complete")]


def test_a_prompt_waits_visibly_while_the_database_is_locked(
    qtbot: QtBot, ready: MakeWindow, file_store: Store, tmp_path: Path
) -> None:
    window = ready(store=file_store)
    composer = window.page.composer
    with locked(tmp_path):
        write(window, "Why?")
        assert composer._hint.text().startswith("Waits until the database of your chats is free")
        assert composer.field.toPlainText() == "Why?"
        assert composer.field.isReadOnly()
        until_said(qtbot, window, "Your chats are locked: Another program holds")
        assert not window.dialogue.answering
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        pass
    assert composer.field.toPlainText() == ""
    assert not composer.field.isReadOnly()
    until_said(qtbot, window, "Your chats are saved again")
    until_said(qtbot, window, "")
    assert contents(window, file_store) == ["Why?", ANSWER]


def test_esc_takes_back_a_prompt_that_waits(
    qtbot: QtBot, ready: MakeWindow, file_store: Store, tmp_path: Path
) -> None:
    window = ready(store=file_store)
    composer = window.page.composer
    with locked(tmp_path):
        write(window, "Why?")
        QTest.keyClick(composer.field, Qt.Key.Key_Escape)
        assert not composer.field.isReadOnly()
        assert "Enter sends" in composer._hint.text()
        QTest.keyClicks(composer.field, "!")
    until_said(qtbot, window, "")
    assert composer.field.toPlainText().strip("!") == "Why?"
    assert file_store.conversations() == []


def test_a_lock_at_the_start_is_said_and_the_chats_come_when_it_ends(
    qtbot: QtBot, make_window: MakeWindow, file_store: Store, tmp_path: Path
) -> None:
    file_store.add_conversation("Story")
    file_store.close()
    with locked(tmp_path, readers=True):
        store, problem = open_store(tmp_path / "data")
        window = make_window(store=store, problem=problem)
        assert said(window).startswith("Your chats are locked: Another program holds")
        assert titles(window) == []
    until_said(qtbot, window, "")
    assert titles(window) == ["Story"]
    store.close()


def test_a_deleted_database_is_noticed_and_said(
    qtbot: QtBot, make_window: MakeWindow, file_store: Store, tmp_path: Path
) -> None:
    file_store.add_conversation("Story")
    window = make_window(store=file_store)
    (tmp_path / "data" / FILE).unlink()
    until_said(qtbot, window, "was deleted while Hearth was open")
    assert (tmp_path / "data" / FILE).exists()
    assert titles(window) == ["Story"]
    window._keeper.look()
    assert said(window)
    QTest.mouseClick(window.page.storage_banner.dismiss, Qt.MouseButton.LeftButton)
    window._keeper.look()
    assert said(window) == ""


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open cannot be replaced there")
def test_a_prompt_goes_on_in_a_file_that_was_put_in_the_place_of_the_open_one(
    qtbot: QtBot, ready: MakeWindow, file_store: Store, tmp_path: Path
) -> None:
    foreign, _ = open_store(tmp_path / "other")
    foreign.add_prompt(foreign.add_conversation("Theirs"), "theirs")
    foreign.close()
    window = ready(store=file_store)
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        write(window, "Why?")
    window._keeper._timer.stop()  # the prompt notices it first
    (tmp_path / "other" / FILE).replace(tmp_path / "data" / FILE)
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        write(window, "And this?")
    assert window.dialogue.conversation == 2
    assert contents(window, file_store) == ["Why?", ANSWER, "And this?", ANSWER]
    assert window.page.transcript.text() == f"Why?\n\n{ANSWER}\n\nAnd this?\n\n{ANSWER}"
    assert sorted(titles(window)) == ["Theirs", "Why?"]
    assert "Another file was put in the place" in said(window)


def test_a_chat_that_another_program_deleted_is_said_truly(
    make_window: MakeWindow, file_store: Store, tmp_path: Path
) -> None:
    chat = file_store.add_conversation("Story")
    window = make_window(store=file_store)
    window._open(chat)
    with sqlite3.connect(tmp_path / "data" / FILE) as other:
        other.execute("DELETE FROM conversations")
    other.close()
    window.chats.rename(chat, "Other")
    assert said(window).startswith("This chat was deleted elsewhere")
    assert "disk" not in said(window)
    assert titles(window) == []


@pytest.mark.parametrize("geometry", ["ä", "AdnQywADAAAAAAAA////////f/////////8=", "\0", "x" * 99])
def test_a_size_that_cannot_be_read_opens_the_window_all_the_same(
    make_window: MakeWindow, store: Store, geometry: str
) -> None:
    store.set_setting("geometry", geometry)
    assert make_window().isVisible()


# ---------------------------------------------------------------------------- quitting


@pytest.mark.parametrize("answer", ["stay", "quit"])
def test_quitting_with_something_unsaved_asks_first(
    qtbot: QtBot, ready: MakeWindow, file_store: Store, tmp_path: Path, answer: str
) -> None:
    window = ready(store=file_store)
    chat = file_store.add_conversation("Story")
    banner = window.page.storage_banner
    with locked(tmp_path):
        window.chats.rename(chat, "Renamed")
        assert not window.close()
        assert window.isVisible()
        assert said(window).startswith(
            "Quit without saving?: Not saved yet: the new name of a chat."
        )
        assert "Another program holds" in said(window)
        if answer == "quit":
            QTest.mouseClick(banner.button, Qt.MouseButton.LeftButton)
            assert not window.isVisible()
            return
        QTest.mouseClick(banner.dismiss, Qt.MouseButton.LeftButton)
    until_said(qtbot, window, "")
    assert window.isVisible()
    qtbot.waitUntil(lambda: not file_store.unsaved, timeout=TIMEOUT_MS)


def test_quitting_saves_what_can_be_saved_by_then(
    ready: MakeWindow, qtbot: QtBot, file_store: Store, tmp_path: Path
) -> None:
    window = ready(store=file_store)
    chat = file_store.add_conversation("Story")
    with locked(tmp_path):
        window.chats.rename(chat, "Renamed")
    assert window.close()
    with sqlite3.connect(tmp_path / "data" / FILE) as other:
        assert other.execute("SELECT title FROM conversations").fetchall() == [("Renamed",)]
    other.close()
