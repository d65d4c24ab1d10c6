"""Damaged files are kept, and what can be read of them is shown; so are those that are read-only,
deleted or replaced."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from app.store.records import NO_TROUBLE, Figures
from app.store.store import FILE, open_store
from tests.app.store.conftest import MakeStore, written

CHATS = 30


@pytest.fixture
def filled(folder: Path) -> Path:
    """A database of 30 chats with two prompts each, which nobody uses."""
    store, _ = open_store(folder)
    with store.transaction():
        for number in range(CHATS):
            chat = store.add_conversation(f"Chat {number}")
            for part in ("first", "second"):
                store.add_prompt(chat, f"{part} prompt of {number}\n" + "x" * 400)
    store.set_setting("model", "smollm2")
    store.close()
    return folder / FILE


def page_of(database: Path, name: str) -> tuple[int, int]:
    """Where the first page of a table or index begins, and its size, in bytes."""
    with closing(sqlite3.connect(database)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (root,) = connection.execute(query, (name,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    return (root - 1) * size, size


def damage(database: Path, at: int, length: int = 200) -> bytes:
    with database.open("r+b") as file:
        file.seek(at)
        file.write(b"\xff" * length)
    return database.read_bytes()


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("hearth-damaged-*.sqlite3"))


@pytest.mark.parametrize("table", ["conversations", "messages", "settings"])
def test_a_damaged_table_does_not_stop_the_others(filled: Path, table: str) -> None:
    start, size = page_of(filled, table)
    before = damage(filled, start)
    store, problem = open_store(filled.parent)
    chats = store.conversations()
    assert len(chats) == CHATS
    (copy,) = kept(filled.parent)
    assert copy.read_bytes()[start : start + size] == before[start : start + size]
    assert f"{filled} was damaged" in problem
    assert str(copy) in problem
    messages = [m.content.split("\n")[0] for m in store.messages(chats[0].id)]
    if table == "messages":
        assert f"{2 * CHATS} more entries could not be read" in problem
        assert messages == []
    else:
        assert messages == ["first prompt of 29", "second prompt of 29"]
    names = {c.title for c in chats}
    assert ("first prompt of 29" if table == "conversations" else "Chat 29") in names
    assert store.setting("model") == ("" if table == "settings" else "smollm2")
    store.add_prompt(chats[0].id, "and on")
    store.close()
    again, problem = open_store(filled.parent)
    assert problem == ""
    assert again.messages(chats[0].id)[-1].content == "and on"
    again.close()


@pytest.mark.parametrize("index", ["conversations_by_time", "messages_by_conversation"])
def test_a_damaged_index_loses_nothing(filled: Path, index: str) -> None:
    damage(filled, page_of(filled, index)[0])
    store, _ = open_store(filled.parent)
    assert {c.title for c in store.conversations()} == {f"Chat {n}" for n in range(CHATS)}
    for chat in store.conversations():
        assert len(store.messages(chat.id)) == 2
    store.close()


def test_a_truncated_file_shows_what_is_left(filled: Path) -> None:
    _, page = page_of(filled, "messages")
    os.truncate(filled, filled.stat().st_size * 3 // 4 // page * page)
    store, problem = open_store(filled.parent)
    assert len(store.conversations()) == CHATS
    assert 0 < sum(len(store.messages(c.id)) for c in store.conversations()) < 2 * CHATS
    assert "could not be read" in problem
    store.close()


@pytest.mark.parametrize("content", [b"this is no database" * 300, b"\0" * 5000])
def test_a_file_that_is_no_database_is_kept_whole(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / FILE).write_bytes(content)
    store, problem = open_store(folder)
    store.add_conversation("New")
    store.close()
    assert [copy.read_bytes() for copy in kept(folder)] == [content]
    assert "What could be read is in a new file: no chat." in problem
    assert written(folder, "SELECT title FROM conversations") == [("New",)]


def test_damage_that_is_met_later_is_mended_then(filled: Path, make: MakeStore) -> None:
    store = make()
    chats = store.conversations()
    reply = store.add_reply(chats[0].id, "smollm2")
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage(filled, page_of(filled, "messages")[0])
    store._db.execute("PRAGMA shrink_memory")  # forgets the page as it was
    store.finish_reply(reply, "An answer", "stop", Figures(), NO_TROUBLE)
    store.retry()
    assert store.news is not None
    assert "was damaged" in str(store.news)
    assert len(store.conversations()) == CHATS
    assert [m.content for m in store.messages(chats[0].id)] == ["An answer"]
    assert (store.unsaved, store.trouble) == ([], None)


def test_a_damaged_file_without_room_for_a_new_one_is_shown_from_memory(filled: Path) -> None:
    before = damage(filled, page_of(filled, "settings")[0])
    (filled.parent / "hearth-new.sqlite3").mkdir()  # no file can be made there
    store, problem = open_store(filled.parent)
    assert problem
    assert len(store.conversations()) == CHATS
    assert filled.read_bytes() == before
    store.close()


# ---------------------------------------------------------------------------- read-only


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Whatever is in the folder may be read but not written; root needs a file system for that."""
    if sys.platform == "win32":
        pytest.skip("modes of folders are POSIX's")
    if os.geteuid():
        for path in (*folder.iterdir(), folder):
            path.chmod(0o500 if path.is_dir() else 0o400)
        yield
        for path in (folder, *folder.iterdir()):
            path.chmod(0o700 if path.is_dir() else 0o600)
        return
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("root can write everywhere, and nothing can be mounted here")
    for name, data in content.items():
        (folder / name).write_bytes(data)
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)


