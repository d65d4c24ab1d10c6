"""An engine process whose backend does what a prompt names: faults that the real one rarely has.

Run by path. Everything but the backend is the real thing.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

from engine.process import pipes
from engine.process.worker import unanswered
from engine.protocol import (
    Attention,
    AttentionObserved,
    AttentionPhase,
    Count,
    Counted,
    Device,
    Finished,
    Generate,
    Load,
    Loaded,
    Loading,
    ModelInfo,
    Prefill,
    Text,
    Thinking,
)
from engine.reply.thinking import Thought

FLOOD: Final = 200_000
"""Pieces of text, some 10 MB as events of their own."""

PHASE: Final = AttentionPhase(
    requested="auto", resolved="none", observed="none", reason="A stand-in.", flash=False
)


class AcceleratorError(RuntimeError):
    """Named as torch names it, which is how the engine knows it."""

    __module__ = "torch"


class FaultyBackend:
    def start(self) -> Iterator[Device]:
        yield Device(kind="cpu", name="CPU", torch="0", transformers="0")

    def load(
        self, command: Load, tell: Callable[[Loading], None], /
    ) -> Iterator[Loaded | AttentionObserved]:
        for done in range(10_000 if command.model == "slow" else 1):
            tell(Loading(model=command.model, stage="weights", done=done, total=10_000))
            time.sleep(0.01)
        model = ModelInfo(id="faulty", name="Faulty", path="", source="folder", format="unknown")
        yield Loaded(
            model=model,
            device="CPU",
            dtype="float32",
            context_length=1,
            use_flash_attn=False,
            load_ms=0.0,
        )
        yield AttentionObserved(attention=Attention(prefill=PHASE, decode=PHASE))

    def unload(self) -> None:
        pass

    def prepare(self) -> bool:
        return False

    def count(self, command: Count, stopped: Callable[[], bool], /) -> Counted | None:
        return None

    def generate(
        self, command: Generate, stopped: Callable[[], bool], /
    ) -> Iterator[Prefill | Thinking | Text | Finished]:
        for piece in faults[command.messages[-1].content](stopped):
            if isinstance(piece, Thought):
                yield Thinking(request=command.request, text=piece.text)
            else:
                yield Text(request=command.request, text=piece)
        sys.stderr.write("generated\n")
        yield unanswered(command.request, "stopped" if stopped() else "stop")


Piece = Thought | str
Fault = Callable[[Callable[[], bool]], Iterator[Piece]]


def chatter(_: Callable[[], bool]) -> Iterator[str]:
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
    yield "x"


def flood(_: Callable[[], bool]) -> Iterator[str]:
    yield from "x" * FLOOD


def think(_: Callable[[], bool]) -> Iterator[Piece]:
    yield Thought("Hm, ")
    yield Thought("so.")
    yield "Yes."


def think_only(_: Callable[[], bool]) -> Iterator[Piece]:
    yield Thought("Hm")


def talk(stopped: Callable[[], bool]) -> Iterator[str]:
    while not stopped():
        yield "x"
        time.sleep(0.01)


def talk_on(_: Callable[[], bool]) -> Iterator[str]:
    """Does not hear a stop."""
    return talk(lambda: False)


def lose_device(_: Callable[[], bool]) -> Iterator[str]:
    yield "x"
    raise AcceleratorError("an illegal memory access was encountered")


def fail(_: Callable[[], bool]) -> Iterator[str]:
    yield "x"
    raise KeyError("secret")


def die(_: Callable[[], bool]) -> Iterator[str]:
    yield "x"
    time.sleep(0.1)
    os._exit(9)


def hold_gil(_: Callable[[], bool]) -> Iterator[str]:
    """For hours, in one call of C that lets no other thread run."""
    yield "x"
    os.write(2, b"holds the GIL\n")
    re.match("(a+)+b", "a" * 99)


faults: dict[str, Fault] = {
    "chatter": chatter,
    "flood": flood,
    "think": think,
    "think only": think_only,
    "talk": talk,
    "talk on": talk_on,
    "lose the device": lose_device,
    "fail": fail,
    "die": die,
    "hold the GIL": hold_gil,
}

if __name__ == "__main__":
    pipes.serve(FaultyBackend())
