"""A block of code on screen: its language, colours, a copy button, and rows that scroll or wrap."""

from __future__ import annotations

import time
from typing import Final

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, Qt, QTimer
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QGuiApplication,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QTextCharFormat,
    QTextLayout,
    QTextOption,
    QWheelEvent,
)
from PySide6.QtWidgets import QScrollBar, QWidget

from app import plain, theming
from app.chat.block_widget import FADED, BlockWidget, Hits
from app.chat.blocks import Block
from app.chat.code_colours import CodeColours, Span
from app.chat.code_rows import TAB, CodeRows
from app.chat.flow import Code
from app.chat.paragraph import x_of
from app.chat.selection import from_utf16, to_utf16
from app.chat.text_block import word_around
from app.chat.typesetting import CODE_LINE, CODE_SIZE, READING, bar, code_family
from app.widgets.icon_button import IconButton
from app.words import translate

HEAD: Final = 36
SIDE: Final = 16
PAD: Final = 12
CORNER: Final = 8
BUTTON: Final = 28
BAR_HEIGHT: Final = 12
NO_WORDS: Final = "text"
PAUSES: Final = 5
"""Times as long as an answer took, before code that grows is coloured again."""

LANGUAGES: Final = {
    "py": "Python", "python": "Python", "js": "JavaScript", "javascript": "JavaScript",
    "ts": "TypeScript", "typescript": "TypeScript", "sh": "Shell", "bash": "Bash",
    "shell": "Shell", "zsh": "Shell", "console": "Console", "c": "C", "cpp": "C++", "c++": "C++",
    "cs": "C#", "csharp": "C#", "java": "Java", "kotlin": "Kotlin", "go": "Go", "rust": "Rust",
    "rs": "Rust", "rb": "Ruby", "ruby": "Ruby", "php": "PHP", "swift": "Swift", "sql": "SQL",
    "html": "HTML", "css": "CSS", "xml": "XML", "json": "JSON", "yaml": "YAML", "yml": "YAML",
    "toml": "TOML", "md": "Markdown", "markdown": "Markdown", "latex": "LaTeX", "tex": "LaTeX",
    "powershell": "PowerShell", "dockerfile": "Dockerfile", "r": "R", "julia": "Julia",
    "haskell": "Haskell", "lua": "Lua", "perl": "Perl", "scala": "Scala", "diff": "Diff",
}  # fmt: skip
"""What a fence may call them, and how people write them."""

ROLES: Final = {"k": "keyword", "s": "string", "f": "function", "c": "comment"}
"""Colours of `code_colours` and roles of the theme."""