def unmount(folder: Path) -> None:
    if sys.platform != "win32" and not os.geteuid():
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


@pytest.mark.parametrize("killed", [False, True], ids=["closed", "killed"])
def test_a_read_only_home_shows_its_chats(filled: Path, killed: bool) -> None:
    folder = filled.parent
    if killed:  # a log is left beside the file, with what only it has
        store, _ = open_store(folder)
        store.add_prompt(store.conversations()[0].id, "only in the log")
        left = {path: path.read_bytes() for path in folder.iterdir()}
        store.close()
        for path, data in left.items():
            path.write_bytes(data)
    try:
        with read_only(folder):
            store, problem = open_store(folder)
            assert "may be read but not written" in problem
            assert "Nothing will be saved until you allow writing to both" in problem
            assert "elsewhere" not in problem
            chats = store.conversations()
            assert len(chats) == CHATS
            shown = [m.content.split("\n")[0] for m in store.messages(chats[0].id)]
            assert shown[:2] == ["first prompt of 29", "second prompt of 29"]
            assert shown[2:] == (["only in the log"] if killed else [])
            assert store.setting("model") == "smollm2"
            store.add_prompt(chats[0].id, "kept here")
            store.rename_conversation(chats[1].id, "Renamed here")
        store.retry()
        assert store.trouble is None
        assert written(folder, "SELECT count(*) FROM conversations") == [(CHATS,)]
        assert written(folder, "SELECT 1 FROM messages WHERE content = 'kept here'") == [(1,)]
        assert written(folder, "SELECT 1 FROM conversations WHERE title = 'Renamed here'") == [(1,)]
        store.close()
    finally:
        unmount(folder)


# ---------------------------------------------------------------------------- deleted, replaced


