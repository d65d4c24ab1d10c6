"""Which models the user has added: paths in one small file; the models stay where they are."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from engine import folders
from engine.errors import StorageError
from ground import private

_log = logging.getLogger(__name__)


class _List(msgspec.Struct):
    imported: list[str]


def paths() -> list[Path]:
    """In the order in which they were added. Raises StorageError when the file cannot be read."""
    try:
        text = _file().read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"{_file()} cannot be read: {error.strerror}.") from error
    try:
        return [Path(path) for path in msgspec.json.decode(text, type=_List).imported]
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        _set_aside()
        return []


def add(path: Path) -> None:
    """Does nothing for one that is there. Raises StorageError when the file cannot be written."""
    known = paths()
    if path not in known:
        _write([*known, path])


def remove(path: Path) -> None:
    """Does nothing for one that is not there. Raises StorageError as `add` does."""
    known = paths()
    if path in known:
        _write([other for other in known if other != path])


def _file() -> Path:
    return folders.data() / "models.json"


def _write(paths: list[Path]) -> None:
    made = _file().with_suffix(".new")
    try:
        text = msgspec.json.format(msgspec.json.encode(_List(list(map(str, paths)))))
        private.write(made, text)
        made.replace(_file())
    except OSError as error:
        raise StorageError(
            f"The list of models {_file()} cannot be written: {error.strerror}.",
            "Free some space on that disk, or check the folder's permissions, then try again.",
        ) from error


def _set_aside() -> None:
    """A damaged list is kept for who wants to look, and a new one begun."""
    kept = _file().with_suffix(".damaged")
    _log.warning("the list of models is damaged; it is now %s", kept.name)
    try:
        _file().replace(kept)
    except OSError as error:
        raise StorageError(f"{_file()} is damaged, and cannot be renamed.") from error
