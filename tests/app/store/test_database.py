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
from app.store.migrations import MIGRATIONS, VERSION
from app.store.records import NO_THINKING, NO_TROUBLE, Figures, Thinking
from app.store.store import FILE, Store, open_store

ROWS = {
    1: """
    INSERT INTO conversations VALUES (7, 'Rainbows', 100.0, 200.0, NULL);
    INSERT INTO messages (id, conversation_id, role, content, state, created_at, model)
        VALUES (1, 7, 'user', 'Why is it round?', 'complete', 101.0, ''),
               (2, 7, 'assistant', 'Because', 'complete', 102.0, 'smollm2');
    """,
    2: "INSERT INTO settings VALUES ('model', 'smollm2'); UPDATE messages SET new_tokens = 3;",
    3: "UPDATE messages SET thinking = 'Hm', thinking_seconds = 1.5, thinking_tokens = 2;",
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
            assert [m.content for m in store.messages(7)] == ["Why is it round?", "Because"]
            thinking = Thinking("Hm", 1.5) if version >= 3 else NO_THINKING
            assert store.messages(7)[1].thinking == thinking


def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / FILE
    file_of_version(path, 1)
    broken = (MIGRATIONS[0], "ALTER TABLE messages ADD COLUMN half TEXT; CREATE TABLE oh no;")
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
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(StoreError, match="newer version of Hearth"):
        open_database(path)
    store, problem = open_store(tmp_path)
    assert "Install that version again" in problem
    assert "elsewhere" not in problem  # the file is whole
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert version_of(connection) == VERSION + 1


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


def test_a_reply_is_replaced_whole_or_not_at_all(store: Store) -> None:
    conversation = store.add_conversation("Again")
    old = store.add_reply(conversation, "smollm2")
    store._db.execute(
        "CREATE TRIGGER held BEFORE DELETE ON messages BEGIN SELECT RAISE(ABORT, 'held'); END"
    )
    with pytest.raises(StoreError):
        store.add_reply(conversation, "smollm2", [old])
    assert [message.id for message in store.messages(conversation)] == [old]
    store._db.execute("DROP TRIGGER held")
    new = store.add_reply(conversation, "smollm2", [old])
    assert [message.id for message in store.messages(conversation)] == [new]


def test_deleting_can_be_undone_until_the_next_start(tmp_path: Path) -> None:
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
    assert store.messages(gone) == []  # the messages went with their conversation
    store.close()


def test_a_setting_is_replaced_and_has_a_default(store: Store) -> None:
    assert store.setting("flash", "auto") == "auto"
    store.set_setting("flash", "on")
    store.set_setting("flash", "off")
    assert store.setting("flash", "auto") == "off"
