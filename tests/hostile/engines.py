"""An engine process forked from one that has torch imported, and a watch on its time and memory.

It runs `engine.process.pipes.serve`, as the process that the window starts does; forking saves the
seconds that the imports take. Linux only.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from engine import protocol
from engine.protocol import AnyEvent, Command, Telemetry

SAMPLED_EVERY: Final = 0.04
"""Seconds between two looks at the memory."""
KILLED_AT: Final = 4 << 30
"""Bytes of all processes together at which an engine is killed for the machine's sake."""
END_LIMIT: Final = 2.0
"""Seconds in which an engine, and every child of it, has to end."""
PATIENCE: Final = 10.0
"""Seconds after which an engine that has not ended is killed."""


class GoneError(Exception):
    """The engine ended of itself."""


class LateError(Exception):
    """No such event came in time."""


@dataclass
class Watch:
    """What one input has cost so far."""

    peak: int = 0
    """Bytes: the most that the processes' own peaks, of those alive together, came to."""
    silence: float = 0.0
    """Seconds: the longest time without telemetry."""
    heard: float = field(default_factory=time.monotonic)


class Engine:
    def __init__(self, home: Path) -> None:
        self.watch = Watch()
        self._buffer = b""
        self._sampled = 0.0
        self._lines: list[bytes] = []
        self._home = home
        commands, self._commands = os.pipe()
        self._events, events = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._commands)
            os.close(self._events)
            _serve(commands, events, home)
        os.close(commands)
        os.close(events)

    def send(self, command: Command) -> None:
        """Raises GoneError."""
        try:
            os.write(self._commands, protocol.encode(command))
        except BrokenPipeError as error:
            raise GoneError from error

    def begin(self) -> None:
        """Of an input: peaks are counted afresh."""
        for pid in self._processes():
            with contextlib.suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text("5", "ascii")
        self.watch = Watch()

    def wait_for(self, wanted: Callable[[AnyEvent], Any], seconds: float) -> AnyEvent:
        """The next event for which `wanted` is true. Raises LateError and GoneError."""
        deadline = time.monotonic() + seconds
        while True:
            event = self._next(deadline)
            if isinstance(event, Telemetry):
                self._hear()
            elif wanted(event):
                return event

    def _hear(self) -> None:
        now = time.monotonic()
        self.watch.silence = max(self.watch.silence, now - self.watch.heard)
        self.watch.heard = now

    def _next(self, deadline: float) -> AnyEvent:
        while not self._lines:
            self.look()
            if time.monotonic() > deadline:
                self._hear()
                raise LateError
            if select.select([self._events], [], [], SAMPLED_EVERY)[0]:
                data = os.read(self._events, 1 << 20)
                if not data:
                    raise GoneError
                *lines, self._buffer = (self._buffer + data).split(b"\n")
                self._lines += lines
        return protocol.decode_event(self._lines.pop(0))

    def look(self) -> None:
        """At the memory; kills what has taken too much of it."""
        now = time.monotonic()
        if now - self._sampled < SAMPLED_EVERY:
            return
        self._sampled = now
        taken = sum(map(_peak, self._processes()))
        self.watch.peak = max(self.watch.peak, taken)
        if taken > KILLED_AT:
            self.kill()

    def stderr(self) -> str:
        """What the engine and its children have written there since this was last asked."""
        with contextlib.suppress(OSError):
            text = (self._home / "stderr").read_text("utf-8", "replace")
            os.truncate(self._home / "stderr", 0)
            return text
        return ""

    def kept(self) -> int:
        """Bytes of files in the cache folder."""
        kept = 0
        for path in (self._home / "cache").rglob("*"):
            with contextlib.suppress(OSError):
                kept += path.stat().st_size
        return kept

    def children(self) -> list[int]:
        """Without those that are about to become another program and share the engine's memory."""
        here = _command(self.pid)
        return [pid for pid in _descendants(self.pid) if _command(pid) != here]

    def _processes(self) -> list[int]:
        return [self.pid, *self.children()]

    def kill(self) -> None:
        """With all that it has started."""
        for pid in self._processes():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def end(self, how: Callable[[Engine], None]) -> tuple[float, int]:
        """Seconds until the process had ended, and how many of its children lived on."""
        children = self.children()
        begin = time.monotonic()
        with contextlib.suppress(GoneError, OSError):
            how(self)
        while not os.waitpid(self.pid, os.WNOHANG)[0]:
            children = list({*children, *self.children()})
            self._drain()
            if time.monotonic() - begin > PATIENCE:
                self.kill()
        seconds = time.monotonic() - begin
        left = _alive(children)
        while left and time.monotonic() - begin < END_LIMIT + seconds:
            time.sleep(SAMPLED_EVERY)
            left = _alive(children)
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self._close()
        return seconds, len(left)

    def _drain(self) -> None:
        if select.select([self._events], [], [], SAMPLED_EVERY)[0]:
            os.read(self._events, 1 << 20)
            time.sleep(0.001)  # its end is readable for ever

    def close_commands(self) -> None:
        os.close(self._commands)
        self._commands = -1

    def _close(self) -> None:
        for descriptor in (self._commands, self._events):
            if descriptor >= 0:
                os.close(descriptor)


