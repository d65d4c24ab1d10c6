"""Files and folders that nobody but their owner may read, whatever the umask.

Nothing is done on Windows: a user's profile is closed to other users there, and what lies in it
inherits that.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Final

FOLDER: Final = 0o700
FILE: Final = 0o600
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def restrict_process() -> None:
    """Closes to others whatever this process and its children will write, libraries included."""
    os.umask(OTHERS)


def make_folder(folder: Path) -> None:
    """Makes the folder and those missing above it; closes one that exists. Raises OSError."""
    if not folder.parent.exists():
        make_folder(folder.parent)
    folder.mkdir(FOLDER, exist_ok=True)
    close(folder)


def make_file(file: Path) -> None:
    """Makes an empty file, or closes the one that exists. Raises OSError."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE))
    close(file)


def write(file: Path, content: bytes) -> None:
    """Raises OSError."""
    with open(file, "wb", opener=opener) as stream:
        stream.write(content)


def opener(path: str, flags: int) -> int:
    """For `open`: a file that is made is made private."""
    return os.open(path, flags, FILE)


def close(path: Path) -> None:
    """Takes from group and others whatever the mode gives them.

    A link is left alone: what it leads to lies where its user wants it. A file of another owner, or
    on a file system without modes, stays as it is, which is no error.
    """
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        mode = path.lstat().st_mode
        if mode & OTHERS and (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            path.chmod(stat.S_IMODE(mode) & ~OTHERS)


def close_tree(top: Path, *, apart_from: Collection[Path] = ()) -> None:
    """Closes a folder and all below it, from the top down: nobody can put links in the way.

    No link is followed. Folders of `apart_from` are closed themselves, their contents are not.
    """
    close(top)
    if top.is_symlink():
        return
    for parent, folders, files in os.walk(top):
        for name in (*folders, *files):
            close(Path(parent, name))
        folders[:] = [name for name in folders if Path(parent, name) not in apart_from]
