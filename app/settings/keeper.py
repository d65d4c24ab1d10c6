"""Puts the settings to use, and keeps them: of all chats, of models, presets and single chats."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from PySide6.QtCore import QObject, Signal

from app import language, motion, theming
from app.chat.composer import Composer
from app.chat.dialogue import Dialogue
from app.models.loader import LoadOptions, ModelLoader
from app.notifier import Notifier
from app.settings import layers
from app.settings.layers import Layers
from app.settings.values import OF_CHATS, Settings, Values, fitting, over, read, write
from app.store.chat_settings import ChatSettings
from app.store.errors import StoreError
from app.store.store import Store

NAME: Final = "settings"
LAYERS: Final = "setting layers"
"""Of the rows in the store."""


class SettingsKeeper(QObject):
    """`changed()`: something is set to another value, for all chats or some."""

    changed = Signal()

    def __init__(
        self,
        store: Store,
        dialogue: Dialogue,
        loader: ModelLoader,
        composer: Composer,
        notifier: Notifier,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._store = store
        self._dialogue = dialogue
        self._loader = loader
        self._composer = composer
        self._notifier = notifier
        self._settings = read(store.setting(NAME))
        self._layers = layers.read(store.setting(LAYERS))
        self._new_chat = ChatSettings()
        """Of the chat that has no prompt yet."""
        dialogue.seen.settings_of = self.of_chat
        dialogue.began.connect(self._on_began)
        dialogue.opened.connect(lambda _: self._on_opened())
        loader.options_of = self._load_options
        self._composer.set_enter_sends(sends=self._settings.enter == "sends")
        self._show(Settings(), self._settings)

    @property
    def settings(self) -> Settings:
        """Of all chats."""
        return self._settings

    @property
    def layers(self) -> Layers:
        return self._layers

    def set(self, settings: Settings) -> None:
        """Uses them from now on, and at the next start."""
        before, self._settings = self._settings, settings
        self._store.set_setting(NAME, write(settings))
        self._composer.set_enter_sends(sends=settings.enter == "sends")
        self._show(before, settings)
        self._tell()

    def set_layers(self, changed: Layers) -> None:
        self._layers = changed
        self._store.set_setting(LAYERS, layers.write(changed))
        self._tell()

    # ------------------------------------------------------------------ of a chat

    def chat(self, conversation: int | None) -> ChatSettings:
        """What is set for it alone; nothing if that cannot be read."""
        if conversation is None:
            return self._new_chat
        try:
            return self._store.chat_settings(conversation)
        except StoreError:  # which is told where the messages are read
            return ChatSettings()

    def set_chat(self, conversation: int | None, **changes: Any) -> None:
        """Sets these fields of its ChatSettings."""
        if conversation is None:
            self._new_chat = msgspec.structs.replace(self._new_chat, **changes)
        else:
            try:
                self._store.change_chat_settings(conversation, **changes)
            except StoreError as error:
                self._dialogue.store_failed.emit(error)
        self._tell()

    def of_chat(self, conversation: int | None) -> Settings:
        """What its next reply is asked with."""
        return over(self.below_chat(conversation), fitting(self.chat(conversation).own, OF_CHATS))

    def below_chat(self, conversation: int | None) -> Settings:
        """The same without what is set for this chat anew."""
        preset: Values = self._layers.presets.get(self.chat(conversation).preset, {})
        return over(self._settings, self._layers.models.get(self._loader.model, {}), preset)

    def _on_began(self, conversation: int) -> None:
        new, self._new_chat = self._new_chat, ChatSettings()
        if new.preset or new.own:
            self.set_chat(conversation, preset=new.preset, own=new.own)

    def _on_opened(self) -> None:
        self._new_chat = ChatSettings()

    # ------------------------------------------------------------------ use

    def _load_options(self, model: str) -> LoadOptions:
        """The chat on screen may set another context than the model."""
        chat = self.chat(self._dialogue.conversation)
        preset = self._layers.presets.get(chat.preset, {})
        of_model = self._layers.models.get(model, {})
        wanted = over(self._settings, of_model, preset, fitting(chat.own, OF_CHATS))
        return LoadOptions(wanted.context_length, wanted.dtype)

    def _tell(self) -> None:
        self.changed.emit()
        self._dialogue.seen.changed.emit(self._dialogue.conversation)

    def _show(self, before: Settings, settings: Settings) -> None:
        if settings.theme != before.theme:
            theming.choose(settings.theme)
        if settings.text_size != before.text_size:
            theming.scale(settings.text_size)
        motion.choose(settings.motion)
        self._notifier.is_wanted = settings.notify == "yes"
        if settings.language != before.language:
            language.choose(settings.language)
