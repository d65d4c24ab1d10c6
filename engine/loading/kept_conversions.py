"""Conversions of a model's files, made once and kept in the cache folder.

The marker is written last and the folder renamed into place, so that half of one is never used. It
has the other files' digest: a computer that lost power keeps the names of files without what was
in them.

Several processes use one cache. The first that renames its conversion into place is right, and the
others take it. A complete conversion is removed only if no running process has used it: each leaves
its number in the folder, as it may read the files again for as long as it runs.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import psutil

from engine import folders
from engine.errors import StorageError
from ground import private

MARKER: Final = "complete"
KEPT: Final = 16
"""Conversions that are kept of each kind, the latest used."""
MAKING: Final = ".making-"
USED_BY: Final = "used-by-"
"""Begins the name of an empty file; the number of the process that uses the folder ends it."""

Contents = dict[str, bytes]
"""By file name."""

_log = logging.getLogger(__name__)


def kept(folder: Path, names: tuple[str, ...], make: Callable[[], Mapping[str, bytes]]) -> Contents:
    """The files `names` of `folder`, which `make` makes if they are missing or damaged.

    They stay where they are for as long as this process runs. Raises StorageError when the cache
    cannot be written, and what `make` raises.
    """
    found = _read(folder, names)
    return _made(folder, names, make) if found is None else found


def key(said: str, paths: Iterable[Path]) -> str:
    """Names a conversion by `said` and its files' path, size and time of change: hashing gigabytes
    takes too long."""
    for path in paths:
        status = path.stat()
        said += f" {path.resolve()} {status.st_size} {status.st_mtime_ns}"
    return hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _read(folder: Path, names: tuple[str, ...]) -> Contents | None:
    """None for one that is missing, not complete or damaged."""
    try:
        if not (folder / MARKER).exists():
            return None
        _use(folder)
        contents = {name: (folder / name).read_bytes() for name in names}
        if (folder / MARKER).read_text("ascii") != _digest(contents.values()):
            raise ValueError("its files are not what was written")
    except (OSError, ValueError) as error:
        _log.warning("converting again, %s cannot be used: %s", folder, error)
        return None
    return contents


def _use(folder: Path) -> None:
    """Says that this process reads the folder, and no longer names those that have ended."""
    with contextlib.suppress(OSError):  # a full disk, or one that is only read, can be read from
        (folder / MARKER).touch()
        (folder / f"{USED_BY}{os.getpid()}").touch(private.FILE)
        for left in folder.glob(f"{USED_BY}*"):
            if not _runs(left):
                left.unlink(missing_ok=True)


def _used_by_others(folder: Path) -> bool:
    own = f"{USED_BY}{os.getpid()}"
    return any(left.name != own and _runs(left) for left in folder.glob(f"{USED_BY}*"))


def _runs(left: Path) -> bool:
    number = left.name.removeprefix(USED_BY)
    return number.isdecimal() and psutil.pid_exists(int(number))


def _digest(contents: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content)
    return digest.hexdigest()


def _made(
    folder: Path, names: tuple[str, ...], make: Callable[[], Mapping[str, bytes]]
) -> Contents:
    try:
        private.make_folder(folder.parent)
        folders.forget_abandoned(folder.parent, MAKING)
        making = Path(tempfile.mkdtemp(prefix=MAKING, dir=folder.parent))
    except OSError as error:
        raise _storage_error(error, folder) from error
    try:
        made = make()
        contents = {name: made[name] for name in names}
        for name, content in contents.items():
            private.write(making / name, content)
        private.write(making / MARKER, _digest(contents.values()).encode("ascii"))
        found = _put(making, folder, names)
        _forget_old(folder.parent)
    except OSError as error:
        raise _storage_error(error, folder) from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return found


def _put(made: Path, folder: Path, names: tuple[str, ...]) -> Contents:
    """Renames `made` to `folder`, or takes the complete one that another process has put there."""
    try:
        made.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        found = _read(folder, names)
        if found is not None:
            return found
        _repair(made, folder, names)
    found = _read(folder, names)
    if found is None:
        raise StorageError(f"The folder {folder} cannot be read.")
    return found


def _repair(made: Path, folder: Path, names: tuple[str, ...]) -> None:
    """File by file: should others repair it too, nobody misses one, as theirs are the same."""
    for name in (*names, MARKER):
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        (made / name).replace(folder / name)


def _forget_old(parent: Path) -> None:
    """Removes all but the latest used, under another name first: nobody sees half of one."""
    used: dict[Path, float] = {}
    for folder in parent.iterdir():
        with contextlib.suppress(OSError):  # not complete, or being removed by another process
            used[folder] = (folder / MARKER).stat().st_mtime
    for folder in sorted(used, key=lambda folder: used[folder], reverse=True)[KEPT:]:
        if not _used_by_others(folder):
            _remove(folder)


def _remove(folder: Path) -> None:
    aside = folder.with_name(f"{MAKING}{secrets.token_hex(8)}")
    with contextlib.suppress(OSError):  # on Windows while one of its files is open
        folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _storage_error(error: OSError, folder: Path) -> StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            f"There is no room left to prepare the model in {folder.parent}.",
            "Free some space on that disk (about 50 MB), then try again.",
        )
    return StorageError(f"The model cannot be prepared in {folder.parent}: {error.strerror}.")
