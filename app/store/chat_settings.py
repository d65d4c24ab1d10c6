"""What is set for one conversation alone, as its column of the database holds it."""

from __future__ import annotations

from typing import Any

import msgspec


class ChatSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """Fields that another version wrote are kept by that version's program alone."""

    seen_from: int | None = None
    """The message from which on the model sees the conversation; None for all of it."""
    draft: str = ""
    """What is written and not sent."""
    preset: str = ""
    """The name of the preset that it uses; empty for none."""
    own: dict[str, Any] = msgspec.field(default_factory=dict)
    """What is set for it anew, by the names of settings."""


def read(stored: str) -> ChatSettings:
    """The defaults for what cannot be read: a row may hold anything."""
    try:
        return msgspec.json.decode(stored or "{}", type=ChatSettings)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ChatSettings()


def written(settings: ChatSettings) -> str:
    return msgspec.json.encode(settings).decode()
