"""stdin, stdout and stderr of a process, however it was started."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import Final, TextIO

STANDARD: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def prepare() -> None:
    """Opens those that are closed on nothing, and lets the others take any character.

    The next file that is opened takes the number of a closed one: what is meant for stderr would be
    written into it. A stdout that was closed cannot be written (`can_write`).
    """
    for number, (name, mode) in enumerate(STANDARD):
        if not _is_open(number):
            _open_on_nothing(number)
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a Windows code page lacks what a reply has
            stream.reconfigure(encoding="utf-8", errors="replace")


def can_write(number: int) -> bool:
    """Whether a descriptor is open for writing, be there room or not."""
    try:
        os.write(number, b"")
    except OSError as error:
        return error.errno != errno.EBADF
    return True


def drop(stream: TextIO) -> None:
    """Nothing more is written to it; without this, Python fails over the rest at exit."""
    with contextlib.suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _open_on_nothing(number: int) -> None:
    """Those below are open, so the lowest free number is this one. stdout stays unwritable."""
    made = os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
    os.set_inheritable(made, True)
