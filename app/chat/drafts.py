"""What is written and not sent: one draft for each chat, kept over restarts."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, QTimer

from app.chat.dialogue import Dialogue
from app.chat.page import ChatPage
from app.store.errors import StoreError
from app.store.records import attachments_of, attachments_written, files_setting
from app.store.store import Store

PAUSE_MS: Final = 500
"""After the last key, until a draft is saved."""
SETTING: Final = "draft"
"""Holds the draft of the chat that has not begun."""


class Drafts(QObject):
    """Saves what the composer holds, and puts it back when its chat is opened again."""

    def __init__(
        self, store: Store, dialogue: Dialogue, page: ChatPage, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._store = store
        self._dialogue = dialogue
        self._page = page
        self._conversation: int | None = None
        """Whose draft the composer holds."""
        self._pause = QTimer(self, singleShot=True, interval=PAUSE_MS)
        self._pause.timeout.connect(self.save)
        page.composer.field.textChanged.connect(self._pause.start)
        page.composer.files.changed.connect(self._save_files)
        dialogue.opened.connect(lambda _: self._on_opened())
        dialogue.sent.connect(self._on_sent)
        self._show()

    def save(self) -> None:
        """Now. What is written while a prompt is changed is no draft: the draft comes back."""
        self._pause.stop()
        if self._page.editing is None:
            self._write(self._conversation, self._page.composer.field.toPlainText())

    def _on_opened(self) -> None:
        """Also comes when the chat on screen is read once more, which leaves the composer alone."""
        if self._dialogue.conversation != self._conversation:
            self.save()
            self._conversation = self._dialogue.conversation
            self._show()

    def _on_sent(self) -> None:
        """A chat that has begun with it has no draft, and neither has the next one."""
        if self._conversation is None:
            self._write(None, "")
        self._conversation = self._dialogue.conversation
        self.save()

    def _show(self) -> None:
        self._page.composer.set_text(self._read(self._conversation))
        stored = self._store.setting(files_setting(self._conversation))
        self._page.composer.files.set_files(attachments_of(stored))
        self._pause.stop()

    def _save_files(self) -> None:
        """Apart from the words: they are written with every pause, and files may be large."""
        name = files_setting(self._conversation)
        written = attachments_written(self._page.composer.files.files)
        if self._page.editing is None and written != self._store.setting(name):
            self._store.set_setting(name, written)

    def _read(self, conversation: int | None) -> str:
        if conversation is None:
            return self._store.setting(SETTING)
        try:
            return self._store.chat_settings(conversation).draft
        except StoreError:  # which is told where the messages are read
            return ""

    def _write(self, conversation: int | None, draft: str) -> None:
        if draft == self._read(conversation):
            return
        if conversation is None:
            self._store.set_setting(SETTING, draft)
            return
        try:
            self._store.change_chat_settings(conversation, draft=draft)
        except StoreError as error:
            self._dialogue.store_failed.emit(error)
