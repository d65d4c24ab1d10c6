"""Full-text search over all chats: what a person types becomes a query, rows become hits.

Runs on a connection of its own and in any thread; `sqlite3.Connection.interrupt` ends it early.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from app.store.records import Role, message_role, moment, text, title

MOST_HITS: Final = 200
"""Messages that are found at most, the newest ones."""

MOST_TITLES: Final = 50
"""Chats at most of which only the title is found."""

SNIPPET_WORDS: Final = 16
"""Words that are shown around a hit."""

SNIPPET_LETTERS: Final = 40
"""Letters before and behind a hit in a script without spaces."""

_BEGIN, _END = "\x02", "\x03"
_WORDS: Final = re.compile(r'"([^"]*)"|(\S+)')
_LETTER: Final = re.compile(r"\w")
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)
"""Letters of scripts without spaces between words, of which FTS5 makes one word a sentence."""


@dataclass(frozen=True)
class Piece:
    """A part of what is shown of a hit."""

    text: str
    hit: bool


@dataclass(frozen=True)
class Hit:
    conversation: int
    title: str
    message: int
    """0 if the title alone was found."""
    role: Role
    at: float
    """When it was written, seconds since the epoch."""
    pieces: tuple[Piece, ...]


def query_of(words: str) -> str:
    """The FTS5 query: all words, each also as the beginning of one; quoted ones as they stand.

    Empty if there is no letter or number to look for.
    """
    parts = []
    for quoted, word in _WORDS.findall(words):
        plain = (quoted or word).replace('"', "")
        if _LETTER.search(plain):
            parts.append(f'"{plain}"' if quoted else f'"{plain}"*')
    return " ".join(parts)


def search(connection: sqlite3.Connection, words: str, most: int = MOST_HITS) -> list[Hit]:
    """Messages with all of the words, the newest first, then chats of whom only the title has them.

    Raises sqlite3.Error, also if it was interrupted.
    """
    if not query_of(words):
        return []
    hits = list((_unspaced if _UNSPACED.search(words) else _indexed)(connection, words, most))
    found = {hit.conversation for hit in hits}
    return [*hits, *_titled(connection, words, found)]


_FOUND: Final = """
    SELECT messages.id, conversation_id, title, role, messages.created_at, {shown}
    FROM {source} JOIN messages ON messages.id = {source}.{id}
    JOIN conversations ON conversations.id = conversation_id
    WHERE deleted_at IS NULL AND {condition} ORDER BY {source}.{id} DESC LIMIT ?
"""


def _indexed(connection: sqlite3.Connection, words: str, most: int) -> Iterator[Hit]:
    shown = f"snippet(said_words, 0, char(2), char(3), '…', {SNIPPET_WORDS})"
    query = _FOUND.format(
        shown=shown, source="said_words", id="rowid", condition="said_words MATCH ?"
    )
    for row in connection.execute(query, (query_of(words), most)):
        yield _hit(row, _marked(text(row[5])))


def _unspaced(connection: sqlite3.Connection, words: str, most: int) -> Iterator[Hit]:
    wanted = [(quoted or word).replace('"', "") for quoted, word in _WORDS.findall(words)]
    condition = " AND ".join("instr(said.content, ?)" for _ in wanted)
    query = _FOUND.format(shown="said.content", source="said", id="id", condition=condition)
    for row in connection.execute(query, (*wanted, most)):
        yield _hit(row, _around(text(row[5]), wanted[0]))


def _titled(connection: sqlite3.Connection, words: str, found: set[int]) -> Iterator[Hit]:
    """SQLite passes over what is plain and has not the first word: it knows no other letters'
    cases."""
    wanted = [(quoted or word).casefold() for quoted, word in _WORDS.findall(words)]
    rows = connection.execute(
        "SELECT 0, id, title, 'user', updated_at FROM conversations WHERE deleted_at IS NULL "
        "AND (instr(lower(title), ?) OR title GLOB '*[^ -~]*') ORDER BY updated_at DESC",
        (wanted[0],),
    )
    left = MOST_TITLES
    for row in rows:
        if row[1] not in found and all(word in text(row[2]).casefold() for word in wanted):
            yield _hit(row, ())
            left -= 1
        if not left:
            return


def _hit(row: sqlite3.Row, pieces: tuple[Piece, ...]) -> Hit:
    return Hit(row[1], title(row[2]), row[0], message_role(row[3]), moment(row[4]), pieces)


def _marked(snippet: str) -> tuple[Piece, ...]:
    pieces = []
    for part in snippet.split(_BEGIN):
        hit, end, rest = part.partition(_END)
        pieces += [Piece(hit, True), Piece(rest, False)] if end else [Piece(part, False)]
    return tuple(piece for piece in pieces if piece.text)


def _around(content: str, word: str) -> tuple[Piece, ...]:
    at = max(content.find(word), 0)
    begin, end = max(at - SNIPPET_LETTERS, 0), at + len(word) + SNIPPET_LETTERS
    before = ("…" if begin else "") + content[begin:at]
    behind = content[at + len(word) : end] + ("…" if end < len(content) else "")
    pieces = (Piece(before, False), Piece(content[at : at + len(word)], True), Piece(behind, False))
    return tuple(piece for piece in pieces if piece.text)
