"""What the disk or a lock keeps out of the file is kept, read as if it were there, and written."""

from __future__ import annotations

import sqlite3
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from app.store.errors import StoreError, explained
from app.store.records import NO_THINKING, NO_TROUBLE, Figures, Thinking
from app.store.store import Store, open_store
from tests.app.store.conftest import full, locked, written

LONG = "word " * 40_000
"""More than the free part of a page holds."""


def hindered(way: str, store: Store, folder: Path) -> AbstractContextManager[None]:
    return full(store) if way == "full" else locked(folder)


def is_saved(store: Store) -> bool:
    return not store.unsaved and store.trouble is None


@pytest.mark.parametrize("way", ["full", "locked"])
def test_a_reply_that_ends_meanwhile_is_read_at_once_and_written_later(
    one: Store, folder: Path, way: str
) -> None:
    chat = one.add_conversation("Story")
    one.add_prompt(chat, "Tell me")
    reply = one.add_reply(chat, "smollm2")
    with hindered(way, one, folder):
        one.save_partial(reply, LONG[:100_000], Thinking("Hm", 1.0))
        one.finish_reply(reply, LONG, "stop", Figures(new_tokens=7), NO_TROUBLE)
        assert one.unsaved == ["a reply"]
        shown = one.messages(chat)
        assert [m.content for m in shown] == ["Tell me", LONG]
        assert (shown[1].state, shown[1].figures.new_tokens) == ("complete", 7)
        one.retry()
        assert one.unsaved == ["a reply"]
        assert not is_saved(one)
    one.retry()
    assert is_saved(one)
    assert written(folder, "SELECT content, state FROM messages WHERE id = ?", reply) == [
        (LONG, "complete")
    ]


def test_the_next_success_writes_what_could_not_be_written(one: Store, folder: Path) -> None:
    chat = one.add_conversation("Story")
    reply = one.add_reply(chat, "smollm2")
    with full(one):
        one.finish_reply(reply, LONG, "stop", Figures(), NO_TROUBLE)
    one.add_prompt(chat, "Next")
    assert one.unsaved == []
    assert [m.content for m in one.messages(chat)] == [LONG, "Next"]


def test_closing_tries_once_more(one: Store, folder: Path) -> None:
    chat = one.add_conversation("Story")
    reply = one.add_reply(chat, "smollm2")
    with full(one):
        one.finish_reply(reply, LONG, "stop", Figures(), NO_TROUBLE)
    one.close()
    assert written(folder, "SELECT content FROM messages") == [(LONG,)]


def test_names_deletions_and_settings_wait_for_the_lock(one: Store, folder: Path) -> None:
    first, second, third = (one.add_conversation(name) for name in ("One", "Two", "Three"))
    one.delete_conversation(third)
    with locked(folder):
        one.rename_conversation(first, "Uno")
        one.delete_conversation(second)
        one.restore_conversation(third)
        one.set_setting("flash", "off")
        assert one.setting("flash", "auto") == "off"
        assert {c.title for c in one.conversations()} >= {"Uno"}
        assert "Two" not in {c.title for c in one.conversations()}
        assert sorted(one.unsaved) == [
            "a restored chat",
            "the deletion of a chat",
            "the new name of a chat",
        ]
        assert written(folder, "SELECT title FROM conversations WHERE deleted_at IS NULL") == [
            ("One",),
            ("Two",),
        ]
    one.retry()
    assert one.unsaved == []
    assert written(folder, "SELECT title FROM conversations WHERE deleted_at IS NULL") == [
        ("Uno",),
        ("Three",),
    ]
    assert written(folder, "SELECT value FROM settings WHERE name = 'flash'") == [("off",)]


def test_a_deletion_that_waits_can_be_undone(one: Store, folder: Path) -> None:
    chat = one.add_conversation("Kept")
    with locked(folder):
        one.delete_conversation(chat)
        assert one.conversations() == []
        one.restore_conversation(chat)
        assert [c.title for c in one.conversations()] == ["Kept"]
    one.retry()
    assert [c.title for c in one.conversations()] == ["Kept"]


@pytest.mark.parametrize("way", ["full", "locked"])
def test_a_prompt_that_cannot_be_saved_leaves_nothing_behind(
    one: Store, folder: Path, way: str
) -> None:
    def ask() -> None:
        with one.transaction():
            chat = one.add_conversation("Story")
            one.add_prompt(chat, LONG)
            one.add_reply(chat, "smollm2")

    with hindered(way, one, folder), pytest.raises(StoreError) as refused:
        ask()
    assert refused.value.passes is (way == "locked")
    assert one.conversations() == []
    one.retry()
    assert one.trouble is None


def test_what_is_wrong_is_over_only_when_a_row_could_be_written(one: Store, folder: Path) -> None:
    chat = one.add_conversation("Story")
    with locked(folder):
        with pytest.raises(StoreError):
            one.add_prompt(chat, "Why?")
        one.retry()
        assert not is_saved(one)
    assert not is_saved(one)  # nobody has tried
    one.retry()
    assert is_saved(one)


