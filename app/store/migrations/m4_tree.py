"""Messages form a tree: each knows the one before it, and a conversation its chosen leaf.

A program that does not know this would add messages behind none.
"""

from __future__ import annotations

from typing import Final

from app.store.migrations.step import Step

STEP: Final = Step(
    """
    ALTER TABLE messages ADD COLUMN parent_id INTEGER;
    UPDATE messages SET parent_id = (
        SELECT max(before.id) FROM messages AS before
        WHERE before.conversation_id = messages.conversation_id AND before.id < messages.id
    );
    CREATE INDEX messages_by_parent ON messages (parent_id);
    ALTER TABLE conversations ADD COLUMN leaf_id INTEGER;
    """,
    only_adds=False,
)
