"""What the model sees of a conversation: all of it, or what stands from some message on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, Signal

from app.attached import for_model
from app.settings.values import Settings
from app.store.records import StoredMessage
from app.store.store import Store
from engine import protocol


class Seen(QObject):
    """`changed(conversation)`: the model sees other messages of it than before."""

    changed = Signal(object)

    def __init__(self, store: Store, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self.settings_of: Callable[[int | None], Settings] = lambda _: Settings()
        """What is set for a conversation; None is the one that has no prompt yet."""

    def begin(self, conversation: int | None) -> int | None:
        """The message from which on the model sees it; None for all. Raises StoreError."""
        if conversation is None:
            return None
        return self._store.chat_settings(conversation).seen_from

    def messages(
        self, conversation: int, path: Sequence[StoredMessage]
    ) -> tuple[protocol.Message, ...]:
        """Of the branch `path`, those that the model sees. Raises StoreError."""
        said = [
            protocol.Message(
                role=message.role, content=for_model(message.content, message.attachments)
            )
            for message in seen_messages(path, self.begin(conversation))
        ]
        prompt = self.settings_of(conversation).system_prompt
        if prompt.strip() and not any(message.role == "system" for message in said):
            said.insert(0, protocol.Message(role="system", content=prompt))
        return tuple(said)

    def leave_out(self, conversation: int, count: int) -> None:
        """The model no longer sees the oldest `count` messages of what it sees. Raises StoreError.

        The system prompt stays, and the last message.
        """
        path = self._store.tree(conversation).path
        seen = seen_messages(path, self.begin(conversation))
        turns = [message for message in seen if message.role != "system"]
        if turns:
            self._set(conversation, turns[min(count, len(turns) - 1)].id)

    def see_all(self, conversation: int) -> None:
        """Raises StoreError."""
        self._set(conversation, None)

    def _set(self, conversation: int, message: int | None) -> None:
        self._store.change_chat_settings(conversation, seen_from=message)
        self.changed.emit(conversation)


def seen_messages(path: Sequence[StoredMessage], begin: int | None) -> list[StoredMessage]:
    """What was said from the message `begin` on, and the system prompt before it."""
    ids = [message.id for message in path]
    first = ids.index(begin) if begin in ids else 0
    return [
        message
        for index, message in enumerate(path)
        if _was_said(message) and (index >= first or message.role == "system")
    ]


def _was_said(message: StoredMessage) -> bool:
    """Whether it is a turn of the conversation. A reply that was stopped while the model thought is
    an empty one: without it two prompts would follow each other, which some templates refuse."""
    return bool(message.content or message.thinking.text or message.attachments)
