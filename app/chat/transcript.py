"""The conversation as a scrolled column: real widgets only for what is near the viewport.

What the rest of the window may use: `show_messages`, `add_message`, `append_thinking`,
`end_thinking`, `append_text`, `finish_message`, `remove_message`, `set_progress`, `copy`, and the
signals.
"""

from __future__ import annotations

from itertools import pairwise, takewhile
from operator import eq
from typing import Final

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QClipboard,
    QColor,
    QContextMenuEvent,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QMenu, QToolButton, QWidget

from app import plain, theming
from app.chat.block_widgets import (
    FOOTER_HEIGHT,
    HEAD_HEIGHT,
    Footer,
    Prose,
    ThinkingHead,
    Thought,
    TroubleCard,
    thinking_words,
)
from app.chat.blocks import (
    BETWEEN,
    BUBBLE_PAD,
    Block,
    Kind,
    answer_after_thinking,
    blocks_of,
    grow,
    thinking_head,
    thought_blocks,
)
from app.chat.heights import Heights
from app.chat.selection import Place, Selection, to_utf16
from app.store.records import StoredMessage
from app.widgets.throttle import Throttle

COLUMN: Final = 720
"""Width of the reading column at most, px."""

BUBBLE: Final = 560
"""Width of a prompt's bubble at most, px."""

BUBBLE_SIDE: Final = 14
LINK_INSET: Final = 4
"""Px between the edge of a link, where its focus ring is, and its first letter."""

INDENT: Final = 20
"""Px before what was thought: the arrow of its head and the gap after it."""

RULE: Final = (7, 2)
"""Px from the column's edge to the rule beside what was thought, and its width."""

NAMES: Final[dict[Kind, str]] = {"prompt": "You wrote", "thought": "Thinking", "reply": "Reply"}
"""Of texts, for screen readers."""

HEIGHTS: Final[dict[Kind, int]] = {
    "thinking": HEAD_HEIGHT,
    "footer": FOOTER_HEIGHT,
    "trouble": 84,
}
"""Px; of a card, a guess."""

SIDE: Final = 24
BOTTOM: Final = 24
FRAME_MS: Final = 33
NEAR: Final = 600
"""Px above and below the viewport in which widgets are kept."""

POOL: Final = 24
"""Text widgets kept for the next use."""


