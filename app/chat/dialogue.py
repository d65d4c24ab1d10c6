"""The conversation on screen: prompts out, replies in. Every word is in the store before it
matters."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from PySide6.QtCore import QObject, Signal, SignalInstance

from app.chat.attempts import Attempts
from app.chat.blocks import is_unfinished
from app.chat.replies import Replies, Reply
from app.chat.seen import Seen
from app.engine import Engine, EngineState
from app.store.changes import Moved
from app.store.errors import StoreError
from app.store.records import (
    Attachments,
    StoredMessage,
    Waiting,
    title_of,
    whole_characters,
)
from app.store.store import Store
from app.store.tree import Tree
from engine import protocol


class Dialogue(QObject):
    """The conversation on screen, and the prompts of all that wait for the engine.

    `opened(list of StoredMessage)`: another branch or conversation is on screen; `began(id)`: the
    new one has its first prompt, which is answered next;
    `added(StoredMessage)`: a message at its end; `thinking_added(message id, text)`;
    `thinking_ended(message id, seconds)`; `text_added(message id, text)`;
    `progressed(message id, Progress)`; `finished(StoredMessage)`: a reply in its final state;
    `removed(message id)`; `versions_changed(dict)`: of each message on screen that has several
    versions, which one it is, from 1, and of how many; `listing_changed()`: titles or order of
    conversations, and which of them write or wait; `answering_changed(bool)`: whether a reply is
    on its way in the conversation on screen; `sent()`: a prompt was saved, to be answered now or
    when its turn comes; `queue_changed()`: which prompts wait for their turn;
    `waiting_changed(bool)`: a prompt waits until the database is free; `store_failed(StoreError)`.
    """

    opened = Signal(object)
    began = Signal(object)
    added = Signal(object)
    thinking_added = Signal(object, str)
    thinking_ended = Signal(object, float)
    text_added = Signal(object, str)
    progressed = Signal(object, object)
    finished = Signal(object)
    removed = Signal(object)
    versions_changed = Signal(object)
    listing_changed = Signal()
    answering_changed = Signal(bool)
    sent = Signal()
    queue_changed = Signal()
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
        self.seen = Seen(store, self)
        self.replies = Replies(store, engine, self, clock)
        self._model: str | None = ""
        self._conversation: int | None = None
        self._attempts = Attempts(self)
        self._attempts.waiting_changed.connect(self.waiting_changed)
        self._attempts.failed.connect(self.store_failed)
        self._unread = False
        self._answering = False
        self._versions: dict[int, tuple[int, int]] = {}
        self.replies.thinking_added.connect(partial(self._tell, self.thinking_added))
        self.replies.thinking_ended.connect(
            lambda reply: self._tell(self.thinking_ended, reply, reply.thought_s)
        )
        self.replies.text_added.connect(partial(self._tell, self.text_added))
        self.replies.rethought.connect(self._on_rethought)
        self.replies.progressed.connect(partial(self._tell, self.progressed))
        self.replies.finished.connect(self._on_finished)
        self.queue_changed.connect(self.listing_changed)
        engine.state_changed.connect(self._on_engine_state)

    @property
    def conversation(self) -> int | None:
        """None for a new conversation, before its first prompt."""
        return self._conversation

    @property
    def answering(self) -> bool:
        """Whether a reply is on its way in the conversation on screen."""
        return self.replies.in_conversation(self._conversation) is not None

    @property
    def versions(self) -> dict[int, tuple[int, int]]:
        """As `versions_changed` brings them, in the order of the messages."""
        return self._versions

    @property
    def waits(self) -> bool:
        """Whether a prompt, or the wish for another reply, waits until the database is free."""
        return self._attempts.waits

    @property
    def queue(self) -> list[Waiting]:
        """The prompts of all conversations that wait for their turn, the next one first."""
        try:
            return self._store.waiting()
        except StoreError:
            return []

    @property
    def path(self) -> list[StoredMessage]:
        """The messages on screen, as they are saved; none if they cannot be read."""
        if self._conversation is None:
            return []
        try:
            return self._store.tree(self._conversation).path
        except StoreError as error:
            self.store_failed.emit(error)
            return []

    # ------------------------------------------------------------------ what the user does

    def open(self, conversation: int | None) -> None:
        """Shows a conversation; None begins a new one. A prompt that waits for the database is
        given up."""
        self._attempts.give_up()
        self._show(conversation)

    def open_at(self, conversation: int, message: int) -> None:
        """Shows the branch of a conversation in which this message is."""
        self._attempts.give_up()
        try:
            if message not in {known.id for known in self._store.tree(conversation).path}:
                self._store.choose(conversation, message)
        except StoreError as error:
            self.store_failed.emit(error)
        self._show(conversation)

    def _show(self, conversation: int | None) -> None:
        self._unread = False
        tree = Tree([])
        try:
            tree = Tree([]) if conversation is None else self._store.tree(conversation)
        except StoreError as error:
            self._unread = True
            self.store_failed.emit(error)
        self._conversation = conversation
        self.opened.emit([self._as_it_is(message) for message in tree.path])
        self._tell_versions(tree)
        self._tell_answering()

    def _as_it_is(self, message: StoredMessage) -> StoredMessage:
        """The message with what has come of it since it was saved."""
        reply = self.replies.in_conversation(self._conversation)
        if reply is None or reply.message != message.id:
            return message
        return replace(message, content=reply.text, state="streaming", thinking=reply.thinking)

    def send(self, prompt: str, files: Attachments = ()) -> bool:
        """Saves the prompt with its files, then has the engine answer it, as soon as model and
        engine are free.

        False when it was not taken: nothing to send, no engine to wait for, or it cannot be saved.
        It waits if the database is only locked.
        """
        if not (prompt.strip() or files) or self.waits:
            return False
        words = whole_characters(prompt)
        if self._can_ask() and not self.queue:
            return self._attempts.make(partial(self._send, words, files, ()))
        return self._has_engine() and self._attempts.make(partial(self._enqueue, words, files))

    def edit(self, message: int, prompt: str, files: Attachments = ()) -> bool:
        """Sends a prompt as another version of one on screen, which stays."""
        if not (prompt.strip() or files) or not self._can_ask():
            return False
        return self._attempts.make(partial(self._send, whole_characters(prompt), files, (message,)))

    def regenerate(self, message: int | None = None) -> bool:
        """Has a reply on screen, or the last prompt, answered again beside the reply that is
        there."""
        if self._conversation is None or not self._can_ask():
            return False
        return self._attempts.make(partial(self._regenerate, message)) and self.answering

    def continue_reply(self, message: int | None = None) -> bool:
        """Has the last reply on screen go on, if it ended in the middle. Another `message` than
        that does not."""
        path = self.path
        if not path or not is_unfinished(path[-1]) or message not in (None, path[-1].id):
            return False
        return self._can_ask() and self._attempts.make(partial(self._continue, path))

    def show_version(self, message: int, step: int) -> int | None:
        """Shows the version before (-1) or behind (1) this message, and what follows on it. Its
        id, or None if there is none or a reply runs."""
        conversation, shown = self._conversation, None
        if conversation is None or self.answering:
            return None
        try:
            versions = self._store.tree(conversation).versions(message)
            at = versions.index(message) + step if message in versions else -1
            if 0 <= at < len(versions):
                shown = versions[at]
                self._store.choose(conversation, shown)
        except StoreError as error:
            self.store_failed.emit(error)
        self._show(conversation)
        return shown

    def stop(self) -> None:
        """Ends the reply on screen, and gives up what waits for the database."""
        self._attempts.give_up()
        self.stop_in(self._conversation)

    def stop_in(self, conversation: int | None) -> None:
        if reply := self.replies.in_conversation(conversation):
            self.replies.stop(reply)

    def stop_all(self) -> None:
        """Ends every reply, and gives up what waits for the database."""
        self._attempts.give_up()
        for reply in self.replies.running:
            self.replies.stop(reply)

    # ------------------------------------------------------------------ prompts that wait

    def set_model(self, model: str | None) -> None:
        """The id of the model that answers; None while there is none, and prompts wait."""
        self._model = model
        self.send_next()

    def take_back(self, waiting: Waiting) -> None:
        """The prompt is not sent; its words are the caller's."""
        self._store.remove_waiting(waiting)
        self.queue_changed.emit()

    def send_next(self) -> None:
        """Sends the prompt that has waited longest, if its turn has come."""
        waiting = self.queue
        if not waiting or not self._can_ask():
            return
        try:
            self._send_waiting(waiting[0])
        except StoreError as error:
            if not error.passes:
                self.store_failed.emit(error)

    def _enqueue(self, prompt: str, files: Attachments) -> None:
        """Raises StoreError, and then nothing is saved."""
        with self._store.transaction():
            known = self._conversation
            conversation = known or self._store.add_conversation(_title(prompt, files))
            self._store.add_waiting(conversation, prompt, files)
        if known is None:
            self.began.emit(conversation)
        if conversation != self._conversation:
            self._show(conversation)
        self.queue_changed.emit()
        self.sent.emit()
        self.send_next()

    def _send_waiting(self, waiting: Waiting) -> None:
        """Raises StoreError, and then nothing is changed."""
        before = self._store.tree(waiting.conversation).path
        with self._store.transaction():
            prompt = self._store.add_prompt_that_waited(waiting)
            reply = self._store.add_reply(waiting.conversation, self._model or "")
        message = StoredMessage(prompt, "user", waiting.content, attachments=waiting.attachments)
        if waiting.conversation == self._conversation:
            self.added.emit(message)
        self._ask(waiting.conversation, reply, [*before, message])
        self.queue_changed.emit()

    # ------------------------------------------------------------------ the database

    def go_on(self) -> None:
        """Tries again what waits, and to read what could not be read."""
        if self._unread:
            self._show(self._conversation)
        self._attempts.again()
        self.send_next()

    def follow(self, moved: Moved) -> None:
        """Uses the ids that conversations and messages have now."""
        before = self._conversation
        if before is not None:
            self._conversation = moved.conversations.get(before, before)
        self.replies.follow(moved)
        self._show(self._conversation)

    def save(self) -> None:
        """What has arrived so far, before the window closes."""
        self.replies.save()

    # ------------------------------------------------------------------ asking

    def _has_engine(self) -> bool:
        return self._engine.state in (EngineState.STARTING, EngineState.READY)

    def _can_ask(self) -> bool:
        ready = self._engine.state is EngineState.READY and self._model is not None
        return ready and not self.replies.running and not self.waits

    def _send(self, prompt: str, files: Attachments, replaced: Sequence[int]) -> None:
        """Raises StoreError, and then nothing is saved or sent."""
        known = self._conversation
        tree = Tree([]) if known is None else self._store.tree(known)
        before, gone = _cut(tree.path, replaced)
        with self._store.transaction():
            conversation = known or self._store.add_conversation(_title(prompt, files))
            added = self._store.add_prompt(conversation, prompt, replaced, files)
            reply = self._store.add_reply(conversation, self._model or "")
        message = StoredMessage(added, "user", prompt, attachments=files)
        self._conversation = conversation
        if known is None:
            self.began.emit(conversation)
        self._remove(gone)
        self.added.emit(message)
        self._ask(conversation, reply, [*before, message])
        self.sent.emit()

    def _regenerate(self, message: int | None) -> None:
        """Raises StoreError, and then nothing is changed."""
        conversation = self._conversation
        path = [] if conversation is None else self._store.tree(conversation).path
        prompts = [known.id for known in path if known.role == "user"]
        replies = [known.id for known in path if prompts and known.id > prompts[-1]]
        replaced = replies[:1] if message is None else [message]
        before, gone = _cut(path, replaced)
        if conversation is None or not before or before[-1].role != "user":
            return
        reply = self._store.add_reply(conversation, self._model or "", replaced)
        self._remove(gone)
        self._ask(conversation, reply, before)

    def _continue(self, path: Sequence[StoredMessage]) -> None:
        """Raises StoreError, and then nothing is changed."""
        conversation, last = self._conversation, path[-1]
        if conversation is None:
            return
        seen = self.seen.messages(conversation, path[:-1])
        begun = protocol.Message(
            role="assistant", content=last.content, thinking=last.thinking.text
        )
        reply = self.replies.begin(conversation, last.id, last)
        self._remove([last])
        self.added.emit(self._as_it_is(last))
        self._tell_versions(self._store.tree(conversation))
        self.listing_changed.emit()
        self._tell_answering()
        sampling = self.seen.settings_of(conversation).sampling
        self.replies.ask(reply, (*seen, begun), sampling, continues=True)

    def _remove(self, gone: Sequence[StoredMessage]) -> None:
        for message in reversed(gone):
            self.removed.emit(message.id)

    def _ask(self, conversation: int, message: int, history: Sequence[StoredMessage]) -> None:
        """Has the engine answer this history with the reply that was added for it."""
        reply = self.replies.begin(conversation, message)
        self.listing_changed.emit()
        if conversation == self._conversation:
            self.added.emit(StoredMessage(message, "assistant", "", "streaming"))
            self._tell_versions(self._store.tree(conversation))
        self._tell_answering()
        sampling = self.seen.settings_of(conversation).sampling
        self.replies.ask(reply, self.seen.messages(conversation, history), sampling)

    def _tell_versions(self, tree: Tree) -> None:
        found = {}
        for message in tree.path:
            versions = tree.versions(message.id)
            if len(versions) > 1:
                found[message.id] = (versions.index(message.id) + 1, len(versions))
        self._versions = found
        self.versions_changed.emit(found)

    # ------------------------------------------------------------------ what comes back

    def _tell(self, signal: SignalInstance, reply: Reply, *what: object) -> None:
        """Of the conversation on screen alone."""
        if reply.conversation == self._conversation:
            signal.emit(reply.message, *what)

    def _on_rethought(self, reply: Reply) -> None:
        """The reply begins again, behind what is thinking now."""
        if reply.conversation == self._conversation:
            self.removed.emit(reply.message)
            self.added.emit(StoredMessage(reply.message, "assistant", "", "streaming"))
            self.thinking_added.emit(reply.message, reply.thinking.text)

    def _on_finished(self, reply: Reply, whole: StoredMessage) -> None:
        if reply.conversation == self._conversation:
            self.finished.emit(whole)
        self.listing_changed.emit()
        self._tell_answering()
        self.send_next()

    def _on_engine_state(self, state: EngineState) -> None:
        if state is not EngineState.READY:
            self._attempts.give_up()

    def _tell_answering(self) -> None:
        if self.answering is not self._answering:
            self._answering = self.answering
            self.answering_changed.emit(self._answering)


def _title(prompt: str, files: Attachments) -> str:
    return title_of(prompt) if prompt.strip() else files[0].name


def _cut(
    path: Sequence[StoredMessage], replaced: Sequence[int]
) -> tuple[list[StoredMessage], list[StoredMessage]]:
    """What stands before the first of `replaced`, and it with what follows."""
    ids = [message.id for message in path]
    at = ids.index(replaced[0]) if replaced and replaced[0] in ids else len(ids)
    return list(path[:at]), list(path[at:])
