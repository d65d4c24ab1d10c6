"""Conversations, messages and settings, read and written in small transactions."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

from app.store.database import StoreError, open_database, open_in_memory
from app.store.records import (
    NO_THINKING,
    Conversation,
    Figures,
    State,
    StoredMessage,
    Thinking,
    Trouble,
)

FILE: Final = "hearth.sqlite3"

INTERRUPTED: Final = Trouble(
    "This reply was interrupted", "Hearth ended while it was written.", "Regenerate it."
)


@dataclass(frozen=True)
class Step:
    """A statement, and the values for its question marks."""

    sql: str
    values: tuple[object, ...] = ()


class Store:
    """One connection, used by one thread."""

    def __init__(
        self, connection: sqlite3.Connection, clock: Callable[[], float] = time.time
    ) -> None:
        """Raises StoreError, as every method does when the database cannot be used any more."""
        self._db = connection
        self._clock = clock
        self._settle()

    def _run(self, *steps: Step) -> int:
        """Runs these statements as one transaction; the row that the first one added."""
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                added = [self._db.execute(step.sql, step.values).lastrowid for step in steps]
        except sqlite3.Error as error:
            raise StoreError(
                f"The last change could not be saved: {error}. Free some space on the disk or "
                "check the permissions of Hearth's folder. What is on screen stays until then."
            ) from error
        return added[0] or 0

    def _rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(
                f"Your chats could not be read: {error}. Close Hearth, put a copy of its database "
                "in place or move it elsewhere, and start Hearth again."
            ) from error

    def close(self) -> None:
        self._db.close()

    def _settle(self) -> None:
        """What the last run left half done: replies cut off, conversations deleted for good."""
        self._run(
            Step("DELETE FROM conversations WHERE deleted_at IS NOT NULL"),
            Step(
                "UPDATE messages SET state = 'failed', finish_reason = 'error', "
                "error_title = ?, error_detail = ?, error_hint = ? WHERE state = 'streaming'",
                astuple(INTERRUPTED),
            ),
        )

    # ------------------------------------------------------------------ conversations

    def conversations(self) -> list[Conversation]:
        """Newest first, without the deleted ones."""
        rows = self._rows(
            "SELECT id, title, updated_at FROM conversations WHERE deleted_at IS NULL "
            "ORDER BY updated_at DESC, id DESC"
        )
        return [Conversation(row["id"], row["title"], row["updated_at"]) for row in rows]

    def add_conversation(self, title: str) -> int:
        now = self._clock()
        return self._run(
            Step(
                "INSERT INTO conversations (title, created_at, updated_at) VALUES (?, ?, ?)",
                (title, now, now),
            )
        )

    def rename_conversation(self, conversation: int, title: str) -> None:
        self._run(Step("UPDATE conversations SET title = ? WHERE id = ?", (title, conversation)))

    def delete_conversation(self, conversation: int) -> None:
        """Until the next start it can be restored."""
        self._run(
            Step(
                "UPDATE conversations SET deleted_at = ? WHERE id = ?",
                (self._clock(), conversation),
            )
        )

    def restore_conversation(self, conversation: int) -> None:
        self._run(Step("UPDATE conversations SET deleted_at = NULL WHERE id = ?", (conversation,)))

    # ------------------------------------------------------------------ messages

    def messages(self, conversation: int) -> list[StoredMessage]:
        rows = self._rows(
            "SELECT * FROM messages WHERE conversation_id = ? ORDER BY id", conversation
        )
        return [_message(row) for row in rows]

    def add_prompt(self, conversation: int, content: str) -> int:
        return self._add(conversation, "user", content, "complete", "")

    def add_reply(self, conversation: int, model: str, replaced: Sequence[int] = ()) -> int:
        """An empty reply that streams. What it replaces goes in the same transaction."""
        gone = [Step("DELETE FROM messages WHERE id = ?", (message,)) for message in replaced]
        return self._add(conversation, "assistant", "", "streaming", model, *gone)

    def _add(
        self, conversation: int, role: str, content: str, state: State, model: str, *more: Step
    ) -> int:
        now = self._clock()
        return self._run(
            Step(
                "INSERT INTO messages (conversation_id, role, content, state, created_at, model) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (conversation, role, content, state, now, model),
            ),
            Step("UPDATE conversations SET updated_at = ? WHERE id = ?", (now, conversation)),
            *more,
        )

    def save_partial(self, message: int, content: str, thinking: Thinking = NO_THINKING) -> None:
        self._run(
            Step(
                "UPDATE messages SET content = ?, thinking = ?, thinking_seconds = ? WHERE id = ?",
                (content, *astuple(thinking), message),
            )
        )

    def finish_reply(
        self,
        message: int,
        content: str,
        finish_reason: str,
        figures: Figures,
        trouble: Trouble,
        thinking: Thinking = NO_THINKING,
    ) -> None:
        state: State = "failed" if finish_reason == "error" else "complete"
        self._run(
            Step(
                "UPDATE messages SET content = ?, state = ?, finish_reason = ?, prompt_tokens = ?, "
                "reused_tokens = ?, new_tokens = ?, first_token_ms = ?, prefill_rate = ?, "
                "decode_rate = ?, thinking_tokens = ?, error_title = ?, error_detail = ?, "
                "error_hint = ?, thinking = ?, thinking_seconds = ? WHERE id = ?",
                (
                    content,
                    state,
                    finish_reason,
                    *astuple(figures),
                    *astuple(trouble),
                    *astuple(thinking),
                    message,
                ),
            )
        )

    # ------------------------------------------------------------------ settings

    def setting(self, name: str, default: str = "") -> str:
        rows = self._rows("SELECT value FROM settings WHERE name = ?", name)
        return str(rows[0]["value"]) if rows else default

    def set_setting(self, name: str, value: str) -> None:
        self._run(
            Step(
                "INSERT INTO settings (name, value) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, value),
            )
        )


def open_store(folder: Path) -> tuple[Store, str]:
    """The store in this folder and ""; or one in memory, and why nothing will be saved."""
    connection = None
    try:
        connection = open_database(folder / FILE)
        return Store(connection), ""
    except StoreError as error:
        if connection:
            connection.close()
        return Store(open_in_memory()), str(error)


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
            row["thinking_tokens"],
        ),
        trouble=Trouble(row["error_title"], row["error_detail"], row["error_hint"]),
        thinking=Thinking(row["thinking"], row["thinking_seconds"]),
    )
