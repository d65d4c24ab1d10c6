from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from app.engine_command import ROOT
from app.store.changes import INTERRUPTED
from app.store.database import migrate, open_database, open_in_memory, version_of
from app.store.errors import StoreError
from app.store.migrations import MIGRATIONS, VERSION, least_in, least_version, version_in
from app.store.migrations.step import Step
from app.store.records import NO_THINKING, NO_TROUBLE, Attachment, Figures, Thinking
from app.store.search import search
from app.store.store import FILE, Store, open_store

ROWS = {
    1: """
    INSERT INTO conversations (id, title, created_at, updated_at)
        VALUES (7, 'Rainbows', 100.0, 200.0);
    INSERT INTO messages (id, conversation_id, role, content, state, created_at, model)
        VALUES (1, 7, 'user', 'Why is it round?', 'complete', 101.0, ''),
               (2, 7, 'assistant', 'Because', 'complete', 102.0, 'smollm2');
    """,
    2: "INSERT INTO settings VALUES ('model', 'smollm2'); UPDATE messages SET new_tokens = 3;",
    3: "UPDATE messages SET thinking = 'Hm', thinking_seconds = 1.5, thinking_tokens = 2;",
    4: "UPDATE messages SET parent_id = 1 WHERE id = 2; UPDATE conversations SET leaf_id = 1;",
    5: "",  # an index of what is there
    6: "INSERT INTO waiting (conversation_id, content, created_at) VALUES (7, 'And on', 300.0);",
    7: "UPDATE conversations SET pinned = 1, folder = 'Light', settings = '{}';",
    8: "INSERT INTO attachments (message_id, name, content) VALUES (1, 'a.txt', 'text');",
    9: "UPDATE messages SET settings = '{}' WHERE id = 2;",
    10: """UPDATE waiting SET attachments = '[{"name":"b.py","content":"x = 1"}]';""",
    11: "UPDATE messages SET kernel = 'flash_fwd' WHERE id = 2;",
}
"""What a database of each version may hold that the version before could not."""


def file_of_version(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, version)
        for number in range(1, version + 1):
            connection.executescript(ROWS.get(number, ""))


