"""What the column asks of a widget: one block of the conversation on screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QPoint, Signal
from PySide6.QtWidgets import QWidget

from app.chat.blocks import Block

FADED: Final = 0.75
"""Opacity of code and tables that the model does not see; of text another colour says it."""


Hits = Sequence[tuple[int, int]]
"""Where words were found, from and to, in the source of the block's part."""


class BlockWidget(QWidget):
    """Shows a block. Lengths are px, offsets are characters of the source of the block's part.

    These methods are those of a block without text, such as a row of buttons.
    """

    resized = Signal()
    """It takes another height now, for a reason of its own."""

    link_chosen = Signal(str)
    """By the keyboard: where it leads."""

    def __init__(self, block: Block, parent: QWidget) -> None:
        super().__init__(parent)
        self.block = block

    def show_block(self, block: Block) -> None:
        """Shows this block, or the same again after it changed."""
        self.block = block

    def span(self, column: int) -> tuple[int, int]:
        """Where it stands in a column of this width: px from its left edge, and its own width."""
        return 0, column

    def height_at(self, width: int) -> int:
        """Px that it takes at this width."""
        raise NotImplementedError

    def buttons(self) -> list[QWidget]:
        """What can be focused in it, in the order of the Tab key."""
        return []

    def select(self, start: int, stop: int) -> None:
        """Marks the source from start to stop; nothing if they are equal."""

    def show_found(self, hits: Hits, now: int) -> None:
        """Marks where words were found; `now`: which of them is the present one, -1 for none."""

    def offset_at(self, point: QPoint) -> int:  # noqa: ARG002
        """Of the character at a point of the widget."""
        return self.block.start

    def has_text_at(self, point: QPoint) -> bool:  # noqa: ARG002
        """Whether something can be selected there."""
        return False

    def link_at(self, point: QPoint) -> str:  # noqa: ARG002
        """Where a link leads that stands at a point of the widget; empty if none does."""
        return ""

    def word_at(self, offset: int) -> tuple[int, int]:
        """Offsets of the word around a character."""
        return offset, offset