def test_one_change_that_cannot_be_written_holds_up_no_other(one: Store, folder: Path) -> None:
    chat = one.add_conversation("Story")
    reply = one.add_reply(chat, "smollm2")
    with full(one):
        one.finish_reply(reply, LONG, "stop", Figures(), NO_TROUBLE)
        one.rename_conversation(chat, "Short")
        assert one.unsaved == ["a reply"]
        assert written(folder, "SELECT title FROM conversations") == [("Short",)]


def test_a_lock_makes_nobody_wait(one: Store, folder: Path) -> None:
    chat = one.add_conversation("Story")
    reply = one.add_reply(chat, "smollm2")
    with locked(folder):
        started = time.monotonic()
        for number in range(20):
            one.save_partial(reply, "word " * number)
            one.retry()
            one.messages(chat)
            with pytest.raises(StoreError):
                one.add_prompt(chat, "Why?")
        later, problem = open_store(folder)
        took = time.monotonic() - started
        later.close()
    assert "locked" in problem
    assert took < 1.0  # 2 s each, where a lock is waited for


# ---------------------------------------------------------------------------- at the start


def test_a_start_under_a_writers_lock_shows_the_chats(one: Store, folder: Path) -> None:
    one.add_conversation("Story")
    one.close()
    with locked(folder):
        later, problem = open_store(folder)
        assert "Another program holds" in problem
        assert "SQLITE_BUSY" in problem
        assert "elsewhere" not in problem
        assert "space" not in problem
        assert [c.title for c in later.conversations()] == ["Story"]
    later.retry()
    assert later.trouble is None
    later.close()


def test_a_start_under_a_lock_of_all_uses_the_file_when_it_ends(one: Store, folder: Path) -> None:
    chat = one.add_conversation("Story")
    one.set_setting("model", "mine")
    one.close()
    with locked(folder, readers=True):
        later, problem = open_store(folder)
        assert "Another program holds" in problem
        assert later.conversations() == []
        later.set_setting("model", "the default")  # as nobody knows what was chosen
        with pytest.raises(StoreError) as refused:
            later.add_conversation("Not only in memory")
        assert refused.value.passes
        later.retry()
        assert not is_saved(later)
    later.retry()
    assert is_saved(later)
    assert [c.id for c in later.conversations()] == [chat]
    assert later.setting("model") == "mine"
    later.add_prompt(chat, "Go on")
    assert written(folder, "SELECT content FROM messages") == [("Go on",)]
    later.close()


def test_a_reply_cut_off_is_shown_as_such_though_that_cannot_be_written(
    one: Store, folder: Path
) -> None:
    chat = one.add_conversation("Story")
    one.add_reply(chat, "smollm2")
    one.close()
    with locked(folder):
        later, _ = open_store(folder)
        assert later.messages(chat)[0].trouble.title == "This reply was interrupted"
    later.retry()
    assert written(folder, "SELECT state FROM messages") == [("failed",)]
    later.close()


def test_a_reply_begun_before_the_start_could_be_settled_is_not_cut_off(
    one: Store, folder: Path
) -> None:
    chat = one.add_conversation("Story")
    one.close()
    with locked(folder):
        later, _ = open_store(folder)
    reply = later.add_reply(chat, "smollm2")
    later.retry()
    assert [m.state for m in later.messages(chat) if m.id == reply] == ["streaming"]
    later.close()


def test_chats_made_while_no_file_could_be_are_written_when_one_can(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    store, problem = open_store(blocked / "data")
    assert "cannot be made" in problem
    chat = store.add_conversation("Early")
    store.add_prompt(chat, "Why?")
    reply = store.add_reply(chat, "smollm2")
    store.rename_conversation(chat, "Renamed")
    blocked.unlink()
    store.retry()
    assert store.trouble is None
    store.finish_reply(reply, "Because", "stop", Figures(), NO_TROUBLE, NO_THINKING)
    assert written(blocked / "data", "SELECT title FROM conversations") == [("Renamed",)]
    assert written(blocked / "data", "SELECT content FROM messages ORDER BY id") == [
        ("Why?",),
        ("Because",),
    ]
    store.close()


def test_every_result_code_has_its_own_words() -> None:
    said = {}
    for name in ("BUSY", "CORRUPT", "FULL", "READONLY", "CANTOPEN", "IOERR", "PERM", "TOOBIG"):
        error = sqlite3.OperationalError("as SQLite puts it")
        error.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{name}")
        error.sqlite_errorname = f"SQLITE_{name}"
        why = explained(error, Path("chats"))
        said[name] = why.title
        assert f"(SQLite: as SQLite puts it, SQLITE_{name}.)" in str(why)
        assert ("space" in str(why)) is (name == "FULL")
        assert "elsewhere" not in str(why)
    assert len(set(said.values())) == len(said)
