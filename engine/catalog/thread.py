"""The thread that lists, adds and removes models, so that a slow disk delays no Stop."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from engine.catalog import listing
from engine.error_events import as_event, as_hearth_error, record
from engine.protocol import AddModel, Event, ListModels, Models, RemoveModel

CatalogCommand = ListModels | AddModel | RemoveModel


class CatalogThread:
    """Answers each command with `Models`, or with `Error`."""

    def __init__(self, put: Callable[[Event], None]) -> None:
        self._put = put
        self._commands: queue.SimpleQueue[CatalogCommand] = queue.SimpleQueue()
        self._listed = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="catalog", daemon=True).start()

    def submit(self, command: CatalogCommand) -> None:
        self._commands.put(command)

    def wait_for_list(self, timeout: float) -> None:
        """Until the first answer is out, at most `timeout` seconds."""
        self._listed.wait(timeout)

    def _run(self) -> None:
        while True:
            self._put(self._answer(self._commands.get()))
            self._listed.set()

    def _answer(self, command: CatalogCommand) -> Event:
        try:
            if isinstance(command, AddModel):
                listing.add(command.path)
            elif isinstance(command, RemoveModel):
                listing.remove(command.id)
            return Models(models=listing.scan())
        except Exception as error:  # noqa: BLE001 - becomes an error event
            record(error)
            return as_event(as_hearth_error(error))
