"""Keeps the context from overflowing silently: counts while one writes, asks before one sends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QObject, Signal

from app.attached import for_model
from app.chat.dialogue import Dialogue
from app.context.card import ContextCard, Way
from app.context.counter import Asked, ContextCounter
from app.context.gauge import ContextGauge
from app.context.use import ContextUse, short_enough, surely_fits
from app.engine import Engine
from app.models.loader import ModelLoader, ModelState, ReadyModel
from app.settings.values import Settings
from app.store.errors import StoreError
from app.store.records import Attachments
from app.store.store import Store
from engine import protocol


@dataclass(frozen=True)
class Attempt:
    """What is to be sent, if it fits."""

    words: str
    """Of the message, as the model reads it; empty for another reply to the last one."""
    before: int | None
    """The message that this is another version of, where the model's history ends; None for one
    that is new."""
    go: Callable[[], object]


class ContextKeeper(QObject):
    """`asked()`: the card is shown; `shortens()`: the message in the box is to be shortened;
    `seen_from(message id or None)`: the first message of the chat on screen that the model sees,
    None if it sees all; `file_counted(content, tokens)`: of a file in the composer."""

    asked = Signal()
    shortens = Signal()
    seen_from = Signal(object)
    file_counted = Signal(str, int)

    def __init__(
        self,
        store: Store,
        engine: Engine,
        loader: ModelLoader,
        dialogue: Dialogue,
        gauge: ContextGauge,
        card: ContextCard,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._store = store
        self._loader = loader
        self._dialogue = dialogue
        self._gauge = gauge
        self._card = card
        self._counter = ContextCounter(engine, self)
        self._draft = ""
        self._before: int | None = None
        """The message that the draft is another version of."""
        self._files: Attachments = ()
        self._use: ContextUse | None = None
        self._pending: Attempt | None = None
        """What the card, or a longer context, decides about."""
        self._loads_longer = False
        self._counter.counted.connect(self._on_counted)
        self._counter.text_counted.connect(self.file_counted)
        card.chosen.connect(self._on_chosen)
        card.left.connect(self._give_up)
        loader.state_changed.connect(self._on_model)
        dialogue.opened.connect(lambda _: self._on_other_chat())
        dialogue.answering_changed.connect(lambda _: self._on_other_history())
        dialogue.seen.changed.connect(lambda _: self._on_other_history())
        dialogue.seen.changed.connect(lambda _: self._tell_seen())

    def set_draft(self, words: str, files: Attachments, before: int | None) -> None:
        """What is in the composer now; `before`: the prompt that it is another version of."""
        self._draft, self._before = for_model(words, files), before
        if self._pending and self._pending.words and self._draft != self._pending.words:
            self._give_up()
        self._watch()
        if files != self._files:
            self._files = files
            self._count_files()

    def _count_files(self) -> None:
        self._counter.count_texts([each.content for each in self._files])

    def send(self, prompt: str, files: Attachments = ()) -> None:
        """Sends it if it fits; else shows the ways on, and it stays in the box."""
        go = partial(self._dialogue.send, prompt, files)
        self._try(Attempt(for_model(prompt, files), None, go))

    def edit(self, message: int, prompt: str, files: Attachments = ()) -> None:
        """The same, as another version of a prompt on screen."""
        go = partial(self._dialogue.edit, message, prompt, files)
        self._try(Attempt(for_model(prompt, files), message, go))

    def regenerate(self, message: int | None = None) -> None:
        """Another reply beside one on screen, or the last one, if what it answers fits."""
        path = self._dialogue.path
        replies = [m.id for m in path[-1:] if m.role == "assistant"]
        before = message if message is not None else next(iter(replies), None)
        self._try(Attempt("", before, partial(self._dialogue.regenerate, message)))

    def _try(self, attempt: Attempt) -> None:
        self._pending = attempt
        asked = self._asked(attempt.words, attempt.before)
        if self._waits() or self._is_short(asked, attempt):
            self._go()
        else:
            self._counter.check(asked, self._on_checked)

    def _waits(self) -> bool:
        """Whether the prompt waits for its turn anyway."""
        running = bool(self._dialogue.replies.running)
        return running or not isinstance(self._loader.state, ReadyModel)

    def _is_short(self, asked: Asked, attempt: Attempt) -> bool:
        """Whether it fits whatever the tokenizer makes of it, which most prompts do."""
        if self._use is not None and attempt.words and attempt.before == self._before:
            return surely_fits(self._use, asked.draft)
        return short_enough((message.content for message in asked.messages), self._capacity)

    @property
    def _capacity(self) -> int:
        """Tokens of the loaded model's context."""
        state = self._loader.state
        return state.loaded.context_length if isinstance(state, ReadyModel) else 0

    def _go(self) -> None:
        attempt, self._pending = self._pending, None
        self._card.hide()
        if attempt:
            attempt.go()

    def _on_checked(self, use: ContextUse | None) -> None:
        if not self._pending:
            return
        if use is None or use.fits:
            self._go()
            return
        if use.left_out and self._settings.full_context == "leave_out":
            self._leave_out(use)
            return
        self._card.show_use(use, self._longer(use))
        self.asked.emit()

    def _on_chosen(self, way: Way) -> None:
        use = self._use
        self._card.hide()
        if use is None:
            return
        match way:
            case Way.LEAVE_OUT:
                self._leave_out(use)
            case Way.LONGER:
                self._load(use)
            case Way.SHORTEN:
                self._give_up()
                self.shortens.emit()

    def _leave_out(self, use: ContextUse) -> None:
        conversation = self._dialogue.conversation
        try:
            if conversation is not None:
                self._dialogue.seen.leave_out(conversation, use.left_out)
        except StoreError as error:
            self._dialogue.store_failed.emit(error)
            return
        self._go()

    def see_all(self) -> None:
        """The model sees the whole chat on screen again."""
        try:
            if self._dialogue.conversation is not None:
                self._dialogue.seen.see_all(self._dialogue.conversation)
        except StoreError as error:
            self._dialogue.store_failed.emit(error)

    def _tell_seen(self) -> None:
        try:
            self.seen_from.emit(self._dialogue.seen.begin(self._dialogue.conversation))
        except StoreError:  # which is told where the messages are read
            self.seen_from.emit(None)

    def _load(self, use: ContextUse) -> None:
        longer = self._longer(use)
        if longer and isinstance(self._loader.state, ReadyModel):
            self._loads_longer = True
            self._loader.load(self._loader.state.loaded.model.id, longer)

    def _longer(self, use: ContextUse) -> int | None:
        """The context doubled until everything fits, at most the model's own, in tokens. None if
        that is too short too."""
        state = self._loader.state
        most = state.loaded.model.context_length if isinstance(state, ReadyModel) else 0
        context = use.capacity
        while context < most and (context == use.capacity or context < use.total):
            context = min(2 * context, most)
        return context if context > use.capacity and use.total <= context else None

    def _give_up(self) -> None:
        self._pending, self._loads_longer = None, False
        self._card.hide()

    # ------------------------------------------------------------------ counting

    def _asked(self, draft: str, before: int | None) -> Asked:
        return Asked(self._history(before), draft, self._settings.max_new_tokens)

    @property
    def _settings(self) -> Settings:
        """Of the chat on screen."""
        return self._dialogue.seen.settings_of(self._dialogue.conversation)

    def _history(self, before: int | None) -> tuple[protocol.Message, ...]:
        """What the model sees of the chat on screen, up to a message if that is there; nothing if
        it cannot be read."""
        conversation = self._dialogue.conversation
        if conversation is None:
            return ()
        try:
            path = self._store.tree(conversation).path
            ids = [message.id for message in path]
            seen = path[: ids.index(before)] if before in ids else path
            return self._dialogue.seen.messages(conversation, seen)
        except StoreError:
            return ()

    def _watch(self) -> None:
        """Counts again once there is time for it. While a reply runs the engine cannot."""
        if isinstance(self._loader.state, ReadyModel) and not self._dialogue.replies.running:
            self._counter.watch(lambda: self._asked(self._draft, self._before))

    def _on_counted(self, use: ContextUse | None) -> None:
        self._use = use
        self._gauge.show_use(use)

    def _on_model(self, state: ModelState) -> None:
        if not isinstance(state, ReadyModel):
            self._counter.forget()
            return
        if self._loads_longer and self._pending:
            self._loads_longer = False
            self._try(self._pending)
        else:
            self._watch()
            self._count_files()

    def _on_other_chat(self) -> None:
        self._give_up()
        self._counter.forget()
        self._tell_seen()
        self._watch()

    def _on_other_history(self) -> None:
        """The gauge stays as it is until the new count has come."""
        self._use = None
        self._watch()
