"""The engine process on the pipes of whoever started it: commands on stdin, events on stdout."""

from __future__ import annotations

import os
import signal
import sys
from typing import BinaryIO, Final, NoReturn

from engine import log, watchdog
from engine.process.backend import Backend
from engine.process.server import Server

GRACE: Final = 1.0
"""Seconds that this process has to end by itself after the end of its input."""


def serve(backend: Backend) -> NoReturn:
    """Until the end of the input or `Shutdown`; does not return."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever holds the other end
    watchdog.end_with_input(GRACE)
    commands, events = claimed()
    log.set_up()
    Server(commands, events, backend, leave).run()
    leave(0)


def claimed() -> tuple[BinaryIO, BinaryIO]:
    """stdin and stdout, for the protocol alone.

    Their descriptors are duplicated (not inherited by children, so that the end of file comes) and
    then pointed elsewhere: what a library prints, in Python or in C, lands in stderr.
    """
    commands = os.fdopen(os.dup(0), "rb")
    events = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return commands, events


def leave(code: int) -> NoReturn:
    """At once, whatever the other threads are in the middle of, a write to stderr included."""
    os._exit(code)