class CodeBlock(BlockWidget):
    def __init__(self, block: Block, parent: QWidget, colours: CodeColours) -> None:
        super().__init__(block, parent)
        self.setMouseTracking(True)
        self._rows = CodeRows()
        self._layouts: dict[int, QTextLayout] = {}
        self._spans: list[Span] = []
        self._selected = (0, 0)
        self._found: list[tuple[int, int, bool]] = []
        self._colours = colours
        self._request = 0
        """The last one, while it is not answered."""
        self._asked_at = 0.0
        self._asked_for = ""
        colours.coloured.connect(self._take_spans)
        self._language = plain.Label("", "secondary", parent=self)
        self._wrap = IconButton(
            "wrap",
            translate("CodeBlock", "Wrap lines"),
            translate("CodeBlock", "Wrap lines"),
            BUTTON,
            self,
        )
        self._wrap.setCheckable(True)
        self._wrap.toggled.connect(self._set_wraps)
        self._copy = IconButton(
            "copy",
            translate("CodeBlock", "Copy the code"),
            translate("CodeBlock", "Copy"),
            BUTTON,
            self,
        )
        self._copy.clicked.connect(self._copy_all)
        self._scroll = QScrollBar(Qt.Orientation.Horizontal, self)
        self._scroll.valueChanged.connect(self.update)
        self._scroll.hide()
        self.ensurePolished()

    # ------------------------------------------------------------------ BlockWidget

    def show_block(self, block: Block) -> None:
        self.block = block
        code = self._code
        grew = code.text.startswith(self._rows.text)
        self._language.setText(language_name(code.language))
        self._wrap.setChecked(block.wraps)
        self._fill(max(0, self._rows.row_of(len(self._rows.text))) if grew else 0)
        self._ask()
        plain.set_name(
            self,
            translate("CodeBlock", "Code, {language}").format(
                language=language_name(code.language)
            ),
        )
        plain.set_description(self, code.text)

    def height_at(self, width: int) -> int:
        if self.block.wraps:
            self._show_rows(width)
        rows = len(self._rows) * self._line
        return HEAD + 2 * PAD + rows + (BAR_HEIGHT // 2 if self._is_wide(width) else 0)

    def buttons(self) -> list[QWidget]:
        return [self._wrap, self._copy]

    def select(self, start: int, stop: int) -> None:
        code = self._code
        selected = (code.to_shown(start), code.to_shown(stop)) if start < stop else (0, 0)
        if start < stop and stop >= self.block.stop and start <= self.block.start:
            selected = (0, len(code.text))
        if selected != self._selected:
            self._selected = selected
            self.update()

    def show_found(self, hits: Hits, now: int) -> None:
        shown = self._code.to_shown
        found = [(shown(a), shown(b), at == now) for at, (a, b) in enumerate(hits)]
        if found != self._found:
            self._found = found
            self.update()

    def offset_at(self, point: QPoint) -> int:
        y = point.y() - HEAD - PAD
        if y < 0:
            return self.block.start
        index = y // self._line
        if index >= len(self._rows):
            return self.block.stop
        units = _line_of(self._layout(index)).xToCursor(point.x() - self._text_left)
        inside = from_utf16(self._rows.row(index), units)
        return self._code.to_source(self._rows.starts[index] + inside)

    def has_text_at(self, point: QPoint) -> bool:
        return self._text_rect.contains(point)

    def word_at(self, offset: int) -> tuple[int, int]:
        start, stop = word_around(self._rows.text, self._code.to_shown(offset))
        return self._code.to_source(start), self._code.to_source(stop)

    # ------------------------------------------------------------------ what tests ask

    def text(self) -> str:
        return self._rows.text

    def selected_text(self) -> str:
        return self._rows.text[slice(*self._selected)]

    def spans(self) -> list[Span]:
        """What is coloured."""
        return self._spans

    # ------------------------------------------------------------------ layout

    @property
    def _code(self) -> Code:
        assert isinstance(self.block.content, Code)  # noqa: S101
        return self.block.content

    @property
    def _scale(self) -> float:
        return theming.pixel_size(self.font()) / READING

    @property
    def _line(self) -> int:
        return round(CODE_LINE * self._scale)

    def _face(self) -> QFont:
        font = QFont(code_family())
        font.setStyleHint(QFont.StyleHint.Monospace)
        font.setPixelSize(round(CODE_SIZE * self._scale))
        return font

    @property
    def _inset(self) -> int:
        return sum(each.inset for each in self._code.around)

    @property
    def _frame(self) -> QRect:
        return self.rect().adjusted(self._inset, 0, 0, 0)

    @property
    def _text_rect(self) -> QRect:
        return self._frame.adjusted(1, HEAD, -1, -1)

    @property
    def _text_left(self) -> int:
        return self._inset + SIDE - (0 if self.block.wraps else self._scroll.value())

    def _fill(self, keep: int) -> None:
        """Shows the code; rows before `keep` are as they were."""
        for index in [index for index in self._layouts if index >= keep]:
            del self._layouts[index]
        self._show_rows(self.width())
        self._fit_scroll()
        self.update()

    def _show_rows(self, width: int) -> None:
        columns = 0
        if self.block.wraps:
            room = width - self._inset - 2 * SIDE
            columns = max(8, int(room / QFontMetricsF(self._face()).horizontalAdvance("0")))
            self._layouts.clear()
        self._rows.show(self._code.text, columns)

    def _fit_scroll(self) -> None:
        """The bar is there only where a row is wider than the frame."""
        hidden = self._wanted_width() - self._text_rect.width()
        self._scroll.setRange(0, max(0, hidden))
        self._scroll.setPageStep(max(1, self._text_rect.width()))
        self._scroll.setVisible(self._is_wide(self.width()))

    def _wanted_width(self) -> int:
        letter = QFontMetricsF(self._face()).horizontalAdvance("0")
        return round(self._rows.widest * letter) + 2 * SIDE

    def _is_wide(self, width: int) -> bool:
        """Whether rows do not fit."""
        return not self.block.wraps and self._wanted_width() > width - self._inset - 2

    def _set_wraps(self, wraps: bool) -> None:
        self.block.wraps = wraps
        self._fill(0)
        self.resized.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        frame = self._frame
        right = frame.right() - 4
        self._copy.move(right - BUTTON, (HEAD - BUTTON) // 2)
        self._wrap.move(right - 2 * BUTTON, (HEAD - BUTTON) // 2)
        self._language.setGeometry(frame.x() + SIDE, 0, frame.width() - 2 * BUTTON - 2 * SIDE, HEAD)
        self._scroll.setGeometry(
            frame.x() + 2, frame.bottom() - BAR_HEIGHT, frame.width() - 4, BAR_HEIGHT
        )
        if event.oldSize().width() != event.size().width():
            self._fill(0 if self.block.wraps else len(self._rows))

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scrolls sideways; up and down belongs to the transcript."""
        delta = event.angleDelta()
        sideways = delta.x()
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier and not sideways:
            sideways = delta.y()
        if self._scroll.isVisible() and sideways:
            self._scroll.setValue(self._scroll.value() - sideways // 2)
            event.accept()
        else:
            event.ignore()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._layouts.clear()
            self.update()

    # ------------------------------------------------------------------ colours

    def _ask(self) -> None:
        """Has the code coloured, if no answer is awaited: one that grows, now and then."""
        if not self._request:
            self._asked_at = time.monotonic()
            self._request = self._colours.ask(self._code.language, self._code.text)
            self._asked_for = self._code.text

    def _take_spans(self, number: int, spans: list[Span]) -> None:
        if number != self._request:
            return
        if spans != self._spans:
            self._spans = spans
            self._layouts.clear()
            self.update()
        pause = (PAUSES if self.block.streaming else 0) * (time.monotonic() - self._asked_at)
        QTimer.singleShot(round(1000 * pause), self, self._ask_again)

    def _ask_again(self) -> None:
        self._request = 0
        if self._asked_for != self._code.text:
            self._ask()

    def _formats(self, start: int, row: str) -> list[QTextLayout.FormatRange]:
        """Colours of a row that begins at an offset."""
        shown = theming.theme()
        made = []
        stop = start + len(row)
        for index in range(first_span(self._spans, start), len(self._spans)):
            begin, length, role = self._spans[index]
            if begin >= stop:
                break
            first, last = max(begin, start) - start, min(begin + length, stop) - start
            found = QTextLayout.FormatRange()
            found.start = to_utf16(row, first)
            found.length = to_utf16(row, last) - found.start
            look = QTextCharFormat()
            look.setForeground(QColor(getattr(shown, ROLES[role])))
            found.format = look
            made.append(found)
        return made

    def _layout(self, index: int) -> QTextLayout:
        if index not in self._layouts:
            row = self._rows.row(index)
            face = self._face()
            layout = QTextLayout(row, face)
            option = QTextOption()
            option.setWrapMode(QTextOption.WrapMode.NoWrap)
            option.setTabStopDistance(TAB * QFontMetricsF(face).horizontalAdvance(" "))
            layout.setTextOption(option)
            layout.setFormats(self._formats(self._rows.starts[index], row))
            layout.setCacheEnabled(True)
            layout.beginLayout()
            line = layout.createLine()
            line.setLineWidth(1e6)
            line.setPosition(QPointF(0, (self._line - line.height()) / 2))
            layout.endLayout()
            self._layouts[index] = layout
        return self._layouts[index]

    # ------------------------------------------------------------------ painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        if self.block.faded:
            painter.setOpacity(FADED)
        self._draw_frame(painter)
        shown = theming.theme()
        top = HEAD + PAD
        first = max(0, (event.rect().top() - top) // self._line)
        last = min(len(self._rows) - 1, (event.rect().bottom() - top) // self._line)
        painter.setClipRect(self._text_rect)
        painter.setPen(QColor(shown.text))
        for index in range(first, last + 1):
            at = QPointF(self._text_left, top + index * self._line)
            self._draw_found(painter, index, at)
            self._draw_selection(painter, index, at)
            self._layout(index).draw(painter, at)
        if self.block.streaming:
            self._draw_caret(painter, top)
        painter.end()
        for index in [i for i in self._layouts if not first - 200 <= i <= last + 200]:
            del self._layouts[index]

    def _draw_frame(self, painter: QPainter) -> None:
        shown = theming.theme()
        x = 0.0
        for each in self._code.around:
            if each.kind == "quotation":
                bar(QRectF(x, 0, 3, self.height()), painter)
            x += each.inset
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        path = QPainterPath()
        path.addRoundedRect(QRectF(self._frame).adjusted(0.5, 0.5, -0.5, -0.5), CORNER, CORNER)
        painter.fillPath(path, QColor(shown.code_back))
        painter.setPen(QPen(QColor(shown.line), 1))
        painter.drawPath(path)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.drawLine(self._frame.left(), HEAD, self._frame.right(), HEAD)

    def _draw_selection(self, painter: QPainter, index: int, at: QPointF) -> None:
        start, stop = self._selected
        begin, end = self._rows.starts[index], self._rows.stop(index)
        if start >= stop or stop <= begin or start > end:
            return
        row, line = self._rows.row(index), _line_of(self._layout(index))
        left = x_of(line, to_utf16(row, max(0, start - begin)))
        right = x_of(line, to_utf16(row, min(stop, end) - begin))
        if stop > end:
            right = max(right, self._text_rect.right() - at.x())
        left = left if start > begin else min(left, self._text_rect.left() - at.x())
        band = QRectF(at.x() + left, at.y(), right - left, self._line)
        painter.fillRect(band, theming.selection_colour())

    def _draw_found(self, painter: QPainter, index: int, at: QPointF) -> None:
        begin, end = self._rows.starts[index], self._rows.stop(index)
        for start, stop, is_now in self._found:
            if start < end and stop > begin:
                row, line = self._rows.row(index), _line_of(self._layout(index))
                left = x_of(line, to_utf16(row, max(0, start - begin)))
                right = x_of(line, to_utf16(row, min(stop, end) - begin))
                colour = theming.theme().hit_now if is_now else theming.theme().hit
                band = QRectF(at.x() + left, at.y(), right - left, self._line)
                painter.fillRect(band, QColor(colour))

    def _draw_caret(self, painter: QPainter, top: int) -> None:
        index = len(self._rows) - 1
        line = _line_of(self._layout(index))
        x = self._text_left + x_of(line, line.textLength())
        place = QRectF(x + 2, top + index * self._line + 2, 8, self._line - 4)
        painter.fillRect(place, QColor(theming.theme().accent))

    # ------------------------------------------------------------------ copying

    def _copy_all(self) -> None:
        QGuiApplication.clipboard().setText(self._code.text)
        self._copy.tick()


def language_name(given: str) -> str:
    """As people write it; "text" for none."""
    word = plain.one_line(given, 40)
    return LANGUAGES.get(word.lower(), word or NO_WORDS)


def first_span(spans: list[Span], offset: int) -> int:
    """Number of the first span that ends behind an offset."""
    low, high = 0, len(spans)
    while low < high:
        middle = (low + high) // 2
        if spans[middle][0] + spans[middle][1] <= offset:
            low = middle + 1
        else:
            high = middle
    return low


def _line_of(layout: QTextLayout):  # type: ignore[no-untyped-def]
    return layout.lineAt(0)


def _x(at: object) -> float:
    return float(at[0]) if isinstance(at, tuple) else float(at)  # type: ignore[arg-type]
