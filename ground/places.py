"""Where Hearth keeps its files: the system's own places for a user's, or below HEARTH_HOME."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

Kind = Literal["data", "cache", "config", "log"]


class NoPlaceError(Exception):
    """Its two arguments are sentences: what is missing, and what to do."""


def place(kind: Kind) -> Path:
    """An absolute path, which may not exist yet. Raises NoPlaceError."""
    home = os.environ.get("HEARTH_HOME")
    if home:
        return _absolute(home) / kind
    import platformdirs

    try:
        return Path(getattr(platformdirs, f"user_{kind}_path")("hearth", appauthor=False))
    except RuntimeError as error:  # no HOME, and no entry in the system's list of users
        raise NoPlaceError(
            "This user has no home folder, so there is no place for Hearth's files.",
            "Set HEARTH_HOME to a folder that can be written.",
        ) from error


def _absolute(home: str) -> Path:
    try:
        return Path(home).absolute()
    except OSError as error:
        raise NoPlaceError(
            f"HEARTH_HOME is {home}, which is relative to a folder that is gone.",
            "Set HEARTH_HOME to an absolute path.",
        ) from error
