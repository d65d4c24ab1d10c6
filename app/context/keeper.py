"""Keeps the context from overflowing silently: counts while one writes, asks before one sends."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from app.chat.dialogue import Dialogue
from app.context.card import ContextCard, Way
from app.context.counter import Asked, ContextCounter
from app.context.gauge import ContextGauge
from app.context.use import ContextUse, short_enough, surely_fits
from app.engine import Engine
from app.models.loader import ModelLoader, ModelState, ReadyModel
from app.settings.values import Settings
from app.store.errors import StoreError
from app.store.store import Store
from engine import protocol


class ContextKeeper(QObject):
    """`asked()`: the card is shown; `shortens()`: the message in the box is to be shortened;
    `seen_from(message id or None)`: the first message of the chat on screen that the model sees,
    None if it sees all."""

    asked = Signal()
    shortens = Signal()
    seen_from = Signal(object)

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
        self._use: ContextUse | None = None
        self._pending = ""
        """The message that the card, or a longer context, decides about."""
        self._loads_longer = False
        self._counter.counted.connect(self._on_counted)
        card.chosen.connect(self._on_chosen)
        card.left.connect(self._give_up)
        loader.state_changed.connect(self._on_model)
        dialogue.opened.connect(lambda _: self._on_other_chat())
        dialogue.answering_changed.connect(lambda _: self._on_other_history())
        dialogue.seen.changed.connect(lambda _: self._on_other_history())
        dialogue.seen.changed.connect(lambda _: self._tell_seen())

    def set_draft(self, draft: str) -> None:
        """What is in the composer now."""
        self._draft = draft
        if self._pending and draft != self._pending:
            self._give_up()
        self._watch()

    def send(self, prompt: str) -> None:
        """Sends it if it fits; else shows the ways on, and it stays in the box."""
        self._pending = prompt
        asked = self._asked(prompt)
        if self._waits() or self._is_short(asked):
            self._go()
        else:
            self._counter.check(asked, self._on_checked)

    def _waits(self) -> bool:
        """Whether the prompt waits for its turn anyway."""
        running = bool(self._dialogue.replies.running)
        return running or not isinstance(self._loader.state, ReadyModel)

    def _is_short(self, asked: Asked) -> bool:
        """Whether it fits whatever the tokenizer makes of it, which most prompts do."""
        if self._use is not None:
            return surely_fits(self._use, asked.draft)
        return short_enough((message.content for message in asked.messages), self._capacity)

    @property
    def _capacity(self) -> int:
        """Tokens of the loaded model's context."""
        state = self._loader.state
        return state.loaded.context_length if isinstance(state, ReadyModel) else 0

    def _go(self) -> None:
        prompt, self._pending = self._pending, ""
        self._card.hide()
        self._dialogue.send(prompt)

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
        self._pending, self._loads_longer = "", False
        self._card.hide()

    # ------------------------------------------------------------------ counting

    def _asked(self, draft: str) -> Asked:
        return Asked(self._history(), draft, self._settings.max_new_tokens)

    @property
    def _settings(self) -> Settings:
        """Of the chat on screen."""
        return self._dialogue.seen.settings_of(self._dialogue.conversation)

    def _history(self) -> tuple[protocol.Message, ...]:
        """What the model sees of the chat on screen; nothing if it cannot be read."""
        conversation = self._dialogue.conversation
        if conversation is None:
            return ()
        try:
            path = self._store.tree(conversation).path
            return self._dialogue.seen.messages(conversation, path)
        except StoreError:
            return ()

    def _watch(self) -> None:
        """Counts again once there is time for it. While a reply runs the engine cannot."""
        if isinstance(self._loader.state, ReadyModel) and not self._dialogue.replies.running:
            self._counter.watch(lambda: self._asked(self._draft))

    def _on_counted(self, use: ContextUse | None) -> None:
        self._use = use
        self._gauge.show_use(use)

    def _on_model(self, state: ModelState) -> None:
        if not isinstance(state, ReadyModel):
            self._counter.forget()
            return
        if self._loads_longer and self._pending:
            self._loads_longer = False
            self.send(self._pending)
        else:
            self._watch()

    def _on_other_chat(self) -> None:
        self._give_up()
        self._counter.forget()
        self._tell_seen()
        self._watch()

    def _on_other_history(self) -> None:
        """The gauge stays as it is until the new count has come."""
        self._use = None
        self._watch()
