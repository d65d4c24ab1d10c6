"""What stands around a reply's text: the head above its thinking, trouble, and the row below."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final

from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QVBoxLayout,
    QWidget,
)

from app import number_format, plain, theming
from app.chat.block_widget import BlockWidget
from app.chat.blocks import Block
from app.engine_sentences import shown_sentence
from app.number_format import count
from app.settings.values import ROWS, read_object, shown_value
from app.store.records import Figures
from app.widgets.icon_button import IconButton
from app.widgets.version_switch import VersionSwitch
from app.words import Words, joined, number, translate

FOOTER_HEIGHT: Final = 32
HEAD_HEIGHT: Final = 24

PROMPT_ICON: Final = 28
"""Px of a button under a prompt."""

PILL: Final = 20
"""Px of the height of a pill."""

ICON_INSET: Final = 6
"""Px between the edge of an icon button and its icon."""

UNKNOWN: Final = translate("ReplyRows", "not known")
LONGEST_MODEL: Final = 40
"""Characters of a model's name."""

LINK_INSET: Final = 4
"""Px between the edge of a link, where its focus ring is, and its first letter."""


class ThinkingHead(BlockWidget):
    """The row above what a model thought, by which it is shown and hidden."""

    toggled = Signal()

    def __init__(self, block: Block, parent: QWidget) -> None:
        super().__init__(block, parent)
        self._button = _link("", "link", "")
        self._button.setIconSize(QSize(16, 16))
        self._button.clicked.connect(self.toggled)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._button)
        layout.addStretch()

    def show_block(self, block: Block) -> None:
        super().show_block(block)
        words = thinking_words(block.seconds, streaming=block.streaming)
        self._button.setText(words)
        self._button.setIcon(theming.icon("down" if block.expanded else "right"))
        if block.expanded:
            state = translate("ReplyRows", "{words} (expanded)")
            does = translate("ReplyRows", "Hide what the model thought")
        else:
            state = translate("ReplyRows", "{words} (collapsed)")
            does = translate("ReplyRows", "Show what the model thought")
        plain.set_name(self._button, state.format(words=words))
        plain.set_tool_tip(self._button, does)

    def span(self, column: int) -> tuple[int, int]:
        return -LINK_INSET, column

    def height_at(self, width: int) -> int:  # noqa: ARG002
        return HEAD_HEIGHT

    def buttons(self) -> list[QWidget]:
        return [self._button]


class PromptRow(BlockWidget):
    """The row under a prompt: what one can do with it."""

    copy_requested = Signal()
    edit_requested = Signal()
    version_requested = Signal(int)

    def __init__(self, block: Block, parent: QWidget) -> None:
        super().__init__(block, parent)
        self.versions = VersionSwitch()
        self._copy = IconButton(
            "copy",
            translate("ReplyRows", "Copy the prompt"),
            translate("ReplyRows", "Copy"),
            PROMPT_ICON,
        )
        self._edit = IconButton(
            "edit",
            translate("ReplyRows", "Change the prompt"),
            translate("ReplyRows", "Change the prompt"),
            PROMPT_ICON,
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addStretch()
        for widget in (self.versions, self._copy, self._edit):
            layout.addWidget(widget)
        self.versions.step_requested.connect(self.version_requested)
        self._copy.clicked.connect(self.copy_requested)
        self._edit.clicked.connect(self.edit_requested)

    def show_block(self, block: Block) -> None:
        super().show_block(block)
        self.versions.show_version(*block.versions)

    def span(self, column: int) -> tuple[int, int]:
        return 0, column

    def height_at(self, width: int) -> int:  # noqa: ARG002
        return FOOTER_HEIGHT

    def buttons(self) -> list[QWidget]:
        return [self.versions.before, self.versions.next, self._copy, self._edit]


class TroubleCard(BlockWidget):
    """What went wrong with a reply, and what to do."""

    def __init__(self, block: Block, parent: QWidget) -> None:
        super().__init__(block, parent)
        trouble = block.trouble
        self.setObjectName("troubleCard")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        title, hint = shown_sentence(trouble.title), shown_sentence(trouble.hint)
        plain.set_name(self, joined(" ", (joined("", (title, ".")), trouble.detail, hint)))
        self._rows = layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 12)
        layout.setSpacing(4)
        layout.addWidget(plain.Label(title, "cardTitle", wraps=True))
        layout.addWidget(plain.Label(shown_sentence(trouble.detail), "cardText", wraps=True))
        if trouble.hint:
            layout.addWidget(plain.Label(hint, "cardText", wraps=True))

    def height_at(self, width: int) -> int:
        return self._rows.totalHeightForWidth(width)


