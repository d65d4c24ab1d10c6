"""How a database of any older version becomes one of this version: one script a version."""

from __future__ import annotations

from typing import Final

MIGRATIONS: Final[tuple[str, ...]] = (
    # 1: conversations and their messages.
    """
    CREATE TABLE conversations (
        id INTEGER PRIMARY KEY,
        title TEXT NOT NULL,
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL,
        deleted_at REAL
    );
    CREATE INDEX conversations_by_time ON conversations (updated_at);
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY,
        conversation_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        role TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant')),
        content TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('complete', 'streaming', 'failed')),
        created_at REAL NOT NULL,
        finish_reason TEXT NOT NULL DEFAULT '',
        model TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX messages_by_conversation ON messages (conversation_id, id);
    """,
    # 2: settings; figures of a reply, and what went wrong with it.
    """
    CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    ALTER TABLE messages ADD COLUMN prompt_tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE messages ADD COLUMN reused_tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE messages ADD COLUMN new_tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE messages ADD COLUMN first_token_ms REAL NOT NULL DEFAULT 0;
    ALTER TABLE messages ADD COLUMN prefill_rate REAL NOT NULL DEFAULT 0;
    ALTER TABLE messages ADD COLUMN decode_rate REAL NOT NULL DEFAULT 0;
    ALTER TABLE messages ADD COLUMN error_title TEXT NOT NULL DEFAULT '';
    ALTER TABLE messages ADD COLUMN error_detail TEXT NOT NULL DEFAULT '';
    ALTER TABLE messages ADD COLUMN error_hint TEXT NOT NULL DEFAULT '';
    """,
    # 3: what a model thought before its answer.
    """
    ALTER TABLE messages ADD COLUMN thinking TEXT NOT NULL DEFAULT '';
    ALTER TABLE messages ADD COLUMN thinking_seconds REAL NOT NULL DEFAULT 0;
    ALTER TABLE messages ADD COLUMN thinking_tokens INTEGER NOT NULL DEFAULT 0;
    """,
)

VERSION: Final = len(MIGRATIONS)
