"""Links of a reply: where they lead, and the question before one is opened."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QVBoxLayout, QWidget

from app import plain
from app.words import translate

OPENED: Final = ("http", "https", "mailto")
"""Schemes that are opened; a link of any other kind can only be copied."""


class LinkDialog(QDialog):
    """Asks before a link is opened. A model wrote it: what it says may not be where it leads."""

    def __init__(self, link: str, parent: QWidget) -> None:
        super().__init__(parent)
        plain.set_title(self, translate("Links", "Open a link"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._link = link
        opens = QUrl(link).scheme().lower() in OPENED
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 20, 20, 16)
        layout.setSpacing(12)
        question = (
            translate("Links", "Open this link in your browser?")
            if opens
            else translate("Links", "This link is not opened here.")
        )
        layout.addWidget(plain.Label(question, "cardTitle"))
        self.address = plain.SelectableLabel(link, "muted")
        self.address.setMinimumWidth(360)
        layout.addWidget(self.address)
        buttons = QDialogButtonBox()
        self.cancel = plain.Button(translate("Links", "Cancel"))
        self.copy = plain.Button(translate("Links", "Copy link"))
        self.open_button = plain.Button(translate("Links", "Open"), "primary")
        buttons.addButton(self.cancel, QDialogButtonBox.ButtonRole.RejectRole)
        buttons.addButton(self.copy, QDialogButtonBox.ButtonRole.ActionRole)
        if opens:
            buttons.addButton(self.open_button, QDialogButtonBox.ButtonRole.AcceptRole)
        else:
            self.open_button.hide()
        layout.addWidget(buttons)
        self.cancel.setDefault(True)
        self.cancel.setFocus()
        self.cancel.clicked.connect(self.reject)
        self.copy.clicked.connect(self._copy)
        self.open_button.clicked.connect(self._open)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._link)
        self.accept()

    def _open(self) -> None:
        QDesktopServices.openUrl(QUrl(self._link))
        self.accept()
