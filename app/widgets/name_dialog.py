"""Asks for a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtWidgets import QDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app import plain
from app.words import translate

WIDTH: Final = 360
LONGEST: Final = 60
"""Letters."""


class NameDialog(QDialog):
    """Calls `take` with the name that was written."""

    def __init__(self, title: str, button: str, take: Callable[[str], object], parent: QWidget):
        super().__init__(parent)
        plain.set_title(self, title)
        self.setMinimumWidth(WIDTH)
        self.field = QLineEdit()
        self.field.setMaxLength(LONGEST)
        plain.set_name(self.field, title)
        self.cancel = plain.Button(translate("NameDialog", "Cancel"))
        self.accept_button = plain.Button(button, "primary")
        self.accept_button.setDefault(True)
        self.accept_button.setEnabled(False)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.accept_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 16, 20, 16)
        layout.setSpacing(12)
        layout.addWidget(plain.Label(title, "cardTitle"))
        layout.addWidget(self.field)
        layout.addLayout(buttons)
        self.field.textChanged.connect(
            lambda text: self.accept_button.setEnabled(bool(text.strip()))
        )
        self.cancel.clicked.connect(self.reject)
        self.accept_button.clicked.connect(self.accept)
        self.accepted.connect(lambda: take(self.field.text().strip()))
        self.finished.connect(self.deleteLater)
