"""Puts the settings to use, and keeps them."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject

from app import theming
from app.chat.composer import Composer
from app.chat.dialogue import Dialogue
from app.models.loader import ModelLoader
from app.settings.values import Settings, read, write
from app.store.store import Store

NAME: Final = "settings"
"""Of the row in the store."""


class SettingsKeeper(QObject):
    def __init__(
        self,
        store: Store,
        dialogue: Dialogue,
        loader: ModelLoader,
        composer: Composer,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._store = store
        self._dialogue = dialogue
        self._loader = loader
        self._composer = composer
        self._settings = read(store.setting(NAME))
        self._use(self._settings)
        if self._settings.theme != "system":
            theming.choose(self._settings.theme)

    @property
    def settings(self) -> Settings:
        return self._settings

    def set(self, settings: Settings) -> None:
        """Uses them from now on, and at the next start."""
        before, self._settings = self._settings, settings
        self._store.set_setting(NAME, write(settings))
        self._use(settings)
        if settings.theme != before.theme:
            theming.choose(settings.theme)

    def _use(self, settings: Settings) -> None:
        self._dialogue.sampling = settings.sampling
        self._dialogue.seen.system_prompt = settings.system_prompt
        self._loader.context = settings.context_length
        self._composer.set_enter_sends(sends=settings.enter == "sends")
