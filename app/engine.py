"""What the window needs of an engine, whichever kind it is: a process of this computer, a script of
the tests, a server elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from PySide6.QtCore import SignalInstance

from engine import protocol


class EngineState(Enum):
    STARTING = "starting"
    READY = "ready"
    DEAD = "dead"
    CLOSED = "closed"


@dataclass(frozen=True)
class Death:
    """Why there is no engine any more."""

    title: str
    detail: str
    exit_code: int | None
    """None when it never started or was ended by us."""
    last_lines: tuple[str, ...] = ()


class Engine(Protocol):
    """Takes commands and never waits; everything comes back as an event.

    What belongs to one reply names its request, so that several may be asked for at once.
    """

    @property
    def state_changed(self) -> SignalInstance:
        """Brings the new EngineState."""

    @property
    def answers_changed(self) -> SignalInstance:
        """Brings a bool: an engine that is ready has been silent for too long, or is no more."""

    @property
    def event_received(self) -> SignalInstance:
        """Brings a protocol.Event."""

    @property
    def died(self) -> SignalInstance:
        """Brings a Death."""

    @property
    def closed(self) -> SignalInstance:
        """Follows `close` when nothing of the engine is left."""

    @property
    def state(self) -> EngineState: ...

    @property
    def answers(self) -> bool:
        """False while an engine that is ready has been silent for too long: it hangs."""

    def start(self) -> None:
        """Starts the engine unless it runs."""

    def send(self, command: protocol.Command) -> bool:
        """Queues a command; False when there is no engine to take it."""

    def restart(self) -> None:
        """Ends the engine at once, whatever it does, and starts afresh."""

    def replace(self) -> None:
        """Ends an engine that does not answer, which `died` says, and starts afresh."""

    def close(self) -> None:
        """Ends the engine; `closed` follows."""
