"""From mouse and keyboard to what is selected, and from there to the marks in widgets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QClipboard, QGuiApplication

from app.chat.blocks import Block
from app.chat.document import Document
from app.chat.selection import Place, Selection
from app.chat.virtual_column import VirtualColumn

FASTEST_SCROLL: Final = 80
"""Px by which one move of the mouse beyond the edge scrolls at most."""


class SelectionController:
    """Points are px in the column's viewport."""

    def __init__(self, column: VirtualColumn, document: Document) -> None:
        self._column = column
        self._document = document
        self._selection = Selection()

    # ------------------------------------------------------------------ what is selected

    def clear(self) -> None:
        self._selection.clear()
        self.mark_all()

    def forget_from(self, turn: int) -> None:
        """Ends a selection that reaches a message which is no longer there."""
        span = self._selection.span()
        if span and span[1].turn >= turn:
            self.clear()

    @property
    def is_empty(self) -> bool:
        return self._selection.span() is None

    def text(self) -> str:
        """What is selected, as it is shown."""
        span = self._selection.span()
        return self._document.copied(*span) if span else ""

    def source(self) -> str:
        """What is selected, as it was written."""
        span = self._selection.span()
        return self._document.between(*span) if span else ""

    def span(self) -> tuple[Place, Place] | None:
        return self._selection.span()

    def copy(self) -> None:
        """Puts what is selected on the clipboard, as it is shown."""
        if text := self.text():
            QGuiApplication.clipboard().setText(text)

    def copy_source(self) -> None:
        if source := self.source():
            QGuiApplication.clipboard().setText(source)

    def select(self, start: Place, stop: Place) -> None:
        self._selection.set(start, stop)
        self.mark_all()

    def select_all(self) -> None:
        self._selection.set(*self._document.parts.ends())
        self.mark_all()

    # ------------------------------------------------------------------ the mouse

    def press(self, at: QPoint, *, extends: bool) -> None:
        place = self._place_at(at)
        if place is None:
            return
        if extends:
            self._selection.move(place)
        else:
            self._selection.set(place, place)
        self.mark_all()

    def drag(self, at: QPoint) -> None:
        """Extends the selection; beyond the edge of the viewport, scrolls."""
        self._scroll_towards(at.y())
        place = self._place_at(at)
        if place:
            self._selection.move(place)
            self.mark_all()

    def release(self) -> None:
        """Where the system pastes what is selected with the middle button, it can."""
        clipboard, text = QGuiApplication.clipboard(), self.text()
        if text and clipboard.supportsSelection():
            clipboard.setText(text, QClipboard.Mode.Selection)

    def select_word(self, at: QPoint) -> None:
        block = self._column.block_at(at.y())
        place = self._place_at(at)
        if block is None or block.part is None or place is None:
            return
        widget = self._column.widgets().get(block)
        if widget:
            start, stop = widget.word_at(place.offset)
            self._selection.set(block.part.place(start), block.part.place(stop))
            self.mark_all()

    def link_at(self, at: QPoint) -> str:
        """Where a link leads that stands at a point; empty if none does."""
        block = self._column.block_at(at.y())
        widget = self._column.widgets().get(block) if block else None
        return widget.link_at(at - widget.pos()) if widget else ""

    def cursor_at(self, at: QPoint) -> Qt.CursorShape:
        if self.link_at(at):
            return Qt.CursorShape.PointingHandCursor
        block = self._column.block_at(at.y())
        widget = self._column.widgets().get(block) if block else None
        if widget and widget.has_text_at(at - widget.pos()):
            return Qt.CursorShape.IBeamCursor
        return Qt.CursorShape.ArrowCursor

    def _scroll_towards(self, y: int) -> None:
        height = self._column.viewport().height()
        bar = self._column.verticalScrollBar()
        if y < 0:
            bar.setValue(bar.value() + max(y, -FASTEST_SCROLL))
        elif y > height:
            bar.setValue(bar.value() + min(y - height, FASTEST_SCROLL))

    def _place_at(self, at: QPoint) -> Place | None:
        block = self._column.block_at(at.y())
        if block is None:
            return None
        if block.part is None:
            return self._document.place_of(block)
        widget = self._column.widgets().get(block)
        if widget is None:
            return block.part.place(block.start)
        return block.part.place(widget.offset_at(at - widget.pos()))

    # ------------------------------------------------------------------ marks

    def gaps(self) -> Iterator[tuple[int, int]]:
        """Top and height, px, of what lies between two blocks of a part and is selected."""
        span = self._selection.span()
        if span is None:
            return
        for block, widget in self._column.widgets().items():
            if block.part and not block.begins and block.above:
                place = block.part.place(block.start)
                if span[0] < place < span[1]:
                    yield widget.y() - block.above, block.above

    def mark_all(self) -> None:
        for block in self._column.widgets():
            self.mark(block)
        self._column.viewport().update()

    def mark(self, block: Block) -> None:
        """Shows in the widget of a block, if it has one, what of it is selected."""
        widget = self._column.widgets().get(block)
        if widget and block.part:
            part = block.part
            widget.select(*self._selection.within(part.place(block.start), part.place(block.stop)))