class Footer(BlockWidget):
    """The row under a reply: to the left what one can do, to the right what it is and was."""

    stop_requested = Signal()
    copy_requested = Signal()
    regenerate_requested = Signal()
    continue_requested = Signal()
    version_requested = Signal(int)
    more_requested = Signal(QPoint)
    """Where a menu is to open, on the screen."""

    def __init__(self, block: Block, parent: QWidget) -> None:
        super().__init__(block, parent)
        self._stop = IconButton(
            "stop", translate("ReplyRows", "Stop the reply"), translate("ReplyRows", "Stop (Esc)")
        )
        self._key = plain.Label("Esc", "secondary")
        self._progress = plain.Label("", "secondary")
        self._copy = IconButton(
            "copy", translate("ReplyRows", "Copy the reply"), translate("ReplyRows", "Copy")
        )
        self._regenerate = IconButton(
            "regen",
            translate("ReplyRows", "Write the reply again"),
            translate("ReplyRows", "Write again (Ctrl+R)"),
        )
        self._continue = IconButton(
            "goon",
            translate("ReplyRows", "Go on with the reply"),
            translate("ReplyRows", "Go on (Ctrl+Shift+R)"),
        )
        self.versions = VersionSwitch()
        self.versions.step_requested.connect(self.version_requested)
        self._more = IconButton(
            "more",
            translate("ReplyRows", "More to do with this reply"),
            translate("ReplyRows", "More"),
        )
        self._state = plain.Label("", "statePill")
        self._speed = plain.Label("", "secondary")
        self._info = IconButton(
            "info",
            translate("ReplyRows", "Figures of the reply"),
            translate("ReplyRows", "Figures"),
        )
        self._info.setCheckable(True)
        self._details: Details | None = None
        """Made when it is first shown: most never are."""
        self._lay_out()
        self._stop.clicked.connect(self.stop_requested)
        self._copy.clicked.connect(self._on_copy)
        self._regenerate.clicked.connect(self.regenerate_requested)
        self._continue.clicked.connect(self.continue_requested)
        self._more.clicked.connect(self._ask_for_menu)
        self._info.clicked.connect(self._toggle_details)

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(0)
        for button in (self._stop, self._copy, self._regenerate, self._continue, self._more):
            row.addWidget(button)
        row.addWidget(self.versions)
        row.addWidget(self._key)
        row.addSpacing(12)
        row.addWidget(self._progress)
        row.addStretch()
        self._state.setFixedHeight(PILL)
        row.addWidget(self._state)
        row.addSpacing(12)
        row.addWidget(self._speed)
        row.addSpacing(4)
        row.addWidget(self._info)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(row)
        self._strip = QHBoxLayout()
        self._strip.setContentsMargins(ICON_INSET, 0, 0, 0)
        layout.addLayout(self._strip)

    def buttons(self) -> list[QWidget]:
        own: list[QWidget] = [self._stop, self._copy, self._regenerate, self._continue, self._more]
        return [*own, self.versions.before, self.versions.next, self._info]

    def show_block(self, block: Block) -> None:
        super().show_block(block)
        done = not block.streaming
        self._stop.setVisible(block.streaming)
        self._key.setVisible(block.streaming)
        self._progress.setText("" if done else block.note)
        self._copy.setVisible(block.copyable and done)
        self._regenerate.setVisible(done)
        self._continue.setVisible(block.can_go_on)
        self.versions.show_version(*(block.versions if done else (1, 1)))
        self._more.setVisible(done)
        self._state.setText(block.note if done else "")
        self._state.setVisible(bool(block.note) and done)
        self._speed.setText(_beside(block) if done else "")
        self._info.setVisible(bool(block.figures.new_tokens) and done)
        self._info.setChecked(block.details)
        self._show_details()

    def _show_details(self) -> None:
        if self._details is None and self.block.details:
            self._details = Details()
            self._strip.addWidget(self._details)
        if self._details:
            self._details.setVisible(self.block.details)
            self._details.show_figures(self.block.figures, self.block.model)

    def span(self, column: int) -> tuple[int, int]:
        return -ICON_INSET, column + ICON_INSET

    def height_at(self, width: int) -> int:  # noqa: ARG002
        if self._details is None or not self.block.details:
            return FOOTER_HEIGHT
        return FOOTER_HEIGHT + self._details.sizeHint().height()

    def _on_copy(self) -> None:
        self._copy.tick()
        self.copy_requested.emit()

    def _ask_for_menu(self) -> None:
        self.more_requested.emit(self._more.mapToGlobal(QPoint(0, self._more.height())))

    def _toggle_details(self, shown: bool) -> None:
        self.block.details = shown
        self.show_block(self.block)
        self.resized.emit()


