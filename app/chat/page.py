"""A conversation's page: the transcript or the welcome, and the composer below."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app import number_format
from app.chat.composer import Composer
from app.chat.dialogue import Dialogue
from app.chat.edit_bar import EditBar
from app.chat.find_bar import FindBar
from app.chat.queue_card import QueueCard
from app.chat.replies import Progress
from app.chat.transcript import Transcript
from app.chat.virtual_column import COLUMN
from app.chat.welcome import Welcome
from app.context.card import ContextCard
from app.notices import Notices
from app.store.records import Attachments, StoredMessage, Waiting
from app.store_keeper import STORE
from app.widgets.banner import Banner
from app.words import translate

JOINED: Final = 12
"""Px by which what is joined to the composer is narrower on each side."""

OTHERS: Final = frozenset({"engine", "model", "window", "chats"})
"""What the lower one of the two banners speaks about."""


class ChatPage(QWidget):
    """Shows what a dialogue says. Knows no engine. `editing_changed()`."""

    editing_changed = Signal()

    def __init__(self, dialogue: Dialogue, notices: Notices, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.banner = Banner(notices, OTHERS)
        self.storage_banner = Banner(notices, frozenset({STORE}))
        self.transcript = Transcript()
        self.welcome = Welcome()
        self.queue = QueueCard()
        self.edit_bar = EditBar()
        self._editing: int | None = None
        self._draft: tuple[str, Attachments] = ("", ())
        """What was written before a prompt was being changed, and its files."""
        self.context_card = ContextCard()
        self.composer = Composer()
        self._stack = QStackedWidget()
        self._stack.addWidget(_scrolled(_in_column(self.welcome)))
        self._stack.addWidget(self.transcript)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 16)
        layout.setSpacing(0)
        layout.addWidget(_in_column(self.storage_banner))
        layout.addWidget(_in_column(self.banner))
        layout.addWidget(self._stack, 1)
        layout.addWidget(_in_column(self.context_card))
        layout.addSpacing(8)
        layout.addWidget(_in_column(self.queue, JOINED))
        layout.addWidget(_in_column(self.edit_bar, JOINED))
        layout.addWidget(_in_column(self.composer))
        self.find_bar = FindBar(self.transcript, self)
        self.find_bar.left.connect(self.composer.setFocus)
        self._dialogue = dialogue
        self._connect(dialogue)

    def _connect(self, dialogue: Dialogue) -> None:
        dialogue.opened.connect(self._on_opened)
        dialogue.added.connect(self._on_added)
        dialogue.thinking_added.connect(self.transcript.append_thinking)
        dialogue.thinking_ended.connect(self.transcript.end_thinking)
        dialogue.text_added.connect(self.transcript.append_text)
        dialogue.progressed.connect(self._on_progress)
        dialogue.finished.connect(self.transcript.finish_message)
        dialogue.removed.connect(self.transcript.remove_message)
        dialogue.answering_changed.connect(self.composer.set_answering)
        dialogue.versions_changed.connect(self.transcript.set_versions)
        dialogue.sent.connect(self._on_sent)
        dialogue.queue_changed.connect(self._show_queue)
        self.transcript.version_requested.connect(self._show_version)
        self.transcript.edit_requested.connect(self.edit)
        self.edit_bar.cancelled.connect(self.leave_edit)
        self.composer.escaped.connect(self.leave_edit)
        self.composer.up_pressed.connect(self.edit_last)
        self.context_card.shown.connect(self.composer.fold)
        self.queue.taken_back.connect(self._take_back)
        self.queue.dropped.connect(dialogue.take_back)
        self.transcript.stop_requested.connect(dialogue.stop)
        self.composer.stop_requested.connect(dialogue.stop)
        for banner in (self.banner, self.storage_banner):
            banner.left.connect(self.composer.setFocus)
        self.welcome.example_chosen.connect(self._take_example)

    @property
    def editing(self) -> int | None:
        """The prompt that is being changed."""
        return self._editing

    def edit(self, message: int) -> None:
        """Puts a prompt on screen into the composer, to be sent as another version of it."""
        found = next((m for m in self._dialogue.path if m.id == message), None)
        if found is None:
            return
        if self._editing is None:
            self._draft = self.composer.field.toPlainText(), self.composer.files.files
        self._editing = message
        self.composer.set_text(found.content)
        self.composer.files.set_files(found.attachments)
        self.edit_bar.show()
        self.composer.setFocus()
        self.editing_changed.emit()

    def edit_last(self) -> None:
        prompts = [known.id for known in self._dialogue.path if known.role == "user"]
        if prompts:
            self.edit(prompts[-1])

    def leave_edit(self) -> None:
        """The prompt stays as it is, and what was written before comes back."""
        if self._editing is not None:
            self._end_edit()

    def _end_edit(self) -> None:
        self._editing = None
        self.edit_bar.hide()
        words, files = self._draft
        self.composer.set_text(words)
        self.composer.files.set_files(files)
        self._draft = ("", ())
        self.editing_changed.emit()

    def _on_sent(self) -> None:
        self.composer.clear()
        self.leave_edit()

    def step_version(self, step: int) -> None:
        """Another version of the last message on screen that has several."""
        if self._dialogue.versions:
            self._show_version(list(self._dialogue.versions)[-1], step)

    def _show_version(self, message: int, step: int) -> None:
        """Where the other version begins, as what follows may be another length."""
        shown = self._dialogue.show_version(message, step)
        if shown is not None:
            self.transcript.show_message(shown)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """What is typed anywhere in the chat goes to the composer, and so does what is pasted."""
        held = event.modifiers() & ~(
            Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier
        )
        types = bool(event.text()) and event.text().isprintable() and not held
        if types or event.matches(QKeySequence.StandardKey.Paste):
            self.composer.setFocus()
            QApplication.sendEvent(self.composer.field, event)
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.find_bar.place()

    def _on_opened(self, messages: list[StoredMessage]) -> None:
        self.find_bar.hide()
        self.leave_edit()
        self.transcript.show_messages(messages)
        self._stack.setCurrentIndex(1 if messages else 0)
        self._show_queue()
        self.composer.setFocus()

    def _show_queue(self) -> None:
        """The prompts of this conversation that wait for their turn."""
        here = self._dialogue.conversation
        own = [waiting for waiting in self._dialogue.queue if waiting.conversation == here]
        self.queue.show_prompts(own)

    def _take_back(self, waiting: Waiting) -> None:
        """Its words are in the composer again, before what is written there."""
        self._dialogue.take_back(waiting)
        written = self.composer.field.toPlainText()
        self.composer.set_text("\n\n".join(part for part in (waiting.content, written) if part))
        for attachment in waiting.attachments:
            self.composer.files.add(attachment)
        self.composer.setFocus()

    def _on_added(self, message: StoredMessage) -> None:
        self._stack.setCurrentIndex(1)
        self.transcript.add_message(message)

    def _on_progress(self, message: int, progress: Progress) -> None:
        note = ""
        if progress.done < progress.total:
            done, total = number_format.count(progress.done), number_format.count(progress.total)
            note = translate("Page", "Reading the prompt, {done} of {total} tokens").format(
                done=done, total=total
            )
        self.transcript.set_progress(message, note)

    def _take_example(self, text: str) -> None:
        self.composer.replace_text(text)
        self.composer.setFocus()


def _in_column(widget: QWidget, inset: int = 0) -> QWidget:
    """The widget in the middle, as wide as the reading column at most, or `inset` px less on each
    side."""
    around = QWidget()
    widget.setMaximumWidth(COLUMN - 2 * inset)
    row = QHBoxLayout(around)
    row.setContentsMargins(24 + inset, 0, 24 + inset, 0)
    row.addStretch(1)
    row.addWidget(widget, 1000)
    row.addStretch(1)
    return around


def _scrolled(widget: QWidget) -> QScrollArea:
    """What may be higher than a small window."""
    area = QScrollArea()
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidgetResizable(True)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(widget)
    area.viewport().setAutoFillBackground(False)
    widget.setAutoFillBackground(False)
    return area
