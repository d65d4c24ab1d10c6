"""Text files that belong to a prompt."""

from __future__ import annotations

from typing import Final

from app.store.migrations.step import Step

STEP: Final = Step(
    """
    CREATE TABLE attachments (
        id INTEGER PRIMARY KEY,
        message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        content TEXT NOT NULL
    );
    CREATE INDEX attachments_by_message ON attachments (message_id);
    """,
    only_adds=True,
)
