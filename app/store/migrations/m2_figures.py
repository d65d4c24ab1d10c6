"""Settings; figures of a reply, and what went wrong with it."""

from __future__ import annotations

from typing import Final

from app.store.migrations.step import Step

STEP: Final = Step(
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
    only_adds=True,
)
