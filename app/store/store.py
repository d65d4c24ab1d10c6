"""Conversations, messages and settings, read and written in small transactions."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Final

from app.store.database import StoreError, open_database, open_in_memory
from app.store.records import Conversation, Figures, State, StoredMessage, Trouble

FILE: Final = "hearth.sqlite3"

INTERRUPTED: Final = Trouble(
    "This reply was interrupted", "Hearth ended while it was written.", "Regenerate it."
)


class Store:
    """One connection, used by one thread."""

    def __init__(
        self, connection: sqlite3.Connection, clock: Callable[[], float] = time.time
    ) -> None:
        self._db = connection
        self._clock = clock
        self._settle()

    def close(self) -> None:
        self._db.close()

    def _settle(self) -> None:
        """What the last run left half done: replies cut off, conversations deleted for good."""
        with self._db:
            self._db.execute("DELETE FROM conversations WHERE deleted_at IS NOT NULL")
            self._db.execute(
                "UPDATE messages SET state = 'failed', finish_reason = 'error', "
                "error_title = ?, error_detail = ?, error_hint = ? WHERE state = 'streaming'",
                astuple(INTERRUPTED),
            )

    # ------------------------------------------------------------------ conversations

    def conversations(self) -> list[Conversation]:
        """Newest first, without the deleted ones."""
        rows = self._db.execute(
            "SELECT id, title, updated_at FROM conversations WHERE deleted_at IS NULL "
            "ORDER BY updated_at DESC, id DESC"
        )
        return [Conversation(row["id"], row["title"], row["updated_at"]) for row in rows]

    def add_conversation(self, title: str) -> int:
        now = self._clock()
        cursor = self._db.execute(
            "INSERT INTO conversations (title, created_at, updated_at) VALUES (?, ?, ?)",
            (title, now, now),
        )
        return _row_id(cursor)

    def rename_conversation(self, conversation: int, title: str) -> None:
        self._db.execute("UPDATE conversations SET title = ? WHERE id = ?", (title, conversation))

    def delete_conversation(self, conversation: int) -> None:
        """Until the next start it can be restored."""
        self._db.execute(
            "UPDATE conversations SET deleted_at = ? WHERE id = ?", (self._clock(), conversation)
        )

    def restore_conversation(self, conversation: int) -> None:
        self._db.execute("UPDATE conversations SET deleted_at = NULL WHERE id = ?", (conversation,))

    # ------------------------------------------------------------------ messages

    def messages(self, conversation: int) -> list[StoredMessage]:
        rows = self._db.execute(
            "SELECT * FROM messages WHERE conversation_id = ? ORDER BY id", (conversation,)
        )
        return [_message(row) for row in rows]

    def add_prompt(self, conversation: int, content: str) -> int:
        return self._add(conversation, "user", content, "complete", "")

    def add_reply(self, conversation: int, model: str) -> int:
        """An empty reply that streams."""
        return self._add(conversation, "assistant", "", "streaming", model)

    def _add(self, conversation: int, role: str, content: str, state: State, model: str) -> int:
        now = self._clock()
        with self._db:
            self._db.execute("BEGIN")
            cursor = self._db.execute(
                "INSERT INTO messages (conversation_id, role, content, state, created_at, model) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (conversation, role, content, state, now, model),
            )
            self._db.execute(
                "UPDATE conversations SET updated_at = ? WHERE id = ?", (now, conversation)
            )
        return _row_id(cursor)

    def save_partial(self, message: int, content: str) -> None:
        self._db.execute("UPDATE messages SET content = ? WHERE id = ?", (content, message))

    def finish_reply(
        self,
        message: int,
        content: str,
        finish_reason: str,
        figures: Figures,
        trouble: Trouble,
    ) -> None:
        state: State = "failed" if finish_reason == "error" else "complete"
        self._db.execute(
            "UPDATE messages SET content = ?, state = ?, finish_reason = ?, prompt_tokens = ?, "
            "reused_tokens = ?, new_tokens = ?, first_token_ms = ?, prefill_rate = ?, "
            "decode_rate = ?, error_title = ?, error_detail = ?, error_hint = ? WHERE id = ?",
            (content, state, finish_reason, *astuple(figures), *astuple(trouble), message),
        )

    def delete_message(self, message: int) -> None:
        self._db.execute("DELETE FROM messages WHERE id = ?", (message,))

    # ------------------------------------------------------------------ settings

    def setting(self, name: str, default: str = "") -> str:
        row = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return str(row["value"]) if row else default

    def set_setting(self, name: str, value: str) -> None:
        self._db.execute(
            "INSERT INTO settings (name, value) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )


def open_store(folder: Path) -> tuple[Store, str]:
    """The store in this folder and ""; or one in memory, and why nothing will be saved."""
    try:
        return Store(open_database(folder / FILE)), ""
    except StoreError as error:
        return Store(open_in_memory()), str(error)


def _row_id(cursor: sqlite3.Cursor) -> int:
    row = cursor.lastrowid
    assert row is not None, "an INSERT has a row"  # noqa: S101
    return row


def _message(row: sqlite3.Row) -> StoredMessage:
    return StoredMessage(
        id=row["id"],
        role=row["role"],
        content=row["content"],
        state=row["state"],
        finish_reason=row["finish_reason"],
        figures=Figures(
            row["prompt_tokens"],
            row["reused_tokens"],
            row["new_tokens"],
            row["first_token_ms"],
            row["prefill_rate"],
            row["decode_rate"],
        ),
        trouble=Trouble(row["error_title"], row["error_detail"], row["error_hint"]),
    )
