"""All replies that are on their way, whichever chats they belong to."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal

from app.engine import Death, Engine, EngineState
from app.store.changes import Moved
from app.store.records import NO_TROUBLE, Figures, StoredMessage, Thinking, Trouble
from app.store.store import Store
from app.words import translate
from engine import protocol

SAVE_MS: Final = 1000
NO_FIGURES: Final = Figures()


@dataclass
class Reply:
    """One that is on its way."""

    request: str
    conversation: int
    message: int
    pieces: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    began: float = 0.0
    """When the first word came, of thinking or of the answer."""
    thought_s: float = 0.0
    trouble: Trouble = NO_TROUBLE
    before: Figures = NO_FIGURES
    """Of a reply that goes on: those of what was written before."""

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def thinking(self) -> Thinking:
        return Thinking("".join(self.thoughts), self.thought_s)

    @property
    def thinks(self) -> bool:
        return bool(self.thoughts) and not self.pieces


@dataclass(frozen=True)
class Progress:
    """How much of the prompt has been read, in tokens."""

    done: int
    total: int


class Replies(QObject):
    """Asks an engine for replies, tells them apart by their requests, and keeps what has come.

    Each signal brings the Reply first: `thinking_added(Reply, text)`, `thinking_ended(Reply)`,
    `text_added(Reply, text)`, `rethought(Reply)`: what was shown as the answer was thinking;
    `progressed(Reply, Progress)`, `finished(Reply, StoredMessage)`, after which it is on its way
    no more.
    """

    thinking_added = Signal(object, str)
    thinking_ended = Signal(object)
    text_added = Signal(object, str)
    rethought = Signal(object)
    progressed = Signal(object, object)
    finished = Signal(object, object)
    began = Signal(object)

    def __init__(
        self,
        store: Store,
        engine: Engine,
        parent: QObject | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(parent)
        self._store = store
        self._engine = engine
        self._clock = clock
        self._running: dict[str, Reply] = {}
        self._saver = QTimer(self)
        self._saver.setInterval(SAVE_MS)
        self._saver.timeout.connect(self.save)
        engine.event_received.connect(self._on_event)
        engine.state_changed.connect(self._on_engine_state)
        engine.died.connect(self._on_death)

    @property
    def running(self) -> list[Reply]:
        """In the order in which they were asked for."""
        return list(self._running.values())

    def in_conversation(self, conversation: int | None) -> Reply | None:
        return next((r for r in self._running.values() if r.conversation == conversation), None)

    def begin(self, conversation: int, message: int, begun: StoredMessage | None = None) -> Reply:
        """The message that was added for it is to be filled; `ask` follows. `begun`: what it has
        so far, with which it goes on."""
        reply = Reply(uuid.uuid4().hex, conversation, message)
        if begun is not None:
            reply.pieces = [begun.content] if begun.content else []
            reply.thoughts = [begun.thinking.text] if begun.thinking.text else []
            reply.thought_s = begun.thinking.seconds
            reply.began = self._clock() - reply.thought_s
            reply.before = begun.figures
        self._running[reply.request] = reply
        self._saver.start()
        self.began.emit(reply)
        return reply

    def ask(
        self,
        reply: Reply,
        messages: tuple[protocol.Message, ...],
        sampling: protocol.Sampling,
        *,
        continues: bool = False,
    ) -> None:
        """Has the engine answer these, or go on with the last of them. None of them is left out if
        the context cannot hold them: that is the person's choice, before it is asked."""
        self._engine.send(
            protocol.Generate(
                request=reply.request,
                messages=messages,
                sampling=sampling,
                overflow="refuse",
                continues=continues,
            )
        )

    def stop(self, reply: Reply) -> None:
        """Ends a reply, with `finished`: at once if the engine does not answer, which stops it
        should it come back."""
        self._engine.send(protocol.Stop(request=reply.request))
        if not self._engine.answers:
            self._finish(reply, "stopped", Figures())

    def save(self) -> None:
        """What has arrived so far."""
        for reply in self._running.values():
            self._store.save_partial(reply.message, reply.text, reply.thinking)

    def follow(self, moved: Moved) -> None:
        """Uses the ids that conversations and messages have now."""
        for reply in self._running.values():
            reply.conversation = moved.conversations.get(reply.conversation, reply.conversation)
            reply.message = moved.messages.get(reply.message, reply.message)

    # ------------------------------------------------------------------ what comes back

    def _on_event(self, event: protocol.Event) -> None:
        reply = self._running.get(getattr(event, "request", ""))
        if reply is None:
            return
        match event:
            case protocol.Thinking():
                self._think(reply, event.text)
            case protocol.Text():
                self._answer(reply, event.text)
            case protocol.Rethought():
                self._rethink(reply)
            case protocol.Prefill():
                self.progressed.emit(reply, Progress(event.done, event.total))
            case protocol.Error():
                reply.trouble = Trouble(event.title, event.detail, event.hint)
            case protocol.Finished():
                self._finish(reply, event.finish_reason, figures_of(event))
            case _:
                pass

    def _think(self, reply: Reply, text: str) -> None:
        now = self._clock()
        if not reply.thoughts:
            reply.began = now
        reply.thoughts.append(text)
        reply.thought_s = now - reply.began
        self.thinking_added.emit(reply, text)

    def _answer(self, reply: Reply, text: str) -> None:
        if reply.thinks:
            self.thinking_ended.emit(reply)
        if not (reply.thoughts or reply.pieces):
            reply.began = self._clock()
        reply.pieces.append(text)
        self.text_added.emit(reply, text)

    def _rethink(self, reply: Reply) -> None:
        reply.thoughts += reply.pieces
        reply.pieces.clear()
        reply.thought_s = self._clock() - reply.began
        self.rethought.emit(reply)

    def _on_engine_state(self, state: EngineState) -> None:
        """An engine that was ended on purpose takes its replies with it."""
        if state is not EngineState.READY and state is not EngineState.DEAD:
            for reply in self.running:
                self._finish(reply, "stopped", Figures())

    def _on_death(self, death: Death) -> None:
        for reply in self.running:
            reply.trouble = Trouble(
                death.title,
                death.detail,
                translate("Replies", "Regenerate the reply once the engine runs again."),
            )
            self._finish(reply, "error", Figures())

    def _finish(self, reply: Reply, reason: protocol.FinishReason, figures: Figures) -> None:
        del self._running[reply.request]
        if not self._running:
            self._saver.stop()
        both = together(reply.before, figures)
        whole = self._store.finish_reply(
            reply.message, reply.text, reason, both, reply.trouble, reply.thinking
        )
        self.finished.emit(reply, whole)


