"""Chats written into files and read from them, in the real window."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.exchange.page import as_html, write_pdf
from app.store.records import NO_TROUBLE, Figures
from app.store.store import Store
from app.theming import Look
from app.window import MainWindow
from tests.app.conftest import POPUP, TIMEOUT_MS, MakeWindow


def filled(store: Store) -> int:
    chat = store.add_conversation("Rainbows")
    store.add_prompt(chat, "Why is it round?")
    reply = store.add_reply(chat, "smollm2")
    store.finish_reply(reply, "It is not.", "stop", Figures(), NO_TROUBLE)
    return chat


def until_said(qtbot: QtBot, window: MainWindow, words: str) -> None:
    said = window.notices
    qtbot.waitUntil(
        lambda: any(words in f"{n.title} {n.detail}" for n in said.waiting), timeout=TIMEOUT_MS
    )


def dialog_of(window: MainWindow) -> QFileDialog:
    dialog = window.findChild(QFileDialog)
    assert isinstance(dialog, QFileDialog)
    return dialog


@POPUP
def test_a_chat_is_exported_as_its_name_says(
    qtbot: QtBot, make_window: MakeWindow, store: Store, tmp_path: Path
) -> None:
    chat = filled(store)
    window = make_window()
    window._open(chat)
    for suffix in ("md", "json", "html", "pdf"):
        window.actions_table["export"].trigger()
        dialog = dialog_of(window)
        dialog.fileSelected.emit(str(tmp_path / f"mine.{suffix}"))
        dialog.reject()
        qtbot.waitUntil(lambda: window.findChild(QFileDialog) is None, timeout=TIMEOUT_MS)
        until_said(qtbot, window, f"Exported “Rainbows” to mine.{suffix}")
    assert "It is not." in (tmp_path / "mine.md").read_text(encoding="utf-8")
    assert (tmp_path / "mine.pdf").read_bytes().startswith(b"%PDF-")
    page = (tmp_path / "mine.html").read_text(encoding="utf-8")
    assert "<h1>Rainbows</h1>" in page
    assert "<p>It is not.</p>" in page
    assert json.loads((tmp_path / "mine.json").read_bytes())["chats"][0]["title"] == "Rainbows"
    window.actions_table["export"].trigger()
    assert dialog_of(window).directory().path() == str(tmp_path)  # where the last one went
    dialog_of(window).reject()


def test_all_chats_come_back_from_one_file(
    qtbot: QtBot, make_window: MakeWindow, store: Store, tmp_path: Path
) -> None:
    filled(store)
    filled(store)
    window = make_window()
    window._list()
    window.files.write([known.id for known in window.chats.known], tmp_path / "all.json")
    until_said(qtbot, window, "Exported 2 chats to all.json")
    window.files.read([tmp_path / "all.json"])
    until_said(qtbot, window, "Imported 2 chats from all.json")
    assert len(store.conversations()) == 4
    assert window.sidebar.chats.count() == 4 + 1  # and a heading


def test_what_cannot_be_written_or_read_is_said(
    qtbot: QtBot, make_window: MakeWindow, store: Store, tmp_path: Path
) -> None:
    chat = filled(store)
    window = make_window()
    window._list()
    window.files.write([chat], tmp_path / "no folder" / "a.md")
    until_said(qtbot, window, os.strerror(errno.ENOENT))
    window.files.read([tmp_path / "gone.json"])
    until_said(qtbot, window, "gone.json cannot be read")
    assert len(store.conversations()) == 1


def test_an_import_without_room_says_how_far_it_came(
    qtbot: QtBot, make_window: MakeWindow, store: Store, tmp_path: Path
) -> None:
    chats = [{"messages": [{"role": "user", "content": "word " * 20_000}]}] * 3
    (tmp_path / "many.json").write_text(json.dumps(chats))
    window = make_window()
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    window.files.read([tmp_path / "many.json"])
    until_said(qtbot, window, "0 of 3 chats of many.json were imported")
    store._db.execute("PRAGMA max_page_count = 1000000")
    assert store.conversations() == []


def test_several_chats_go_into_one_file(
    qtbot: QtBot, make_window: MakeWindow, store: Store, tmp_path: Path
) -> None:
    chats = [filled(store), filled(store)]
    window = make_window()
    window._list()
    for suffix in ("md", "html", "pdf"):
        window.files.write(chats, tmp_path / f"both.{suffix}")
        until_said(qtbot, window, f"Exported 2 chats to both.{suffix}")
    assert (tmp_path / "both.md").read_text(encoding="utf-8").count("# Rainbows") == 2
    assert (tmp_path / "both.html").read_text(encoding="utf-8").count("<h1>Rainbows</h1>") == 2


def test_a_page_shows_what_was_written_and_fetches_nothing(store: Store) -> None:
    chat = store.add_conversation("<b>A</b>")
    store.add_prompt(chat, "<script>alert(1)</script>\n![x](http://a/b.png)")
    reply = store.add_reply(chat, "m")
    said = (
        "<img src=x onerror=alert(1)> ![x](http://a/b.png)[^1]\n\n| a |\n|---|\n| b |\n\n[^1]: Note"
    )
    store.finish_reply(reply, said, "stop", Figures(), NO_TROUBLE)
    page = as_html([(store.conversations()[0], store.messages(chat))])
    for forbidden in ("<script", "<img", "<b>A"):
        assert forbidden not in page
    for shown in ("&lt;script&gt;", "&lt;img", "&lt;b&gt;A", "<td>b</td>", "Note"):
        assert shown in page


@POPUP
def test_a_chat_is_printed_page_by_page(store: Store, tmp_path: Path, look: Look) -> None:
    chat = store.add_conversation("Long")
    store.add_prompt(chat, "line\n" * 200)
    page = as_html([(store.conversations()[0], store.messages(chat))])
    assert write_pdf(page, tmp_path / "long.pdf") == (tmp_path / "long.pdf").stat().st_size
    assert (tmp_path / "long.pdf").read_bytes().count(b"/Type /Page\n") >= 3
