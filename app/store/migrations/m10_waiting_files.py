"""Text files that belong to a prompt that waits."""

from __future__ import annotations

from typing import Final

from app.store.migrations.step import Step

STEP: Final = Step(
    """
    ALTER TABLE waiting ADD COLUMN attachments TEXT NOT NULL DEFAULT '';
    """,
    only_adds=True,
)
