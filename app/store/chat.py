"""A chat on its way into or out of a file."""

from __future__ import annotations

from typing import Literal

import msgspec

from app.store.records import Attachments


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    """Within its chat."""
    role: Literal["system", "user", "assistant"]
    content: str
    parent: str | None = None
    created_at: float = 0.0
    """Seconds since the epoch; 0 if it is not known."""
    model: str = ""
    thinking: str = ""
    attachments: Attachments = ()
    """Text files of a prompt."""


class Chat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    title: str
    messages: tuple[Message, ...]
    """A parent stands before its children."""
    created_at: float = 0.0
    updated_at: float = 0.0
    chosen: str | None = None
    """The id of the message in whose branch one was last."""


class File(msgspec.Struct, frozen=True, kw_only=True):
    hearth: int
    """Version of this form."""
    chats: tuple[Chat, ...]


VERSION = 1
