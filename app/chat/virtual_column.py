"""A scrolled column of blocks: widgets only for those near the viewport, and the reader's place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Final

from PySide6.QtCore import QEvent, QPoint, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QFrame, QWidget

from app.chat.block_widget import BlockWidget
from app.chat.blocks import Block
from app.chat.document import Change
from app.chat.heights import Heights
from app.widgets.focus_ring import FocusRing

COLUMN: Final = 720
"""Width of the reading column at most, px."""

SIDE: Final = 24
BOTTOM: Final = 24
NEAR: Final = 600
"""Px above and below the viewport in which widgets are kept."""

REUSED: Final = frozenset({"prompt", "thought", "reply", "prompt_row", "footer"})
"""Shapes of which widgets are kept for the next block: making one takes some ms."""

PATIENCE_S: Final = 0.025
"""Of the thread's time, after which the rest of the blocks is left to the next turns of the event
loop."""

SPARE: Final = 12
"""Widgets of a shape that are kept."""

ROW: Final = 28
"""Px that a block without text is expected to take."""


class VirtualColumn(QAbstractScrollArea):
    """Knows of blocks how high they are, and nothing of what they show.

    `laid_out()`: blocks were placed.
    """

    laid_out = Signal()

    def __init__(
        self,
        make: Callable[[Block, QWidget], BlockWidget],
        read: Callable[[Block], Change],
        parent: QWidget | None = None,
    ) -> None:
        """`make`: builds the widget of a block; `read`: puts what it shows in the place of an
        unread block."""
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self._make = make
        self._read = read
        self._blocks: list[Block] = []
        self._heights = Heights()
        self._live: dict[Block, BlockWidget] = {}
        self._following = True
        self._anchor: tuple[Block, int] | None = None
        self._placing = False
        self._spare: dict[str, list[BlockWidget]] = {}
        """Widgets that are not needed now, by shape."""
        self._key_pairs: list[tuple[QWidget, QWidget]] = []
        """What follows what when Tab is pressed."""
        self._font = ""
        self._ring = FocusRing(self)
        self._rest = QTimer(self, singleShot=True, interval=0)
        self._rest.timeout.connect(self._lay_out)

    # ------------------------------------------------------------------ what is shown

    def show_blocks(self, blocks: list[Block]) -> None:
        """Shows these instead, from their end."""
        for block in list(self._live):
            self._release(block)
        self._blocks = list(blocks)
        self._following, self._anchor = True, None
        self._estimate()
        self._lay_out()

    def take(self, *changes: Change | None) -> None:
        """Shows what changed."""
        for change in changes:
            if change:
                self._splice(change)
        self._lay_out()

    def follow(self) -> None:
        """Goes to the end, and stays there."""
        self._following = True
        self._lay_out()

    def hold(self, block: Block) -> None:
        """Keeps a block where it is on screen, whatever changes above and below it."""
        self._following = False
        top = self._heights.top(self._blocks.index(block))
        self._anchor = (block, self.verticalScrollBar().value() - top)

    def go_to(self, block: Block, above: int = 0) -> None:
        """Brings a block to the top, or `above` px below it, whatever is real so far, and keeps it
        there."""
        self._following = False
        for _ in range(2):  # estimates above it become true when they come near
            if block not in self._blocks:  # it was unread, and is others now
                return
            top = self._heights.top(self._blocks.index(block)) - above
            self._placing = True
            self.verticalScrollBar().setValue(top)
            self._placing = False
            self._anchor = (block, -above)
            self._lay_out()

    def follow_at_end(self) -> None:
        if self.at_end():
            self.follow()

    @property
    def following(self) -> bool:
        return self._following

    def at_end(self) -> bool:
        bar = self.verticalScrollBar()
        return bar.value() >= bar.maximum() - 2

    def column_span(self) -> tuple[int, int]:
        """Px from the left of the viewport to the column, and its width."""
        return self._left(), self._column()

    def widgets(self) -> dict[Block, BlockWidget]:
        """Those that are there now."""
        return self._live

    def extents(self) -> Iterator[tuple[Block, int, int, int]]:
        """Of each block: px from the top of all to it, its height, and the height of all."""
        total = self._heights.total + BOTTOM
        for index, block in enumerate(self._blocks):
            yield block, self._heights.top(index), self._heights[index], total

    def block_at(self, y: int) -> Block | None:
        """At a height in the viewport, px; the first or the last one beyond the ends."""
        if not self._blocks:
            return None
        return self._blocks[self._heights.at(y + self.verticalScrollBar().value())]

    def _splice(self, change: Change) -> None:
        fresh = set(change.fresh)
        old = self._blocks[change.start : change.stop]
        within = self._anchor_within(change.start, old)
        for block in old:
            if block not in fresh:
                self._release(block)
        self._blocks[change.start : change.stop] = change.fresh
        self._heights.splice(change.start, change.stop, self._estimated(change.fresh))
        for block in change.altered:
            if block in self._live:
                self._live[block].show_block(block)
        for index in range(change.start, change.start + len(change.fresh)):
            if self._blocks[index] in self._live:
                self._measure(index)
        if within is not None and self._anchor and self._anchor[0] not in fresh:
            at = self._heights.top(change.start) + within
            self._remember_anchor(min(at, self._heights.top(change.start + len(fresh))))

    def _anchor_within(self, start: int, old: list[Block]) -> int | None:
        """Px from the first of these blocks to the top of the viewport, if that lies in them."""
        if self._anchor is None or self._anchor[0] not in old:
            return None
        index = start + old.index(self._anchor[0])
        return self._heights.top(index) + self._anchor[1] - self._heights.top(start)

    # ------------------------------------------------------------------ heights

    def _column(self) -> int:
        return max(120, min(COLUMN, self.width() - 2 * SIDE))

    def _left(self) -> int:
        """Of the whole width: the scroll bar must not push the column from above the composer."""
        return (self.width() - self._column()) // 2

    def _estimate(self) -> None:
        self._heights.replace(self._estimated(self._blocks))

    def _estimated(self, blocks: list[Block]) -> list[int]:
        """Px that they may take, from the number of their letters and lines."""
        metrics = self.fontMetrics()
        letters = max(1, self._column() // max(1, metrics.averageCharWidth()))
        line = metrics.height() * 1.25
        estimated = []
        for block in blocks:
            height = float(ROW)
            if block.part:
                ends = block.part.text.count("\n", block.start, block.stop)
                height = line * (ends + 1 + (block.stop - block.start) // letters)
            estimated.append(block.above + round(height) + block.below)
        return estimated

    def _measure(self, index: int) -> bool:
        """Puts the true height of a live block in; False when it was known."""
        block = self._blocks[index]
        widget = self._live[block]
        _, width = widget.span(self._column())
        height = block.above + widget.height_at(width) + block.below
        if height == self._heights[index]:
            return False
        self._heights.set(index, height)
        return True

    def _measure_again(self, widget: BlockWidget) -> None:
        if self._live.get(widget.block) is not widget:  # a spare one
            return
        self._measure(self._blocks.index(widget.block))
        self._lay_out()

    def _measure_live(self) -> None:
        for index, block in enumerate(self._blocks):
            if block in self._live:
                self._measure(index)

    # ------------------------------------------------------------------ layout

    def _lay_out(self) -> None:
        """Makes what is near the viewport real, measures it, and puts it in its place: what is in
        sight first, and what takes longer than PATIENCE_S in the next turns of the event loop."""
        if self._placing:
            return
        self._placing = True
        try:
            until = time.thread_time() + PATIENCE_S
            whole = all(self._settle(margin, until) for margin in (0, NEAR))
            top = self._wanted_top()
            self._let_go(*self._near(top, NEAR))
            self._set_range(top)
            self._place(top)
            self._order_keys(top)
        finally:
            self._placing = False
        if not whole:
            self._rest.start()
        self.viewport().update()
        self.laid_out.emit()

    def _settle(self, margin: int, until: float) -> bool:
        """Makes every block real that is at most so many px from the viewport, one by one until
        the thread's time has come; whether all are.

        Heights are estimates until a block is real, so each may bring others near. It ends: each
        step makes a block real that was not, and none is released before.
        """
        while True:
            first, last = self._near(self._wanted_top(), margin)
            unreal = [i for i in range(first, last) if self._blocks[i] not in self._live]
            if not unreal:
                return True
            for index in unreal:
                block = self._blocks[index]
                if block.unread:
                    self._splice(self._read(block))
                    break
                self._live[block] = self._widget_for(block)
                self._live[block].show_block(block)
                if self._measure(index):
                    break
                if time.thread_time() > until:
                    return False
            if time.thread_time() > until:
                return False

    def _widget_for(self, block: Block) -> BlockWidget:
        """One that is not needed any more, else a new one."""
        spare = self._spare.get(block.shape)
        if spare:
            return spare.pop()
        widget = self._make(block, self.viewport())
        widget.resized.connect(partial(self._measure_again, widget))
        return widget

    def focusNextPrevChild(self, forward: bool) -> bool:
        """What Tab leads to comes into sight."""
        moved = super().focusNextPrevChild(forward)
        focused = QApplication.focusWidget()
        if focused is not None and self.viewport().isAncestorOf(focused):
            self._show_widget(focused)
        return moved

    def _show_widget(self, widget: QWidget) -> None:
        top = widget.mapTo(self.viewport(), QPoint(0, 0)).y()
        below = top + widget.height() + 2 * SIDE - self.viewport().height()
        bar = self.verticalScrollBar()
        if top < SIDE:
            bar.setValue(bar.value() + top - SIDE)
        elif below > 0:
            bar.setValue(bar.value() + below)

    def ordered_widgets(self) -> list[BlockWidget]:
        """Of the blocks that have one, from above to below."""
        return [self._live[block] for block in self._blocks if block in self._live]

    def _order_keys(self, top: int) -> None:
        """Tab goes through what can be pressed as it stands, whenever it was made."""
        first, last = self._near(top, NEAR)
        pressed: list[QWidget] = [self]
        for block in self._blocks[first:last]:
            if block in self._live:
                pressed += self._live[block].buttons()
        pairs = list(pairwise(pressed))
        known = set(self._key_pairs)
        for before, after in pairs:
            if (before, after) not in known:
                QWidget.setTabOrder(before, after)
        self._key_pairs = pairs

    def _wanted_top(self) -> int:
        limit = max(0, self._heights.total + BOTTOM - self.viewport().height())
        if self._following:
            return limit
        if self._anchor:
            index = self._blocks.index(self._anchor[0])
            return max(0, min(limit, self._heights.top(index) + self._anchor[1]))
        return min(limit, self.verticalScrollBar().value())

    def _near(self, top: int, margin: int) -> tuple[int, int]:
        """The first block at most so many px from the viewport, and the one behind the last."""
        if not self._blocks:
            return 0, 0
        first = self._heights.at(top - margin)
        last = self._heights.at(top + self.viewport().height() + margin)
        return first, last + 1

    def _let_go(self, first: int, last: int) -> None:
        near = set(self._blocks[first:last])
        for block in [block for block in self._live if block not in near]:
            if not self._live[block].isAncestorOf(self.focusWidget() or self):
                self._release(block)

    def _release(self, block: Block) -> None:
        widget = self._live.pop(block, None)
        if widget is None:
            return
        widget.hide()
        spare = self._spare.setdefault(block.shape, [])
        if block.shape in REUSED and len(spare) < SPARE:
            spare.append(widget)
        else:
            widget.deleteLater()

    def _set_range(self, top: int) -> None:
        bar = self.verticalScrollBar()
        bar.setPageStep(self.viewport().height())
        bar.setSingleStep(3 * self.fontMetrics().height())
        bar.setRange(0, max(0, self._heights.total + BOTTOM - self.viewport().height()))
        bar.setValue(top)
        self._following |= bar.maximum() == 0

    def _place(self, top: int) -> None:
        left, column = self._left(), self._column()
        first, last = self._near(top, NEAR)
        for index in range(first, last):
            block = self._blocks[index]
            if block not in self._live:  # it becomes real in the next turn
                continue
            widget = self._live[block]
            x, width = widget.span(column)
            y = self._heights.top(index) - top + block.above
            height = self._heights[index] - block.above - block.below
            widget.setGeometry(left + x, y, width, height)
            if widget.isHidden():
                widget.show()
        self._remember_anchor(top)

    def _remember_anchor(self, top: int) -> None:
        if not self._blocks:
            self._anchor = None
            return
        index = self._heights.at(top)
        self._anchor = (self._blocks[index], top - self._heights.top(index))

    # ------------------------------------------------------------------ what Qt calls

    def scrollContentsBy(self, dx: int, dy: int) -> None:  # noqa: ARG002
        if self._placing:
            return
        self._following = self.at_end()
        self._remember_anchor(self.verticalScrollBar().value())
        self._lay_out()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._estimate()
            self._measure_live()
        self._lay_out()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.FontChange:
            # A style sheet sets fonts one widget after another, and the old one in between.
            QTimer.singleShot(0, self, self._refit)

    def _refit(self) -> None:
        """Measures all anew when the font is another one."""
        font = self.font().key()
        if font == self._font:
            return
        self._font = font
        self._estimate()
        self._measure_live()
        self._lay_out()
