"""The sheet of shortcuts, drawn from the table of actions."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from app import plain
from app.actions import Actions
from app.words import translate

ALSO: Final = (
    (translate("Shortcuts", "Writing"), translate("Shortcuts", "Send"), "Enter"),
    (translate("Shortcuts", "Writing"), translate("Shortcuts", "New line"), "Shift+Enter"),
    (translate("Shortcuts", "Chats"), translate("Shortcuts", "Rename, in the list"), "F2"),
    (translate("Shortcuts", "Chats"), translate("Shortcuts", "Into the trash, in the list"), "Del"),
)
"""Keys of fields and lists, which are no actions of the window."""


class ShortcutSheet(QDialog):
    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("sheet")
        plain.set_title(self, translate("Shortcuts", "Shortcuts"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        rows: dict[str, list[tuple[str, str]]] = {}
        for section, own in actions.sections().items():
            for action in own:
                name = action.objectName()
                if actions.keys(name):
                    rows.setdefault(section, []).append((actions.text(name), actions.keys(name)))
        for section, words, keys in ALSO:
            native = QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)
            rows.setdefault(section, []).append((words, native))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 20)
        layout.setSpacing(16)
        layout.addWidget(plain.Label(translate("Shortcuts", "Shortcuts"), "heading"))
        columns = QHBoxLayout()
        columns.setSpacing(40)
        sections = list(rows.items())
        half = (len(sections) + 1) // 2
        for part in (sections[:half], sections[half:]):
            columns.addLayout(_column(part))
        layout.addLayout(columns)
        close = plain.Button(translate("Shortcuts", "Close"))
        close.clicked.connect(self.accept)
        layout.addWidget(close, 0, Qt.AlignmentFlag.AlignRight)


def _column(sections: list[tuple[str, list[tuple[str, str]]]]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(32)
    grid.setVerticalSpacing(6)
    row = 0
    for section, entries in sections:
        if row:
            grid.setRowMinimumHeight(row, 12)
            row += 1
        grid.addWidget(plain.Label(section, "cardTitle"), row, 0)
        row += 1
        for words, keys in entries:
            grid.addWidget(plain.Label(words), row, 0)
            key = plain.Label(keys, "secondary")
            grid.addWidget(key, row, 1, Qt.AlignmentFlag.AlignRight)
            row += 1
    grid.setRowStretch(row, 1)
    return grid
