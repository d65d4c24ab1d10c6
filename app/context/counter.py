"""Asks the engine how many tokens a conversation has, at most as often as the person pauses."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QObject, QTimer, Signal

from app.context.use import ContextUse, use_of
from app.engine import Engine, EngineState
from engine import protocol

PAUSE_MS: Final = 300
"""After the last key, until tokens are counted."""
PATIENCE_MS: Final = 1500
"""For the count before a prompt is sent; then the engine decides by itself."""

Answer = Callable[[ContextUse | None], None]


@dataclass(frozen=True)
class Asked:
    history: tuple[protocol.Message, ...] = ()
    """What the model would see of the conversation."""
    draft: str = ""
    """The message that is being written."""
    longest_reply: int | None = None

    @property
    def messages(self) -> tuple[protocol.Message, ...]:
        if not self.draft.strip():
            return self.history
        return (*self.history, protocol.Message(role="user", content=self.draft))


class ContextCounter(QObject):
    """`counted(ContextUse or None)`: of what was asked last; None if it is not known.
    `text_counted(text, tokens)`: of a text of its own.

    One count is on its way at most: the engine answers only the last one that it was asked.
    """

    counted = Signal(object)
    text_counted = Signal(str, int)

    def __init__(self, engine: Engine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        self._request = ""
        self._asked = Asked()
        self._asks: Callable[[], Asked] = Asked
        self._answer: Answer | None = None
        self._texts: list[str] = []
        """To be counted when nothing else is."""
        self._of_text = ""
        """The request for the first of them, while it is on its way."""
        self._pause = QTimer(self, singleShot=True, interval=PAUSE_MS)
        self._pause.timeout.connect(self._ask)
        self._patience = QTimer(self, singleShot=True, interval=PATIENCE_MS)
        self._patience.timeout.connect(lambda: self._take(None))
        engine.event_received.connect(self._on_event)
        engine.state_changed.connect(lambda _: self.forget())

    def watch(self, asks: Callable[[], Asked]) -> None:
        """Counts soon what `asks` returns then; `counted` follows."""
        self._asks = asks
        if self._answer is None:
            self._pause.start()

    def check(self, asked: Asked, answer: Answer) -> None:
        """Counts it now and calls `answer`, with None if the engine does not say in time."""
        self._asks = lambda: asked
        self._answer = answer
        self._patience.start()
        self._ask()

    def count_texts(self, texts: Sequence[str]) -> None:
        """Counts these, each by itself, when there is time; `text_counted` follows for each."""
        self._texts = list(texts)
        self._next_text()

    def _next_text(self) -> None:
        busy = self._request or self._of_text or self._pause.isActive()
        if busy or not self._texts or self._engine.state is not EngineState.READY:
            return
        self._of_text = uuid.uuid4().hex
        message = protocol.Message(role="user", content=self._texts[0])
        self._engine.send(protocol.Count(request=self._of_text, messages=(message,)))

    def forget(self) -> None:
        """Of a model that is no longer there, or a conversation that is no longer shown."""
        self._pause.stop()
        self._request = self._of_text = ""
        self._take(None)

    def _ask(self) -> None:
        self._pause.stop()
        self._request, self._of_text = uuid.uuid4().hex, ""  # which is not answered any more
        self._asked = self._asks()
        messages = self._asked.messages
        command = protocol.Count(
            request=self._request, messages=messages, longest_reply=self._asked.longest_reply
        )
        ready = self._engine.state is EngineState.READY
        if not (ready and messages and self._engine.send(command)):
            self._take(None)

    def _on_event(self, event: protocol.Event) -> None:
        if self._of_text and getattr(event, "request", "") == self._of_text:
            self._take_text(event)
        if not self._request or getattr(event, "request", "") != self._request:
            return
        if isinstance(event, protocol.Counted):
            self._take(use_of(event, drafted=bool(self._asked.draft.strip())))
        elif isinstance(event, protocol.Error):
            self._take(None)

    def _take_text(self, event: protocol.Event) -> None:
        self._of_text = ""
        if self._texts:
            text = self._texts.pop(0)
            if isinstance(event, protocol.Counted):
                self.text_counted.emit(text, event.tokens)
        self._next_text()

    def _take(self, use: ContextUse | None) -> None:
        self._patience.stop()
        self._request = ""
        answer, self._answer = self._answer, None
        self.counted.emit(use)
        if answer:
            answer(use)
        self._next_text()
