"""Where the engine's log goes: a rotating file, and warnings to stderr. Never a prompt's text."""

from __future__ import annotations

import io
import logging
import logging.handlers
from pathlib import Path
from typing import Final

from engine import folders
from engine.errors import StorageError
from ground import private, terminal

MAX_BYTES: Final = 1_000_000
KEPT_FILES: Final = 3

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def path() -> Path:
    return folders.log() / "engine.log"


def set_up() -> None:
    """Once, at the start of a process. Goes on with stderr alone where no file can be written."""
    logging.captureWarnings(True)
    # A disk that is full must not put a traceback for each line of the log on a user's terminal.
    logging.raiseExceptions = False
    root = logging.getLogger()
    stderr = logging.StreamHandler()
    stderr.setLevel(logging.WARNING)
    stderr.setFormatter(_Formatter("%(levelname)s %(name)s: %(message)s"))
    root.addHandler(stderr)
    logging.getLogger("engine").setLevel(logging.INFO)
    try:
        root.addHandler(_file())
    except (OSError, StorageError) as error:
        logging.getLogger(__name__).warning("No log file can be written (%s); going on.", error)


class _Formatter(logging.Formatter):
    """Messages name files and quote libraries, which quote files."""

    def format(self, record: logging.LogRecord) -> str:
        """A message of several lines is indented, so that none of them looks like another one."""
        return terminal.paragraphs(super().format(record)).replace("\n", "\n    ")


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """No other user may read it, nor those that it was before."""

    def _open(self) -> io.TextIOWrapper:
        stream = open(self.baseFilename, "ab", opener=private.opener)  # noqa: SIM115
        return io.TextIOWrapper(stream, encoding=self.encoding)


def _file() -> logging.Handler:
    handler = _PrivateFile(path(), maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8")
    handler.setFormatter(_Formatter(_FORMAT))
    return handler
