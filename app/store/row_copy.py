"""Copies what can be read of one database into another, row by row."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from app.store.changes import COLUMNS, Moved, Origin, add_message, add_missing_conversation, execute
from app.store.errors import DAMAGE, code_of
from app.store.records import count, message_of, moment, row_number, text

UNREADABLE: Final = DAMAGE | {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_ERROR}
"""What a damaged page answers, a damaged sector below it, and a schema without the table."""

Row = dict[str, Any]
_MESSAGE: Final[Row] = dict.fromkeys(("model", "created_at", "parent_id", *COLUMNS))
"""Of an older version a row may lack columns."""

_CONVERSATIONS: Final = ("conversations", "conversations_by_time")
_MESSAGES: Final = ("messages", "messages_by_conversation")
"""A table, and an index of it, which lies on pages of its own."""

_ATTACHMENT: Final = (
    "INSERT INTO attachments (message_id, name, content) SELECT ?, ?, ? WHERE NOT EXISTS "
    "(SELECT 1 FROM attachments WHERE message_id = ? AND name = ? AND content = ?)"
)
_WAITING: Final = (
    "INSERT INTO waiting (conversation_id, content, created_at, attachments) "
    "SELECT ?, ?, ?, ? WHERE NOT EXISTS "
    "(SELECT 1 FROM waiting WHERE conversation_id = ? AND content = ? AND created_at = ?)"
)

_DATE_RECOVERED: Final = (
    "UPDATE conversations SET updated_at = max(updated_at, coalesce("
    "(SELECT max(created_at) FROM messages WHERE conversation_id = conversations.id), 0)) "
    "WHERE updated_at = created_at"
)
"""A conversation that was made up for its first message is as young as its last one."""


@dataclass(frozen=True)
class Copied:
    moved: Moved
    conversations: int
    """In the copy, afterwards."""
    messages: int
    unreadable: int
    """Rows of conversations and messages that are known of but could not be read."""
    damaged: bool
    """Whether anything of the source could not be read, known of or not."""


class _Source:
    """Reads rows and passes over what is damaged."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.damaged = False
        self.unreadable = 0

    @contextmanager
    def _passing_over_damage(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if code_of(error) not in UNREADABLE:
                raise
            self.damaged = True

    def rows(self, table: str, index: str) -> Iterator[Row]:
        """From the beginning up to a damaged page, then what the end or the index leads to."""
        found: set[int] = set()
        whole = False
        with self._passing_over_damage():
            for row in self._db.execute(f"SELECT * FROM {table} NOT INDEXED ORDER BY id"):  # noqa: S608
                found.add(row["id"])
                yield _named(row)
            whole = True
        if whole:
            return
        for number in sorted(self._ids(table, index) - found):
            row = None
            with self._passing_over_damage():
                one = f"SELECT * FROM {table} WHERE id = ?"  # noqa: S608
                row = self._db.execute(one, (number,)).fetchone()
            if row is None:
                self.unreadable += 1
            else:
                yield _named(row)

    def _ids(self, table: str, index: str) -> set[int]:
        found: set[int] = set()
        for way in ("NOT INDEXED ORDER BY id DESC", f"INDEXED BY {index}"):
            with self._passing_over_damage():
                for (number,) in self._db.execute(f"SELECT id FROM {table} {way}"):  # noqa: S608
                    found.add(number)
        return found

    def settings(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        with self._passing_over_damage():
            rows = self._db.execute("SELECT name, value FROM settings")
            found.extend((text(row["name"]), text(row["value"])) for row in rows)
        return found


def copy_rows(source: sqlite3.Connection, target: sqlite3.Connection) -> Copied:
    """Adds to `target` what it lacks of `source`, as one transaction.

    A conversation or message keeps its id unless the target has given it to another one. What is in
    both (same id and time of creation) stays as the target has it. Raises sqlite3.Error if the
    target cannot be written.
    """
    reader = _Source(source)
    target.execute("BEGIN IMMEDIATE")
    try:
        moved = _copy(reader, target)
        target.execute("COMMIT")
    except BaseException:
        if target.in_transaction:
            target.execute("ROLLBACK")
        raise
    counts = (
        target.execute("SELECT count(*) FROM conversations").fetchone()[0],
        target.execute("SELECT count(*) FROM messages").fetchone()[0],
    )
    return Copied(moved, *counts, reader.unreadable, reader.damaged)


def _copy(reader: _Source, target: sqlite3.Connection) -> Moved:
    for name, value in reader.settings():
        execute(target, "INSERT OR IGNORE INTO settings (name, value) VALUES (?, ?)", (name, value))
    conversations: dict[int, int] = {}
    leaves: list[tuple[int, int, float]] = []
    for row in reader.rows(*_CONVERSATIONS):
        copied = conversations[row["id"]] = _copy_conversation(row, target)
        leaf = row_number(row.get("leaf_id"))
        if leaf is not None:
            leaves.append((copied, leaf, moment(row["updated_at"])))
    messages = _copy_messages(reader, target, conversations)
    _copy_beside(reader, target, conversations, messages)
    for conversation, leaf, at in leaves:
        if leaf in messages:  # the branch that was chosen last, here or there
            target.execute(
                "UPDATE conversations SET leaf_id = ? "
                "WHERE id = ? AND (leaf_id IS NULL OR updated_at < ?)",
                (messages[leaf], conversation, at),
            )
    target.execute(_DATE_RECOVERED)
    return Moved(_changed(conversations), _changed(messages))


def _copy_messages(
    reader: _Source, target: sqlite3.Connection, conversations: dict[int, int]
) -> dict[int, int]:
    """The id of each message in the copy, by its id before."""
    messages: dict[int, int] = {}
    behind: dict[int, int] = {}
    """Copies that stand behind a message whose copy was not there yet."""
    last: dict[object, int] = {}
    for row in reader.rows(*_MESSAGES):
        # A version that had no branches wrote no parents: each stands behind the one before it.
        parent = row_number(row.get("parent_id", last.get(row["conversation_id"])))
        last[row["conversation_id"]] = row["id"]
        placed = None if parent is None else messages.get(parent, parent)
        known = _MESSAGE | row | {"parent_id": placed}
        copied = messages[row["id"]] = _copy_message(known, target, conversations)
        if parent is not None and parent not in messages:
            behind[copied] = parent
    for copied, parent in behind.items():
        if messages.get(parent, parent) != parent:
            target.execute(
                "UPDATE messages SET parent_id = ? WHERE id = ?", (messages[parent], copied)
            )
    return messages


def _copy_beside(
    reader: _Source,
    target: sqlite3.Connection,
    conversations: dict[int, int],
    messages: dict[int, int],
) -> None:
    """Attachments, and prompts that wait. Nobody keeps their ids: what they hold tells them
    apart."""
    for row in reader.rows("attachments", "attachments_by_message"):
        message = messages.get(row["message_id"])
        attached = (message, text(row["name"]), text(row["content"]))
        if message is not None:
            execute(target, _ATTACHMENT, attached + attached)
    for row in reader.rows("waiting", "waiting_by_conversation"):
        conversation = conversations.get(row["conversation_id"])
        waits = (conversation, text(row["content"]), moment(row["created_at"]))
        if conversation is not None:
            execute(target, _WAITING, (*waits, text(row.get("attachments")), *waits))


def _copy_conversation(row: Row, target: sqlite3.Connection) -> int:
    created_at = moment(row["created_at"])
    there = target.execute("SELECT created_at FROM conversations WHERE id = ?", (row["id"],))
    found = there.fetchone()
    if found is not None and moment(found[0]) == created_at:
        return int(row["id"])
    deleted_at = None if row["deleted_at"] is None else moment(row["deleted_at"])
    added = execute(
        target,
        "INSERT INTO conversations "
        "(id, title, created_at, updated_at, deleted_at, pinned, folder, settings) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row["id"] if found is None else None,
            text(row["title"]),
            created_at,
            moment(row["updated_at"]),
            deleted_at,
            int(bool(row.get("pinned"))),
            text(row.get("folder")),
            text(row.get("settings")),
        ),
    )
    return added.lastrowid or 0


def _copy_message(row: Row, target: sqlite3.Connection, conversations: dict[int, int]) -> int:
    before = count(row["conversation_id"])
    message = message_of(row)
    origin = Origin(
        conversations.get(before, before), message.model, message.created_at, message.parent
    )
    known = target.execute(
        "SELECT 1 FROM messages WHERE id = ? AND conversation_id = ? AND created_at = ?",
        (row["id"], origin.conversation, origin.created_at),
    )
    if known.fetchone():
        return int(row["id"])
    if before not in conversations:
        add_missing_conversation(target, message, origin)
        conversations[before] = before
    return add_message(target, message, origin)


def _named(row: sqlite3.Row) -> Row:
    return dict(zip(row.keys(), row, strict=True))


def _changed(ids: dict[int, int]) -> dict[int, int]:
    return {before: after for before, after in ids.items() if before != after}
