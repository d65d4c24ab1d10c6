"""What the list of chats shows besides names and dates, and what is set for one chat alone."""

from __future__ import annotations

from typing import Final

from app.store.migrations.step import Step

STEP: Final = Step(
    """
    ALTER TABLE conversations ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE conversations ADD COLUMN folder TEXT NOT NULL DEFAULT '';
    ALTER TABLE conversations ADD COLUMN settings TEXT NOT NULL DEFAULT '';
    """,
    only_adds=True,
)
