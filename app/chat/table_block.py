"""A table on screen: hairlines between rows, and columns as wide as what stands in them."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QWidget

from app import plain, theming
from app.chat.block_widget import FADED, BlockWidget, Hits
from app.chat.blocks import Block
from app.chat.flow import Align, Flow, Leaf, Table
from app.chat.formulas import Formulas, Key
from app.chat.link_spots import Link, LinkSpots, has_links, links_of
from app.chat.paragraph import Paragraph
from app.chat.text_block import word_around
from app.chat.typesetting import Inline, Typesetter, bar, draw_found, draw_grounds, inlines, link_at
from app.words import translate

CELL_ABOVE: Final = 7
CELL_SIDE: Final = 12
HEAD_ABOVE: Final = 6
CELL_SIZE: Final = 14
HEAD_SIZE: Final = 12
LEAST_COLUMN: Final = 48
"""Px that a column keeps where a table is too wide."""

SIDES: Final[dict[Align, Qt.AlignmentFlag]] = {
    "left": Qt.AlignmentFlag.AlignLeft,
    "right": Qt.AlignmentFlag.AlignRight,
    "centre": Qt.AlignmentFlag.AlignHCenter,
}


class TableBlock(BlockWidget):
    def __init__(self, block: Block, parent: QWidget, formulas: Formulas) -> None:
        super().__init__(block, parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._formulas = formulas
        self._missing: set[Key] = set()
        """Formulas that are shown as their source until they are drawn."""
        formulas.drawn.connect(self._on_drawn)
        self._flow = Flow([])
        self._cells: list[Leaf] = []
        self._paragraphs: list[Paragraph] = []
        self._inlines: list[list[Inline]] = []
        self._naturals: list[float] = []
        self._lefts: list[int] = []
        """Px at which each column begins, and at which the last one ends."""
        self._tops: list[int] = []
        self._laid_out_at = -1
        self._selected = (0, 0)
        self._spots = LinkSpots(self, self.link_chosen)
        self._found: list[tuple[int, int, bool]] = []
        self.ensurePolished()

    # ------------------------------------------------------------------ BlockWidget

    def show_block(self, block: Block) -> None:
        self.block = block
        table = self._table
        self._flow, self._missing = self._formulas.with_pictures(table.flow)
        same = 0
        for before, after in zip(self._cells, self._flow.leaves, strict=False):
            if before != after:
                break
            same += 1
        self._typeset(same)
        plain.set_name(self, translate("TableBlock", "Table"))
        plain.set_description(self, table.copied(block.start, block.stop))
        if self.isVisible():
            self._place_spots()
        self.update()

    def buttons(self) -> list[QWidget]:
        return self._spots.widgets

    def _place_spots(self) -> None:
        """Puts what the keyboard reaches where the links stand."""
        links: list[Link] = []
        if has_links(self._flow):
            self._lay_out(self.width())
            for index, paragraph in enumerate(self._paragraphs):
                links += links_of(paragraph, self._inlines[index], self._place_of(index))
        self._spots.show(links)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_spots()

    def _on_drawn(self, formulas: set[Key]) -> None:
        if not self._missing.isdisjoint(formulas):
            self.show_block(self.block)
            self.resized.emit()

    def height_at(self, width: int) -> int:
        return self._lay_out(width)

    def select(self, start: int, stop: int) -> None:
        flow = self._flow
        selected = (flow.to_shown(start), flow.to_shown(stop)) if start < stop else (0, 0)
        if selected != self._selected:
            self._selected = selected
            self.update()

    def show_found(self, hits: Hits, now: int) -> None:
        shown = self._flow.to_shown
        found = [(shown(a), shown(b), at == now) for at, (a, b) in enumerate(hits)]
        if found != self._found:
            self._found = found
            self.update()

    def offset_at(self, point: QPoint) -> int:
        index, at = self._cell_at(point)
        inside = self._paragraphs[index].offset_at(at.x(), at.y())
        return self._flow.to_source(self._flow.starts[index] + inside)

    def has_text_at(self, point: QPoint) -> bool:
        return self.rect().contains(point)

    def link_at(self, point: QPoint) -> str:
        if not self.rect().contains(point):
            return ""
        index, at = self._cell_at(point)
        return link_at(self._paragraphs[index], self._inlines[index], at.x(), at.y())

    def word_at(self, offset: int) -> tuple[int, int]:
        flow = self._flow
        start, stop = word_around(flow.text, flow.to_shown(offset))
        return flow.to_source(start), flow.to_source(stop)

    # ------------------------------------------------------------------ what tests ask

    def text(self) -> str:
        return self._flow.text

    def selected_text(self) -> str:
        return self._flow.text[slice(*self._selected)]

    def cell_rect(self, row: int, column: int) -> QRectF:
        """Where the text of a cell stands, px in this widget."""
        index = row * self._table.columns + column
        at = self._place_of(index)
        return QRectF(at.x(), at.y(), self._paragraphs[index].width, self._paragraphs[index].height)

    # ------------------------------------------------------------------ layout

    @property
    def _table(self) -> Table:
        assert isinstance(self.block.content, Table)  # noqa: S101
        return self.block.content

    @property
    def _inset(self) -> int:
        return sum(each.inset for each in self._table.around)

    def _typeset(self, same: int) -> None:
        """Makes the cells anew, but for as many at the beginning."""
        table = self._table
        scale = theming.pixel_size(self.font()) / 15
        body, head = QFont(self.font()), QFont(self.font())
        body.setPixelSize(round(CELL_SIZE * scale))
        head.setPixelSize(round(HEAD_SIZE * scale))
        head.setWeight(QFont.Weight(theming.medium_weight(head.family())))
        setters = Typesetter(body, line=21), Typesetter(head, "muted", line=20)
        for kept in (self._paragraphs, self._inlines, self._naturals):
            del kept[same:]
        for index in range(same, len(self._flow.leaves)):
            leaf = self._flow.leaves[index]
            setter = setters[1 if self._is_head(index) else 0]
            paragraph = setter.paragraph(leaf, SIDES[table.aligns[index % table.columns]])
            paragraph.lay_out(10_000)
            self._paragraphs.append(paragraph)
            self._inlines.append(inlines(leaf))
            self._naturals.append(paragraph.natural_width)
        self._cells = self._flow.leaves
        self._laid_out_at = -1

    def _is_head(self, index: int) -> bool:
        return self._table.has_head and index < self._table.columns

    def _lay_out(self, width: int) -> int:
        """Px that the table takes at this width."""
        if width == self._laid_out_at:
            return self._tops[-1]
        self._laid_out_at = width
        table = self._table
        self._lefts = [self._inset]
        for each in self._widths(width - self._inset):
            self._lefts.append(self._lefts[-1] + each)
        self._tops = [0]
        for row in range(table.rows):
            height = 0
            for column in range(table.columns):
                index = row * table.columns + column
                height = max(height, self._paragraphs[index].lay_out(self._room(column)))
            self._tops.append(self._tops[-1] + height + 2 * self._above(row) + 1)
        return self._tops[-1]

    def _above(self, row: int) -> int:
        return HEAD_ABOVE if row == 0 and self._table.has_head else CELL_ABOVE

    def _room(self, column: int) -> int:
        """Px for the text of a cell; the last column has no gap behind it."""
        last = column == self._table.columns - 1
        return max(1, self._lefts[column + 1] - self._lefts[column] - (0 if last else CELL_SIDE))

    def _widths(self, room: int) -> list[int]:
        """Of columns: what stands in them, and their share of what is left or missing."""
        columns = self._table.columns
        wanted = [
            max(self._naturals[column::columns], default=0.0) + 2 + CELL_SIDE
            for column in range(columns)
        ]
        wanted[-1] -= CELL_SIDE
        missing = sum(wanted) - room
        if missing <= 0:
            share = -missing / columns
            return [round(width + share) for width in wanted]
        least = min(LEAST_COLUMN, room // columns)
        fair = room / columns
        narrow = [width for width in wanted if width <= fair]
        wide = [width for width in wanted if width > fair]
        left = room - sum(narrow)
        return [
            round(width if width <= fair else max(least, left * width / sum(wide)))
            for width in wanted
        ]

    def _place_of(self, index: int) -> QPointF:
        row, column = divmod(index, self._table.columns)
        return QPointF(self._lefts[column], self._tops[row] + self._above(row))

    def _cell_at(self, point: QPoint) -> tuple[int, QPointF]:
        """The cell at a point of this widget, and the point in it."""
        table = self._table
        row = max((i for i, at in enumerate(self._tops[:-1]) if at <= point.y()), default=0)
        column = max((i for i, at in enumerate(self._lefts[:-1]) if at <= point.x()), default=0)
        index = min(row * table.columns + column, len(self._paragraphs) - 1)
        return index, QPointF(point) - self._place_of(index)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange) and self._cells:
            self._typeset(0)
            self.update()

    # ------------------------------------------------------------------ painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        if self.block.faded:
            painter.setOpacity(FADED)
        self._lay_out(self.width())
        table, shown = self._table, theming.theme()
        exposed = QRectF(event.rect())
        x = 0.0
        for each in table.around:
            if each.kind == "quotation":
                bar(QRectF(x, 0, 3, self.height()), painter)
            x += each.inset
        for row in range(table.rows):
            top, bottom = self._tops[row], self._tops[row + 1]
            if bottom < exposed.top() or top > exposed.bottom():
                continue
            for column in range(table.columns):
                self._draw_cell(painter, row * table.columns + column, exposed)
            role = shown.edge if row == 0 and table.has_head else shown.line
            painter.fillRect(self._inset, bottom - 1, self.width() - self._inset, 1, QColor(role))
        painter.end()

    def _draw_cell(self, painter: QPainter, index: int, exposed: QRectF) -> None:
        at = self._place_of(index)
        paragraph = self._paragraphs[index]
        if self._inlines[index]:
            draw_grounds(painter, paragraph, self._inlines[index], at)
        draw_found(painter, paragraph, self._found, self._flow.starts[index], at)
        self._draw_selection(painter, index, at)
        role = "muted" if self._is_head(index) else "text"
        painter.setPen(QColor(getattr(theming.theme(), role)))
        paragraph.draw(painter, at, exposed)

    def _draw_selection(self, painter: QPainter, index: int, at: QPointF) -> None:
        start, stop = self._selected
        flow = self._flow
        begin = flow.starts[index]
        end = begin + len(flow.leaves[index].text)
        if start >= stop or start > end or stop < begin:
            return
        if start <= begin and stop >= end:
            row, column = divmod(index, self._table.columns)
            left, right = self._lefts[column], self._lefts[column + 1]
            bands = [QRectF(left, self._tops[row], right - left, self._height_of(row))]
        else:
            first, last = max(start, begin) - begin, min(stop, end) - begin
            found = self._paragraphs[index].bands(first, last, goes_on=False)
            bands = [band.translated(at) for band in found]
        for band in bands:
            painter.fillRect(band, theming.selection_colour())

    def _height_of(self, row: int) -> int:
        return self._tops[row + 1] - self._tops[row]
