"""Which attention kernel a reply ran with."""

from __future__ import annotations

from typing import Final

from app.store.migrations.step import Step

STEP: Final = Step(
    """
    ALTER TABLE messages ADD COLUMN kernel TEXT NOT NULL DEFAULT '';
    """,
    only_adds=True,
)
