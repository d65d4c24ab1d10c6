"""Which windows live on one home: each holds a shared lock on a file, released by the system when
its process ends, however it ends.

The file is an empty SQLite database, whose locks are shared or exclusive and the same on every
system. (POSIX locks are exclusive between processes only, Windows' own have no shared ones.)
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Final

from app.store.errors import LOCKS, code_of
from ground import private

FILE: Final = "windows.lock"


class Presence:
    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._db: sqlite3.Connection | None = None

    def enter(self) -> bool:
        """Holds the lock from now on; whether nobody else held it. Without a lock, as on a disk
        that cannot be written, nobody can be known to be alone. Never waits."""
        try:
            connection = self._connection()
            alone = _takes(connection, "BEGIN EXCLUSIVE")
            # Between the two another window may come and find itself alone as well: it finds
            # nothing of ours yet.
            _takes(connection, "BEGIN")
        except sqlite3.Error:
            self.close()
            return False
        return alone

    @property
    def held(self) -> bool:
        return self._db is not None and self._db.in_transaction

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            with contextlib.suppress(OSError):  # SQLite says it
                private.make_file(self._path)
            self._db = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        return self._db


def _takes(connection: sqlite3.Connection, begin: str) -> bool:
    """Begins a transaction of this kind in place of the one that runs; whether its lock was free.

    Raises sqlite3.Error for anything but a lock that another one holds.
    """
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    try:
        connection.execute(begin)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # takes a shared lock
    except sqlite3.OperationalError as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if code_of(error) not in LOCKS:
            raise
        return False
    return True
