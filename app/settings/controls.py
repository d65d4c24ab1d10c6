"""One row of the settings: its name and a sentence, and how it is set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from PySide6.QtCore import QSignalBlocker, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QFocusEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QBoxLayout,
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from app import number_format, plain
from app.settings.values import Row, Settings, Values
from app.words import Words, joined, translate

ROW: Final = 56
BESIDE: Final = 500
"""Px of width from which a control stands beside its words."""

FIELD: Final = QSize(88, 36)
SLIDER: Final = 160
MOST_STEPS: Final = 200
"""Of a slider: with more, a pixel would be several."""

TEXT_HEIGHT: Final = 88
PAUSE_MS: Final = 400
"""After the last key of a text until it is saved."""

NOTHING: Final = ""
"""What `number_of` returns for what is no number of the row."""


class SettingRow(QFrame):
    """`set(name, value)`: None if nothing is set, so that what lies below holds."""

    set = Signal(str, object)

    def __init__(self, row: Row, *, narrow: bool = False) -> None:
        """`narrow`: there is no room for a slider."""
        super().__init__()
        self.setObjectName("settingRow")
        self.row = row
        self.problem = plain.Label("", "problem")
        self.problem.hide()
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(plain.Label(row.title, "settingName"))
        words.addWidget(plain.Label(row.sentence, "secondary", wraps=True))
        words.addWidget(self.problem)
        self.control = _control(row, self._take, narrow=narrow)
        self._rows = layout = QBoxLayout(QBoxLayout.Direction.TopToBottom, self)
        layout.setContentsMargins(0, 10, 0, 10)
        layout.setSpacing(8)
        layout.addLayout(words, 1)
        side = Qt.AlignmentFlag(0) if isinstance(self.control, Text) else Qt.AlignmentFlag.AlignLeft
        layout.addWidget(self.control, 0, side | Qt.AlignmentFlag.AlignVCenter)
        self.setMinimumHeight(ROW)

    def set_room(self, width: int) -> None:
        """Words and control stand side by side if there are px enough for both."""
        beside = not isinstance(self.control, Text) and width >= BESIDE
        ways = QBoxLayout.Direction
        self._rows.setDirection(ways.LeftToRight if beside else ways.TopToBottom)
        self._rows.setSpacing(24 if beside else 8)

    def show_values(self, own: Mapping[str, Any], below: Settings | None) -> None:
        """`own`: what is set here; `below`: what holds where nothing is, None if that is the
        model's own."""
        value = own.get(self.row.name)
        inherited = getattr(below, self.row.name) if below else None
        with QSignalBlocker(self):
            self.control.show_value(value, inherited)
        self._tell("")

    def _take(self, value: object) -> None:
        """NOTHING is told, and sets nothing."""
        self._tell(span_of(self.row) if value == NOTHING else "")
        if value != NOTHING:
            self.set.emit(self.row.name, value)

    def _tell(self, problem: str) -> None:
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))


Take = Callable[[object], None]


def _control(row: Row, take: Take, *, narrow: bool) -> Number | Text | Choice:
    if row.choices:
        return Choice(row, take)
    return Number(row, take, slides=not narrow) if row.is_number else Text(row, take)


def number_of(text: str, row: Row) -> float | str | None:
    """The number that was written; None for nothing; NOTHING if it is none that can be set."""
    written = text.strip().replace(",", ".")
    if not written:
        return None
    try:
        value = int(written) if row.is_whole else float(written)
    except ValueError:
        return NOTHING
    return value if row.low <= value <= row.high else NOTHING


def span_of(row: Row) -> Words:
    """What a number has to be."""
    if row.is_whole:
        words = translate("SettingControls", "A whole number from {low} to {high}, or nothing")
    else:
        words = translate("SettingControls", "A number from {low} to {high}, or nothing")
    return words.format(low=number_format.count(row.low), high=number_format.count(row.high))


