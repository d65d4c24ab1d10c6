"""The folders of Hearth's files, ready to be used: data, cache, configuration and logs."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import Final

from engine.errors import StorageError
from ground import places, private

MODELS: Final = "models"
"""In the data folder: what lies here is listed."""
_HINT: Final = "Check its permissions, or set HEARTH_HOME to a folder that can be written."
ABANDONED: Final = 3600.0
"""Seconds without a change after which nobody is making a thing any more."""


def data() -> Path:
    """Models, conversations. Created when missing; raises StorageError when it cannot be used."""
    return _made("data")


def cache() -> Path:
    """What can be made again. Created when missing; raises StorageError when it cannot be used."""
    return _made("cache")


def config() -> Path:
    """Settings. Created when missing; raises StorageError when it cannot be used."""
    return _made("config")


def log() -> Path:
    """Log files. Created when missing; raises StorageError when it cannot be used."""
    return _made("log")


def close_to_others() -> None:
    """Closes what older versions, or another umask, left open to other users of this computer.

    The folder that HEARTH_HOME names is left alone: it may hold, and share, more than Hearth's.
    So are files in `models`: the user put them there, and no chat is among them.
    """
    for place in (data, cache, config, log):
        with contextlib.suppress(StorageError):
            folder = place()
            private.close_tree(folder, apart_from=(folder / MODELS,))


def forget_abandoned(parent: Path, prefix: str) -> None:
    """Removes what ended processes left half made: cancelling a load ends one wherever it is."""
    for left in parent.glob(f"{prefix}*"):
        with contextlib.suppress(FileNotFoundError):  # another process has removed it
            if time.time() - left.stat().st_mtime < ABANDONED:
                continue
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()


def _made(kind: places.Kind) -> Path:
    try:
        folder = places.place(kind)
    except places.NoPlaceError as error:
        raise StorageError(*error.args) from error
    try:
        private.make_folder(folder)
    except OSError as error:
        raise StorageError(
            f"The folder {folder} cannot be made: {error.strerror}.", _HINT
        ) from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise StorageError(f"The folder {folder} cannot be read and written.", _HINT)
    return folder