class Transcript(QAbstractScrollArea):
    stop_requested = Signal()
    regenerate_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("transcript")
        self.setAccessibleName("Conversation")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setMouseTracking(True)
        self._blocks: list[Block] = []
        self._heights = Heights()
        self._live: dict[Block, QWidget] = {}
        self._pool: list[Prose] = []
        self._following = True
        self._anchor: tuple[Block, int] | None = None
        self._placing = False
        self._selection = Selection()
        self._pending: list[str] = []
        self._choices: dict[int, bool] = {}
        """Whether the thinking of a message is shown, where that was decided."""
        self._font = ""
        self._flush = Throttle(FRAME_MS, self._take_pending, self)
        self._to_end = self._end_button()

    # ------------------------------------------------------------------ what is shown

    def show_messages(self, messages: list[StoredMessage]) -> None:
        """Shows this conversation, from its end."""
        self._drop_pending()
        for block in list(self._live):
            self._release(block)
        self._selection.clear()
        self._choices.clear()
        self._blocks = [block for message in messages for block in self._blocks_of(message)]
        self._following = True
        self._estimate()
        self._lay_out()

    def add_message(self, message: StoredMessage) -> None:
        self._take_pending()
        self._blocks += self._blocks_of(message)
        self._following = True
        self._sync_heights()
        self._refresh_footers()
        self._lay_out()

    def append_thinking(self, message: int, text: str) -> None:
        """Adds to what the model thinks before its answer, shown until that begins."""
        head = self._streaming("thinking") or self._begin_thinking(message)
        if head is not None and head.message == message:
            self._pending.append(text)
            self._flush()

    def end_thinking(self, message: int, seconds: float) -> None:
        """Makes room for the answer. Thinking is hidden, unless one has shown it or reads it."""
        self._take_pending()
        head = self._streaming("thinking")
        if head is None or head.message != message:
            return
        head.streaming, head.seconds = False, seconds
        head.expanded = self._choices.setdefault(message, not self._following)
        start = self._blocks.index(head) + 1
        stop = self._end_of_thoughts(start)
        kept = self._blocks[start:stop] if head.expanded else []
        answer = answer_after_thinking(message, "")
        answer[-1].streaming = True
        for block in kept:
            block.streaming = False
            self._show_block(block)
        self._replace(start, stop, [*kept, *answer])
        self._show_block(head)
        self._lay_out()

    def append_text(self, message: int, text: str) -> None:
        """Adds to the reply that streams; drawn at most once in FRAME_MS."""
        last = self._streaming("reply")
        if last is None or last.message != message:
            return
        if not last.text:
            self.set_progress(message, "")
        self._pending.append(text)
        self._flush()

    def set_progress(self, message: int, note: str) -> None:
        """Says beside Stop what the engine does before the first word."""
        for block in self._blocks[-1:]:
            if block.kind == "footer" and block.message == message and block.streaming:
                block.note = note
                self._refresh_footers()

    def finish_message(self, message: StoredMessage) -> None:
        """Puts a reply in its final state."""
        self._take_pending()
        start = self._start_of(message.id)
        if start is None:
            return
        fresh = self._blocks_of(message)
        self._keep_blocks(self._blocks[start:], fresh)
        self._replace(start, len(self._blocks), fresh)
        self._refresh_footers()
        self._lay_out()

    def remove_message(self, message: int) -> None:
        start = self._start_of(message)
        if start is None:
            return
        for block in self._blocks[start:]:
            self._release(block)
        del self._blocks[start:]
        self._selection.clear()
        self._sync_heights(start)
        self._lay_out()

    def text(self) -> str:
        """Everything that is shown, as it was written."""
        return self._between(Place(0, 0), Place(len(self._blocks), 0))

    # ------------------------------------------------------------------ streaming

    def _take_pending(self) -> None:
        text = "".join(self._pending)
        self._drop_pending()
        if head := self._streaming("thinking"):
            head.text += text
        last = self._streaming("reply") or self._streaming("thought")
        if not text or last is None:
            return
        index = self._blocks.index(last, max(0, len(self._blocks) - 4))
        grown = grow(last, text)
        self._blocks[index : index + 1] = grown
        self._heights.splice(
            index, index + 1, [self._heights[index], *(self._estimated(b) for b in grown[1:])]
        )
        self._show_block(last)
        if last in self._live:
            self._measure(index)
        self._lay_out()

    def _drop_pending(self) -> None:
        self._pending.clear()
        self._flush.cancel()

    def _streaming(self, kind: Kind) -> Block | None:
        """The block of this kind that grows, in the last message."""
        for block in reversed(self._blocks):
            if block.message != self._blocks[-1].message:
                break
            if block.kind == kind and block.streaming:
                return block
        return None

    def _begin_thinking(self, message: int) -> Block | None:
        """Puts thinking where the answer was awaited; its head, or None when none was."""
        awaited = self._streaming("reply")
        if awaited is None or awaited.message != message or awaited.text or self._pending:
            return None
        self.set_progress(message, "")
        head = thinking_head(message, "", expanded=True)
        head.streaming = True
        index = self._blocks.index(awaited)
        self._replace(index, index + 1, [head, *thought_blocks(head)])
        return head

    def _keep_blocks(self, old: list[Block], fresh: list[Block]) -> None:
        """A finished reply mostly reads as it streamed: its widgets stay."""
        for index, (before, after) in enumerate(zip(old, fresh, strict=False)):
            same = before.kind == after.kind and before.text == after.text
            if not same or not (after.is_text or after.kind == "thinking"):
                break
            before.streaming, before.ends_text = False, after.ends_text
            before.seconds, before.expanded = after.seconds, after.expanded
            fresh[index] = before
            self._show_block(before)

    def _replace(self, start: int, stop: int, fresh: list[Block]) -> None:
        """Puts these in the place of blocks start to stop; some may be the same. What is selected
        from the first that is not is forgotten."""
        old = self._blocks[start:stop]
        for block in old:
            if block not in fresh:
                self._release(block)
        same = sum(takewhile(bool, map(eq, old, fresh)))
        span = self._selection.span()
        if span and span[1].block >= start + same:
            self._selection.clear()
        self._blocks[start:stop] = fresh
        self._heights.splice(start, stop, [self._estimated(block) for block in fresh])
        for index in range(start, start + len(fresh)):
            if self._blocks[index] in self._live:
                self._measure(index)

    def _start_of(self, message: int) -> int | None:
        return next((i for i, block in enumerate(self._blocks) if block.message == message), None)

    # ------------------------------------------------------------------ thinking

    def _blocks_of(self, message: StoredMessage) -> list[Block]:
        """Thinking is shown where there is nothing else to read."""
        expanded = self._choices.get(message.id, not message.content)
        return blocks_of(message, expanded=expanded)

    def _end_of_thoughts(self, start: int) -> int:
        stop = start
        while stop < len(self._blocks) and self._blocks[stop].kind == "thought":
            stop += 1
        return stop

    def _toggle_thinking(self, head: Block) -> None:
        """The head stays where it was pressed, unless one follows what is being thought."""
        self._take_pending()
        index = self._blocks.index(head)
        head.expanded = self._choices[head.message] = not head.expanded
        self._replace(index + 1, self._end_of_thoughts(index + 1), thought_blocks(head))
        self._show_block(head)
        if not head.streaming:
            self._following = False
            self._anchor = (head, self.verticalScrollBar().value() - self._heights.top(index))
        self._lay_out()
        self._follow_at_end()

    # ------------------------------------------------------------------ heights

    def _column(self) -> int:
        return max(120, min(COLUMN, self.width() - 2 * SIDE))

    def _left(self) -> int:
        """Of the whole width: the scroll bar must not push the column from above the composer."""
        return (self.width() - self._column()) // 2

    def _bubble(self) -> int:
        return max(100, min(BUBBLE, self._column() - 48)) - 2 * BUBBLE_SIDE

    def _estimate(self) -> None:
        self._heights.replace([self._estimated(block) for block in self._blocks])

    def _sync_heights(self, start: int | None = None) -> None:
        """Heights of the blocks from start on, or of those added at the end: true ones of those
        that are real, else estimates."""
        known = len(self._heights) if start is None else start
        self._heights.splice(
            known, len(self._heights), [self._estimated(b) for b in self._blocks[known:]]
        )
        self._measure_live(known)

    def _estimated(self, block: Block) -> int:
        around = block.above + block.below
        if not block.is_text:
            return around + HEIGHTS[block.kind]
        metrics = self.fontMetrics()
        width = self._text_width(block.kind)
        letters = max(1, width // max(1, metrics.averageCharWidth()))
        lines = block.shown.count("\n") + 1 + len(block.text) // letters
        return around + round(lines * metrics.height() * 1.25)

    def _measure(self, index: int) -> bool:
        """Puts the true height of a live block in; False when it was known."""
        block = self._blocks[index]
        widget = self._live[block]
        block.width = self._width_of(block, widget)
        assert isinstance(widget, Prose | ThinkingHead | Footer | TroubleCard)  # noqa: S101
        height = block.above + widget.height_at(block.width) + block.below
        if height == self._heights[index]:
            return False
        self._heights.set(index, height)
        return True

    def _measure_live(self, start: int = 0) -> None:
        for index in range(start, len(self._blocks)):
            if self._blocks[index] in self._live:
                self._measure(index)

    def _width_of(self, block: Block, widget: QWidget) -> int:
        width = self._text_width(block.kind)
        if block.kind == "prompt" and block.alone and isinstance(widget, Prose):
            return widget.natural_width(width)
        return width

    def _text_width(self, kind: Kind) -> int:
        if kind == "prompt":
            return self._bubble()
        return self._column() - (INDENT if kind == "thought" else 0)

    # ------------------------------------------------------------------ layout

    def _lay_out(self) -> None:
        """Makes what is near the viewport real, measures it, and puts it in its place."""
        if self._placing:
            return
        self._placing = True
        try:
            top = self._settle()
            self._set_range(top)
            self._place(top)
        finally:
            self._placing = False
        self.viewport().update()
        self._to_end.setVisible(not self._following and bool(self._blocks))

    def _settle(self) -> int:
        """The top of the viewport, px, when every block near it is real.

        Heights are estimates until a block is real, so each round may bring other blocks near.
        It ends: each round makes a block real that was not, and none is released before.
        """
        made = False
        while fresh := self._not_real(*self._near(top := self._wanted_top())):
            for index in fresh:
                block = self._blocks[index]
                self._live[block] = self._made(block)
                self._show_block(block)
                self._measure(index)
            made = True
        self._let_go(*self._near(top))
        if made:
            self._order_keys()
        return top

    def _not_real(self, first: int, last: int) -> list[int]:
        return [i for i in range(first, last) if self._blocks[i] not in self._live]

    def _order_keys(self) -> None:
        """Tab goes through what can be pressed as it stands, whenever it was made."""
        pressed: list[QWidget] = [self]
        for block in self._blocks:
            widget = self._live.get(block)
            if isinstance(widget, ThinkingHead | Footer):
                pressed += widget.buttons
        for before, after in pairwise(pressed):
            QWidget.setTabOrder(before, after)

    def _wanted_top(self) -> int:
        limit = max(0, self._heights.total + BOTTOM - self.viewport().height())
        if self._following:
            return limit
        if self._anchor and self._anchor[0] in self._live:
            index = self._blocks.index(self._anchor[0])
            return max(0, min(limit, self._heights.top(index) + self._anchor[1]))
        return min(limit, self.verticalScrollBar().value())

    def _near(self, top: int) -> tuple[int, int]:
        if not self._blocks:
            return 0, 0
        first = self._heights.at(top - NEAR)
        last = self._heights.at(top + self.viewport().height() + NEAR)
        return first, last + 1

    def _let_go(self, first: int, last: int) -> None:
        near = set(self._blocks[first:last])
        for block in [block for block in self._live if block not in near]:
            if not self._live[block].isAncestorOf(self.focusWidget() or self):
                self._release(block)

    def _set_range(self, top: int) -> None:
        bar = self.verticalScrollBar()
        bar.setPageStep(self.viewport().height())
        bar.setSingleStep(3 * self.fontMetrics().height())
        bar.setRange(0, max(0, self._heights.total + BOTTOM - self.viewport().height()))
        bar.setValue(top)

    def _place(self, top: int) -> None:
        left = self._left()
        first, last = self._near(top)
        for index in range(first, last):
            block = self._blocks[index]
            widget = self._live[block]
            x = left
            if block.kind == "prompt":
                x = left + self._column() - BUBBLE_SIDE - block.width
            elif block.kind == "thought":
                x += INDENT
            elif block.kind in ("thinking", "footer"):
                x -= LINK_INSET
            y = self._heights.top(index) - top + block.above
            if isinstance(widget, Prose):
                y += widget.lead
            height = self._heights[index] - block.above - block.below
            widget.setGeometry(x, y, block.width, height)
            if widget.isHidden():
                widget.show()
        self._remember_anchor(top)

    def _remember_anchor(self, top: int) -> None:
        if not self._blocks:
            self._anchor = None
            return
        index = self._heights.at(top)
        self._anchor = (self._blocks[index], top - self._heights.top(index))

    def scrollContentsBy(self, dx: int, dy: int) -> None:  # noqa: ARG002
        if self._placing:
            return
        bar = self.verticalScrollBar()
        self._following = self._at_end()
        self._remember_anchor(bar.value())
        self._lay_out()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._to_end.move(
            (self.viewport().width() - self._to_end.width()) // 2,
            self.viewport().height() - self._to_end.height() - 12,
        )
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

    # ------------------------------------------------------------------ widgets

    def _made(self, block: Block) -> QWidget:
        if block.is_text:
            prose = self._made_prose(block.kind)
            prose.wrap_at(self._text_width(block.kind))
            return prose
        if block.kind == "thinking":
            head = ThinkingHead(self.viewport())
            head.toggled.connect(lambda: self._toggle_thinking(block))
            return head
        if block.kind == "trouble":
            return TroubleCard(block.trouble, self.viewport())
        footer = Footer(self.viewport())
        footer.stop_requested.connect(self.stop_requested)
        footer.regenerate_requested.connect(self.regenerate_requested)
        footer.copy_requested.connect(lambda: self._copy_message(block.message))
        return footer

    def _made_prose(self, kind: Kind) -> Prose:
        if kind == "thought":
            prose: Prose = Thought(self.viewport())
        else:
            prose = self._pool.pop() if self._pool else Prose(self.viewport())
        prose.setAccessibleName(NAMES[kind])
        return prose

    def _show_block(self, block: Block) -> None:
        """Brings the widget of a block, if it has one, up to date."""
        widget = self._live.get(block)
        if isinstance(widget, Prose):
            widget.show_text(block.shown)
            widget.set_streams(block.streaming)
            self._mark(block, widget)
        elif isinstance(widget, ThinkingHead):
            words = thinking_words(block.seconds, streaming=block.streaming)
            widget.show_words(words, expanded=block.expanded)
        elif isinstance(widget, Footer):
            self._show_footer(block, widget)

    def _show_footer(self, block: Block, footer: Footer) -> None:
        if block.streaming:
            footer.show_streaming(block.note)
            return
        copyable = bool(self._answer(block.message))
        footer.show_finished(block.note, copyable=copyable, last=block is self._blocks[-1])

    def _refresh_footers(self) -> None:
        for block in self._live:
            if block.kind == "footer":
                self._show_block(block)

    def _release(self, block: Block) -> None:
        widget = self._live.pop(block, None)
        if widget is None:
            return
        widget.hide()
        if type(widget) is Prose and len(self._pool) < POOL:
            widget.select(0, 0)
            widget.set_streams(False)
            widget.show_text("")
            self._pool.append(widget)
        else:
            widget.deleteLater()

    def _end_button(self) -> QToolButton:
        button = QToolButton(self)
        button.setObjectName("toEnd")
        button.setAccessibleName("Go to the end of the conversation")
        plain.set_tool_tip(button, "Go to the end")
        button.setIcon(theming.icon("end"))
        button.setIconSize(QSize(16, 16))
        button.setFixedSize(32, 32)
        button.hide()
        button.clicked.connect(self.follow)
        return button

    def _at_end(self) -> bool:
        bar = self.verticalScrollBar()
        return bar.value() >= bar.maximum() - 2

    def _follow_at_end(self) -> None:
        if self._at_end():
            self.follow()

    def follow(self) -> None:
        """Goes to the end, and stays there."""
        self._following = True
        self._lay_out()

    # ------------------------------------------------------------------ painting

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theming.theme().user))
        for bubble in self._bubbles():
            painter.drawPath(_bubble_path(bubble))
        for rule in self._rules():
            painter.fillRect(rule, QColor(theming.theme().line))
        painter.end()

    def _rules(self) -> list[QRect]:
        """Beside the thoughts in sight."""
        top = self.verticalScrollBar().value()
        first, last = self._near(top)
        inset, width = RULE
        rules = []
        for index in range(first, last):
            block = self._blocks[index]
            if block.kind == "thought":
                y = self._heights.top(index) + block.above - top
                height = self._heights[index] - block.above - block.below
                rules.append(QRect(self._left() + inset, y, width, height))
        return rules

    def _bubbles(self) -> list[QRectF]:
        """Where the prompts in sight are."""
        top = self.verticalScrollBar().value()
        first, last = self._near(top)
        spans: dict[int, tuple[int, int]] = {}
        for index in range(first, last):
            block = self._blocks[index]
            if block.kind == "prompt":
                begin = spans.get(block.message, (index, index))[0]
                spans[block.message] = (begin, index)
        bubbles = []
        for begin, end in spans.values():
            widget = self._live.get(self._blocks[begin])
            if widget is None:
                continue
            gap = BETWEEN if self._blocks[begin].above > BUBBLE_PAD else 0
            y = self._heights.top(begin) + gap - top
            bottom = self._heights.top(end + 1) - top
            left = widget.x() - BUBBLE_SIDE
            bubbles.append(QRectF(left, y, widget.width() + 2 * BUBBLE_SIDE, bottom - y))
        return bubbles

    # ------------------------------------------------------------------ selection

    def copy(self) -> None:
        """Puts what is selected on the clipboard."""
        text = self.selected_text()
        if text:
            QGuiApplication.clipboard().setText(text)

    def selected_text(self) -> str:
        span = self._selection.span()
        return self._between(*span) if span else ""

    def select_all(self) -> None:
        if self._blocks:
            last = len(self._blocks) - 1
            self._selection.set(Place(0, 0), Place(last, len(self._blocks[last].text)))
            self._mark_all()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() is Qt.MouseButton.LeftButton and self._blocks:
            place = self._place_at(event.position())
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                self._selection.move(place)
            else:
                self._selection.set(place, place)
            self._mark_all()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton and self._blocks:
            self._scroll_towards(round(event.position().y()))
            self._selection.move(self._place_at(event.position()))
            self._mark_all()
        over = self._text_under(event.position())
        self.viewport().setCursor(
            Qt.CursorShape.IBeamCursor if over else Qt.CursorShape.ArrowCursor
        )

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Where the system pastes what is selected with the middle button, it can."""
        event.accept()
        clipboard, text = QGuiApplication.clipboard(), self.selected_text()
        if text and clipboard.supportsSelection():
            clipboard.setText(text, QClipboard.Mode.Selection)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if not self._blocks:
            return
        place = self._place_at(event.position())
        widget = self._live.get(self._blocks[place.block])
        if isinstance(widget, Prose):
            text = self._blocks[place.block].text
            start, stop = widget.word_at(to_utf16(text, place.offset))
            self._selection.set(
                Place.from_utf16(place.block, text, start),
                Place.from_utf16(place.block, text, stop),
            )
            self._mark_all()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = QMenu(self)
        copy = menu.addAction("Copy", self.copy)
        copy.setEnabled(bool(self._selection.span()))
        menu.addAction("Select all", self.select_all).setEnabled(bool(self._blocks))
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(event.globalPos())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        bar = self.verticalScrollBar()
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif event.matches(QKeySequence.StandardKey.SelectAll):
            self.select_all()
        elif event.key() == Qt.Key.Key_Home:
            bar.setValue(0)
        elif event.key() == Qt.Key.Key_End:
            self.follow()
        else:
            super().keyPressEvent(event)

    def _scroll_towards(self, y: int) -> None:
        height = self.viewport().height()
        bar = self.verticalScrollBar()
        if y < 0:
            bar.setValue(bar.value() + max(y, -80))
        elif y > height:
            bar.setValue(bar.value() + min(y - height, 80))

    def _text_under(self, at: QPointF) -> bool:
        point = at.toPoint()
        return any(
            isinstance(widget, Prose) and widget.geometry().contains(point)
            for widget in self._live.values()
        )

    def _place_at(self, at: QPointF) -> Place:
        index = self._heights.at(round(at.y()) + self.verticalScrollBar().value())
        block = self._blocks[index]
        widget = self._live.get(block)
        if not isinstance(widget, Prose):
            return Place(index, 0)
        x, y = round(at.x()) - widget.x(), round(at.y()) - widget.y()
        return Place.from_utf16(index, block.text, widget.position_at(x, y))

    def _mark_all(self) -> None:
        for block, widget in self._live.items():
            if isinstance(widget, Prose):
                self._mark(block, widget)

    def _mark(self, block: Block, widget: Prose) -> None:
        if self._selection.span() is None:
            widget.select(0, 0)
            return
        index = self._blocks.index(block)
        start, stop = self._selection.within(index, len(block.shown))
        widget.select(to_utf16(block.text, start), to_utf16(block.text, stop))

    def _between(self, start: Place, stop: Place) -> str:
        """The source from one place to another; a blank line between messages, and between
        thinking and answer."""
        parts: list[str] = []
        last: tuple[int, Kind] | None = None
        for index in range(start.block, min(stop.block + 1, len(self._blocks))):
            block = self._blocks[index]
            if not block.is_text:
                continue
            begin = start.offset if index == start.block else 0
            end = stop.offset if index == stop.block else len(block.text)
            if last not in (None, (block.message, block.kind)):
                parts.append("\n\n")
            last = (block.message, block.kind)
            parts.append(block.text[begin:end])
        return "".join(parts)

    def _copy_message(self, message: int) -> None:
        QGuiApplication.clipboard().setText(self._answer(message))

    def _answer(self, message: int) -> str:
        texts = [b.text for b in self._blocks if b.message == message and b.kind == "reply"]
        return "".join(texts)


def _bubble_path(rect: QRectF) -> QPainterPath:
    """Rounded, but for the corner that points to the writer."""
    path = QPainterPath()
    path.addRoundedRect(rect, 12, 12)
    corner = QPainterPath()
    corner.addRoundedRect(QRectF(rect.right() - 24, rect.bottom() - 24, 24, 24), 2, 2)
    return path.united(corner)