class Details(QFrame):
    """The figures of a reply, three by two."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("details")
        self._names: list[plain.Label] = []
        self._values: list[plain.Label] = []
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 12, 0, 4)
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(0)
        for place in range(6):
            row, column = divmod(place, 3)
            name, value = plain.Label("", "secondary"), plain.Label("", "cell")
            grid.addWidget(name, 3 * row, column)
            grid.addWidget(value, 3 * row + 1, column)
            self._names.append(name)
            self._values.append(value)
        grid.setRowMinimumHeight(2, 8)
        grid.setRowMinimumHeight(5, 8)
        self._wide: list[tuple[plain.Label, plain.Label]] = []
        for row in (6, 9):
            name, value = plain.Label("", "secondary"), plain.Label("", "cell", wraps=True)
            grid.addWidget(name, row, 0, 1, 3)
            grid.addWidget(value, row + 1, 0, 1, 3)
            self._wide.append((name, value))
        for column in range(3):
            grid.setColumnStretch(column, 1)

    def show_figures(self, figures: Figures, model: str) -> None:
        shown = figures_of(figures, model)
        for (name, value), name_label, value_label in zip(
            shown, self._names, self._values, strict=True
        ):
            name_label.setText(name)
            value_label.setText(value)
        wide = [
            (translate("ReplyRows", "Attention kernel"), plain.breakable(figures.kernel)),
            (translate("ReplyRows", "Drawn with"), drawn_with(figures.settings)),
        ]
        for (name, value), labels in zip(wide, self._wide, strict=True):
            for label, text in zip(labels, (name, value), strict=True):
                label.setText(text)
                label.setVisible(bool(value))
        told = (*shown, *(row for row in wide if row[1]))
        plain.set_name(self, joined(". ", (joined(": ", row) for row in told)))


def figures_of(figures: Figures, model: str) -> list[tuple[str, str]]:
    """Names and values, as a person reads them."""
    length = translate("ReplyRows", "%n tokens", "", 1).of(figures.new_tokens)
    if figures.thinking_tokens:
        thought = translate("ReplyRows", "%n of them thought", "", 1).of(figures.thinking_tokens)
        length = joined(", ", (length, thought))
    reused = (
        translate("ReplyRows", "{reused} of %n prompt tokens", "", 1)
        .of(figures.prompt_tokens)
        .format(reused=count(figures.reused_tokens))
    )
    return [
        (translate("ReplyRows", "Model"), plain.one_line(model, LONGEST_MODEL) or UNKNOWN),
        (translate("ReplyRows", "Length"), length),
        (
            translate("ReplyRows", "Speed"),
            translate("ReplyRows", "{rate} tokens/s").format(rate=number(figures.decode_rate, 1))
            if figures.decode_rate
            else UNKNOWN,
        ),
        (translate("ReplyRows", "First token"), joined(" ", (count(figures.first_token_ms), "ms"))),
        (translate("ReplyRows", "Reused from the last turn"), reused),
        (
            translate("ReplyRows", "Prompt read at"),
            translate("ReplyRows", "{rate} tokens/s").format(rate=count(figures.prefill_rate)),
        ),
    ]


NEUTRAL: Final = {
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "min_p": 0.0,
    "stop": [],
}
"""What changes nothing, and is not told."""


def drawn_with(settings: str) -> Words:
    """The settings of a reply, as the page of settings names them: Temperature 0.8 · Seed 7."""
    found = read_object(settings)
    rows = [row for row in ROWS if row.name in found and found[row.name] != NEUTRAL.get(row.name)]
    return joined(" · ", (joined(" ", (row.title, shown_value(found[row.name]))) for row in rows))


def _beside(block: Block) -> str:
    """The rate of a reply, and which model wrote it, where there are others to tell it from."""
    speed = block.figures.decode_rate
    rate = translate("ReplyRows", "{rate} tokens/s").format(rate=count(speed)) if speed else ""
    several = block.versions[1] > 1
    model = plain.one_line(PurePath(block.model).name, LONGEST_MODEL) if several else ""
    return joined(" · ", (model, rate))


def thinking_words(seconds: float, *, streaming: bool) -> str:
    if streaming:
        return translate("ReplyRows", "Thinking…")
    return (
        translate("ReplyRows", "Thought for {seconds}").format(
            seconds=number_format.duration(seconds)
        )
        if seconds >= 1
        else translate("ReplyRows", "Thought for a moment")
    )


def _link(text: str, name: str, accessible: str) -> plain.Button:
    button = plain.Button(text, name)
    plain.set_name(button, accessible)
    button.setCursor(Qt.CursorShape.PointingHandCursor)
    return button
