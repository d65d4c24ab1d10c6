"""The SQLite file: opened, checked, backed up and migrated."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from app.store.errors import StoreError, explained
from app.store.migrations import MIGRATIONS, VERSION, least_in, stamp, version_in
from app.words import translate
from ground import private

NOTHING_SAVED: Final = translate("StoreDatabase", "Nothing will be saved")

BACKUPS: Final = 3
"""Backups that are kept."""


def open_database(path: Path) -> sqlite3.Connection:
    """A connection to the database of this version. Raises StoreError."""
    try:
        private.make_folder(path.parent)
    except OSError as error:
        raise StoreError(
            translate(
                "StoreDatabase",
                "The folder {parent} cannot be made: {strerror}. Check its permissions. What "
                "is new is saved as soon as it can be made, and lost if Hearth ends before.",
            ).format(parent=path.parent, strerror=error.strerror or error),
            NOTHING_SAVED,
            sqlite3.SQLITE_CANTOPEN,
        ) from error
    with contextlib.suppress(OSError):  # SQLite says it
        private.make_file(path)
    for beside in path.parent.glob(f"{path.name}*"):  # its journals, its copies
        private.close(beside)
    try:
        return _prepare(connect(str(path)), path)
    except sqlite3.Error as error:
        raise explained(error, path) from error


def open_in_memory() -> sqlite3.Connection:
    """A database that lasts as long as the window."""
    connection = connect(":memory:")
    migrate(connection)
    return connection


def open_for_queries(path: Path) -> sqlite3.Connection:
    """A connection that only reads, for a thread of its own."""
    return connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def open_copy(content: bytes) -> sqlite3.Connection:
    """A connection to a copy of a database in memory, as `serialize` gives it."""
    connection = connect(":memory:")
    connection.deserialize(content)
    return connection


def open_to_read(path: Path, options: str) -> sqlite3.Connection:
    """A connection that writes nothing and takes a damaged file as it is.

    `options` are those of a SQLite URI, such as `mode=ro`.
    """
    connection = connect(f"{path.absolute().as_uri()}?{options}", uri=True)
    # Opens a file that is shorter than its header says.
    connection.execute("PRAGMA writable_schema = ON")
    return connection


def connect(name: str, *, uri: bool = False) -> sqlite3.Connection:
    """A connection that never waits for a lock: the window's thread uses it."""
    connection = sqlite3.connect(name, timeout=0, isolation_level=None, uri=uri)
    connection.row_factory = sqlite3.Row
    connection.text_factory = _decoded
    return connection


def _decoded(value: bytes) -> str:
    """Text that is not UTF-8, in a damaged or foreign row, with marks in place of what is not."""
    return value.decode("utf-8", "replace")


def _prepare(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
        if least_in(_stamp_of(connection)) > VERSION:
            raise StoreError(
                translate(
                    "StoreDatabase",
                    "A newer version of Hearth wrote {path}. The file stays as it is, and your "
                    "chats are shown as far as this version can read them. Install that version "
                    "again: what you write in this one is lost when Hearth ends.",
                ).format(path=path),
                NOTHING_SAVED,
            )
        if 0 < version_of(connection) < VERSION:
            back_up(connection, path)
        migrate(connection)
        for table in ("conversations", "settings"):  # small, and read now in any case
            connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
    except BaseException:
        connection.close()
        raise
    return connection


def is_older(path: Path) -> bool:
    """Whether a database lies there that is to be brought to this version first."""
    if not path.exists():
        return False
    try:
        with contextlib.closing(open_to_read(path, "mode=ro")) as connection:
            return 0 < version_of(connection) < VERSION
    except sqlite3.Error:  # who opens it says why
        return False


def version_of(connection: sqlite3.Connection) -> int:
    return version_in(_stamp_of(connection))


def _stamp_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def back_up(connection: sqlite3.Connection, path: Path) -> Path:
    """Copies the database into a dated file beside it, of which the last three are kept.

    Raises sqlite3.Error, and StoreError if the file cannot be made; nothing is left then.
    """
    stem = f"{path.stem}-backup-"
    copy = path.with_name(f"{stem}{time.strftime('%Y-%m-%d-%H%M%S')}{path.suffix}")
    try:
        copy.unlink(missing_ok=True)  # of an attempt in the same second
        private.make_file(copy)
        connection.execute("VACUUM INTO ?", (str(copy),))
        for old in sorted(path.parent.glob(f"{stem}*{path.suffix}"))[:-BACKUPS]:
            old.unlink()
    except BaseException as error:
        with contextlib.suppress(OSError):
            copy.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StoreError(
                translate(
                    "StoreDatabase",
                    "Your chats are to be brought to this version of Hearth, and the copy that "
                    "is made before cannot be written: {copy}: {strerror}. Check the permissions "
                    "of its folder. Until then nothing is saved.",
                ).format(copy=copy, strerror=error.strerror or error),
                NOTHING_SAVED,
                sqlite3.SQLITE_CANTOPEN,
            ) from error
        raise
    return copy


def migrate(connection: sqlite3.Connection, to: int = VERSION) -> None:
    """Brings the database to a version, each step whole or not at all. Raises sqlite3.Error."""
    while version_of(connection) < to:
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = version_of(connection)  # another window may have been faster
            if version < to:
                for statement in _statements(MIGRATIONS[version].sql):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {stamp(version + 1)}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _statements(sql: str) -> Iterator[str]:
    """The statements of a script, one by one: `executescript` would end the transaction."""
    statement = ""
    for part in sql.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip(" \n;"):
        yield statement
