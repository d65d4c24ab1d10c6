"""The SQLite file: opened, checked, migrated."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Final

from app.store.migrations import MIGRATIONS, VERSION
from ground import private

BUSY_MS: Final = 2000


class StoreError(Exception):
    """The database cannot be used; the message says what to do."""


def open_database(path: Path) -> sqlite3.Connection:
    """A connection to the database of this version. Raises StoreError."""
    try:
        private.make_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"The folder {path.parent} cannot be made: {error.strerror or error}. "
            "Check its permissions, then start Hearth again."
        ) from error
    with contextlib.suppress(OSError):  # SQLite says it
        private.make_file(path)
    for beside in path.parent.glob(f"{path.name}*"):  # its journals, its copies
        private.close(beside)
    try:
        return _prepare(_connect(str(path)), path)
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"{path} cannot be read: {error}. Move the file elsewhere to begin with an empty one, "
            "or put a copy of yours in its place, then start Hearth again."
        ) from error


def open_in_memory() -> sqlite3.Connection:
    """A database that lasts as long as the window."""
    connection = _connect(":memory:")
    migrate(connection)
    return connection


def _connect(name: str) -> sqlite3.Connection:
    connection = sqlite3.connect(name, timeout=BUSY_MS / 1000, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if version_of(connection) > VERSION:
            raise StoreError(
                f"{path} was written by a newer version of Hearth. Install that version again, "
                "or move the file elsewhere to begin with an empty one."
            )
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def version_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, to: int = VERSION) -> None:
    """Brings the database to a version, each step whole or not at all."""
    for number in range(version_of(connection), to):
        script = (
            f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;"
        )
        try:
            connection.executescript(script)
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
