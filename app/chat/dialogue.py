"""Prompts out, replies in: every word is in the store before it matters."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from PySide6.QtCore import QObject, QTimer, Signal

from app.engine import Death, Engine, EngineState
from app.store.changes import Moved
from app.store.errors import StoreError
from app.store.records import (
    NO_TROUBLE,
    Figures,
    StoredMessage,
    Thinking,
    Trouble,
    title_of,
    whole_characters,
)
from app.store.store import Store
from engine import protocol

SAVE_MS: Final = 1000


@dataclass
class Reply:
    """The reply that streams."""

    request: str
    conversation: int
    message: int
    pieces: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    began: float = 0.0
    """When the first word came, of thinking or of the answer."""
    thought_s: float = 0.0
    trouble: Trouble = NO_TROUBLE

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


class Dialogue(QObject):
    """The conversation on screen, and the one reply that may be on its way.

    `opened(list of StoredMessage)`: another conversation is on screen;
    `added(StoredMessage)`: a message at its end; `thinking_added(message id, text)`;
    `thinking_ended(message id, seconds)`; `text_added(message id, text)`;
    `progressed(message id, Progress)`; `finished(StoredMessage)`: a reply in its final state;
    `removed(message id)`; `listing_changed()`: titles or order of conversations;
    `answering_changed(bool)`; `sent()`: a prompt was saved and is being answered;
    `waiting_changed(bool)`: a prompt waits until the database is free; `store_failed(StoreError)`.
    Of messages, only those of the conversation on screen are told.
    """

    opened = Signal(object)
    added = Signal(object)
    thinking_added = Signal(object, str)
    thinking_ended = Signal(object, float)
    text_added = Signal(object, str)
    progressed = Signal(object, object)
    finished = Signal(object)
    removed = Signal(object)
    listing_changed = Signal()
    answering_changed = Signal(bool)
    sent = Signal()
    waiting_changed = Signal(bool)
    store_failed = Signal(object)

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
        self.sampling = protocol.Sampling()
        self._conversation: int | None = None
        self._reply: Reply | None = None
        self._waiting: Callable[[], None] | None = None
        self._unread = False
        self._saver = QTimer(self)
        self._saver.setInterval(SAVE_MS)
        self._saver.timeout.connect(self._save_partial)
        engine.event_received.connect(self._on_event)
        engine.state_changed.connect(self._on_engine_state)
        engine.died.connect(self._on_death)

    @property
    def conversation(self) -> int | None:
        """None for a new conversation, before its first prompt."""
        return self._conversation

    @property
    def answering(self) -> bool:
        return self._reply is not None

    @property
    def answers_in(self) -> int | None:
        """The conversation in which a reply is on its way."""
        return self._reply.conversation if self._reply else None

    @property
    def waits(self) -> bool:
        """Whether a prompt, or the wish for another reply, waits until the database is free."""
        return self._waiting is not None

    # ------------------------------------------------------------------ what the user does

    def open(self, conversation: int | None) -> None:
        """Shows a conversation; None begins a new one. A prompt that waits is given up."""
        self._wait_with(None)
        self._show(conversation)

    def _show(self, conversation: int | None) -> None:
        messages: list[StoredMessage] = []
        self._unread = False
        try:
            messages = [] if conversation is None else self._store.tree(conversation).path
        except StoreError as error:
            self._unread = True
            self.store_failed.emit(error)
        self._conversation = conversation
        reply = self._reply
        if reply and reply.conversation == conversation:
            messages = [
                replace(message, content=reply.text, state="streaming", thinking=reply.thinking)
                if message.id == reply.message
                else message
                for message in messages
            ]
        self.opened.emit(messages)

    def send(self, prompt: str, model: str = "") -> bool:
        """Saves the prompt, then asks the engine. False when it was not taken: nothing to send, a
        reply is on its way, or it cannot be saved. It waits if the database is only locked."""
        if not prompt.strip() or not self._can_ask():
            return False
        return self._attempt(partial(self._send, whole_characters(prompt), model))

    def regenerate(self, model: str = "") -> bool:
        """Answers the last prompt again, beside the reply that is there."""
        if self._conversation is None or not self._can_ask():
            return False
        return self._attempt(partial(self._regenerate, model)) and self.answering

    def stop(self) -> None:
        """Ends the reply, with `finished`: at once if the engine does not answer, which stops it
        should it come back. Gives up what waits."""
        self._wait_with(None)
        if self._reply:
            self._engine.send(protocol.Stop(request=self._reply.request))
            if not self._engine.answers:
                self._finish(self._reply, "stopped", Figures())

    # ------------------------------------------------------------------ the database

    def go_on(self) -> None:
        """Tries again what waits, and to read what could not be read."""
        if self._unread:
            self._show(self._conversation)
        if self._waiting:
            self._attempt(self._waiting)

    def follow(self, moved: Moved) -> None:
        """Uses the ids that conversations and messages have now."""
        before, reply = self._conversation, self._reply
        if before is not None:
            self._conversation = moved.conversations.get(before, before)
        if reply:
            reply.conversation = moved.conversations.get(reply.conversation, reply.conversation)
            reply.message = moved.messages.get(reply.message, reply.message)
        self._show(self._conversation)

    def _attempt(self, ask: Callable[[], None]) -> bool:
        """Whether it was saved and asked."""
        try:
            ask()
        except StoreError as error:
            self._wait_with(ask if error.passes else None)
            if not error.passes:
                self.store_failed.emit(error)
            return False
        self._wait_with(None)
        return True

    def _wait_with(self, ask: Callable[[], None] | None) -> None:
        waited = self.waits
        self._waiting = ask
        if self.waits is not waited:
            self.waiting_changed.emit(self.waits)

    # ------------------------------------------------------------------ the reply

    def _can_ask(self) -> bool:
        ready = self._engine.state is EngineState.READY
        return ready and not self.answering and not self.waits

    def _send(self, prompt: str, model: str) -> None:
        """Raises StoreError, and then nothing is saved or sent."""
        known = self._conversation
        before = self._store.tree(known).path if known is not None else []
        with self._store.transaction():
            conversation = known or self._store.add_conversation(title_of(prompt))
            message = StoredMessage(self._store.add_prompt(conversation, prompt), "user", prompt)
            reply = self._store.add_reply(conversation, model)
        self._conversation = conversation
        self.added.emit(message)
        self._ask(conversation, reply, [*before, message])
        self.sent.emit()

    def _regenerate(self, model: str) -> None:
        """Raises StoreError, and then nothing is changed."""
        conversation = self._conversation
        messages = [] if conversation is None else self._store.tree(conversation).path
        replaced: list[int] = []
        while messages and messages[-1].role != "user":
            replaced.insert(0, messages.pop().id)
        if conversation is None or not messages:
            return
        reply = self._store.add_reply(conversation, model, replaced)
        for old in reversed(replaced):
            self.removed.emit(old)
        self._ask(conversation, reply, messages)

    def _ask(self, conversation: int, message: int, messages: Sequence[StoredMessage]) -> None:
        """Has the engine answer these messages with the reply that was added for it."""
        history = tuple(
            protocol.Message(role=message.role, content=message.content)
            for message in messages
            if _was_said(message)
        )
        self._reply = Reply(uuid.uuid4().hex, conversation, message)
        self._saver.start()
        self.listing_changed.emit()
        self.added.emit(StoredMessage(message, "assistant", "", "streaming"))
        self.answering_changed.emit(True)
        self._engine.send(
            protocol.Generate(
                request=self._reply.request,
                messages=history,
                sampling=self.sampling,
                overflow="refuse",
            )
        )

    def _on_event(self, event: protocol.Event) -> None:
        reply = self._reply
        if reply is None or getattr(event, "request", None) != reply.request:
            return
        shown = reply.conversation == self._conversation
        match event:
            case protocol.Thinking():
                self._think(reply, event.text)
                if shown:
                    self.thinking_added.emit(reply.message, event.text)
            case protocol.Text():
                self._answer(reply, event.text, shown=shown)
            case protocol.Rethought():
                self._rethink(reply)
            case protocol.Prefill():
                if shown:
                    self.progressed.emit(reply.message, Progress(event.done, event.total))
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

    def _answer(self, reply: Reply, text: str, *, shown: bool) -> None:
        if reply.thinks and shown:
            self.thinking_ended.emit(reply.message, reply.thought_s)
        if not (reply.thoughts or reply.pieces):
            reply.began = self._clock()
        reply.pieces.append(text)
        if shown:
            self.text_added.emit(reply.message, text)

    def _rethink(self, reply: Reply) -> None:
        """What was shown as the answer was thinking: the reply begins again, behind it."""
        reply.thoughts += reply.pieces
        reply.pieces.clear()
        reply.thought_s = self._clock() - reply.began
        if reply.conversation == self._conversation:
            self.removed.emit(reply.message)
            self.added.emit(StoredMessage(reply.message, "assistant", "", "streaming"))
            self.thinking_added.emit(reply.message, reply.thinking.text)

    def _on_engine_state(self, state: EngineState) -> None:
        """An engine that was ended on purpose takes its reply with it."""
        if state is not EngineState.READY:
            self._wait_with(None)
        if state is not EngineState.READY and state is not EngineState.DEAD and self._reply:
            self._finish(self._reply, "stopped", Figures())

    def _on_death(self, death: Death) -> None:
        if self._reply:
            self._reply.trouble = Trouble(
                death.title, death.detail, "Regenerate the reply once the engine runs again."
            )
            self._finish(self._reply, "error", Figures())

    def _finish(self, reply: Reply, reason: protocol.FinishReason, figures: Figures) -> None:
        self._reply = None
        self._saver.stop()
        whole = self._store.finish_reply(
            reply.message, reply.text, reason, figures, reply.trouble, reply.thinking
        )
        if reply.conversation == self._conversation:
            self.finished.emit(whole)
        self.answering_changed.emit(False)

    def _save_partial(self) -> None:
        if self._reply:
            self._store.save_partial(self._reply.message, self._reply.text, self._reply.thinking)

    def save(self) -> None:
        """What has arrived so far, before the window closes."""
        self._save_partial()


def _was_said(message: StoredMessage) -> bool:
    """Whether it is a turn of the conversation. A reply that was stopped while the model thought is
    an empty one: without it two prompts would follow each other, which some templates refuse."""
    return bool(message.content or message.thinking.text)


def figures_of(event: protocol.Finished) -> Figures:
    return Figures(
        event.prompt_tokens,
        event.reused_tokens,
        event.new_tokens,
        event.time_to_first_token_ms,
        event.prefill_tokens_per_second,
        event.decode_tokens_per_second,
        event.thinking_tokens,
    )
