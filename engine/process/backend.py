"""What the engine thread drives: whatever loads models and answers. One of them is in this process
(`engine.local.backend`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from engine.protocol import (
    AttentionObserved,
    Count,
    Counted,
    Device,
    Finished,
    Generate,
    LeftOut,
    Load,
    Loaded,
    Loading,
    Prefill,
    Rethought,
    Text,
    Thinking,
)

Reply = Prefill | LeftOut | Thinking | Rethought | Text | Finished
Loads = Device | Loading | Loaded | AttentionObserved


class Backend(Protocol):
    """Every call may raise HearthError, and so may every step of what it returns."""

    def start(self) -> Iterator[Device]:
        """What a first command would wait for. Its device is told once, here or by `load`, by a
        backend that has one. Called again after it failed."""
        ...

    def load(self, command: Load, tell: Callable[[Loading], None], /) -> Iterator[Loads]:
        """Ends with `Loaded`, or with what was observed after it. Progress that is made deep in a
        call goes to `tell`."""
        ...

    def unload(self) -> None: ...

    def generate(self, command: Generate, stopped: Callable[[], bool], /) -> Iterator[Reply]:
        """Ends with `Finished`."""
        ...

    def count(self, command: Count, stopped: Callable[[], bool], /) -> Counted | None:
        """None if it was stopped."""
        ...

    def prepare(self) -> bool:
        """Does a little of what a later request would wait for; False if there is nothing to do."""
        ...
