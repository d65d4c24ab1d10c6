"""A real session behind its worker, without pipes: commands in, events out."""

from __future__ import annotations

import queue
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.local.backend import LocalBackend
from engine.local.session import Session
from engine.process.telemetry import Meter
from engine.process.worker import Worker
from engine.protocol import (
    AttentionObserved,
    Count,
    Counted,
    Error,
    Event,
    Finished,
    Generate,
    Load,
    Loaded,
    Message,
    Sampling,
    Text,
)
from tests.engine import tiny
from tests.engine.family_models import Model

LIMIT = 60.0
"""Seconds after which a test that waits has failed."""


def write_model(path: Path, **changes: Any) -> Path:
    """A folder with a tiny llama, whose config differs from that of tests in `changes`."""
    return tiny.write_folder(path, Model("llama", {"head_dim": 64, **changes}).make())


def asking(text: str, new_tokens: int = 12, **sampling: Any) -> Generate:
    """Greedy, of one message."""
    return Generate(
        request="r",
        messages=(Message(role="user", content=text),),
        sampling=Sampling(**{"temperature": 0, "max_new_tokens": new_tokens, **sampling}),
    )


class Driven:
    def __init__(self) -> None:
        self.session = Session()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._worker = Worker(self._events.put, Meter(), self._fatal, LocalBackend(self.session))
        self.died = False

    @property
    def runner(self) -> Any:
        return self.session._opened().runner

    def start(self) -> None:
        self._worker.start()
        self._events.get(timeout=LIMIT)

    def _fatal(self) -> None:
        self.died = True

    def load(self, model: Path, context: int | None = None, dtype: str = "auto") -> list[Event]:
        """All events up to what was observed, or to an error."""
        command = Load(model=str(model), dtype=dtype, context_length=context)  # type: ignore[arg-type]
        self._worker.submit(command)
        return self._until(AttentionObserved, Error)

    def loaded(self, model: Path, context: int | None = None, dtype: str = "auto") -> Loaded:
        events = self.load(model, context, dtype)
        assert isinstance(events[-1], AttentionObserved), events[-1]
        (found,) = [event for event in events if isinstance(event, Loaded)]
        return found

    def refused(self, model: Path, context: int | None = None, dtype: str = "auto") -> Error:
        error = self.load(model, context, dtype)[-1]
        assert isinstance(error, Error), error
        return error

    def reply(self, command: Generate) -> tuple[str, Finished]:
        events = self.asked(command)
        assert not [event for event in events if isinstance(event, Error)]
        assert isinstance(events[-1], Finished)
        return "".join(event.text for event in events if isinstance(event, Text)), events[-1]

    def fails(self, command: Generate) -> Error:
        (error,) = [event for event in self.asked(command) if isinstance(event, Error)]
        return error

    def asked(self, command: Generate) -> list[Event]:
        self._worker.submit(command)
        return self._until(Finished)

    def counted(self, command: Count) -> Event:
        self._worker.submit(command)
        return self._until(Counted, Error)[-1]

    def _until(self, *kinds: type[Event]) -> list[Event]:
        taken = [self._events.get(timeout=LIMIT)]
        while not isinstance(taken[-1], kinds):
            taken.append(self._events.get(timeout=LIMIT))
        return taken


@contextmanager
def driven() -> Iterator[Driven]:
    before = sys.getswitchinterval()
    made = Driven()
    made.start()
    yield made
    sys.setswitchinterval(before)
    made.session.unload()
