"""Says that a prompt on screen is being changed, joined to the composer."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from app import plain, theming
from app.widgets.elided import ElidedLabel
from app.words import translate


class EditBar(QFrame):
    """`cancelled()`."""

    cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("queue")
        self.setFixedHeight(44)
        self.cancel = plain.Button(translate("EditBar", "Cancel"), "link")
        plain.set_name(self.cancel, translate("EditBar", "Leave the prompt as it is"))
        self.cancel.clicked.connect(self.cancelled)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 0, 12, 0)
        row.setSpacing(8)
        row.addWidget(theming.IconLabel("edit", "muted", 16))
        row.addWidget(
            ElidedLabel(
                translate("EditBar", "Changing a prompt; what followed it is kept as a version")
            ),
            1,
        )
        row.addWidget(self.cancel)
        self.hide()
