"""Files that are read part by part, and must stay what they were meanwhile.

They are read by calls and never mapped: a page of a mapped file that was cut is a signal (SIGBUS)
which ends the process. Imports neither torch nor numpy.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import NamedTuple

from engine.errors import CheckpointError


class Version(NamedTuple):
    """A file as it was when its header was read."""

    device: int
    inode: int
    size: int
    """Bytes."""
    changed_ns: int


def changed(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path.name} was changed while it was read.",
        "Load the model again when no other program writes to that file.",
    )


def _version(status: os.stat_result) -> Version:
    return Version(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class SteadyFile:
    """One open file. Every method raises CheckpointError for a file that was changed."""

    def __init__(self, path: Path, file: FileIO) -> None:
        self.path = path
        self.version = _version(os.fstat(file.fileno()))
        self._file = file

    @property
    def size(self) -> int:
        """Bytes."""
        return self.version.size

    def read_into(self, begin: int, buffer: memoryview) -> None:
        """Fills `buffer`, of bytes, with those of the file from `begin` on."""
        self._file.seek(begin)
        done = 0
        while done < len(buffer):
            count = self._file.readinto(buffer[done:])
            if not count:
                raise changed(self.path)
            done += count

    def read(self, begin: int, length: int) -> bytearray:
        """`length` bytes from `begin` on."""
        found = bytearray(length)
        self.read_into(begin, memoryview(found))
        return found

    def check(self) -> None:
        if _version(os.fstat(self._file.fileno())) != self.version:
            raise changed(self.path)


@contextmanager
def opened(path: Path, expected: Version | None = None) -> Iterator[SteadyFile]:
    """The file at `path`, which is looked at again when the block ends.

    `expected` is what an earlier block saw. Raises CheckpointError for a file that is not there,
    cannot be read, is no file (a pipe would be waited on), is empty or was changed.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CheckpointError(f"{path.name} is not a file.")
        with path.open("rb", buffering=0) as raw:
            file = SteadyFile(path, raw)
            if expected not in (None, file.version):
                raise changed(path)
            if not file.size:
                raise CheckpointError(f"{path.name} is empty.")
            yield file
            file.check()
    except FileNotFoundError as error:
        raise CheckpointError(
            f"There is no file {path}.", "Check the path, or choose another model."
        ) from error
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read: {error.strerror}.", "Check the permissions of the file."
        ) from error
