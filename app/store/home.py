"""The place of the database: what lies there now, and what is to be done about it."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.store.changes import Probe
from app.store.database import open_database, open_in_memory, open_to_read
from app.store.errors import StoreError, explained
from app.store.presence import Presence
from app.store.row_copy import Copied, copy_rows
from app.words import translate

BESIDE: Final = ("-wal", "-shm")
"""What SQLite keeps beside a database that is open."""


@dataclass(frozen=True)
class Rebuilt:
    copied: Copied
    kept: Path
    """The damaged file."""


class Home:
    """Opens the database, and knows whether the one that was opened still lies there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._presence = Presence(path.parent)
        self._opened: dict[str, tuple[int, int]] = {}

    def open(self) -> sqlite3.Connection:
        """A connection to a database that can be written, or is only locked. Raises StoreError.

        Does not count as opened before `remember`.
        """
        if self.moved():
            self._remove_left_logs()
        connection = open_database(self.path)
        try:
            Probe(time.time()).write(connection)
        except sqlite3.Error as error:
            why = explained(error, self.path)
            if not why.passes:
                connection.close()
                raise why from error
        return connection

    def remember(self) -> None:
        """The file that lies there now is the one that is used."""
        self._opened = {
            suffix: identity
            for suffix in ("", *BESIDE)
            if (identity := _identity(self._beside(suffix)))
        }

    def moved(self) -> bool:
        """Whether the file that is used was deleted, moved away or replaced."""
        return "" in self._opened and _identity(self.path) != self._opened[""]

    def is_written_by(self, connection: sqlite3.Connection) -> bool:
        """Whether the file is the connection's, and has but another number: some file systems on a
        network give it one now and then. Raises StoreError."""
        try:
            before = self.path.stat().st_mtime_ns
            Probe(time.time()).write(connection)
            connection.execute("PRAGMA wal_checkpoint").fetchall()
            if self.path.stat().st_mtime_ns == before:
                return False
        except OSError:
            return False
        except sqlite3.Error as error:
            raise explained(error, self.path) from error
        self.remember()
        return True

    def enter(self) -> bool:
        """Whether no other window that lives uses this database; this one counts from now on."""
        return self._presence.enter()

    def leave(self) -> None:
        self._presence.close()

    def readable(self) -> sqlite3.Connection:
        """A database in memory with what can be read of the file without writing beside it."""
        memory = open_in_memory()
        for options in ("mode=ro", "mode=ro&immutable=1"):
            try:
                with contextlib.closing(open_to_read(self.path, options)) as source:
                    copy_rows(source, memory)
                return memory
            except sqlite3.Error as error:
                if explained(error, self.path).passes:
                    break  # somebody writes it now: reading without locks would read halves
        return memory

    def rebuild(self) -> Rebuilt:
        """Puts a new file with what can be read in the place of a damaged one, which is kept.

        No connection of this process may be open. Raises StoreError, and then changes nothing.
        """
        new = self._named("new")
        kept = self._named(f"damaged-{time.strftime('%Y-%m-%d-%H%M%S')}")
        try:
            _remove(new)
            with (
                contextlib.closing(open_to_read(self.path, "mode=rw")) as source,
                contextlib.closing(open_database(new)) as fresh,
            ):
                copied = copy_rows(source, fresh)
            for suffix in ("", *BESIDE):
                if self._beside(suffix).exists():
                    self._beside(suffix).replace(f"{kept}{suffix}")
            new.replace(self.path)
        except sqlite3.Error as error:
            raise explained(error, self.path) from error
        except OSError as error:
            raise StoreError(
                translate(
                    "StoreHome",
                    "{path} is damaged, and no new file can be put in its place: {strerror}. "
                    "Check the permissions of its folder.",
                ).format(path=self.path, strerror=error.strerror or error),
                code=sqlite3.SQLITE_CANTOPEN,
            ) from error
        return Rebuilt(copied, kept)

    def _remove_left_logs(self) -> None:
        """Logs of a database that is gone: SQLite would take them for those of the next one."""
        for suffix in BESIDE:
            identity = _identity(self._beside(suffix))
            if identity and identity == self._opened.get(suffix):
                self._beside(suffix).unlink(missing_ok=True)

    def _named(self, what: str) -> Path:
        return self.path.with_name(f"{self.path.stem}-{what}{self.path.suffix}")

    def _beside(self, suffix: str) -> Path:
        return Path(f"{self.path}{suffix}")


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and file number; None if nothing is there, or it may not be looked at."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _remove(database: Path) -> None:
    for suffix in ("", *BESIDE):
        Path(f"{database}{suffix}").unlink(missing_ok=True)
