"""What an empty conversation shows: what one can do here, examples, and which model is ready."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app import plain, theming
from app.models.loader import FailedModel, LoadingModel, ModelState, NoModel, ReadyModel
from app.widgets.header import loading_text

EXAMPLES: Final = (
    "Explain how a rainbow forms to a ten-year-old",
    "Write a short letter asking a landlord to fix the heating",
    "Give me five ideas for a rainy Sunday",
)

LOW: Final = 300
"""Px of height under which only the heading and the examples are shown."""


class Welcome(QWidget):
    example_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._flame = theming.IconLabel("flame", "accent", 40)
        heading = plain.Label("What would you like to know?", "heading", wraps=True)
        said = "The model runs on this computer. What you write stays here."
        self._lead = lead = plain.Label(said, "lead", wraps=True)
        self.model = plain.Label("", "secondary", wraps=True)
        for label in (lead, self.model, heading):
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._rows = layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addStretch(2)
        layout.addWidget(self._flame, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addWidget(heading)
        layout.addWidget(lead)
        layout.addSpacing(16)
        for text in EXAMPLES:
            layout.addWidget(self._example(text))
        layout.addSpacing(8)
        layout.addWidget(self.model)
        layout.addStretch(3)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In a low window what can be done stays, and what is said goes."""
        super().resizeEvent(event)
        low = event.size().height() < LOW
        self._flame.setHidden(low)
        self._lead.setHidden(low)
        self._rows.setSpacing(4 if low else 8)

    def show_model(self, state: ModelState) -> None:
        match state:
            case ReadyModel():
                words = f"{state.loaded.model.name} is ready."
            case LoadingModel():
                words = f"{state.name}: {loading_text(state)}…"
            case FailedModel():
                words = f"{state.name} could not be loaded."
            case NoModel():
                words = "No model is loaded."
        self.model.setText(words)

    def _example(self, text: str) -> plain.Button:
        button = plain.Button(text, "example")
        button.setCursor(Qt.CursorShape.PointingHandCursor)
        button.clicked.connect(lambda: self.example_chosen.emit(text))
        return button
