"""Databases that are locked, full, or may only be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.store.store import FILE, Store, open_store

MakeStore = Callable[[], Store]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def make(folder: Path) -> Iterator[MakeStore]:
    """Opens one more window's store on the folder."""
    made: list[Store] = []

    def make() -> Store:
        store, _ = open_store(folder)
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()


@pytest.fixture
def one(make: MakeStore) -> Store:
    """The only store of the folder, so far."""
    return make()


@contextmanager
def locked(folder: Path, *, readers: bool = False) -> Iterator[None]:
    """Another program writes, or with `readers` lets nobody read either."""
    connection = sqlite3.connect(folder / FILE, isolation_level=None)
    if readers:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    if readers:
        connection.execute("COMMIT")
    yield
    connection.close()


@contextmanager
def full(store: Store) -> Iterator[None]:
    """No page can be added to the database, as on a full disk."""
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    yield
    store._db.execute("PRAGMA max_page_count = 1000000")


def written(folder: Path, query: str, *values: object) -> list[tuple[object, ...]]:
    """What is in the file, read by another program."""
    connection = sqlite3.connect(folder / FILE)
    rows = connection.execute(query, values).fetchall()
    connection.close()
    return rows
