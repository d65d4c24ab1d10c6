"""Hands commands on to whoever does them, and ends with them; knows no transport.

The main thread only reads. It says hello and has the models listed before the engine thread
imports torch, so that a window has something to show at once.
"""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Callable, Iterable
from typing import Final

import psutil

import engine
from engine import folders, protocol
from engine.catalog import listing
from engine.catalog.thread import CatalogThread
from engine.device import nvml
from engine.error_events import as_event
from engine.errors import StorageError
from engine.process import telemetry
from engine.process.backend import Backend
from engine.process.outbox import Outbox, Sink
from engine.process.telemetry import Meter
from engine.process.worker import Worker

FIRST_LIST: Final = 0.3
"""Seconds that the engine thread lets the first list of models go before it imports torch."""

LAST_WORDS: Final = 1.0
"""Seconds that a reader has to take what is pending before the process ends."""


def hello() -> protocol.Hello:
    return protocol.Hello(
        protocol=protocol.PROTOCOL_VERSION,
        hearth=engine.__version__,
        python=platform.python_version(),
        pid=os.getpid(),
        cpu_count=os.cpu_count() or 1,
        ram_total_bytes=psutil.virtual_memory().total,
        gpus=nvml.gpus(),
        default_model=listing.default_model(),
    )


class Server:
    """Owns the threads of the process; `run` is its main thread."""

    def __init__(
        self,
        commands: Iterable[bytes],
        events: Sink,
        backend: Backend,
        leave: Callable[[int], None],
    ) -> None:
        """`commands` are lines of the protocol; `leave` ends the process with that exit code."""
        self._commands = commands
        self._leave = leave
        self._outbox = Outbox(events, on_broken=lambda: leave(0))
        self._catalog = CatalogThread(self._outbox.put)
        self._meter = Meter()
        self._worker = Worker(self._outbox.put, self._meter, self._fail, backend)

    def run(self) -> None:
        """Until the end of the commands, or `Shutdown`."""
        self._start()
        with contextlib.suppress(OSError):
            for line in self._commands:
                self._read(line)
                self._outbox.wait_for_room()
        self._leave(0)

    def _start(self) -> None:
        self._outbox.start()
        self._outbox.put(hello())
        self._check_data_folder()
        self._catalog.submit(protocol.ListModels())
        self._catalog.start()
        self._catalog.wait_for_list(FIRST_LIST)
        self._worker.start()
        telemetry.start(self._meter, self._outbox.put)

    def _check_data_folder(self) -> None:
        """Said at once: that nothing is kept should not come out when something was to be."""
        try:
            folders.data()
        except StorageError as error:
            self._outbox.put(as_event(error))

    def _read(self, line: bytes) -> None:
        try:
            command = protocol.decode_command(line)
        except protocol.ProtocolError:
            self._outbox.put(_NOT_UNDERSTOOD)
            return
        self._hand_on(command)

    def _hand_on(self, command: protocol.AnyCommand) -> None:
        match command:
            case protocol.Load() | protocol.Unload() | protocol.Generate() | protocol.Count():
                self._worker.submit(command)
            case protocol.Stop(request=request):
                self._worker.stop(request)
            case protocol.Shutdown():
                self._outbox.flush(LAST_WORDS)
                self._leave(0)
            case _:
                self._catalog.submit(command)

    def _fail(self) -> None:
        """After a fault of the device this process is of no more use."""
        self._outbox.flush(LAST_WORDS)
        self._leave(1)


_NOT_UNDERSTOOD: Final = protocol.Error(
    title="The engine did not understand a command",
    detail="What was received is not a command of this version.",
    hint="Check that the window and the engine come from the same version of Hearth.",
    code="protocol",
)
