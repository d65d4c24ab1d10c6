"""What stands around a reply's text: the head above its thinking, trouble, and the row below."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from app import number_format, plain, theming
from app.chat.block_widget import BlockWidget
from app.chat.blocks import Block
from app.widgets.version_switch import VersionSwitch

FOOTER_HEIGHT: Final = 28
HEAD_HEIGHT: Final = 24

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
        state = "expanded" if block.expanded else "collapsed"
        self._button.setAccessibleName(f"{words} ({state})")
        does = "Hide" if block.expanded else "Show"
        plain.set_tool_tip(self._button, f"{does} what the model thought")

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
        self._copy = _icon("copy", "Copy the prompt")
        self._edit = _icon("edit", "Change the prompt")
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


class Footer(BlockWidget):
    """The row under a reply: what one can do with it."""

    stop_requested = Signal()
    copy_requested = Signal()
    regenerate_requested = Signal()
    version_requested = Signal(int)

    def __init__(self, block: Block, parent: QWidget) -> None:
        super().__init__(block, parent)
        self._stop = _link("Stop", "accentLink", "Stop the reply")
        self._key = plain.Label("Esc", "secondary")
        self._copy = _link("Copy", "link", "Copy the reply")
        self._regenerate = _link("Regenerate", "link", "Regenerate the reply")
        self.versions = VersionSwitch()
        self.versions.step_requested.connect(self.version_requested)
        self._note = plain.Label("", "secondary")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        row = (self._stop, self._key, self._copy, self._regenerate, self.versions, self._note)
        for widget in row:
            layout.addWidget(widget)
        layout.addStretch()
        self._stop.clicked.connect(self.stop_requested)
        self._copy.clicked.connect(self.copy_requested)
        self._regenerate.clicked.connect(self.regenerate_requested)

    def buttons(self) -> list[QWidget]:
        own: list[QWidget] = [self._stop, self._copy, self._regenerate]
        return [*own, self.versions.before, self.versions.next]

    def show_block(self, block: Block) -> None:
        super().show_block(block)
        self._stop.setVisible(block.streaming)
        self._key.setVisible(block.streaming)
        self._copy.setVisible(block.copyable and not block.streaming)
        self._regenerate.setVisible(not block.streaming)
        self.versions.show_version(*((1, 1) if block.streaming else block.versions))
        self._note.setText(block.note)

    def span(self, column: int) -> tuple[int, int]:
        return -LINK_INSET, column

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


def _icon(icon: str, name: str) -> QToolButton:
    button = QToolButton()
    button.setObjectName("iconButton")
    button.setIcon(theming.icon(icon))
    button.setIconSize(QSize(16, 16))
    button.setFixedSize(28, 28)
    button.setAccessibleName(name)
    plain.set_tool_tip(button, name)
    return button


def _link(text: str, name: str, accessible: str) -> plain.Button:
    button = plain.Button(text, name)
    button.setAccessibleName(accessible)
    button.setCursor(Qt.CursorShape.PointingHandCursor)
    return button