ENDS: Final[dict[str, Callable[[Engine], None]]] = {
    "shutdown": lambda engine: engine.send(protocol.Shutdown()),
    "end of input": Engine.close_commands,
    "kill": lambda engine: os.kill(engine.pid, signal.SIGKILL),
}


def import_torch() -> None:
    import torch

    import engine.local.session
    import engine.process.pipes  # noqa: F401

    torch.set_num_threads(1)


def write_modules(model: Path, file: Path) -> None:
    """Names what is imported after a model was loaded and asked; in a process of its own."""
    from engine.local.session import Session

    session = Session()
    session.load(protocol.Load(model=str(model)), lambda *_: None)
    session.probe()
    hello = protocol.Message(role="user", content="Hello")
    for _ in session.generate(protocol.Generate(request="r", messages=(hello,)), lambda: False):
        pass
    found = dict(sys.modules)
    names = [name for name, module in found.items() if getattr(module, "__file__", None)]
    file.write_text("\n".join(names), "ascii")


def import_modules(file: Path) -> None:
    """Before any fork, or each engine would import them with its first model."""
    for name in file.read_text("ascii").splitlines():
        if name != "__main__":
            importlib.import_module(name)
    gc.collect()
    # Or each load collects all that was imported, which takes half a second.
    gc.freeze()


def _serve(commands: int, events: int, home: Path) -> NoReturn:
    """In the forked process: the engine on descriptors 0, 1 and 2, with no others open."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        log = os.open(home / "stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for target, source in enumerate((commands, events, log)):
            os.dup2(source, target)
        os.closerange(3, 256)
        os.environ["HEARTH_HOME"] = str(home)
        from engine.catalog import listing
        from engine.local.backend import LocalBackend
        from engine.process import pipes

        # The embedded model's vocabulary would be read three times for each input.
        listing.PACKAGED = ()  # type: ignore[assignment, attr-defined]
        pipes.serve(LocalBackend())
    except BaseException:  # noqa: BLE001 - a process that was forked must not go on as its parent
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(70)


def _peak(pid: int) -> int:
    """Bytes of memory that a process has had at most since its peak was counted afresh."""
    with contextlib.suppress(OSError):
        said = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
        peak = said.partition("VmHWM:")[2]
        return int(peak.split(maxsplit=1)[0]) << 10 if peak else 0
    return 0


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace")
    return ""


def _descendants(pid: int) -> list[int]:
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{pid}/task/{task}/children").read_text("ascii")
                found += [int(child) for child in children.split()]
    except OSError:
        return []
    return [*found, *(below for child in found for below in _descendants(child))]


def _alive(pids: list[int]) -> list[int]:
    """A process that has ended and was not waited for yet counts as ended."""
    alive = []
    for pid in pids:
        with contextlib.suppress(OSError):
            state = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2]
            alive += [pid] if state.split()[0] not in "ZX" else []
    return alive
