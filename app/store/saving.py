"""The database that is used now, whatever becomes of its file; and what waits to be written."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from app.store.changes import Change, Moved, Probe
from app.store.database import open_copy, open_for_queries
from app.store.errors import AGAIN, GoneError, StoreError, explained
from app.store.home import Home, Rebuilt
from app.store.row_copy import Copied, copy_rows
from app.words import translate

T = TypeVar("T")


class Saving:
    """One connection, used by one thread, which it never makes wait.

    A change to a row that is there can wait: it is read as if it were written, kept in a journal,
    and written with the next success or by `retry`. A new row needs its id at once: adding one
    raises StoreError if nothing of it could be saved.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        clock: Callable[[], float] = time.time,
        home: Home | None = None,
        instead: StoreError | None = None,
    ) -> None:
        """`home` is the folder in which the connection's file lies. With `instead` the connection
        is to a database in memory, and that is why the home's own cannot be used yet."""
        self._db = connection
        self._clock = clock
        self._home = home
        self._instead = instead
        self._failed: StoreError | None = None
        self._news: list[StoreError] = []
        self._journal: dict[tuple[object, ...], Change] = {}
        self._moves: list[Moved] = []
        if home and not instead:
            home.remember()
        if not home or instead or home.enter():
            with suppress(StoreError):  # known as trouble
                self._settle()
        self._change(Probe(self._clock()))

    # ------------------------------------------------------------------ what is not saved

    @property
    def trouble(self) -> StoreError | None:
        """Why what is new is not in the file now; None if it is."""
        return self._instead or self._failed

    @property
    def news(self) -> StoreError | None:
        """What has happened to the database, until it is dismissed."""
        return self._news[0] if self._news else None

    def dismiss_news(self) -> None:
        del self._news[:1]

    @property
    def unsaved(self) -> list[str]:
        """What would be lost now, one noun for each, such as "a reply". None if the file cannot be
        used: then all would be, and `trouble` says so."""
        if self._instead:
            return []
        return [change.words for change in self._journal.values() if change.words]

    def retry(self) -> None:
        """Writes what could not be written; uses the file again, or the one now in its place.

        To be called each second. Raises nothing: see `trouble`.
        """
        try:
            self._follow_file()
        except StoreError as error:
            self._failed = error
        else:
            self._news.extend(self._write_journal().values())

    def reader(self) -> Callable[[], sqlite3.Connection]:
        """How another thread opens what is in use now, to read it. Raises StoreError."""
        if self._home and not self._instead:
            return partial(open_for_queries, self._home.path)
        try:
            return partial(open_copy, self._db.serialize())
        except sqlite3.Error as error:
            raise explained(error, None) from error

    def take_moves(self) -> list[Moved]:
        """Ids that have changed since the last call; until then nothing can be added."""
        moves, self._moves = self._moves, []
        return moves

    def close(self) -> None:
        """Writes what is unsaved if that is possible now; nothing can be read or written then."""
        self.retry()
        self._db.close()
        if self._home:
            self._home.leave()
            self._home = None

    # ------------------------------------------------------------------ the file

    def _follow_file(self) -> None:
        """Goes over to the home's file if another one is in use. Raises StoreError."""
        if self._home is None:
            return
        if self._instead:
            self._leave_memory(self._home)
        elif self._home.moved() and not self._home.is_written_by(self._db):
            there = self._home.path.exists()
            copied = self._adopt(self._home, self._opened(self._home))
            tell = _replaced if there else _deleted
            self._news.append(tell(copied, self._home.path))

    def _leave_memory(self, home: Home) -> None:
        """From the database in memory to the file, if it can be used now."""
        try:
            fresh = self._opened(home)
        except StoreError as error:
            self._instead = error
            return
        self._adopt(home, fresh)
        self._instead = None
        if home.enter():
            self._settle()

    def _opened(self, home: Home) -> sqlite3.Connection:
        """The home's file, or a new one with what can be read of it. Raises StoreError."""
        try:
            return home.open()
        except StoreError as error:
            if not error.damaged:
                raise
        self._news.append(_rebuilt(home.rebuild(), home.path))
        return home.open()

    def _adopt(self, home: Home, fresh: sqlite3.Connection) -> Copied:
        """Copies all that is in use into this database, and goes on with it."""
        try:
            copied = copy_rows(self._db, fresh)
        except sqlite3.Error as error:
            fresh.close()
            raise explained(error, home.path) from error
        self._db.close()
        self._db = fresh
        home.remember()
        moved = copied.moved
        if moved:
            self._moves.append(moved)
            changes = [change.moved(moved) for change in self._journal.values()]
            self._journal = {change.key: change for change in changes}
            self._follow(moved)
        return copied

    def _heal(self, damage: StoreError) -> bool:
        """Goes on with what can be read of a damaged file, in a new one if that can be made.

        False if there is no file that could be damaged.
        """
        if self._home is None or self._instead:
            return False
        self._db.close()
        try:
            rebuilt = self._home.rebuild()
            self._db = self._home.open()
        except StoreError:
            self._db = self._home.readable()
            self._instead = damage
            return True
        self._home.remember()
        self._news.append(_rebuilt(rebuilt, self._home.path))
        return True

    # ------------------------------------------------------------------ statements

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is added inside is saved whole. Raises StoreError, and then nothing of it is."""
        try:
            self._follow_file()
        except StoreError as error:
            self._failed = error
            raise
        self._news.extend(self._write_journal().values())
        if self._instead and self._instead.passes:
            raise self._instead
        if self._moves:
            raise StoreError(
                translate(
                    "StoreSaving", "Another file was put in the place of the one that was open."
                ),
                code=AGAIN,
            )
        with self._committed():
            yield

    @contextmanager
    def _committed(self) -> Iterator[None]:
        """A transaction. SQLite's errors become StoreErrors and are known as trouble."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise self._known(error) from error
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise self._known(error) from error
            raise

    def _known(self, error: sqlite3.Error) -> StoreError:
        """The error as a person reads it. Until a row could be written again it is trouble."""
        why = explained(error, self._home.path if self._home else None)
        if why.damaged and self._heal(why):
            why = StoreError(
                translate("StoreSaving", "A new file is in the place of one that was damaged."),
                code=AGAIN,
            )
        self._failed = why
        probe = Probe(self._clock())
        self._journal.setdefault(probe.key, probe)
        return why

    def _add(self, add: Callable[[], T]) -> T:
        """Runs this as a transaction, or as a part of the one that runs."""
        if self._db.in_transaction:
            return add()
        with self.transaction():
            return add()

    def _change(self, change: Change) -> None:
        """Writes it now or later. Raises GoneError if its row is gone."""
        self._journal.pop(change.key, None)
        self._journal[change.key] = change
        try:
            self._follow_file()
        except StoreError as error:
            self._failed = error
            return
        gone = self._write_journal()
        own = gone.pop(change.key, None)
        self._news.extend(gone.values())
        if own:
            raise own

    def _write_journal(self) -> dict[tuple[object, ...], GoneError]:
        """Writes each change as a transaction of its own, so that one that fails holds up no other.

        Those that can never be written, as their row is gone, are dropped and returned.
        """
        failed: StoreError | None = None
        gone: dict[tuple[object, ...], GoneError] = {}
        for key, change in list(self._journal.items()):
            try:
                with self._committed():
                    change.write(self._db)
            except GoneError as error:
                gone[key] = error
            except StoreError as error:
                failed = error
                continue
            if not (self._instead and change.words):  # the file lacks it still
                del self._journal[key]
        self._failed = failed
        return gone

    def _rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Raises StoreError."""
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            why = self._known(error)
            if why.code != AGAIN:
                raise why from error
        return self._db.execute(query, values).fetchall()  # from the file that was made just now

    # ------------------------------------------------------------------ of what is stored

    def _settle(self) -> None:
        """Ends what earlier runs left half done, as no other window uses the database."""

    def _follow(self, moved: Moved) -> None:
        """Uses the ids that rows have now."""


# ---------------------------------------------------------------------------- news


def _deleted(copied: Copied, path: Path) -> StoreError:
    return StoreError(
        translate(
            "StoreSaving",
            "{path} was deleted while Hearth was open. What this window still had is in "
            "a new file there: {copied}.{left_out}",
        ).format(path=path, copied=_amount(copied), left_out=_left_out(copied)),
        translate("StoreSaving", "Your chats were deleted from the disk"),
    )


def _replaced(copied: Copied, path: Path) -> StoreError:
    return StoreError(
        translate(
            "StoreSaving",
            "Another file was put in the place of {path} while Hearth was open. What "
            "this window had and that file had not was added to it: {copied} are there "
            "now.{left_out}",
        ).format(path=path, copied=_amount(copied), left_out=_left_out(copied)),
        translate("StoreSaving", "Your chats were replaced on the disk"),
    )


def _rebuilt(rebuilt: Rebuilt, path: Path) -> StoreError:
    copied = rebuilt.copied
    return StoreError(
        translate(
            "StoreSaving",
            "{path} was damaged. What could be read is in a new file: {copied}.{left_out} "
            "The damaged file is kept: {kept}. If you have a copy of your chats, close "
            "Hearth and put it in the place of the new file.",
        ).format(path=path, copied=_amount(copied), left_out=_left_out(copied), kept=rebuilt.kept),
        translate("StoreSaving", "Your chats were damaged"),
    )


def _amount(copied: Copied) -> str:
    if not copied.conversations:
        return translate("StoreSaving", "no chat")
    chats = translate("StoreSaving", "%n chats", "", 1).of(copied.conversations)
    messages = translate("StoreSaving", "%n messages", "", 1).of(copied.messages)
    return translate("StoreSaving", "{chats} with {messages}").format(
        chats=chats, messages=messages
    )


def _left_out(copied: Copied) -> str:
    if not copied.unreadable:
        return ""
    return translate("StoreSaving", " %n more entries could not be read.", "", 1).of(
        copied.unreadable
    )
