"""Chats written as Markdown, for people, and as JSON, whole, for programs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import msgspec

from app.attached import fenced
from app.store.chat import VERSION, Chat, File, Message
from app.store.records import (
    Attachment,
    Conversation,
    StoredMessage,
    conversation_of,
    message_of,
    text,
)
from app.store.tree import Tree
from app.words import now, translate

NAMES = {
    "user": translate("ExchangeWriting", "You"),
    "assistant": translate("ExchangeWriting", "Reply"),
    "system": translate("ExchangeWriting", "System"),
}


def chat_of(conversation: Conversation, messages: Iterable[StoredMessage]) -> Chat:
    """With all of its branches."""
    listed = [
        Message(
            id=str(known.id),
            role=known.role,
            content=known.content,
            parent=None if known.parent is None else str(known.parent),
            created_at=known.created_at,
            model=known.model,
            thinking=known.thinking.text,
            attachments=known.attachments,
        )
        for known in messages
    ]
    return Chat(
        title=conversation.title,
        messages=tuple(listed),
        created_at=listed[0].created_at if listed else conversation.updated_at,
        updated_at=conversation.updated_at,
        chosen=None if conversation.leaf is None else str(conversation.leaf),
    )


def chats_of(
    connection: sqlite3.Connection, wanted: Iterable[int]
) -> list[tuple[Conversation, list[StoredMessage]]]:
    """The newest first, with the messages of all their branches, read in any thread. Raises
    sqlite3.Error."""
    ids = set(wanted)
    rows = connection.execute(
        "SELECT * FROM conversations WHERE deleted_at IS NULL ORDER BY updated_at DESC"
    )
    return [
        (conversation_of(row), messages_of(connection, row["id"]))
        for row in rows.fetchall()
        if row["id"] in ids
    ]


def written(chats: Sequence[tuple[Conversation, list[StoredMessage]]], path: Path) -> int:
    """Writes them as the name of the file says; the number of bytes. Raises OSError."""
    match path.suffix.lower():
        case ".json":
            return path.write_bytes(as_json([chat_of(*chat) for chat in chats]))
        case ".html" | ".htm":
            from app.exchange.page import as_html

            return path.write_bytes(as_html(chats).encode("utf-8", "replace"))
        case ".pdf":
            from app.exchange.page import as_html, write_pdf

            return write_pdf(as_html(chats), path)
        case _:
            whole = "\n".join(as_markdown(*chat) for chat in chats)
            return path.write_bytes(whole.encode("utf-8", "replace"))


def messages_of(connection: sqlite3.Connection, conversation: int) -> list[StoredMessage]:
    """Of every branch, with what belongs to them. Raises sqlite3.Error."""
    query = "SELECT name, content FROM attachments WHERE message_id = ? ORDER BY id"
    messages = "SELECT * FROM messages WHERE conversation_id = ? ORDER BY id"
    found = []
    for row in connection.execute(messages, (conversation,)).fetchall():
        files = connection.execute(query, (row["id"],)) if row["role"] == "user" else ()
        attached = tuple(Attachment(text(name), text(content)) for name, content in files)
        found.append(replace(message_of(row), attachments=attached))
    return found


def as_json(chats: Iterable[Chat]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(File(hearth=VERSION, chats=tuple(chats))))


def as_markdown(conversation: Conversation, messages: Iterable[StoredMessage]) -> str:
    """The branch that is shown, as one reads it."""
    parts = [f"# {conversation.title}"]
    for message in Tree(list(messages), conversation.leaf).path:
        parts.append(f"## {_heading(message)}")
        if message.thinking.text:
            quoted = "\n".join(f"> {line}" for line in message.thinking.text.splitlines())
            parts.append(f"> *Thinking*\n>\n{quoted}")
        parts += [f"**{each.name}**\n\n{fenced(each)}" for each in message.attachments]
        if message.content.strip() or not message.attachments:
            parts.append(message.content.strip() or "*(empty)*")
    return "\n\n".join(parts) + "\n"


def _heading(message: StoredMessage) -> str:
    who = now(NAMES[message.role])
    if message.model:
        who = f"{who} of {message.model}"
    if not message.created_at:
        return who
    when = datetime.fromtimestamp(message.created_at).astimezone()
    return f"{who}, {when.strftime('%Y-%m-%d %H:%M')}"


def file_name(title: str) -> str:
    """A title as the name of a file, on any system."""
    kept = "".join(letter if letter.isalnum() or letter in " -_" else " " for letter in title)
    return " ".join(kept.split())[:60].strip() or "chat"
