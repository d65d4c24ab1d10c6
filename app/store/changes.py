"""Changes that can wait: each is written when the database takes it, and read as if it were there.

A change sets the final values of one row, so a later one of the same `key` replaces it, and writing
one twice does no harm.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from typing import ClassVar, Final

from app.store.errors import GoneError
from app.store.records import (
    NO_TITLE,
    Attachments,
    Conversation,
    StoredMessage,
    Trouble,
    files_setting,
    storable,
    title_of,
)
from app.words import now, translate

INTERRUPTED: Final = Trouble(
    "This reply was interrupted", "Hearth ended while it was written.", "Regenerate it."
)


WORDS_LEFT: Final = "words_left"
"""The setting that says that the index still holds words of what was deleted for good."""

MERGED_PAGES: Final = 16
"""Pages of the index that are merged at once, which takes 5 ms."""


@dataclass(frozen=True)
class Moved:
    """Ids that changed because rows were copied into a database that had given them away."""

    conversations: Mapping[int, int]
    messages: Mapping[int, int]

    def __bool__(self) -> bool:
        return bool(self.conversations or self.messages)


@dataclass(frozen=True)
class Origin:
    """What a message's row has besides the message, and by which it is told from another row that
    was given the same id later."""

    conversation: int
    model: str
    created_at: float
    parent: int | None = None

    def moved(self, moved: Moved) -> Origin:
        there = moved.conversations.get(self.conversation, self.conversation)
        parent = None if self.parent is None else moved.messages.get(self.parent, self.parent)
        return replace(self, conversation=there, parent=parent)


def execute(
    connection: sqlite3.Connection, sql: str, values: Iterable[object] = ()
) -> sqlite3.Cursor:
    """Runs a statement with values made storable."""
    return connection.execute(sql, tuple(storable(value) for value in values))


class Change:
    """Changes nothing; the base of those that do."""

    words: ClassVar[str] = ""
    """What is lost if it is never written; empty if nobody would miss it."""

    @property
    def key(self) -> tuple[object, ...]:
        return (type(self),)

    def write(self, connection: sqlite3.Connection) -> None:
        """Raises sqlite3.Error, and GoneError if its row is not there any more."""

    def in_conversations(self, listed: list[Conversation]) -> list[Conversation]:
        return listed

    def in_messages(
        self,
        conversation: int,  # noqa: ARG002
        listed: list[StoredMessage],
    ) -> list[StoredMessage]:
        return listed

    def moved(self, moved: Moved) -> Change:  # noqa: ARG002
        """The same change after ids have changed."""
        return self


@dataclass(frozen=True)
class Probe(Change):
    """A row written only to see whether the database can be written."""

    at: float

    def write(self, connection: sqlite3.Connection) -> None:
        SettingChange("written_at", str(self.at)).write(connection)


@dataclass(frozen=True)
class SettingChange(Change):
    name: str
    value: str

    @property
    def key(self) -> tuple[object, ...]:
        return (type(self), self.name)

    def write(self, connection: sqlite3.Connection) -> None:
        execute(
            connection,
            "INSERT INTO settings (name, value) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (self.name, self.value),
        )


@dataclass(frozen=True)
class ConversationChange(Change):
    """Sets one column of a conversation; the base of those that do."""

    conversation: int
    value: object
    column: ClassVar[str]
    field: ClassVar[str]
    """Of a `Conversation`."""

    @property
    def key(self) -> tuple[object, ...]:
        return (type(self), self.conversation)

    def write(self, connection: sqlite3.Connection) -> None:
        done = execute(
            connection,
            f"UPDATE conversations SET {self.column} = ? WHERE id = ?",  # noqa: S608
            (self.value, self.conversation),
        )
        if not done.rowcount:
            raise GoneError

    def in_conversations(self, listed: list[Conversation]) -> list[Conversation]:
        own = {self.field: self.value}
        return [
            replace(known, **own) if known.id == self.conversation else known  # type: ignore[arg-type]
            for known in listed
        ]

    def moved(self, moved: Moved) -> ConversationChange:
        there = moved.conversations.get(self.conversation, self.conversation)
        return replace(self, conversation=there)


@dataclass(frozen=True)
class TitleChange(ConversationChange):
    column = "title"
    field = "title"
    words = translate("StoreChanges", "the new name of a chat")


@dataclass(frozen=True)
class LeafChange(ConversationChange):
    """Which branch is shown: the message that was chosen."""

    column = "leaf_id"
    field = "leaf"

    def moved(self, moved: Moved) -> LeafChange:
        there = moved.conversations.get(self.conversation, self.conversation)
        leaf = moved.messages.get(self.value, self.value) if isinstance(self.value, int) else None
        return LeafChange(there, leaf)


@dataclass(frozen=True)
class PinChange(ConversationChange):
    column = "pinned"
    field = "pinned"
    words = translate("StoreChanges", "a pinned chat")


@dataclass(frozen=True)
class FolderChange(ConversationChange):
    column = "folder"
    field = "folder"
    words = translate("StoreChanges", "the folder of a chat")


@dataclass(frozen=True)
class ChatSettingsChange(ConversationChange):
    column = "settings"
    field = "settings"
    words = translate("StoreChanges", "the settings of a chat")


@dataclass(frozen=True)
class WaitingRemoval(Change):
    """A prompt no longer waits."""

    created_at: float

    @property
    def key(self) -> tuple[object, ...]:
        return (type(self), self.created_at)

    def write(self, connection: sqlite3.Connection) -> None:
        execute(connection, "DELETE FROM waiting WHERE created_at = ?", (self.created_at,))


@dataclass(frozen=True)
class Deletion(Change):
    """Hides a conversation until it is restored, or purged at a later start."""

    conversation: int
    at: float
    words: ClassVar[str] = translate("StoreChanges", "the deletion of a chat")

    @property
    def key(self) -> tuple[object, ...]:
        return (Deletion, self.conversation)

    def write(self, connection: sqlite3.Connection) -> None:
        execute(
            connection,
            "UPDATE conversations SET deleted_at = ? WHERE id = ?",
            (self.at, self.conversation),
        )

    def in_conversations(self, listed: list[Conversation]) -> list[Conversation]:
        return [known for known in listed if known.id != self.conversation]

    def moved(self, moved: Moved) -> Deletion:
        there = moved.conversations.get(self.conversation, self.conversation)
        return replace(self, conversation=there)


@dataclass(frozen=True)
class Restoration(Change):
    conversation: int
    words: ClassVar[str] = translate("StoreChanges", "a restored chat")

    @property
    def key(self) -> tuple[object, ...]:
        return (Deletion, self.conversation)  # either replaces the other

    def write(self, connection: sqlite3.Connection) -> None:
        done = execute(
            connection,
            "UPDATE conversations SET deleted_at = NULL WHERE id = ?",
            (self.conversation,),
        )
        if not done.rowcount:
            raise GoneError

    def moved(self, moved: Moved) -> Restoration:
        there = moved.conversations.get(self.conversation, self.conversation)
        return replace(self, conversation=there)


@dataclass(frozen=True)
class Purge(Change):
    """Deletes for good a conversation that was hidden, and has the index forget its words."""

    conversation: int

    @property
    def key(self) -> tuple[object, ...]:
        return (type(self), self.conversation)

    def write(self, connection: sqlite3.Connection) -> None:
        execute(
            connection,
            "DELETE FROM conversations WHERE id = ? AND deleted_at IS NOT NULL",
            (self.conversation,),
        )
        execute(
            connection,
            "DELETE FROM settings WHERE name = ?",
            (files_setting(self.conversation),),
        )
        _merge(connection, -MERGED_PAGES)
        SettingChange(WORDS_LEFT, "1").write(connection)


@dataclass(frozen=True)
class WordsForgotten(Change):
    """Merges a part of the index of words: what a deletion left there goes when all is merged."""

    def write(self, connection: sqlite3.Connection) -> None:
        before = connection.total_changes
        _merge(connection, MERGED_PAGES)
        if connection.total_changes - before < 2:  # as SQLite says that there is no more to do
            SettingChange(WORDS_LEFT, "").write(connection)


def _merge(connection: sqlite3.Connection, pages: int) -> None:
    """`pages`: of the index, of 4 KB; negative to begin anew, with all of it."""
    query = "INSERT INTO said_words (said_words, rank) VALUES ('merge', ?)"
    connection.execute(query, (pages,))


@dataclass(frozen=True)
class Interruption(Change):
    """The end of a reply whose window ended before it."""

    message: int

    @property
    def key(self) -> tuple[object, ...]:
        return (type(self), self.message)

    def write(self, connection: sqlite3.Connection) -> None:
        execute(
            connection,
            "UPDATE messages SET state = 'failed', finish_reason = 'error', "
            "error_title = ?, error_detail = ?, error_hint = ? "
            "WHERE id = ? AND state = 'streaming'",
            (*astuple(INTERRUPTED), self.message),
        )

    def in_messages(
        self,
        conversation: int,  # noqa: ARG002
        listed: list[StoredMessage],
    ) -> list[StoredMessage]:
        return [
            replace(message, state="failed", finish_reason="error", trouble=INTERRUPTED)
            if message.id == self.message
            else message
            for message in listed
        ]


@dataclass(frozen=True)
class ReplyChange(Change):
    """A reply as it is now, streaming or finished."""

    message: StoredMessage
    origin: Origin
    words: ClassVar[str] = translate("StoreChanges", "a reply")

    @property
    def key(self) -> tuple[object, ...]:
        return (type(self), self.message.id)

    def write(self, connection: sqlite3.Connection) -> None:
        """A row that is gone is added again, and so is its conversation."""
        if not update_message(connection, self.message, self.origin):
            add_missing_conversation(connection, self.message, self.origin)
            add_message(connection, self.message, self.origin)

    def in_messages(self, conversation: int, listed: list[StoredMessage]) -> list[StoredMessage]:
        if conversation != self.origin.conversation:
            return listed
        others = [message for message in listed if message.id != self.message.id]
        return sorted((*others, self.message), key=lambda message: message.id)

    def moved(self, moved: Moved) -> ReplyChange:
        there = moved.messages.get(self.message.id, self.message.id)
        origin = self.origin.moved(moved)
        return ReplyChange(replace(self.message, id=there, parent=origin.parent), origin)


# ---------------------------------------------------------------------------- rows of messages

COLUMNS: Final = (
    "role", "content", "state", "finish_reason", "prompt_tokens", "reused_tokens", "new_tokens",
    "first_token_ms", "prefill_rate", "decode_rate", "thinking_tokens", "settings", "kernel",
    "error_title", "error_detail", "error_hint", "thinking", "thinking_seconds",
)  # fmt: skip
_UPDATE: Final = (
    f"UPDATE messages SET {', '.join(f'{name} = ?' for name in COLUMNS)} "  # noqa: S608
    "WHERE id = ? AND conversation_id = ? AND created_at = ?"
)
_INSERT: Final = (
    "INSERT INTO messages "  # noqa: S608
    f"(id, conversation_id, model, created_at, parent_id, {', '.join(COLUMNS)}) "
    f"VALUES (?, ?, ?, ?, ?, {', '.join('?' for _ in COLUMNS)})"
)


def _values(message: StoredMessage) -> tuple[object, ...]:
    return (
        message.role,
        message.content,
        message.state,
        message.finish_reason,
        *vars(message.figures).values(),
        *vars(message.trouble).values(),
        *vars(message.thinking).values(),
    )


def add_attachments(connection: sqlite3.Connection, message: int, attachments: Attachments) -> None:
    query = "INSERT INTO attachments (message_id, name, content) VALUES (?, ?, ?)"
    for attached in attachments:
        execute(connection, query, (message, attached.name, attached.content))


def update_message(connection: sqlite3.Connection, message: StoredMessage, origin: Origin) -> bool:
    """Whether the message's own row was there to be updated."""
    values = (*_values(message), message.id, origin.conversation, origin.created_at)
    return bool(execute(connection, _UPDATE, values).rowcount)


def add_message(connection: sqlite3.Connection, message: StoredMessage, origin: Origin) -> int:
    """The id of its row: the message's own, unless it is 0 or another row has it."""
    taken = connection.execute("SELECT 1 FROM messages WHERE id = ?", (message.id,)).fetchone()
    own = None if taken or not message.id else message.id
    values = (own, *vars(origin).values(), *_values(message))
    return execute(connection, _INSERT, values).lastrowid or 0


def add_missing_conversation(
    connection: sqlite3.Connection, message: StoredMessage, origin: Origin
) -> None:
    """Adds the message's conversation if it is gone, named after the message."""
    named = title_of(message.content) if message.content.strip() else now(NO_TITLE)
    execute(
        connection,
        "INSERT OR IGNORE INTO conversations (id, title, created_at, updated_at) "
        "VALUES (?, ?, ?, ?)",
        (origin.conversation, named, origin.created_at, origin.created_at),
    )
