"""The engine as the window has it: a process of its own, commands in, events out."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import engine
from engine import protocol
from engine.protocol import AnyEvent, Command, Device, Error, Event, Finished, Loaded, Text

ROOT: Final = Path(engine.__file__).parents[1]
ENVIRONMENT: Final = {"PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "PASSIVE"}
"""OpenMP's threads spin while they wait for each other, which takes the cores from every other
process: on a machine that is busy, tests took ten times as long."""
SERVE: Final = ("-P", "-m", "engine", "serve")
LIMIT: Final = 60.0
"""Seconds after which a wait has failed; torch's import and a load on a busy machine fit in."""
DEATH_LIMIT: Final = 10.0
"""Seconds for an end that takes milliseconds here, and may take two."""
EMBEDDED: Final = "smollm2-135m-instruct"

AnEvent = TypeVar("AnEvent", bound=Event)


class EngineProcess:
    """Everything that has come is kept in `events`; what is not an event fails the next wait."""

    def __init__(self, process: subprocess.Popen[bytes], *, reading: bool = True) -> None:
        self.process = process
        self.events: list[AnyEvent] = []
        self._came: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        if reading:
            self.read()

    def read(self) -> None:
        self._reader.start()

    def send(self, *commands: Command) -> None:
        self.write(b"".join(map(protocol.encode, commands)))

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def wait_for(self, kind: type[AnEvent], request: str | None = None) -> AnEvent:
        """The next event of this kind (of this request); those that come before it are passed."""
        deadline = time.monotonic() + LIMIT
        while True:
            event = self._next(deadline)
            if isinstance(event, kind) and request in (None, getattr(event, "request", None)):
                return event

    def first(self, kind: type[AnEvent]) -> AnEvent:
        """The first event of this kind, also if it has come before."""
        found = next((event for event in self.events if isinstance(event, kind)), None)
        return found or self.wait_for(kind)

    def load(self, load: protocol.Load) -> Loaded | Error:
        """Sends it and waits for its end; after `Loaded` for the attention observed, too."""
        self.send(load)
        deadline = time.monotonic() + LIMIT
        while not isinstance(event := self._next(deadline), Loaded | Error):
            pass
        if isinstance(event, Loaded):
            self.wait_for(protocol.AttentionObserved)
        return event

    def reply(self, generate: protocol.Generate) -> tuple[str, Finished]:
        self.send(generate)
        begin = len(self.events)
        finished = self.wait_for(Finished, generate.request)
        mine = (event for event in self.events[begin:] if isinstance(event, Text))
        return "".join(event.text for event in mine), finished

    def _next(self, deadline: float) -> AnyEvent:
        """Telemetry comes for ever: the limit is for all that is waited for."""
        try:
            line = self._came.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise TimeoutError(f"after {self.events[-3:]}") from None
        assert line, "the engine ended"
        event = protocol.decode_event(line)
        self.events.append(event)
        return event

    def close(self) -> None:
        """The end of its input."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def seconds_to_end(self) -> float:
        begin = time.monotonic()
        self.process.wait(DEATH_LIMIT)
        return time.monotonic() - begin

    def join(self) -> None:
        """The reader ends with the process; before that its pipe must not be closed."""
        if self._reader.is_alive():
            self._reader.join()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._came.put(line)
        self._came.put(b"")


@contextmanager
def running(
    arguments: Sequence[str] = SERVE,
    *,
    environment: Mapping[str, str] | None = None,
    reading: bool = True,
    stderr: int | None = None,
) -> Iterator[EngineProcess]:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, **ENVIRONMENT, **(environment or {})},
    )
    made = EngineProcess(process, reading=reading)
    with process:
        try:
            yield made
            made.close()
            process.wait(DEATH_LIMIT)
        finally:
            process.kill()
            made.join()


def opened(process: EngineProcess) -> Device:
    """Waits until torch is there."""
    return process.wait_for(Device)


def ask(content: str, request: str = "r", **sampling: object) -> protocol.Generate:
    """A greedy request of one message."""
    settings = {"temperature": 0.0, "max_new_tokens": 16, **sampling}
    return protocol.Generate(
        request=request,
        messages=(protocol.Message(role="user", content=content),),
        sampling=protocol.Sampling(**settings),  # type: ignore[arg-type]
    )
