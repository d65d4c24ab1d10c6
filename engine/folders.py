"""Where Hearth keeps its files: one folder each for data, cache, configuration and logs."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import Final

import platformdirs

from engine.errors import StorageError
from ground import private

NAME = "hearth"
MODELS: Final = "models"
"""In the data folder: what lies here is listed."""
_HINT: Final = "Check its permissions, or set HEARTH_HOME to a folder that can be written."
ABANDONED: Final = 3600.0
"""Seconds without a change after which nobody is making a thing any more."""


def data() -> Path:
    """Models, conversations. Created when missing; raises StorageError when it cannot be used."""
    return _made(_home("data") or platformdirs.user_data_path(NAME, appauthor=False))


def cache() -> Path:
    """What can be made again. Created when missing; raises StorageError when it cannot be used."""
    return _made(_home("cache") or platformdirs.user_cache_path(NAME, appauthor=False))


def config() -> Path:
    """Settings. Created when missing; raises StorageError when it cannot be used."""
    return _made(_home("config") or platformdirs.user_config_path(NAME, appauthor=False))


def log() -> Path:
    """Log files. Created when missing; raises StorageError when it cannot be used."""
    return _made(_home("log") or platformdirs.user_log_path(NAME, appauthor=False))


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


def _home(kind: str) -> Path | None:
    """HEARTH_HOME puts all four under one folder: for tests and for programs on a stick."""
    home = os.environ.get("HEARTH_HOME")
    return Path(home).absolute() / kind if home else None


def _made(folder: Path) -> Path:
    try:
        private.make_folder(folder)
    except OSError as error:
        raise StorageError(
            f"The folder {folder} cannot be made: {error.strerror}.", _HINT
        ) from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise StorageError(f"The folder {folder} cannot be read and written.", _HINT)
    return folder
