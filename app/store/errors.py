"""What SQLite's result codes mean to a person: a title, what happened, and what to do."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.words import translate

UNSAVED: Final = translate("StoreErrors", "Your chats cannot be saved")


class StoreError(Exception):
    """The database cannot be used as asked; the message says what happened and what to do."""

    def __init__(self, sentences: str, title: str = UNSAVED, code: int = sqlite3.SQLITE_ERROR):
        """`code` is SQLite's primary result code."""
        super().__init__(sentences)
        self.sentences = sentences
        self.title = title
        self.code = code

    @property
    def passes(self) -> bool:
        """Whether waiting is enough, mostly because somebody else holds the database."""
        return self.code in LOCKS or self.code == AGAIN

    @property
    def damaged(self) -> bool:
        """Whether the file's content is wrong, so that another attempt fails as well."""
        return self.code in DAMAGE


AGAIN: Final = -1
"""Code of an error after which the same can be done at once, with another file. None of SQLite's is
negative."""


class GoneError(StoreError):
    """The conversation is not in the database any more."""

    def __init__(self) -> None:
        super().__init__(
            translate(
                "StoreErrors",
                "This chat is no longer in the database: another window or program deleted "
                "it. What is on screen can still be copied; begin a new chat to write on.",
            ),
            translate("StoreErrors", "This chat was deleted elsewhere"),
        )


LOCKS: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})


@dataclass(frozen=True)
class _Words:
    title: str
    happened: str
    """`{path}` is the database's."""
    to_do: str


_LOCKED: Final = _Words(
    translate("StoreErrors", "Your chats are locked"),
    translate("StoreErrors", "Another program holds {path} locked."),
    translate(
        "StoreErrors",
        "When the lock ends, what is new is saved, and what cannot be read now is "
        "shown. If it does not end, close that program: a backup, a database tool or "
        "another window of Hearth.",
    ),
)
_DAMAGED: Final = _Words(
    translate("StoreErrors", "Your chats are damaged"),
    translate("StoreErrors", "Something in {path} is not as SQLite wrote it."),
    translate(
        "StoreErrors",
        "The file is left as it is. Put a copy of yours in its place, or start "
        "Hearth again: it reads what can still be read into a new file and keeps "
        "this one beside it.",
    ),
)
_OTHER: Final = _Words(
    UNSAVED,
    translate("StoreErrors", "{path} cannot be used."),
    translate("StoreErrors", "What is new is kept here, and saving it is tried again each second."),
)
_WORDS: Final[dict[int, _Words]] = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_FORMAT: _DAMAGED,
    sqlite3.SQLITE_FULL: _Words(
        translate("StoreErrors", "The disk is full"),
        translate("StoreErrors", "There is no room left for {path}."),
        translate(
            "StoreErrors",
            "Free some space on that disk: what is new is kept here and saved as soon as it fits.",
        ),
    ),
    sqlite3.SQLITE_READONLY: _Words(
        translate("StoreErrors", "Your chats are read-only"),
        translate("StoreErrors", "{path} or its folder may be read but not written."),
        translate(
            "StoreErrors",
            "Nothing will be saved until you allow writing to both; what is new is kept "
            "here until then, and lost if Hearth ends before.",
        ),
    ),
    sqlite3.SQLITE_PERM: _Words(
        translate("StoreErrors", "Your chats may not be opened"),
        translate("StoreErrors", "The system does not allow access to {path}."),
        translate(
            "StoreErrors",
            "Check the permissions of the file and its folder. What is new is saved "
            "then, and lost if Hearth ends before.",
        ),
    ),
    sqlite3.SQLITE_CANTOPEN: _Words(
        translate("StoreErrors", "Your chats cannot be opened"),
        translate("StoreErrors", "{path} cannot be opened or made."),
        translate(
            "StoreErrors",
            "Check that it is a file, not a folder, that its folder is there, and that "
            "you may write to both. What is new is saved then, and lost if Hearth ends "
            "before.",
        ),
    ),
    sqlite3.SQLITE_IOERR: _Words(
        translate("StoreErrors", "The disk reported an error"),
        translate("StoreErrors", "Reading or writing {path} failed."),
        translate(
            "StoreErrors",
            "Check that disk. What is new is kept here, and saving it is tried again each second.",
        ),
    ),
    sqlite3.SQLITE_TOOBIG: _Words(
        translate("StoreErrors", "A text is too long to be saved"),
        translate("StoreErrors", "It has more bytes than a row of {path} can hold."),
        translate("StoreErrors", "Send it in parts."),
    ),
}


def code_of(error: sqlite3.Error) -> int:
    """SQLite's primary result code; SQLITE_ERROR for what Python itself refused."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def explained(error: sqlite3.Error, path: Path | None) -> StoreError:
    """SQLite's error as a person reads it; without a path the database is in memory."""
    code = code_of(error)
    if code == sqlite3.SQLITE_CANTOPEN and path and _read_only(path):
        code = sqlite3.SQLITE_READONLY
    words = _WORDS.get(code, _OTHER)
    happened = words.happened.format(
        path=path or translate("StoreErrors", "The database in memory")
    )
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return StoreError(
        translate("StoreErrors", "{happened} {to_do} (SQLite: {error}, {name}.)").format(
            happened=happened, to_do=words.to_do, error=error, name=name
        ),
        words.title,
        code,
    )


def _read_only(path: Path) -> bool:
    """Whether the file is there, and only what SQLite keeps beside it cannot be made."""
    return path.is_file() and not os.access(path.parent, os.W_OK)
