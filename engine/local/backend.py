"""The backend in this process. Imports torch when it is first needed: what the headers refuse is
refused before."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

from engine.catalog import fit, listing
from engine.errors import HearthError
from engine.protocol import (
    AttentionObserved,
    Count,
    Counted,
    Device,
    Generate,
    Load,
    Loaded,
    Loading,
)

if TYPE_CHECKING:
    from engine.local.session import Reply, Session

_log = logging.getLogger(__name__)


class LocalBackend:
    """As `engine.process.backend.Backend` says."""

    def __init__(self, session: Session | None = None) -> None:
        """With a session that is open already, or with one that is opened when it is needed."""
        self._session = session
        self._told = False

    def start(self) -> Iterator[Device]:
        session = self._opened()
        if not self._told:
            self._told = True
            yield session.device()

    def load(
        self, command: Load, tell: Callable[[Loading], None], /
    ) -> Iterator[Device | Loading | Loaded | AttentionObserved]:
        def progress(stage: str, done: int, total: int) -> None:
            event = {"model": command.model, "stage": stage, "done": done, "total": total}
            tell(msgspec.convert(event, Loading))

        yield Loading(model=command.model, stage="starting")
        fit.check(listing.find(command.model), command.dtype)
        yield from self.start()
        session = self._opened()
        yield session.load(command, progress)
        yield AttentionObserved(attention=session.probe())

    def unload(self) -> None:
        self._opened().unload()

    def generate(self, command: Generate, stopped: Callable[[], bool], /) -> Iterator[Reply]:
        return self._opened().generate(command, stopped)

    def count(self, command: Count, stopped: Callable[[], bool], /) -> Counted | None:
        return self._opened().count(command, stopped)

    def prepare(self) -> bool:
        return self._session is not None and self._session.prepare()

    def _opened(self) -> Session:
        if self._session is None:
            self._session = open_session()
        return self._session


def open_session() -> Session:
    """Imports torch. Raises HearthError if that fails."""
    try:
        from engine.local.session import Session
    except (ImportError, OSError) as error:
        _log.error("the engine's packages cannot be imported: %s", error)
        raise HearthError(
            "PyTorch, or a package that the engine needs beside it, cannot be imported.",
            "`python3 start.py doctor` says which one it is and what to do.",
        ) from error
    # The 200,000 objects that imports made stay: without this each collection looks at them again,
    # which takes 0.2 s at every load and unload.
    gc.freeze()
    return Session()
