"""The row of a file that belongs to a prompt, by which its text is shown and hidden."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app import attached, plain, theming
from app.chat.block_widget import BlockWidget
from app.chat.blocks import Block
from app.store.records import Attachment
from app.words import joined, translate

HEIGHT = 24
LONGEST = 60
"""Characters of a name that are shown."""


class AttachmentHead(BlockWidget):
    toggled = Signal()

    def __init__(self, block: Block, parent: QWidget) -> None:
        super().__init__(block, parent)
        self._button = plain.Button("", "link")
        self._button.setIconSize(QSize(16, 16))
        self._button.setCursor(Qt.CursorShape.PointingHandCursor)
        self._button.clicked.connect(self.toggled)
        self._size = plain.Label("", "secondary")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addStretch()
        layout.addWidget(theming.IconLabel("file", "muted", 16))
        layout.addWidget(self._button)
        layout.addWidget(self._size)

    def show_block(self, block: Block) -> None:
        super().show_block(block)
        name = plain.one_line(block.name, LONGEST)
        self._button.setText(name)
        self._button.setIcon(theming.icon("down" if block.expanded else "right"))
        self._button.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        text = block.file.text if block.file else ""
        size = attached.size_of(Attachment(block.name, text))
        self._size.setText(size)
        if block.expanded:
            state = translate("AttachmentHead", "Attached file {name}, {size} (expanded)")
            does = translate("AttachmentHead", "Hide what is in the file")
        else:
            state = translate("AttachmentHead", "Attached file {name}, {size} (collapsed)")
            does = translate("AttachmentHead", "Show what is in the file")
        plain.set_name(self._button, state.format(name=name, size=size))
        plain.set_tool_tip(self._button, joined("\n", (block.name, does)))

    def span(self, column: int) -> tuple[int, int]:
        return 0, column

    def height_at(self, width: int) -> int:  # noqa: ARG002
        return HEIGHT

    def buttons(self) -> list[QWidget]:
        return [self._button]
