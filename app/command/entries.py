"""What the palette finds: actions, models and chats."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from app import number_format
from app.actions import Actions
from app.chats import Chats
from app.command.palette import Entry
from app.models.loader import ModelLoader
from app.words import translate


def entries(
    table: Actions, loader: ModelLoader, chats: Chats, open_chat: Callable[[int], None]
) -> list[Entry]:
    """Of actions, those that can be done now."""
    return [*_actions(table), *_models(loader), *_chats(chats, open_chat)]


def _actions(table: Actions) -> list[Entry]:
    return [
        Entry(
            translate("Entries", "Do"),
            a.text(),
            a.trigger,
            table.keys(a.objectName()),
            table.icon(a.objectName()),
        )
        for a in table
        if a.isEnabled() and a.objectName() != "palette"
    ]


def _models(loader: ModelLoader) -> list[Entry]:
    return [
        Entry(
            translate("Entries", "Models here"),
            known.name,
            partial(loader.load, known.id),
            number_format.disk(known.size_bytes),
            "model",
        )
        for known in loader.models
        if not known.problem
    ]


def _chats(chats: Chats, open_chat: Callable[[int], None]) -> list[Entry]:
    return [
        Entry(translate("Entries", "Chats"), known.title, partial(open_chat, known.id), "", "chat")
        for known in chats.known
    ]
