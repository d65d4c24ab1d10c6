"""The conversation on screen: a column of blocks, what is selected in it, and replies that grow.

What the rest of the window may use: `show_messages`, `add_message`, `append_thinking`,
`end_thinking`, `append_text`, `finish_message`, `remove_message`, `see_from`, `set_progress`,
`copy`, and the signals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import QRect, Qt, QThreadPool, QTimer, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QWidget

from app import plain, theming
from app.chat import markdown
from app.chat.attachment_head import AttachmentHead
from app.chat.block_widget import BlockWidget
from app.chat.blocks import Block
from app.chat.code_block import CodeBlock
from app.chat.code_colours import CodeColours
from app.chat.document import Document
from app.chat.flow import Code, Table
from app.chat.formulas import Formulas
from app.chat.found import Found
from app.chat.links import LinkDialog
from app.chat.message_menu import MessageMenu
from app.chat.reply_rows import Footer, PromptRow, ThinkingHead, TroubleCard
from app.chat.selection import Place
from app.chat.selection_controller import SelectionController
from app.chat.table_block import TableBlock
from app.chat.text_block import TextBlock
from app.chat.unseen_line import UnseenLine
from app.chat.virtual_column import VirtualColumn
from app.chat.way_back import FADE, FADE_BELOW_PILL, PILL_ABOVE, Fade, WayBack
from app.store.records import StoredMessage
from app.widgets.throttle import Throttle
from app.words import translate

COPY_SOURCE: Final = (
    Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier | Qt.Key.Key_C
)

FOUND_BELOW: Final = 96
"""Px from the top to what was found."""

PREPARE_MS: Final = 500
"""After which the parser of Markdown is imported, when the window has been painted."""

FRAME_MS: Final = 33
"""Between two times that text which arrives is drawn."""

ROWS: Final[dict[str, type[BlockWidget]]] = {
    "thinking": ThinkingHead,
    "trouble": TroubleCard,
    "prompt_row": PromptRow,
    "footer": Footer,
    "unseen": UnseenLine,
    "attachment": AttachmentHead,
}
"""Widgets of blocks without text."""


class Transcript(VirtualColumn):
    stop_requested = Signal()
    regenerate_requested = Signal(object)
    continue_requested = Signal(object)
    edit_requested = Signal(object)
    version_requested = Signal(object, int)
    see_all_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        self._document = Document()
        super().__init__(self._made, self._document.read, parent)
        self.setObjectName("transcript")
        plain.set_name(self, translate("Transcript", "Conversation"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setMouseTracking(True)
        self._colours = CodeColours(self)
        self._formulas = Formulas(self)
        self._selection = SelectionController(self, self._document)
        self.found = Found(self)
        self.menu = MessageMenu(self._document, self._selection, self)
        self.menu.source_toggled.connect(self._toggle_source)
        self.menu.continue_requested.connect(self.continue_requested)
        self._pending: list[str] = []
        self._flush = Throttle(FRAME_MS, self._take_pending, self)
        self._fade = Fade(self)
        self._to_end = WayBack(self)
        self._to_end.clicked.connect(self.follow)
        self.laid_out.connect(self._show_way_back)
        QTimer.singleShot(PREPARE_MS, self, _prepare)

    # ------------------------------------------------------------------ what is shown

    def show_messages(self, messages: list[StoredMessage]) -> None:
        """Shows this conversation, from its end."""
        self._drop_pending()
        self._document.show(messages)
        self._selection.clear()
        self.show_blocks(self._document.blocks)

    def add_message(self, message: StoredMessage) -> None:
        self._take_pending()
        change = self._document.add(message)
        self.take(change)
        self.follow()

    def append_thinking(self, message: int, text: str) -> None:
        """Adds to what the model thinks before its answer, shown until that begins."""
        if not self._document.awaits_thinking(message):
            if self._pending or not self._document.awaits_text(message):
                return
            begun = self._document.begin_thinking(message)
            if begun is None:
                return
            self.take(begun, self._document.note(message, ""))
        self._pending.append(text)
        self._flush()

    def end_thinking(self, message: int, seconds: float) -> None:
        """Makes room for the answer. Thinking is hidden, unless one has shown it or reads it."""
        self._take_pending()
        keep_open = not self.following
        self.take(self._document.end_thinking(message, seconds, keep_open=keep_open))

    def append_text(self, message: int, text: str) -> None:
        """Adds to the reply that streams; drawn at most once in FRAME_MS."""
        if not self._document.awaits_text(message):
            return
        if self._document.is_empty(message):
            self.set_progress(message, "")
        self._pending.append(text)
        self._flush()

    def set_progress(self, message: int, note: str) -> None:
        """Says beside Stop what the engine does before the first word."""
        self.take(self._document.note(message, note))

    def finish_message(self, message: StoredMessage) -> None:
        """Puts a reply in its final state."""
        self._take_pending()
        self.take(self._document.finish(message))

    def remove_message(self, message: int) -> None:
        turn = self._document.parts.turn_of(message)
        self.take(self._document.remove(message))
        if turn is not None:
            self._selection.forget_from(turn)

    def set_versions(self, versions: Mapping[int, tuple[int, int]]) -> None:
        """Of messages that have several: which one is shown, from 1, and of how many."""
        self.take(self._document.set_versions(versions))

    def show_message(self, message: int) -> None:
        """Scrolls to where a message begins."""
        self._take_pending()
        for block in self._document.blocks:
            if block.message == message:
                self.go_to(block)
                return

    def see_from(self, message: int | None) -> None:
        """Draws a line above the first message that the model sees; None if it sees all."""
        self.take(*self._document.see_from(message))

    def turn_of(self, message: int) -> int | None:
        """Number of a message that has text, as places have it."""
        return self._document.parts.turn_of(message)

    def find_words(self, words: str) -> list[tuple[Place, Place]]:
        """Where these letters stand in the source of what is shown, whatever their case."""
        return self._document.parts.find_words(words)

    def show_span(self, start: Place, stop: Place) -> None:
        """Selects what lies between two places, and brings it into sight."""
        self._take_pending()
        self._selection.select(start, stop)
        for _ in range(3):  # what was unread is cut into blocks when it comes near
            block = self._document.block_at(start)
            if block is None:
                return
            self.go_to(block, FOUND_BELOW)

    def text(self) -> str:
        """Everything that is shown, as it was written."""
        return self._document.text()

    def _take_pending(self) -> None:
        text = "".join(self._pending)
        self._drop_pending()
        if text:
            self.take(self._document.append(text))

    def _drop_pending(self) -> None:
        self._pending.clear()
        self._flush.cancel()

    def _toggle(self, head: Block) -> None:
        """The head stays where it was pressed, unless one follows what is being thought."""
        self._take_pending()
        if not head.streaming:
            self.hold(head)
        self.take(self._document.toggle(head))
        self.follow_at_end()

    def _toggle_source(self, message: int) -> None:
        self._take_pending()
        self.take(self._document.toggle_source(message))

    # ------------------------------------------------------------------ widgets

    def _made(self, block: Block, parent: QWidget) -> BlockWidget:
        if block.part:
            return self._made_text(block, parent)
        widget = ROWS[block.kind](block, parent)
        if isinstance(widget, ThinkingHead | AttachmentHead):
            widget.toggled.connect(lambda: self._toggle(block))
        elif isinstance(widget, UnseenLine):
            widget.undone.connect(self.see_all_requested)
        elif isinstance(widget, Footer):
            widget.stop_requested.connect(self.stop_requested)
            widget.regenerate_requested.connect(
                lambda: self.regenerate_requested.emit(widget.block.message)
            )
            widget.continue_requested.connect(
                lambda: self.continue_requested.emit(widget.block.message)
            )
            widget.copy_requested.connect(lambda: self.menu.copy_reply(widget.block.message))
            widget.more_requested.connect(lambda at: self.menu.open(widget.block.message, at))
            widget.version_requested.connect(
                lambda step: self.version_requested.emit(widget.block.message, step)
            )
        elif isinstance(widget, PromptRow):
            widget.edit_requested.connect(lambda: self.edit_requested.emit(widget.block.message))
            widget.copy_requested.connect(lambda: self.menu.copy_prompt(widget.block.message))
            widget.version_requested.connect(
                lambda step: self.version_requested.emit(widget.block.message, step)
            )
        return widget

    def _made_text(self, block: Block, parent: QWidget) -> BlockWidget:
        made: BlockWidget
        match block.content:
            case Code():
                return CodeBlock(block, parent, self._colours)
            case Table():
                made = TableBlock(block, parent, self._formulas)
            case _:
                made = TextBlock(block, parent, self._formulas)
        made.link_chosen.connect(self._ask_to_open)
        return made

    def _show_way_back(self) -> None:
        self._selection.mark_all()
        away = not self.following and bool(self._document.blocks)
        if away:
            self._to_end.show_writing(self._document.grows)
            self._place_way_back()
        if away is self._to_end.isHidden():
            self._to_end.setVisible(away)
            self._place_way_back()

    def _place_way_back(self) -> None:
        width, height = self.viewport().width(), self.viewport().height()
        pill = self._to_end
        fade = FADE if pill.isHidden() else FADE_BELOW_PILL
        self._fade.setGeometry(0, height - fade, width, fade)
        pill.resize(pill.sizeHint())
        pill.move((self.width() - pill.width()) // 2, height - pill.height() - PILL_ABOVE)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_way_back()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        """Between blocks that are selected; they draw the rest themselves."""
        painter = QPainter(self.viewport())
        left, width = self.column_span()
        for top, height in self._selection.gaps():
            painter.fillRect(QRect(left, top, width, height), theming.selection_colour())
        painter.end()

    # ------------------------------------------------------------------ selection

    def copy(self) -> None:
        """Puts what is selected on the clipboard."""
        self._selection.copy()

    def selected_text(self) -> str:
        return self._selection.text()

    def select_all(self) -> None:
        self._selection.select_all()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() is Qt.MouseButton.LeftButton:
            shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self._selection.press(event.position().toPoint(), extends=shift)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = event.position().toPoint()
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._selection.drag(at)
        plain.set_tool_tip(self.viewport(), self._selection.link_at(at))
        self.viewport().setCursor(self._selection.cursor_at(at))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        event.accept()
        self._selection.release()
        if event.button() is Qt.MouseButton.LeftButton and self._selection.is_empty:
            self._ask_to_open(self._selection.link_at(event.position().toPoint()))

    def _ask_to_open(self, link: str) -> None:
        if link:
            LinkDialog(link, self.window()).open()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self._selection.select_word(event.position().toPoint())

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        block = self.block_at(self.viewport().mapFromGlobal(event.globalPos()).y())
        self.menu.open(block.message if block else None, event.globalPos())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif event.keyCombination() == COPY_SOURCE:
            self._selection.copy_source()
        elif event.matches(QKeySequence.StandardKey.SelectAll):
            self.select_all()
        elif event.key() == Qt.Key.Key_Home:
            self.verticalScrollBar().setValue(0)
        elif event.key() == Qt.Key.Key_End:
            self.follow()
        else:
            super().keyPressEvent(event)


def _prepare() -> None:
    QThreadPool.globalInstance().start(markdown.prepare)
