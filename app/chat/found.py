"""All places in which words were found: marked in the text, and beside the scroll bar."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from app import theming
from app.chat.block_widget import Hits
from app.chat.blocks import Block
from app.chat.selection import Place
from app.chat.virtual_column import VirtualColumn

TICK: Final = 3
"""Px of the height of a tick."""

INSET: Final = 2
"""Px beside a tick."""

MOST_TICKS: Final = 2000

Span = tuple[Place, Place]


class Found:
    """Marks hits in the widgets that are there, and keeps the ticks where the hits are."""

    def __init__(self, column: VirtualColumn) -> None:
        self._column = column
        self._hits: Sequence[Span] = ()
        self._starts: list[Place] = []
        self._now = -1
        self._ticks = _Ticks(column)
        column.laid_out.connect(self.mark_all)

    def show(self, hits: Sequence[Span], now: int = -1) -> None:
        """Marks these, in the order in which they stand; `now`: the number of the present one."""
        if not hits and not self._hits:
            return
        self._hits, self._now = hits, now
        self._starts = [start for start, _ in hits]
        self.mark_all()

    def mark_all(self) -> None:
        if not self._hits and self._ticks.isHidden():
            return
        for block, widget in self._column.widgets().items():
            widget.show_found(*self._within(block))
        self._ticks.show_at(list(self._shares())[:MOST_TICKS])

    def _within(self, block: Block) -> tuple[Hits, int]:
        """Hits of a block, in its source, and which of them is the present one; -1 for none."""
        if block.part is None or not self._hits:
            return (), -1
        first = bisect_left(self._starts, block.part.place(block.start))
        last = bisect_left(self._starts, block.part.place(block.stop))
        spans = [(start.offset, stop.offset) for start, stop in self._hits[first:last]]
        return spans, self._now - first if first <= self._now < last else -1

    def _shares(self) -> Iterator[tuple[float, bool]]:
        """Where each hit stands, as a share of the whole height; and whether it is the present
        one."""
        at = 0
        for block, top, height, total in self._column.extents():
            if block.part is None:
                continue
            stop = block.part.place(block.stop)
            length = max(1, block.stop - block.start)
            while at < len(self._starts) and self._starts[at] < stop:
                inside = max(0, self._starts[at].offset - block.start) / length
                yield (top + inside * height) / max(1, total), at == self._now
                at += 1


class _Ticks(QWidget):
    """Over the scroll bar, which keeps the mouse."""

    def __init__(self, column: VirtualColumn) -> None:
        super().__init__(column)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._column = column
        self._bar = column.verticalScrollBar()
        self.shares: list[tuple[float, bool]] = []
        self.hide()

    def show_at(self, shares: list[tuple[float, bool]]) -> None:
        self.shares = shares
        self.setVisible(bool(shares))
        around = self._bar.parentWidget()
        if shares and around is not None:
            at = around.mapTo(self._column, self._bar.pos())
            self.setGeometry(at.x(), at.y(), self._bar.width(), self._bar.height())
            self.raise_()
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        shown = theming.theme()
        for share, is_now in sorted(self.shares, key=lambda tick: tick[1]):
            colour = shown.accent if is_now else shown.hit_now
            top = share * (self.height() - TICK)
            tick = QRectF(INSET, top, self.width() - 2 * INSET, TICK)
            painter.fillRect(tick, QColor(colour))
        painter.end()
