"""An engine process whose session does what a prompt names: faults that the real one rarely has.

Run by path. Everything but the session is the real thing.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

from engine import server
from engine.protocol import Attention, Device, Finished, Generate, Load, Loaded, Prefill, Text
from engine.worker import unanswered

FLOOD = 200_000
"""Pieces of text, some 10 MB as events of their own."""


class AcceleratorError(RuntimeError):
    """Named as torch names it, which is how the engine knows it."""

    __module__ = "torch"


class FaultySession:
    def device(self) -> Device:
        return Device(kind="cpu", name="CPU", torch="0", transformers="0")

    def load(self, command: Load, progress: Callable[[str, int, int], None], /) -> Loaded:
        raise NotImplementedError

    def probe(self) -> Attention:
        raise NotImplementedError

    def unload(self) -> None:
        raise NotImplementedError

    def generate(
        self, command: Generate, stopped: Callable[[], bool], /
    ) -> Iterator[Prefill | Text | Finished]:
        faults[command.messages[-1].content]()
        for _ in range(FLOOD if command.messages[-1].content == "flood" else 1):
            yield Text(request=command.request, text="x")
        sys.stderr.write("generated\n")
        yield unanswered(command.request, "stop")


def chatter() -> None:
    """Everything that a library may write to stdout."""
    print("from Python")  # noqa: T201 - the point of it
    sys.__stdout__.write("from the first stdout\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]
    os.write(1, b"from the descriptor\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    if os.name == "posix":
        libc = ctypes.CDLL(None)
        libc.puts(b"from C")
        libc.fflush(None)


def break_down() -> None:
    raise AcceleratorError("an illegal memory access was encountered")


faults: dict[str, Callable[[], None]] = {
    "chatter": chatter,
    "flood": lambda: None,
    "break down": break_down,
}

if __name__ == "__main__":
    server.serve(FaultySession)
