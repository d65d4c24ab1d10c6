"""The inside of a child process: one JSON line in, one out. Imports nothing of strangers' programs.

Whoever starts it ends it when a request takes too long; it ends with its input at the latest.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from engine import watchdog

GRACE: Final = 0.2
"""Seconds that this process has to end by itself after the end of its input."""


def serve(answer: Callable[[Any], Any]) -> None:
    """Answers until the input ends."""
    # Ctrl-C in a terminal goes to every process of it; this one ends with its stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watchdog.end_with_input(GRACE)
    _silence()
    for line in sys.stdin.buffer:
        said = json.dumps(_answered(answer, json.loads(line)), separators=(",", ":"))
        try:
            sys.stdout.buffer.write(said.encode() + b"\n")
            sys.stdout.buffer.flush()
        except OSError:
            os._exit(1)  # nobody reads any more, and nobody is to see a trace of it


def _silence() -> None:
    """A library that panics quotes a stranger's file on stderr, which is a person's terminal.

    The same words are answered as an error, and shown as a stranger's are.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _answered(answer: Callable[[Any], Any], request: Any) -> dict[str, Any]:
    try:
        return {"done": answer(request)}
    except BaseException as error:  # noqa: BLE001 - whatever a stranger's program does, panics too
        return {"error": str(error) or type(error).__name__}


def limit_memory(size: int) -> None:
    """Bytes of address space, where the system can limit it (Linux)."""
    if sys.platform != "win32":
        import resource

        # macOS refuses a limit below what the system has mapped into every process.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (size, size))


@contextlib.contextmanager
def limited_time(seconds: int) -> Iterator[None]:
    """Ends this process after so many seconds of computing inside, where the system can (POSIX).

    Seconds of the processor and not of the clock: a file is not damaged because other programs
    compute at the same time.
    """
    if sys.platform == "win32":
        yield
        return
    import resource

    before, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the signal would leave a dump of memory
    limit = int(time.process_time()) + seconds
    if most != resource.RLIM_INFINITY:
        limit = min(limit, most)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (before, most))
