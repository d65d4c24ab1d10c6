"""The page of settings: sections on one scrolling page, a search, everything saved at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app import number_format, plain, theming
from app.settings.values import ROWS, Row, Settings, changed
from app.widgets.elided import ElidedLabel
from app.words import joined, translate

WIDTH: Final = 720
ROW: Final = 56
FIELD: Final = QSize(120, 36)
TEXT_HEIGHT: Final = 88
PAUSE_MS: Final = 400
"""After the last key of a text until it is saved."""


class SettingsPage(QWidget):
    """`changed(Settings)`: a value was set; `left()`: back to the chats."""

    changed = Signal(object)
    left = Signal()

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._settings = settings
        self.search = QLineEdit()
        self.search.setObjectName("search")
        plain.set_placeholder(self.search, translate("SettingsPage", "Search settings"))
        plain.set_name(self.search, translate("SettingsPage", "Search settings"))
        self.search.setClearButtonEnabled(True)
        self.search.addAction(theming.icon("search"), QLineEdit.ActionPosition.LeadingPosition)
        self.search.textChanged.connect(self._narrow)
        self.rows = {row.name: _SettingRow(row, settings) for row in ROWS}
        self._headings: dict[str, QWidget] = {}
        self._nothing = plain.Label(
            translate("SettingsPage", "No setting has these words"), "muted"
        )
        self._nothing.hide()
        for row in self.rows.values():
            row.set.connect(self._set)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._scrolled())

    @property
    def settings(self) -> Settings:
        return self._settings

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)

    def _scrolled(self) -> QScrollArea:
        column = QWidget()
        column.setMaximumWidth(WIDTH)
        rows = QVBoxLayout(column)
        rows.setContentsMargins(0, 24, 0, 32)
        rows.setSpacing(0)
        rows.addLayout(self._head())
        for name, row in self.rows.items():
            section = row.row.section
            if section not in self._headings:
                self._headings[section] = _heading(section)
                rows.addWidget(self._headings[section])
            rows.addWidget(self.rows[name])
        rows.addWidget(self._nothing)
        rows.addStretch()
        around = QWidget()
        sides = QHBoxLayout(around)
        sides.setContentsMargins(24, 0, 24, 0)
        sides.addStretch(1)
        sides.addWidget(column, 1000)
        sides.addStretch(1)
        area = QScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(around)
        return area

    def _head(self) -> QHBoxLayout:
        back = QToolButton()
        back.setIcon(theming.icon("left", "text"))
        back.setIconSize(QSize(18, 18))
        back.setFixedSize(32, 32)
        plain.set_name(back, translate("SettingsPage", "Back to the chats"))
        plain.set_tool_tip(back, translate("SettingsPage", "Back to the chats (Esc)"))
        back.clicked.connect(self.left)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(back)
        row.addWidget(plain.Label(translate("SettingsPage", "Settings"), "heading"))
        row.addStretch()
        self.search.setFixedWidth(264)
        row.addWidget(self.search)
        return row

    def _set(self, name: str, value: object) -> None:
        settings = changed(self._settings, name, value)
        if settings is not None and settings != self._settings:
            self._settings = settings
            self.changed.emit(settings)

    def _narrow(self, words: str) -> None:
        """Shows the rows that have all of the words."""
        wanted = words.casefold().split()
        shown: set[str] = set()
        for row in self.rows.values():
            has = joined(" ", (row.row.section, row.row.title, row.row.sentence)).casefold()
            row.setVisible(all(word in has for word in wanted))
            if row.isVisibleTo(self):
                shown.add(row.row.section)
        for section, heading in self._headings.items():
            heading.setVisible(section in shown)
        self._nothing.setVisible(not shown)


def _heading(section: str) -> QWidget:
    label = plain.Label(section, "sectionName")
    label.setContentsMargins(0, 28, 0, 8)
    return label


class _SettingRow(QFrame):
    """Name and a sentence, and at the right how it is set. `set(name, value)`."""

    set = Signal(str, object)

    def __init__(self, row: Row, settings: Settings) -> None:
        super().__init__()
        self.setObjectName("settingRow")
        self.row = row
        self.problem = plain.Label("", "problem")
        self.problem.hide()
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(plain.Label(row.title, "settingName"))
        sentence = ElidedLabel(row.sentence, "secondary")
        words.addWidget(sentence)
        words.addWidget(self.problem)
        value = getattr(settings, row.name)
        if row.choices:
            self.control: QWidget = _Choice(row, value, self._emit)
        elif row.is_number:
            self.control = _Number(row, value, self._take_number)
        else:
            self.control = _Text(row, value, self._take_text)
        below = isinstance(self.control, _Text)
        layout: QHBoxLayout | QVBoxLayout = QVBoxLayout(self) if below else QHBoxLayout(self)
        layout.setContentsMargins(0, 10, 0, 10)
        layout.setSpacing(8 if below else 24)
        layout.addLayout(words, 0 if below else 1)
        layout.addWidget(self.control)
        if not below:
            self.setMinimumHeight(ROW)

    def _emit(self, value: object) -> None:
        self.set.emit(self.row.name, value)

    def _take_number(self, text: str) -> None:
        value = number_of(text, self.row)
        self._tell("" if value != "" else span_of(self.row))
        if value != "":
            self._emit(value)

    def _take_text(self, text: str) -> None:
        if self.row.name == "stop":
            self._emit([line for line in text.split("\n") if line])
        else:
            self._emit(text)

    def _tell(self, problem: str) -> None:
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))


def number_of(text: str, row: Row) -> float | str | None:
    """The number that was written; None for nothing; "" if it is none that can be set."""
    written = text.strip().replace(",", ".")
    if not written:
        return None
    try:
        value = int(written) if row.is_whole else float(written)
    except ValueError:
        return ""
    return value if row.low <= value <= row.high else ""


def span_of(row: Row) -> str:
    """What a number has to be."""
    kind = (
        translate("SettingsPage", "A whole number")
        if row.is_whole
        else translate("SettingsPage", "A number")
    )
    return translate(
        "SettingsPage", "{kind} from {low} to {high}, or nothing: then the model decides"
    ).format(kind=kind, low=number_format.count(row.low), high=number_format.count(row.high))


class _Number(QLineEdit):
    def __init__(self, row: Row, value: float | None, take: Callable[[str], None]) -> None:
        super().__init__("" if value is None else f"{value:g}" if not row.is_whole else str(value))
        self.setFixedSize(FIELD)
        plain.set_name(self, row.title)
        plain.set_description(self, row.sentence)
        plain.set_placeholder(self, translate("SettingsPage", "As the model"))
        self.textChanged.connect(take)


class _Text(QPlainTextEdit):
    def __init__(self, row: Row, value: str | tuple[str, ...], take: Callable[[str], None]) -> None:
        super().__init__(value if isinstance(value, str) else "\n".join(value))
        self.setObjectName("settingText")
        plain.set_name(self, row.title)
        plain.set_description(self, row.sentence)
        self.setTabChangesFocus(True)
        self.setFixedHeight(TEXT_HEIGHT)
        self._take = take
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self.flush)
        self.textChanged.connect(self._pause.start)

    def flush(self) -> None:
        """Saves what is written now."""
        self._pause.stop()
        self._take(self.toPlainText())


class _Choice(QFrame):
    """Buttons beside each other, of which one is pressed."""

    def __init__(self, row: Row, value: str, take: Callable[[object], None]) -> None:
        super().__init__()
        self.setObjectName("choice")
        plain.set_name(self, row.title)
        self.group = QButtonGroup(self)
        self.group.setExclusive(True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(3, 3, 3, 3)
        layout.setSpacing(2)
        for choice, words in row.choices:
            button = plain.Button(words, "choiceButton")
            button.setCheckable(True)
            button.setChecked(choice == value)
            plain.set_name(button, joined(": ", (row.title, words)))
            button.setProperty("choice", choice)
            self.group.addButton(button)
            layout.addWidget(button)
        self.group.buttonClicked.connect(lambda button: take(_choice_of(button)))


def _choice_of(button: QAbstractButton) -> object:
    return button.property("choice")