def together(before: Figures, figures: Figures) -> Figures:
    """Of a reply that went on: tokens of all of it, and the rates of its last part, if that had
    any."""
    if not before.new_tokens or not figures.new_tokens:
        return figures if figures.new_tokens else before
    return replace(
        figures,
        new_tokens=before.new_tokens + figures.new_tokens,
        thinking_tokens=before.thinking_tokens + figures.thinking_tokens,
        first_token_ms=before.first_token_ms,
    )


def figures_of(event: protocol.Finished) -> Figures:
    return Figures(
        event.prompt_tokens,
        event.reused_tokens,
        event.new_tokens,
        event.time_to_first_token_ms,
        event.prefill_tokens_per_second,
        event.decode_tokens_per_second,
        event.thinking_tokens,
        _written(event.sampling),
        kernel_of(event.attention),
    )


def kernel_of(attention: protocol.Attention | None) -> str:
    """What the profiler recorded, without the parameters of templates; empty if it did not."""
    phases = (attention.prefill, attention.decode) if attention else ()
    seen = [p.observed for p in phases if p.observed not in ("", protocol.NOT_OBSERVED)]
    return ", ".join(dict.fromkeys(each.split("<", 1)[0].split("::")[-1] for each in seen))


def _written(sampling: protocol.Sampling | None) -> str:
    if sampling is None:
        return ""
    set_ones = {name: v for name, v in msgspec.structs.asdict(sampling).items() if v is not None}
    return msgspec.json.encode(set_ones).decode()
