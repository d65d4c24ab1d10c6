"""Prompts that wait to be sent: for the model, or for the end of another reply."""

from __future__ import annotations

from typing import Final

from app.store.migrations.step import Step

STEP: Final = Step(
    """
    CREATE TABLE waiting (
        id INTEGER PRIMARY KEY,
        conversation_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        content TEXT NOT NULL,
        created_at REAL NOT NULL
    );
    CREATE INDEX waiting_by_conversation ON waiting (conversation_id);
    """,
    only_adds=True,
)
