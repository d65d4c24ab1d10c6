"""The menu of a message and of what is selected, and what of them goes to the clipboard."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from PySide6.QtCore import QObject, QPoint, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMenu, QWidget

from app import plain
from app.chat.blocks import footer_of
from app.chat.document import Document
from app.chat.selection_controller import SelectionController
from app.words import translate

LONGEST_NAME: Final = 60
"""Characters of a model's name."""


class MessageMenu(QObject):
    """`source_toggled(message)`: its source is to be shown, or the reply again;
    `continue_requested(message)`; `model_requested(message, model id)`: it is to be written again
    by this model."""

    source_toggled = Signal(object)
    continue_requested = Signal(object)
    model_requested = Signal(object, str)

    def __init__(self, document: Document, selection: SelectionController, parent: QWidget) -> None:
        super().__init__(parent)
        self._document = document
        self._selection = selection
        self._window = parent
        self._models: Sequence[tuple[str, str]] = ()

    def set_models(self, models: Sequence[tuple[str, str]]) -> None:
        """Ids and names of the models that a reply can be written again with."""
        self._models = models

    def open(self, message: int | None, at: QPoint) -> None:
        """What can be done with what is selected, and with a message."""
        menu = QMenu(self._window)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if not self._selection.is_empty:
            plain.add_to_menu(menu, translate("Transcript", "Copy"), self._selection.copy)
            plain.add_to_menu(
                menu, translate("Transcript", "Copy as Markdown"), self._selection.copy_source
            )
        everything = plain.add_to_menu(
            menu, translate("Transcript", "Select all"), self._selection.select_all
        )
        everything.setEnabled(bool(self._document.blocks))
        row = None if message is None else footer_of(self._document.blocks, message)
        if row is not None and not row.streaming:
            menu.addSeparator()
            self._add_reply(menu, row.message, can_go_on=row.can_go_on)
        menu.popup(at)

    def _add_reply(self, menu: QMenu, message: int, *, can_go_on: bool) -> None:
        if self._document.answer(message):
            plain.add_to_menu(
                menu,
                translate("Transcript", "Copy the reply as text"),
                lambda: _to_clipboard(self._document.answer_as_text(message)),
            )
            plain.add_to_menu(
                menu,
                translate("Transcript", "Copy the reply as Markdown"),
                partial(self.copy_reply, message),
            )
            shows = self._document.shows_source(message)
            words = (
                translate("Transcript", "Show the reply")
                if shows
                else translate("Transcript", "View source")
            )
            plain.add_to_menu(menu, words, partial(self.source_toggled.emit, message))
        if can_go_on:
            plain.add_to_menu(
                menu,
                translate("Transcript", "Go on with the reply"),
                partial(self.continue_requested.emit, message),
            )
        if self._models:
            others = menu.addMenu(translate("Transcript", "Write again with"))
            for model, name in self._models:
                plain.add_to_menu(
                    others,
                    plain.one_line(name, LONGEST_NAME),
                    partial(self.model_requested.emit, message, model),
                )

    def copy_reply(self, message: int) -> None:
        _to_clipboard(self._document.answer(message))

    def copy_prompt(self, message: int) -> None:
        part = self._document.parts.find("prompt", message)
        _to_clipboard(part.text if part else "")


def _to_clipboard(text: str) -> None:
    QGuiApplication.clipboard().setText(text)
