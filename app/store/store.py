"""Conversations, messages and settings, read and written in small transactions."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from app.store import chat_settings
from app.store.changes import (
    WORDS_LEFT,
    ChatSettingsChange,
    Deletion,
    FolderChange,
    Interruption,
    LeafChange,
    Moved,
    Origin,
    PinChange,
    Purge,
    ReplyChange,
    Restoration,
    SettingChange,
    TitleChange,
    WaitingRemoval,
    WordsForgotten,
    add_attachments,
    add_message,
    execute,
)
from app.store.chat import Chat
from app.store.chat_settings import ChatSettings
from app.store.errors import GoneError, StoreError
from app.store.home import Home
from app.store.records import (
    NO_THINKING,
    Attachment,
    Attachments,
    Conversation,
    Figures,
    State,
    StoredMessage,
    Thinking,
    Trouble,
    Waiting,
    attachments_written,
    conversation_of,
    message_of,
    moment,
    row_number,
    text,
    waiting_of,
    whole_characters,
)
from app.store.saving import Saving
from app.store.tree import Tree

FILE: Final = "hearth.sqlite3"

KEPT_S: Final = 30 * 24 * 3600.0
"""How long a deleted conversation can be restored."""

_CONVERSATION: Final = "id, title, updated_at, leaf_id, pinned, folder, settings"
_LISTED: Final = "id, title, updated_at, leaf_id, pinned, folder, '' AS settings"
"""Without what is only read for the chat on screen: settings have its draft, which may be long."""

T = TypeVar("T")


class Store(Saving):
    """Conversations, messages and settings."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        clock: Callable[[], float] = time.time,
        home: Home | None = None,
        instead: StoreError | None = None,
    ) -> None:
        self._origins: dict[int, Origin] = {}
        self._waiting: set[float] = set()
        """When this window's waiting prompts were written."""
        super().__init__(connection, clock, home, instead)

    def _settle(self) -> None:
        """What earlier runs left half done: replies cut off, conversations long in the trash."""
        for (message,) in self._rows("SELECT id FROM messages WHERE state = 'streaming'"):
            if message not in self._origins:
                self._change(Interruption(message))
        old = self._clock() - KEPT_S
        for (gone,) in self._rows("SELECT id FROM conversations WHERE deleted_at < ?", old):
            self._change(Purge(gone))
        self._waiting = {moment(row[0]) for row in self._rows("SELECT created_at FROM waiting")}

    def _follow(self, moved: Moved) -> None:
        self._origins = {
            moved.messages.get(message, message): origin.moved(moved)
            for message, origin in self._origins.items()
        }

    # ------------------------------------------------------------------ conversations

    def conversations(self) -> list[Conversation]:
        """Newest first, without the deleted ones. Raises StoreError."""
        rows = self._rows(
            f"SELECT {_LISTED} FROM conversations "  # noqa: S608
            "WHERE deleted_at IS NULL ORDER BY updated_at DESC, id DESC"
        )
        listed = [conversation_of(row) for row in rows]
        for change in self._journal.values():
            listed = change.in_conversations(listed)
        return listed

    def add_conversation(self, title: str) -> int:
        """Raises StoreError."""
        now = self._clock()
        return self._add(
            lambda: _id(
                execute(
                    self._db,
                    "INSERT INTO conversations (title, created_at, updated_at) VALUES (?, ?, ?)",
                    (title, now, now),
                )
            )
        )

    def rename_conversation(self, conversation: int, title: str) -> None:
        """Raises GoneError."""
        self._change(TitleChange(conversation, title))

    def pin_conversation(self, conversation: int, *, pinned: bool) -> None:
        """Raises GoneError."""
        self._change(PinChange(conversation, int(pinned)))

    def move_conversation(self, conversation: int, folder: str) -> None:
        """Into the folder of this name; empty for none. Raises GoneError."""
        self._change(FolderChange(conversation, folder))

    def chat_settings(self, conversation: int) -> ChatSettings:
        """What is set for this conversation alone. Raises StoreError."""
        rows = self._rows(
            f"SELECT {_CONVERSATION} FROM conversations WHERE id = ?",  # noqa: S608
            conversation,
        )
        found = [conversation_of(row) for row in rows]
        for change in self._journal.values():
            found = change.in_conversations(found)
        stored = next((known.settings for known in found if known.id == conversation), "")
        return chat_settings.read(stored)

    def change_chat_settings(self, conversation: int, **changes: Any) -> None:
        """Sets these fields of ChatSettings for this conversation alone. Raises StoreError."""
        changed = msgspec.structs.replace(self.chat_settings(conversation), **changes)
        self._change(ChatSettingsChange(conversation, chat_settings.written(changed)))

    def delete_conversation(self, conversation: int) -> None:
        """It goes into the trash, from which a start removes it after KEPT_S."""
        self._change(Deletion(conversation, self._clock()))

    def trash(self) -> list[Conversation]:
        """The deleted ones, the last one first. Raises StoreError."""
        rows = self._rows(
            f"SELECT {_LISTED} FROM conversations WHERE deleted_at IS NOT NULL "  # noqa: S608
            "ORDER BY deleted_at DESC, id DESC"
        )
        return [conversation_of(row) for row in rows]

    def purge_conversation(self, conversation: int) -> None:
        """Deletes for good one that is in the trash."""
        self._change(Purge(conversation))

    def forget_words(self) -> bool:
        """Takes a part of what was deleted for good out of the index of words; whether there is
        more to do."""
        if not self.setting(WORDS_LEFT):
            return False
        self._change(WordsForgotten())
        return True

    def restore_conversation(self, conversation: int) -> None:
        """Raises GoneError."""
        self._change(Restoration(conversation))

    # ------------------------------------------------------------------ messages

    def messages(self, conversation: int) -> list[StoredMessage]:
        """All of them, of every branch, in the order of their ids. Raises StoreError."""
        rows = self._rows(
            "SELECT * FROM messages WHERE conversation_id = ? ORDER BY id", conversation
        )
        attached = self._attachments(conversation)
        listed = [message_of(row) for row in rows]
        if attached:
            listed = [
                replace(known, attachments=tuple(attached[known.id]))
                if known.id in attached
                else known
                for known in listed
            ]
        for change in self._journal.values():
            listed = change.in_messages(conversation, listed)
        return listed

    def _attachments(self, conversation: int) -> dict[int, list[Attachment]]:
        """By message. Raises StoreError."""
        rows = self._rows(
            "SELECT message_id, name, attachments.content FROM attachments JOIN messages "
            "ON messages.id = message_id WHERE conversation_id = ? ORDER BY attachments.id",
            conversation,
        )
        found: dict[int, list[Attachment]] = {}
        for message, name, content in rows:
            found.setdefault(message, []).append(Attachment(text(name), text(content)))
        return found

    def tree(self, conversation: int) -> Tree:
        """The messages and the branch that is shown. Raises StoreError."""
        leaf = self._waiting_leaf(conversation)
        if leaf is None:
            rows = self._rows("SELECT leaf_id FROM conversations WHERE id = ?", conversation)
            leaf = row_number(rows[0]["leaf_id"]) if rows else None
        return Tree(self.messages(conversation), leaf)

    def choose(self, conversation: int, message: int) -> None:
        """Shows the branch that leads to this message and goes on from it. Raises GoneError."""
        self._change(LeafChange(conversation, message))

    def _waiting_leaf(self, conversation: int) -> int | None:
        waits = self._journal.get(LeafChange(conversation, None).key)
        return row_number(waits.value) if isinstance(waits, LeafChange) else None

    def add_prompt(
        self,
        conversation: int,
        content: str,
        replaced: Sequence[int] = (),
        attachments: Attachments = (),
    ) -> int:
        """A prompt at the end of the branch that is shown, or beside the first of `replaced`, as
        another version of it: nothing is deleted. Raises StoreError."""

        def add() -> int:
            added = self._insert(conversation, "user", content, "complete", "", replaced)
            add_attachments(self._db, added, attachments)
            return added

        return self._add(add)

    def add_reply(self, conversation: int, model: str, replaced: Sequence[int] = ()) -> int:
        """An empty reply that streams, where `add_prompt` puts a prompt. Raises StoreError."""
        return self._add(
            lambda: self._insert(conversation, "assistant", "", "streaming", model, replaced)
        )

    def _insert(
        self,
        conversation: int,
        role: str,
        content: str,
        state: State,
        model: str,
        replaced: Sequence[int],
    ) -> int:
        """Adds a message and chooses its branch.

        Whoever writes into a conversation that another window has deleted wants it back.
        """
        now = self._clock()
        parent = self._parent_of(replaced[0]) if replaced else self._end_of(conversation)
        there = execute(
            self._db,
            "UPDATE conversations SET updated_at = ?, deleted_at = NULL WHERE id = ?",
            (now, conversation),
        )
        if not there.rowcount:
            raise GoneError
        added = _id(
            execute(
                self._db,
                "INSERT INTO messages "
                "(conversation_id, role, content, state, created_at, model, parent_id) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (conversation, role, content, state, now, model, parent),
            )
        )
        LeafChange(conversation, added).write(self._db)
        self._journal.pop(LeafChange(conversation, None).key, None)
        if state == "streaming":
            self._origins[added] = Origin(conversation, model, now, parent)
        return added

    def _parent_of(self, message: int) -> int | None:
        """Raises sqlite3.Error, and GoneError if the message is not there."""
        query = "SELECT parent_id FROM messages WHERE id = ?"
        row = self._db.execute(query, (message,)).fetchone()
        if row is None:
            raise GoneError
        return row_number(row[0])

    def _end_of(self, conversation: int) -> int | None:
        """The last message of the branch that is shown, as `Tree` finds it. Raises
        sqlite3.Error."""
        chosen, newest = self._db.execute(
            "SELECT (SELECT messages.id FROM messages WHERE messages.id = leaf_id "
            "AND conversation_id = conversations.id), "
            "(SELECT max(id) FROM messages WHERE conversation_id = conversations.id) "
            "FROM conversations WHERE id = ?",
            (conversation,),
        ).fetchone() or (None, None)
        waits = self._waiting_leaf(conversation)
        end: int | None = newest if (waits or chosen) is None else (waits or chosen)
        seen: set[int | None] = {None}
        below = end
        while below not in seen:
            end = below
            seen.add(below)
            (below,) = self._db.execute(
                "SELECT max(id) FROM messages WHERE parent_id = ? AND conversation_id = ?",
                (end, conversation),
            ).fetchone()
        return end

    def _origin(self, message: int) -> Origin:
        """Raises GoneError if the message is in no conversation."""
        if message not in self._origins:
            rows = self._rows(
                "SELECT conversation_id, model, created_at, parent_id FROM messages WHERE id = ?",
                message,
            )
            if not rows:
                raise GoneError
            self._origins[message] = Origin(*rows[0])
        return self._origins[message]

    def save_partial(self, message: int, content: str, thinking: Thinking = NO_THINKING) -> None:
        """Keeps a reply that streams as it is so far."""
        origin = self._origin(message)
        partial = StoredMessage(message, "assistant", content, "streaming", thinking=thinking)
        self._change(ReplyChange(_placed(partial, origin), origin))

    def finish_reply(
        self,
        message: int,
        content: str,
        finish_reason: str,
        figures: Figures,
        trouble: Trouble,
        thinking: Thinking = NO_THINKING,
    ) -> StoredMessage:
        """Keeps a reply as it will stay, which is returned. If its row is gone, it is added
        again."""
        state: State = "failed" if finish_reason == "error" else "complete"
        whole = StoredMessage(
            message, "assistant", content, state, finish_reason, figures, trouble, thinking
        )
        origin = self._origin(message)
        placed = _placed(whole, origin)
        self._change(ReplyChange(placed, origin))
        return placed

    def add_chat(self, chat: Chat) -> int:
        """A conversation that comes from a file, whole or not at all. Raises StoreError."""
        return self._add(lambda: self._insert_chat(chat))

    def _insert_chat(self, chat: Chat) -> int:
        now = self._clock()
        created, updated = chat.created_at or now, chat.updated_at or now
        query = "INSERT INTO conversations (title, created_at, updated_at) VALUES (?, ?, ?)"
        conversation = _id(execute(self._db, query, (chat.title, created, updated)))
        ids: dict[str, int] = {}
        for known in chat.messages:
            message = StoredMessage(0, known.role, known.content, thinking=Thinking(known.thinking))
            parent = None if known.parent is None else ids.get(known.parent)
            origin = Origin(conversation, known.model, known.created_at or created, parent)
            ids[known.id] = added = add_message(self._db, message, origin)
            add_attachments(self._db, added, known.attachments)
        if chat.chosen in ids:
            LeafChange(conversation, ids[chat.chosen]).write(self._db)
        return conversation

    # ------------------------------------------------------------------ what waits to be sent

    def waiting(self) -> list[Waiting]:
        """This window's prompts that wait, oldest first, but for those of deleted conversations.
        Those of an earlier run are the window's that was alone at its start. Raises StoreError."""
        rows = self._rows(
            "SELECT conversation_id, content, waiting.created_at, attachments "
            "FROM waiting JOIN conversations ON conversations.id = conversation_id "
            "WHERE deleted_at IS NULL ORDER BY waiting.id"
        )
        return [known for row in rows if (known := waiting_of(row)).created_at in self._waiting]

    def add_waiting(
        self, conversation: int, content: str, attachments: Attachments = ()
    ) -> Waiting:
        """A prompt that is to be sent at the end of this conversation. Raises StoreError."""
        waiting = Waiting(conversation, whole_characters(content), self._clock(), attachments)
        query = (
            "INSERT INTO waiting (conversation_id, content, created_at, attachments) "
            "VALUES (?, ?, ?, ?)"
        )
        values = (conversation, waiting.content, waiting.created_at)
        self._add(lambda: execute(self._db, query, (*values, attachments_written(attachments))))
        self._waiting.add(waiting.created_at)
        return waiting

    def add_prompt_that_waited(self, waiting: Waiting) -> int:
        """It waits no more, and is the last message of its conversation. Raises StoreError."""

        def add() -> int:
            added = self._insert(waiting.conversation, "user", waiting.content, "complete", "", ())
            add_attachments(self._db, added, waiting.attachments)
            WaitingRemoval(waiting.created_at).write(self._db)
            return added

        return self._add(add)

    def remove_waiting(self, waiting: Waiting) -> None:
        """It was sent, or taken back."""
        self._waiting.discard(waiting.created_at)
        self._change(WaitingRemoval(waiting.created_at))

    # ------------------------------------------------------------------ settings

    def setting(self, name: str, default: str = "") -> str:
        """The default too if settings cannot be read, which `trouble` or `news` says."""
        waits = self._journal.get(SettingChange(name, "").key)
        if isinstance(waits, SettingChange):
            return waits.value
        try:
            rows = self._rows("SELECT value FROM settings WHERE name = ?", name)
        except StoreError:
            return default
        return text(rows[0]["value"]) if rows else default

    def set_setting(self, name: str, value: str) -> None:
        self._change(SettingChange(name, value))


def open_store(folder: Path) -> tuple[Store, str]:
    """The store of this folder; and what is wrong with it, as sentences, or "".

    What cannot be written is copied into memory as far as it can be read, and used from there.
    """
    home = Home(folder / FILE)
    try:
        connection, instead = home.open(), None
    except StoreError as error:
        connection, instead = home.readable(), error
    store = Store(connection, home=home, instead=instead)
    if instead and instead.damaged:
        store.retry()  # which puts a new file in its place
    problem = store.trouble or store.news
    return store, str(problem or "")


def _placed(message: StoredMessage, origin: Origin) -> StoredMessage:
    return replace(message, parent=origin.parent, model=origin.model, created_at=origin.created_at)


def _id(added: sqlite3.Cursor) -> int:
    return added.lastrowid or 0
