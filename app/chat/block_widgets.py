"""The widgets a transcript is made of; each says how high it is at a width."""

from __future__ import annotations

import math
from typing import Final

from PySide6.QtCore import QEvent, QPoint, QSize, Qt, Signal
from PySide6.QtGui import (
    QFont,
    QFontMetricsF,
    QPainter,
    QPaintEvent,
    QTextBlockFormat,
    QTextCursor,
    QTextOption,
)
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from app import number_format, plain, theming
from app.store.records import Trouble

LINE_HEIGHT: Final = 1.5
"""Of the font's size."""

FOOTER_HEIGHT: Final = 28
HEAD_HEIGHT: Final = 24
CARET_WIDTH: Final = 7


class Prose(QTextEdit):
    """One segment of plain text. Mouse and keyboard belong to the transcript around it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._shown = ""
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setLineWrapMode(QTextEdit.LineWrapMode.FixedPixelWidth)
        self.document().setDocumentMargin(0)
        self._streams = False
        self.ensurePolished()  # its height is asked for before it is shown

    def show_text(self, text: str) -> None:
        """Shows exactly this text; what only grew is appended, not laid out again."""
        if text == self._shown:
            return
        if self._shown and text.startswith(self._shown):
            cursor = QTextCursor(self.document())
            cursor.movePosition(QTextCursor.MoveOperation.End)
            cursor.insertText(text[len(self._shown) :])
        else:
            self._fill(text)
        self._shown = text

    def _fill(self, text: str) -> None:
        """Puts in the text and its line spacing, and lays both out once."""
        document = self.document()
        document.setLayoutEnabled(False)
        self.setPlainText(text)
        self._space_lines()
        document.setLayoutEnabled(True)

    @property
    def lead(self) -> int:
        """Px by which text stands too high: Qt puts all of a line's extra height below it."""
        extra = (line_spacing_percent(self.font()) / 100 - 1) * QFontMetricsF(self.font()).height()
        return round(extra / 2)

    def set_streams(self, streams: bool) -> None:
        """Whether a caret stands where more will come."""
        if streams is not self._streams:
            self._streams = streams
            self.viewport().update()

    def wrap_at(self, width: int) -> None:
        """Ends lines at this width, px. Qt lays the text out again even at the same width."""
        if width != self.lineWrapColumnOrWidth():
            self.setLineWrapColumnOrWidth(width)

    def natural_width(self, limit: int) -> int:
        """Px that the text takes when it may be as wide as the limit."""
        self.wrap_at(limit)
        return min(limit, math.ceil(self.document().idealWidth()) + 1)

    def height_at(self, width: int) -> int:
        self.wrap_at(width)
        return math.ceil(self.document().size().height())

    def position_at(self, x: int, y: int) -> int:
        """UTF-16 offset of the character at this point."""
        inside = max(0, min(y, self.height() - 1))
        return self.cursorForPosition(QPoint(x, inside)).position()

    def select(self, start: int, stop: int) -> None:
        """Marks UTF-16 offsets start to stop."""
        current = self.textCursor()
        if (current.selectionStart(), current.selectionEnd()) == (start, stop):
            return
        cursor = QTextCursor(self.document())
        cursor.setPosition(start)
        cursor.setPosition(stop, QTextCursor.MoveMode.KeepAnchor)
        self.setTextCursor(cursor)

    def word_at(self, position: int) -> tuple[int, int]:
        cursor = QTextCursor(self.document())
        cursor.setPosition(position)
        cursor.select(QTextCursor.SelectionType.WordUnderCursor)
        return cursor.selectionStart(), cursor.selectionEnd()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.FontChange and self._shown:
            self._space_lines()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._streams:
            return
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        where = self.cursorRect(cursor)
        where.setWidth(CARET_WIDTH)
        painter = QPainter(self.viewport())
        painter.fillRect(where.adjusted(1, 2, 1, -2), self.palette().accent())
        painter.end()

    def _space_lines(self) -> None:
        spacing = QTextBlockFormat()
        spacing.setLineHeight(
            line_spacing_percent(self.font()),
            QTextBlockFormat.LineHeightTypes.ProportionalHeight.value,
        )
        cursor = QTextCursor(self.document())
        cursor.select(QTextCursor.SelectionType.Document)
        cursor.mergeBlockFormat(spacing)