@pytest.mark.parametrize("everything", [True, False], ids=["all files", "the file alone"])
@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open cannot be deleted there")
def test_a_deleted_database_is_written_again(
    filled: Path, make: MakeStore, everything: bool
) -> None:
    store = make()
    chat = store.conversations()[0].id
    reply = store.add_reply(chat, "smollm2")
    for path in filled.parent.glob(f"{FILE}*") if everything else [filled]:
        path.unlink()
    store.finish_reply(reply, "An answer", "stop", Figures(), NO_TROUBLE)
    assert "was deleted while Hearth was open" in str(store.news)
    assert f"{CHATS} chats with {2 * CHATS + 1} messages" in str(store.news)
    store.add_prompt(chat, "and on")
    assert store.take_moves() == []
    store.close()
    assert written(filled.parent, "SELECT count(*) FROM conversations") == [(CHATS,)]
    last = "SELECT content FROM messages ORDER BY id DESC LIMIT 2"
    assert written(filled.parent, last) == [("and on",), ("An answer",)]
    assert written(filled.parent, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be deleted there")
def test_a_deleted_folder_is_made_again(filled: Path, make: MakeStore) -> None:
    store = make()
    shutil.rmtree(filled.parent)
    store.retry()
    assert written(filled.parent, "SELECT count(*) FROM conversations") == [(CHATS,)]


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open cannot be replaced there")
def test_two_windows_go_on_with_one_file_after_it_was_deleted(
    filled: Path, make: MakeStore
) -> None:
    first, second = make(), make()
    chat = first.conversations()[0].id
    reply = second.add_reply(chat, "smollm2")
    filled.unlink()
    first.add_prompt(chat, "first goes on")
    second.finish_reply(reply, "second's answer", "stop", Figures(), NO_TROUBLE)
    assert {m.content for m in first.messages(chat)} >= {"first goes on", "second's answer"}
    assert len(second.messages(chat)) == 4
    assert len(second.conversations()) == CHATS


def test_a_file_that_only_has_another_number_is_used_on(filled: Path, make: MakeStore) -> None:
    store = make()
    assert store._home is not None
    store._home._opened[""] = (0, 0)  # as some file systems on a network do
    chat = store.add_conversation("New")
    assert (store.news, store.trouble, store.take_moves()) == (None, None, [])
    assert not store._home.moved()
    assert written(filled.parent, "SELECT id FROM conversations WHERE title = 'New'") == [(chat,)]


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open cannot be replaced there")
def test_an_older_copy_put_in_its_place_gets_what_it_lacks(
    filled: Path, make: MakeStore, tmp_path: Path
) -> None:
    older = tmp_path / "copy.sqlite3"
    shutil.copy(filled, older)
    store = make()
    chat = store.conversations()[0].id
    store.add_prompt(chat, "newer than the copy")
    new = store.add_conversation("New")
    older.replace(filled)
    store.retry()
    assert "Another file was put in the place" in str(store.news)
    assert store.take_moves() == []
    assert store.messages(chat)[-1].content == "newer than the copy"
    assert written(filled.parent, "SELECT title FROM conversations WHERE id = ?", new) == [("New",)]


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open cannot be replaced there")
def test_another_database_put_in_its_place_keeps_its_chats_and_gets_ours(
    filled: Path, make: MakeStore, tmp_path: Path
) -> None:
    foreign, _ = open_store(tmp_path / "other")
    foreign.add_prompt(foreign.add_conversation("Foreign"), "theirs")
    foreign.close()
    store = make()
    with store.transaction():
        chat = store.add_conversation("Ours")
        store.add_prompt(chat, "ours")
        reply = store.add_reply(chat, "smollm2")
    (tmp_path / "other" / FILE).replace(filled)
    store.retry()
    (moved,) = store.take_moves()
    assert moved.conversations[1] != 1
    reply, chat = moved.messages.get(reply, reply), moved.conversations.get(chat, chat)
    store.finish_reply(reply, "our answer", "stop", Figures(), NO_TROUBLE)
    assert [m.content for m in store.messages(chat)] == ["ours", "our answer"]
    titles = {c.title for c in store.conversations()}
    assert titles == {"Foreign", "Ours", *(f"Chat {n}" for n in range(CHATS))}
    assert [m.content for m in store.messages(1)] == ["theirs"]