class Number(QWidget):
    """A field, and a slider beside it where its steps are few."""

    def __init__(self, row: Row, take: Take, *, slides: bool) -> None:
        super().__init__()
        self._row = row
        self._take = take
        self.field = QLineEdit()
        self.field.setFixedSize(FIELD)
        plain.set_name(self.field, row.title)
        plain.set_description(self.field, row.sentence)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setFixedWidth(SLIDER)
        self.slider.setRange(0, round((row.high - row.low) / row.step))
        plain.set_name(self.slider, row.title)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(16)
        layout.addWidget(self.slider)
        layout.addWidget(self.field)
        self.slider.setVisible(slides and self.slider.maximum() <= MOST_STEPS)
        self.field.textEdited.connect(self._on_text)
        self.slider.valueChanged.connect(self._on_slider)

    def show_value(self, value: float | None, inherited: float | None) -> None:
        known = value if value is not None else inherited
        self.field.setText("" if value is None else _plain(value))
        if inherited is None:
            plain.set_placeholder(self.field, translate("SettingControls", "As model"))
        else:
            plain.set_placeholder(self.field, _plain(inherited))
        self._slide(known)

    def _slide(self, value: float | None) -> None:
        self.slider.setProperty("unset", value is None)
        with QSignalBlocker(self.slider):
            steps = 0 if value is None else round((value - self._row.low) / self._row.step)
            self.slider.setValue(steps)

    def _on_text(self, text: str) -> None:
        value = number_of(text, self._row)
        if not isinstance(value, str):
            self._slide(value)
        self._take(value)

    def _on_slider(self, steps: int) -> None:
        value = round(self._row.low + steps * self._row.step, 6)
        whole = int(value) if self._row.is_whole else value
        self.field.setText(_plain(whole))
        self._take(whole)


def _plain(value: float) -> str:
    """A number as it is written into a field: without signs between thousands."""
    return str(value) if isinstance(value, int) else f"{value:g}"


class Text(QPlainTextEdit):
    """Several lines; those of `stop` are a text each."""

    def __init__(self, row: Row, take: Take) -> None:
        super().__init__()
        self.setObjectName("settingText")
        plain.set_name(self, row.title)
        plain.set_description(self, row.sentence)
        self.setTabChangesFocus(True)
        self.setFixedHeight(TEXT_HEIGHT)
        self._splits = row.name == "stop"
        self._take = take
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self.flush)
        self._unsaved = False
        self.textChanged.connect(self._on_text)

    def show_value(self, value: object, inherited: object) -> None:
        with QSignalBlocker(self):
            self.setPlainText(_as_lines(value))
        below = _as_lines(inherited)
        plain.set_placeholder(self, plain.several_lines(below, 300))

    def _on_text(self) -> None:
        self._unsaved = True
        self._pause.start()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.flush()

    def flush(self) -> None:
        """Saves what is written, if it is not yet."""
        self._pause.stop()
        if self._unsaved:
            self._unsaved = False
            text = self.toPlainText()
            self._take(_lines_of(text) if self._splits else text or None)


def _as_lines(value: object) -> str:
    return "\n".join(value) if isinstance(value, list | tuple) else str(value or "")


def _lines_of(text: str) -> list[str] | None:
    return [line for line in text.split("\n") if line] or None


class Choice(QFrame):
    """Buttons beside each other, of which one is pressed."""

    def __init__(self, row: Row, take: Take) -> None:
        super().__init__()
        self.setObjectName("choice")
        plain.set_name(self, row.title)
        self._row = row
        self.group = QButtonGroup(self)
        self.group.setExclusive(True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(3, 3, 3, 3)
        layout.setSpacing(2)
        self._below = self._button(None, translate("SettingControls", "As set for all"))
        for choice, words in row.choices:
            self._button(choice, words)
        for button in self.group.buttons():
            layout.addWidget(button)
        self.group.buttonClicked.connect(lambda button: take(_choice_of(button)))

    def show_value(self, value: object, inherited: object) -> None:
        self._below.setVisible(inherited is not None)
        said = next((words for choice, words in self._row.choices if choice == inherited), "")
        self._below.setText(joined("", ("(", said, ")")))
        for button in self.group.buttons():
            button.setChecked(_choice_of(button) == value)

    def _button(self, choice: object, words: str) -> plain.Button:
        button = plain.Button(words, "choiceButton")
        button.setCheckable(True)
        plain.set_name(button, joined(": ", (self._row.title, words)))
        button.setProperty("choice", choice)
        self.group.addButton(button)
        return button


def _choice_of(button: QAbstractButton) -> object:
    return button.property("choice")


def own_values(values: Values, name: str, value: object) -> dict[str, Any]:
    """The values with this one; without it if it is None."""
    kept = {key: known for key, known in values.items() if key != name}
    return kept if value is None else {**kept, name: value}
