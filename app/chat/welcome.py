"""What an empty conversation shows: what one can do here, the model that answers, examples."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app import plain, theming
from app.models.loader import FailedModel, LoadingModel, ModelState, NoModel, ReadyModel
from app.widgets.header import loading_text
from app.words import Words, now, translate

EXAMPLES: Final = (
    ("rainbow", translate("Welcome", "Explain how a rainbow forms to a ten-year-old")),
    ("letter", translate("Welcome", "Write a short letter asking a landlord to fix the heating")),
    ("bulb", translate("Welcome", "Give me five ideas for a rainy Sunday")),
)
"""Icon, and what is put into the composer."""

LOW: Final = 340
"""Px of height under which only the heading and the examples are shown."""

NARROW: Final = 600
"""Px of width under which the examples stand one below the other."""


class Welcome(QWidget):
    """`example_chosen(str)`; `model_wanted()`: the person wants to choose a model."""

    example_chosen = Signal(str)
    model_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._low = False
        self._flame = theming.IconLabel("flame", "accent", 40)
        heading = plain.Label(
            translate("Welcome", "What would you like to know?"), "heading", wraps=True
        )
        said = translate("Welcome", "Everything runs on this computer. What you write stays here.")
        self._lead = lead = plain.Label(said, "lead", wraps=True)
        self.card = _ModelCard()
        self.card.button.clicked.connect(self.model_wanted)
        self.model = plain.Label("", "secondary", wraps=True)
        for label in (lead, self.model, heading):
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.examples = QWidget()
        self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight, self.examples)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(12)
        for icon, text in EXAMPLES:
            self._row.addWidget(self._example(icon, text), 1)
        self._rows = layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addStretch(2)
        layout.addWidget(self._flame, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addWidget(heading)
        layout.addWidget(lead)
        layout.addSpacing(16)
        layout.addWidget(self.card)
        layout.addWidget(self.examples)
        layout.addWidget(self.model)
        layout.addStretch(3)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In a low window what can be done stays, and what is said goes."""
        super().resizeEvent(event)
        self._low = event.size().height() < LOW
        self._flame.setHidden(self._low)
        self._lead.setHidden(self._low)
        self._rows.setSpacing(4 if self._low else 8)
        narrow = event.size().width() < NARROW
        below = QBoxLayout.Direction.TopToBottom
        self._row.setDirection(below if narrow else QBoxLayout.Direction.LeftToRight)
        self._row.setSpacing(4 if narrow else 12)
        for card in self.examples.findChildren(_Example):
            card.set_low(narrow)

    def show_model(self, state: ModelState) -> None:
        """Without a model there is one thing to do."""
        self.model.setText(_said_of(state))
        self.examples.setVisible(isinstance(state, ReadyModel | LoadingModel))
        match state:
            case ReadyModel() if is_demo(state):
                self.card.show_words(
                    translate("Welcome", "You are trying a demo model"),
                    translate(
                        "Welcome",
                        "{name} is very small: it answers at once and is often wrong. Other models "
                        "answer better.",
                    ).format(name=state.loaded.model.name),
                    first=False,
                )
            case FailedModel() | NoModel():
                self.card.show_words(
                    translate("Welcome", "Choose a model"),
                    translate(
                        "Welcome",
                        "A folder with safetensors files, or a GGUF file. It stays where it is.",
                    ),
                    first=True,
                )
            case _:
                self.card.hide()

    def _example(self, icon: str, text: str) -> _Example:
        card = _Example(icon, text)
        card.clicked.connect(lambda: self.example_chosen.emit(now(text)))
        return card


def is_demo(state: ModelState) -> bool:
    """Whether the loaded model is the one that comes with Hearth, to try the window with."""
    return isinstance(state, ReadyModel) and state.loaded.model.source == "embedded"


def _said_of(state: ModelState) -> str:
    match state:
        case ReadyModel():
            return translate("Welcome", "{name} is ready.").format(name=state.loaded.model.name)
        case LoadingModel():
            return Words(lambda: f"{state.name}: {now(loading_text(state))}…")
        case FailedModel():
            return translate("Welcome", "{name} could not be loaded.").format(name=state.name)
        case NoModel():
            return translate("Welcome", "No model is loaded.")


class _ModelCard(QFrame):
    """What the model is, or that there is none; and the way to another one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("modelCard")
        self._title = plain.Label("", "cardTitle", wraps=True)
        self._words = plain.Label("", "muted", wraps=True)
        self.button = plain.Button(translate("Welcome", "Choose a model…"))
        words = QVBoxLayout()
        words.setSpacing(4)
        words.addWidget(self._title)
        words.addWidget(self._words)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(20, 14, 20, 14)
        layout.setSpacing(16)
        layout.addLayout(words, 1)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignVCenter)
        self.hide()

    def show_words(self, title: str, words: str, *, first: bool) -> None:
        """`first`: whether its button is the one thing to do."""
        self._title.setText(title)
        self._words.setText(words)
        self.button.setObjectName("primary" if first else "")
        self.button.style().unpolish(self.button)
        self.button.style().polish(self.button)
        self.show()


class _Example(plain.Button):
    """A prompt to begin with, in two lines beside its icon."""

    def __init__(self, icon: str, text: str, parent: QWidget | None = None) -> None:
        super().__init__("", "example", parent)
        plain.set_name(self, text)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        label = plain.Label(text, "exampleText", wraps=True)
        label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._row = layout = QHBoxLayout(self)
        layout.setSpacing(12)
        layout.addWidget(theming.IconLabel(icon, "muted", 20))
        layout.addWidget(label, 1)
        self.set_low(False)

    def set_low(self, low: bool) -> None:
        """With less room around the text, where they stand below each other."""
        pad = 9 if low else 18
        self._row.setContentsMargins(14, pad, 12, pad)
