from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from app.store.database import open_in_memory
from app.store.records import NO_TROUBLE, Figures
from app.store.row_copy import copy_rows
from app.store.search import Hit, query_of, search
from app.store.store import Store


def found(store: Store, words: str) -> list[str]:
    return [text(hit) for hit in search(store._db, words)]


def text(hit: Hit) -> str:
    return "".join(f"[{p.text}]" if p.hit else p.text for p in hit.pieces)


def said(store: Store, *contents: str) -> int:
    chat = store.add_conversation("A chat")
    for content in contents:
        store.add_prompt(chat, content)
    return chat


def is_whole(store: Store) -> None:
    """Raises if the index does not say what the messages say."""
    store._db.execute("INSERT INTO said_words (said_words, rank) VALUES ('integrity-check', 1)")


def test_words_are_found_as_beginnings_and_marked(store: Store) -> None:
    chat = said(store, "A lighthouse keeper's lamp", "Something else")
    (hit,) = search(store._db, "LAMP light")
    assert text(hit) == "A [lighthouse] keeper's [lamp]"
    assert (hit.conversation, hit.title, hit.role) == (chat, "A chat", "user")


def test_accents_do_not_matter(store: Store) -> None:
    said(store, "Crème brûlée")
    assert found(store, "creme brulee") == ["[Crème] [brûlée]"]


def test_quoted_words_stand_beside_each_other(store: Store) -> None:
    said(store, "old lighthouse", "the lighthouse is old")
    assert found(store, '"old lighthouse"') == ["[old lighthouse]"]


@pytest.mark.parametrize(
    "words", ["", "  ", '"', '""', "++", "-", "*", "NEAR(", "a AND", 'x" OR "y', "content:x", "^a"]
)
def test_whatever_is_typed_is_no_error(store: Store, words: str) -> None:
    said(store, "abc")
    search(store._db, words)


def test_operators_are_words(store: Store) -> None:
    said(store, "this AND that", "this that")
    assert found(store, "this AND that") == ["[this] [AND] [that]"]
    assert query_of("content:x") == '"content:x"*'


def test_a_long_text_is_shown_around_the_hit(store: Store) -> None:
    said(store, "word " * 500 + "needle " + "word " * 500)
    (shown,) = found(store, "needle")
    assert "[needle]" in shown
    assert shown.startswith("…")
    assert len(shown) < 120


def test_the_newest_message_comes_first(store: Store) -> None:
    said(store, "apple one", "apple two")
    assert found(store, "apple") == ["[apple] two", "[apple] one"]


def test_scripts_without_spaces_are_searched_letter_by_letter(store: Store) -> None:
    said(store, "むかしむかし灯台守がいました")
    assert found(store, "灯台") == ["むかしむかし[灯台]守がいました"]


def test_a_title_is_found_if_no_message_is(store: Store) -> None:
    chat = store.add_conversation("Über Leuchttürme")
    (hit,) = search(store._db, "leuchttürme")
    assert (hit.conversation, hit.message, hit.pieces) == (chat, 0, ())


def test_a_deleted_chat_is_not_found(store: Store) -> None:
    chat = said(store, "apple")
    store.delete_conversation(chat)
    assert found(store, "apple") == []
    assert search(store._db, "A chat") == []


def test_a_reply_is_found_once_it_has_ended(store: Store) -> None:
    chat = said(store, "Why?")
    reply = store.add_reply(chat, "smollm2")
    store.save_partial(reply, "Because of refraction")
    store.save_partial(reply, "Because of refraction and more")
    assert found(store, "refraction") == []
    store.finish_reply(reply, "Because of refraction.", "stop", Figures(), NO_TROUBLE)
    assert found(store, "refraction") == ["Because of [refraction]."]
    is_whole(store)


def test_the_index_follows_whatever_happens_to_a_row(store: Store) -> None:
    chat = said(store, "first", "second")
    store._db.execute("UPDATE messages SET content = 'third' WHERE content = 'second'")
    store._db.execute("UPDATE messages SET state = 'streaming' WHERE content = 'first'")
    assert (found(store, "first"), found(store, "second"), found(store, "third")) == (
        [],
        [],
        ["[third]"],
    )
    is_whole(store)
    store._db.execute("DELETE FROM conversations WHERE id = ?", (chat,))
    assert found(store, "third") == []
    is_whole(store)


def test_a_copy_of_the_rows_has_an_index_of_its_own(store: Store) -> None:
    said(store, "apple")
    with closing(open_in_memory()) as target:
        copy_rows(store._db, target)
        assert [text(hit) for hit in search(target, "apple")] == ["[apple]"]
        target.execute("INSERT INTO said_words (said_words, rank) VALUES ('integrity-check', 1)")


def test_a_damaged_index_loses_no_message(store: Store) -> None:
    said(store, "apple")
    store._db.execute("UPDATE said_words_data SET block = x'00' WHERE id > 10")
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        search(store._db, "apple")
    with closing(open_in_memory()) as target:
        copy_rows(store._db, target)
        assert [text(hit) for hit in search(target, "apple")] == ["[apple]"]
