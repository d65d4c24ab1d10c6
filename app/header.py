"""Title of the conversation, and the model: its name, or how far it is loaded."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QToolButton,
    QWidget,
)

from app import amounts, look
from app.elided import ElidedLabel
from app.models.loader import FailedModel, LoadingModel, ModelState, NoModel, ReadyModel

HEIGHT: Final = 52

STAGES: Final = {
    "starting": "Starting the engine",
    "converting": "Preparing the model",
    "weights": "Loading weights",
    "probing": "Checking attention",
}


def loading_text(state: LoadingModel) -> str:
    """Loading weights 45 of 270 MB."""
    stage = STAGES.get(state.stage, "Loading")
    return f"{stage} {amounts.progress(state.done, state.total)}" if state.total else stage


class Header(QFrame):
    sidebar_requested = Signal()
    picker_requested = Signal()
    cancel_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("header")
        self.setFixedHeight(HEIGHT)
        self.menu = _menu_button()
        self.title = ElidedLabel("New chat")
        self.title.setObjectName("title")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(120)
        self.bar.setAccessibleName("Loading progress")
        self.cancel = QPushButton("Cancel")
        self.cancel.setObjectName("accentLink")
        self.cancel.setAccessibleName("Cancel loading")
        self.model = QPushButton("Choose a model")
        self.model.setObjectName("modelButton")
        self.model.setToolTip("Choose a model (Ctrl+M)")
        self.progress_words = QLabel()
        self.progress_words.setObjectName("secondary")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(24, 0, 16, 0)
        layout.setSpacing(12)
        layout.addWidget(self.menu)
        layout.addWidget(self.title, 1)
        for widget in (self.progress_words, self.bar, self.cancel, self.model):
            layout.addWidget(widget)
        self.menu.clicked.connect(self.sidebar_requested)
        self.model.clicked.connect(self.picker_requested)
        self.cancel.clicked.connect(self.cancel_requested)
        self.show_model(NoModel())

    def show_title(self, title: str) -> None:
        self.title.setText(title)

    def show_model(self, state: ModelState) -> None:
        loading = isinstance(state, LoadingModel)
        for widget in (self.progress_words, self.bar, self.cancel):
            widget.setVisible(loading)
        match state:
            case LoadingModel():
                self.progress_words.setText(loading_text(state))
                self.bar.setRange(0, 1000 if state.total else 0)
                self.bar.setValue(1000 * state.done // state.total if state.total else 0)
                self._name_model(state.name)
            case ReadyModel():
                self._name_model(state.loaded.model.name)
            case FailedModel() | NoModel():
                self._name_model("")

    def _name_model(self, name: str) -> None:
        shown = name or "Choose a model"
        metrics = self.model.fontMetrics()
        self.model.setText(metrics.elidedText(shown, Qt.TextElideMode.ElideMiddle, 220))
        self.model.setAccessibleName(f"Model: {name}" if name else shown)
        self.model.setIcon(look.icon("down"))
        self.model.setLayoutDirection(Qt.LayoutDirection.RightToLeft)


def _menu_button() -> QToolButton:
    button = QToolButton()
    button.setIcon(look.icon("menu", "text"))
    button.setIconSize(QSize(16, 16))
    button.setFixedSize(32, 32)
    button.setAccessibleName("Show the chats")
    button.setToolTip("Chats (Ctrl+B)")
    return button