class Thought(Prose):
    """One segment of what a model thought; quieter than its answer."""


class ThinkingHead(QWidget):
    """The row above what a model thought, by which it is shown and hidden."""

    toggled = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._button = _link("", "link", "")
        self._button.setIconSize(QSize(16, 16))
        self._button.clicked.connect(self.toggled)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._button)
        layout.addStretch()

    @property
    def buttons(self) -> list[plain.Button]:
        return [self._button]

    def show_words(self, words: str, *, expanded: bool) -> None:
        self._button.setText(words)
        self._button.setIcon(theming.icon("down" if expanded else "right"))
        self._button.setAccessibleName(f"{words} ({'expanded' if expanded else 'collapsed'})")
        does = "Hide" if expanded else "Show"
        plain.set_tool_tip(self._button, f"{does} what the model thought")

    def height_at(self, width: int) -> int:  # noqa: ARG002
        return HEAD_HEIGHT


class TroubleCard(QFrame):
    """What went wrong with a reply, and what to do."""

    def __init__(self, trouble: Trouble, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("troubleCard")
        self.setAccessibleName(f"{trouble.title}. {trouble.detail} {trouble.hint}")
        self._rows = layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 12)
        layout.setSpacing(4)
        layout.addWidget(plain.Label(trouble.title, "cardTitle", wraps=True))
        layout.addWidget(plain.Label(trouble.detail, "cardText", wraps=True))
        if trouble.hint:
            layout.addWidget(plain.Label(trouble.hint, "cardText", wraps=True))

    def height_at(self, width: int) -> int:
        return self._rows.totalHeightForWidth(width)


class Footer(QWidget):
    """The row under a reply: what one can do with it."""

    stop_requested = Signal()
    copy_requested = Signal()
    regenerate_requested = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._stop = _link("Stop", "accentLink", "Stop the reply")
        self._key = plain.Label("Esc", "secondary")
        self._copy = _link("Copy", "link", "Copy the reply")
        self._regenerate = _link("Regenerate", "link", "Regenerate the reply")
        self._note = plain.Label("", "secondary")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        for widget in (self._stop, self._key, self._copy, self._regenerate, self._note):
            layout.addWidget(widget)
        layout.addStretch()
        self._stop.clicked.connect(self.stop_requested)
        self._copy.clicked.connect(self.copy_requested)
        self._regenerate.clicked.connect(self.regenerate_requested)

    @property
    def buttons(self) -> list[plain.Button]:
        """In the order of the Tab key."""
        return [self._stop, self._copy, self._regenerate]

    def show_streaming(self, note: str) -> None:
        self._show(streaming=True, copyable=False, last=False, note=note)

    def show_finished(self, note: str, *, copyable: bool, last: bool) -> None:
        self._show(streaming=False, copyable=copyable, last=last, note=note)

    def _show(self, *, streaming: bool, copyable: bool, last: bool, note: str) -> None:
        self._stop.setVisible(streaming)
        self._key.setVisible(streaming)
        self._copy.setVisible(copyable)
        self._regenerate.setVisible(last)
        self._note.setText(note)

    def height_at(self, width: int) -> int:  # noqa: ARG002
        return FOOTER_HEIGHT

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), FOOTER_HEIGHT)


def thinking_words(seconds: float, *, streaming: bool) -> str:
    if streaming:
        return "Thinking…"
    return (
        f"Thought for {number_format.duration(seconds)}" if seconds >= 1 else "Thought for a moment"
    )


def line_spacing_percent(font: QFont) -> float:
    """What makes a line of this font LINE_HEIGHT times its size."""
    height = QFontMetricsF(font).height()
    return 100 * LINE_HEIGHT * theming.pixel_size(font) / height


def _link(text: str, name: str, accessible: str) -> plain.Button:
    button = plain.Button(text, name)
    button.setAccessibleName(accessible)
    button.setCursor(Qt.CursorShape.PointingHandCursor)
    return button