def columns(connection: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return {
        name: [tuple(row)[1:] for row in connection.execute(f"PRAGMA table_info({name})")]
        for (name,) in tables.fetchall()
    }


def test_every_version_has_rows_to_migrate() -> None:
    assert list(ROWS) == list(range(1, VERSION + 1))


@pytest.mark.parametrize("version", range(VERSION))
def test_a_database_of_an_older_version_becomes_one_of_this_version(
    tmp_path: Path, version: int
) -> None:
    path = tmp_path / FILE
    file_of_version(path, version)
    with closing(open_database(path)) as migrated, closing(open_in_memory()) as fresh:
        assert version_of(migrated) == VERSION
        assert columns(migrated) == columns(fresh)
        assert migrated.execute("PRAGMA foreign_key_check").fetchall() == []
        if version:
            store = Store(migrated)
            assert [c.title for c in store.conversations()] == ["Rainbows"]
            shown = store.tree(7).path
            assert [m.content for m in shown] == ["Why is it round?", "Because"]
            assert [m.parent for m in shown] == [None, 1]
            assert [hit.message for hit in search(migrated, "becaus")] == [2]
            thinking = Thinking("Hm", 1.5) if version >= 3 else NO_THINKING
            assert store.messages(7)[1].thinking == thinking


def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / FILE
    file_of_version(path, 1)
    wrong = "ALTER TABLE messages ADD COLUMN half TEXT; CREATE TABLE oh no;"
    broken = (MIGRATIONS[0], Step(wrong, only_adds=True))
    monkeypatch.setattr("app.store.database.MIGRATIONS", broken)
    with pytest.raises(StoreError, match='near "no": syntax error'):
        open_database(path)
    with closing(sqlite3.connect(path)) as connection:
        assert version_of(connection) == 1
        names = [row[1] for row in connection.execute("PRAGMA table_info(messages)")]
        assert "half" not in names


def test_the_database_keeps_a_log_ahead_and_its_references(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / FILE)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            connection.execute(
                "INSERT INTO messages (conversation_id, role, content, state, created_at) "
                "VALUES (99, 'user', 'orphan', 'complete', 0)"
            )


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with closing(open_database(path)) as connection:
        newer = 1000 * (VERSION + 1) + VERSION + 1
        connection.execute(f"PRAGMA user_version = {newer}")
    with pytest.raises(StoreError, match="newer version of Hearth"):
        open_database(path)
    store, problem = open_store(tmp_path)
    assert "Install that version again" in problem
    assert "elsewhere" not in problem  # the file is whole
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert version_of(connection) == VERSION + 1


def test_a_newer_database_that_was_only_added_to_is_used(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with closing(open_database(path)) as connection:
        connection.execute("CREATE TABLE reminders (id INTEGER PRIMARY KEY, text TEXT)")
        connection.execute("ALTER TABLE messages ADD COLUMN stars INTEGER NOT NULL DEFAULT 3")
        newer = 1000 * least_version(VERSION) + VERSION + 7
        connection.execute(f"PRAGMA user_version = {newer}")
    store, problem = open_store(tmp_path)
    assert problem == ""
    store.add_prompt(store.add_conversation("Kept"), "Hello")
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == newer
        assert connection.execute("SELECT content, stars FROM messages").fetchall() == [
            ("Hello", 3)
        ]


@pytest.mark.parametrize("stamped", [1, 3, 99])
def test_a_version_written_as_one_number_is_what_is_needed(stamped: int) -> None:
    assert (version_in(stamped), least_in(stamped)) == (stamped, stamped)


def backups(folder: Path) -> list[Path]:
    return sorted(folder.glob("hearth-backup-*.sqlite3"))


def test_before_a_migration_a_dated_copy_is_made_that_only_its_owner_may_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / FILE
    file_of_version(path, 3)
    open_database(path).close()
    (copy,) = backups(tmp_path)
    with closing(sqlite3.connect(copy)) as connection:
        assert version_of(connection) == 3
        assert connection.execute("SELECT content FROM messages").fetchall() == [
            ("Why is it round?",),
            ("Because",),
        ]
    if sys.platform != "win32":
        assert copy.stat().st_mode & 0o777 == 0o600
    open_database(path).close()
    assert backups(tmp_path) == [copy]  # nothing was migrated


def test_the_last_three_copies_are_kept(tmp_path: Path) -> None:
    for day in ("01", "02", "03", "04"):
        (tmp_path / f"hearth-backup-2026-01-{day}-120000.sqlite3").write_bytes(b"old")
    path = tmp_path / FILE
    file_of_version(path, 3)
    open_database(path).close()
    kept = [copy.name for copy in backups(tmp_path)]
    assert kept[:2] == [f"hearth-backup-2026-01-{day}-120000.sqlite3" for day in ("03", "04")]
    assert len(kept) == 3


def test_without_room_for_the_copy_nothing_is_migrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / FILE
    file_of_version(path, 3)
    (tmp_path / "hearth-backup-now.sqlite3").mkdir()
    monkeypatch.setattr("app.store.database.time.strftime", lambda _: "now")
    with pytest.raises(StoreError, match="the copy that is made before cannot be written"):
        open_database(path)
    with closing(sqlite3.connect(path)) as connection:
        assert version_of(connection) == 3
    store, problem = open_store(tmp_path)
    assert "the copy that is made before" in problem
    assert [c.title for c in store.conversations()] == ["Rainbows"]
    assert [m.parent for m in store.messages(7)] == [None, 1]
    store.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    store, problem = open_store(blocked / "data")
    assert str(blocked / "data") in problem
    assert "Check its permissions" in problem
    store.close()


WRITES_AND_WAITS = """
import sys, time
from pathlib import Path
from app.store.records import Thinking
from app.store.store import open_store
store, _ = open_store(Path(sys.argv[1]))
conversation = store.add_conversation("Killed")
store.add_prompt(conversation, "Tell me everything")
reply = store.add_reply(conversation, "smollm2")
store.save_partial(reply, "Everything begins", Thinking("Hm", 2.5))
print("saved", flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_what_was_saved_survives_a_killed_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-P", "-c", WRITES_AND_WAITS, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"saved\n"
        process.send_signal(signal.SIGKILL)
    store, problem = open_store(tmp_path)
    assert not problem
    prompt, reply = store.messages(store.conversations()[0].id)
    assert prompt.content == "Tell me everything"
    assert (reply.content, reply.state) == ("Everything begins", "failed")
    assert reply.thinking == Thinking("Hm", 2.5)
    assert reply.trouble == INTERRUPTED
    store.close()


def test_conversations_are_listed_by_their_last_message() -> None:
    times = iter(range(100))
    store = Store(open_in_memory(), clock=lambda: float(next(times)))
    first, second = store.add_conversation("First"), store.add_conversation("Second")
    assert [c.title for c in store.conversations()] == ["Second", "First"]
    store.add_prompt(first, "again")
    assert [c.title for c in store.conversations()] == ["First", "Second"]
    store.rename_conversation(second, "Renamed")
    assert [c.title for c in store.conversations()] == ["First", "Renamed"]
    store.close()


def test_a_finished_reply_reads_as_it_was_written(store: Store) -> None:
    conversation = store.add_conversation("Numbers")
    reply = store.add_reply(conversation, "smollm2")
    figures = Figures(40, 12, 7, 34.0, 1200.0, 212.0, 3)
    thinking = Thinking("Hm,\nso.", 1.5)
    store.finish_reply(reply, "seven", "stop", figures, NO_TROUBLE, thinking)
    (message,) = store.messages(conversation)
    assert message.content == "seven"
    assert (message.state, message.finish_reason) == ("complete", "stop")
    assert message.figures == figures
    assert message.thinking == thinking


def test_another_reply_stands_beside_the_one_that_is_there(store: Store) -> None:
    chat = store.add_conversation("Again")
    prompt = store.add_prompt(chat, "Why?")
    old = store.add_reply(chat, "smollm2")
    new = store.add_reply(chat, "smollm2", [old])
    tree = store.tree(chat)
    assert [message.id for message in tree.path] == [prompt, new]
    assert tree.versions(new) == [old, new]
    store.choose(chat, old)
    assert [message.id for message in store.tree(chat).path] == [prompt, old]
    behind = store.add_prompt(chat, "And on")
    assert [message.id for message in store.tree(chat).path] == [prompt, old, behind]


def test_a_prompt_can_be_written_anew_beside_what_it_was(store: Store) -> None:
    chat = store.add_conversation("Again")
    first = store.add_prompt(chat, "Wy?")
    reply = store.add_reply(chat, "smollm2")
    other = store.add_prompt(chat, "Why?", [first])
    answer = store.add_reply(chat, "smollm2")
    assert [message.id for message in store.tree(chat).path] == [other, answer]
    store.choose(chat, first)
    assert [message.id for message in store.tree(chat).path] == [first, reply]
    assert store.tree(chat).versions(first) == [first, other]


def test_the_branch_that_is_shown_is_kept(tmp_path: Path) -> None:
    store, _ = open_store(tmp_path)
    chat = store.add_conversation("Again")
    old = store.add_reply(chat, "smollm2")
    store.add_reply(chat, "smollm2", [old])
    store.choose(chat, old)
    store.close()
    store, _ = open_store(tmp_path)
    assert [message.id for message in store.tree(chat).path] == [old]
    store.close()


def test_a_deleted_chat_is_in_the_trash_for_thirty_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = open_store(tmp_path)
    kept, gone = store.add_conversation("Kept"), store.add_conversation("Gone")
    for conversation in (kept, gone):
        store.add_prompt(conversation, "Hello")
        store.delete_conversation(conversation)
    assert store.conversations() == []
    store.restore_conversation(kept)
    assert [m.content for m in store.messages(kept)] == ["Hello"]
    store.close()
    store, _ = open_store(tmp_path)
    assert [c.id for c in store.conversations()] == [kept]
    assert [c.id for c in store.trash()] == [gone]
    store.close()
    monkeypatch.setattr("app.store.store.KEPT_S", -1.0)
    store, _ = open_store(tmp_path)
    assert store.trash() == []
    assert store.messages(gone) == []  # the messages went with their conversation
    store.close()


FILES = (Attachment("a.py", "x = 1\n"), Attachment("notes.md", "# Head"))


def test_the_files_of_a_prompt_are_its_own_in_every_branch(tmp_path: Path) -> None:
    store, _ = open_store(tmp_path)
    chat = store.add_conversation("Files")
    first = store.add_prompt(chat, "What is this?", attachments=FILES)
    store.add_prompt(chat, "And this?", [first], FILES[1:])
    store.close()
    again, _ = open_store(tmp_path)
    assert [message.attachments for message in again.messages(chat)] == [FILES, FILES[1:]]
    again.delete_conversation(chat)
    again.purge_conversation(chat)
    assert again._db.execute("SELECT count(*) FROM attachments").fetchone()[0] == 0
    again.close()


def test_a_prompt_that_waits_keeps_its_files(tmp_path: Path) -> None:
    store, _ = open_store(tmp_path)
    chat = store.add_conversation("Files")
    store.add_waiting(chat, "What is this?", FILES)
    store.close()
    again, _ = open_store(tmp_path)
    (waiting,) = again.waiting()
    assert waiting.attachments == FILES
    again.add_prompt_that_waited(waiting)
    assert again.messages(chat)[0].attachments == FILES
    again.close()


def test_of_what_is_deleted_for_good_no_word_is_left_in_the_file(tmp_path: Path) -> None:
    store, _ = open_store(tmp_path)
    chat = store.add_conversation("A secret")
    for number in range(60):
        store.add_prompt(chat, f"Quixotic number {number} was zymurgy")
        other = store.add_conversation("Another")
        store.add_prompt(other, f"Something else {number}")
    store.delete_conversation(chat)
    store.purge_conversation(chat)
    while store.forget_words():
        pass
    store._db.execute("INSERT INTO said_words (said_words, rank) VALUES ('integrity-check', 1)")
    store.close()
    left = b"".join(path.read_bytes() for path in tmp_path.glob("hearth.sqlite3*")).lower()
    assert b"something" in left
    assert not [word for word in (b"secret", b"quixotic", b"uixotic", b"zymurgy") if word in left]


def test_a_setting_is_replaced_and_has_a_default(store: Store) -> None:
    assert store.setting("flash", "auto") == "auto"
    store.set_setting("flash", "on")
    store.set_setting("flash", "off")
    assert store.setting("flash", "auto") == "off"
