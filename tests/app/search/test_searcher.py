from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtTest import QSignalSpy
from pytestqt.qtbot import QtBot

from app.background import Background
from app.search.results import Results, by_chat, summary
from app.search.searcher import Searcher
from app.store.search import Hit, Piece
from app.store.store import FILE, Store
from app.theming import Look
from tests.app.conftest import TIMEOUT_MS


@pytest.fixture
def background(qapp: object) -> Iterator[Background]:
    made = Background()
    yield made
    made.close()


def said(store: Store, *contents: str) -> int:
    chat = store.add_conversation("A chat")
    for content in contents:
        store.add_prompt(chat, content)
    return chat


@pytest.mark.parametrize("place", ["store", "file_store"])
def test_hits_come_from_another_thread(
    qtbot: QtBot, background: Background, request: pytest.FixtureRequest, place: str
) -> None:
    """Of a database in a file, and of one in memory."""
    store: Store = request.getfixturevalue(place)
    chat = said(store, "a lighthouse")
    searcher = Searcher(store, background)
    with qtbot.waitSignal(searcher.found, timeout=TIMEOUT_MS) as found:
        searcher.search("light")
    assert found.args is not None
    words, hits = found.args
    assert words == "light"
    assert [hit.conversation for hit in hits] == [chat]


def test_only_the_last_words_are_answered(
    qtbot: QtBot, background: Background, store: Store
) -> None:
    said(store, "a lighthouse")
    searcher = Searcher(store, background)
    found = QSignalSpy(searcher.found)
    for words in ("l", "li", "lig", "light"):
        searcher.search(words)
    qtbot.waitUntil(lambda: found.count() > 0, timeout=TIMEOUT_MS)
    qtbot.wait(100)
    assert [found.at(i)[0] for i in range(found.count())] == ["light"]


def test_what_cannot_be_searched_is_said(
    qtbot: QtBot, background: Background, file_store: Store, tmp_path: Path
) -> None:
    said(file_store, "a lighthouse")
    searcher = Searcher(file_store, background)
    file_store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (tmp_path / "data" / FILE).write_bytes(b"no database" * 1000)
    with qtbot.waitSignal(searcher.failed, timeout=TIMEOUT_MS) as failed:
        searcher.search("light")
    assert failed.args is not None
    assert "damaged" in failed.args[0].title


def hit(conversation: int, message: int = 1, at: float = 0.0) -> Hit:
    pieces = (Piece("a ", False), Piece("light", True), Piece("house in the fog " * 9, False))
    return Hit(conversation, f"Chat {conversation}", message, "user", at, pieces)


def test_each_chat_is_shown_once_with_its_first_hit(qtbot: QtBot, look: Look) -> None:
    hits = [hit(1, 9), hit(2, 8), hit(1, 3)]
    assert [(found.first.message, found.count) for found in by_chat(hits)] == [(9, 2), (8, 1)]
    results = Results()
    qtbot.addWidget(results)
    chosen = QSignalSpy(results.chosen)
    results.show_hits(hits)
    assert results.count() == 2
    results.itemClicked.emit(results.item(1))
    assert chosen.at(0)[0] == hits[1]
    results.resize(240, 400)
    results.grab()  # every row can be drawn


def test_the_sum_is_told_in_words() -> None:
    assert summary([]) == "Nothing was found"
    assert summary([hit(1)]) == "1 hit in 1 chat"
    assert summary([hit(1), hit(1), hit(2)]) == "3 hits in 2 chats"
    assert summary([hit(n) for n in range(200)]) == "200+ hits in 200 chats"
