"""The files that go with the prompt that is being written."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QToolButton, QWidget

from app import attached, plain, theming
from app.number_format import count
from app.store.records import Attachment, Attachments
from app.words import joined, translate

CHIP: Final = 32
"""Px of the height of a chip."""

LONGEST: Final = 40
"""Characters of a name that are shown."""


class FileChips(QScrollArea):
    """One chip a file, side by side; hidden without any. `changed()`: other files than before."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("fileChips")
        plain.set_name(self, translate("FileChips", "Attached files"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFixedHeight(CHIP)
        self._chips: list[_Chip] = []
        row = QWidget()
        self._row = QHBoxLayout(row)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(8)
        self._row.addStretch()
        self.setWidget(row)
        self.viewport().setAutoFillBackground(False)
        row.setAutoFillBackground(False)
        self.hide()

    @property
    def files(self) -> Attachments:
        return tuple(chip.attachment for chip in self._chips)

    def set_files(self, files: Attachments) -> None:
        """Shows these instead."""
        if files == self.files:
            return
        for chip in self._chips:
            self._remove(chip)
        self._chips = []
        for attachment in files:
            self._add(attachment)
        self._tell()

    def add(self, attachment: Attachment) -> None:
        """One more; the same one is not added twice."""
        if attachment not in self.files:
            self._add(attachment)
            self._tell()

    def show_tokens(self, content: str, tokens: int) -> None:
        """Of the files with this content."""
        for chip in self._chips:
            if chip.attachment.content == content:
                chip.show_tokens(tokens)

    def _add(self, attachment: Attachment) -> None:
        chip = _Chip(attachment)
        chip.dropped.connect(lambda: self._drop(chip))
        self._row.insertWidget(len(self._chips), chip)
        self._chips.append(chip)

    def _drop(self, chip: _Chip) -> None:
        self._chips.remove(chip)
        self._remove(chip)
        self._tell()

    def _remove(self, chip: _Chip) -> None:
        self._row.removeWidget(chip)
        chip.hide()
        chip.deleteLater()

    def _tell(self) -> None:
        self.setVisible(bool(self._chips))
        self.changed.emit()


class _Chip(QFrame):
    """Name, size and tokens of a file. `dropped()`: it is not wanted."""

    dropped = Signal()

    def __init__(self, attachment: Attachment) -> None:
        super().__init__()
        self.setObjectName("fileChip")
        self.attachment = attachment
        self.setFixedHeight(CHIP)
        self._words = plain.Label(attached.size_of(attachment), "secondary")
        drop = QToolButton()
        drop.setObjectName("iconButton")
        drop.setIcon(theming.icon("close"))
        drop.setIconSize(QSize(12, 12))
        drop.setFixedSize(20, 20)
        name = plain.one_line(attachment.name, LONGEST)
        plain.set_name(drop, translate("FileChips", "Take {name} out").format(name=name))
        plain.set_tool_tip(drop, translate("FileChips", "Take it out"))
        drop.clicked.connect(self.dropped)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 0, 6, 0)
        layout.setSpacing(6)
        layout.addWidget(theming.IconLabel("file", "muted", 16))
        layout.addWidget(plain.Label(name, "cell"))
        layout.addWidget(self._words)
        layout.addWidget(drop)
        plain.set_tool_tip(self, attachment.name)

    def show_tokens(self, tokens: int) -> None:
        told = translate("FileChips", "{count} tokens").format(count=count(tokens))
        self._words.setText(joined(" · ", (attached.size_of(self.attachment), told)))
