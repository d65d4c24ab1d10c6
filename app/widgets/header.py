"""Title of the conversation, and the model: its name, or how far it is loaded."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QProgressBar,
    QToolButton,
    QWidget,
)

from app import number_format, plain, theming
from app.models.loader import FailedModel, LoadingModel, ModelState, NoModel, ReadyModel
from app.widgets.elided import ElidedLabel
from app.widgets.icon_button import IconButton
from app.words import joined, translate

HEIGHT: Final = 52
SIDE: Final = 16
SPACING: Final = 12
NAME: Final = 240
"""Px of a model's name at most."""

TITLE: Final = 60
"""Px of the title that are kept whatever else is shown."""

BAR: Final = 120
"""Px of the progress bar."""

STAGES: Final = {
    "starting": translate("Header", "Starting the engine"),
    "converting": translate("Header", "Preparing the model"),
    "weights": translate("Header", "Loading weights"),
    "probing": translate("Header", "Checking attention"),
}


def loading_text(state: LoadingModel) -> str:
    """Loading weights 45 of 270 MB."""
    stage = STAGES.get(state.stage, translate("Header", "Loading"))
    if not state.total:
        return stage
    return joined(" ", (stage, number_format.progress(state.done, state.total)))


def thousandths(done: int, total: int) -> int:
    """0 to 1000, also of numbers that Qt cannot hold; 0 if the total is not known."""
    return max(0, min(1000 * done // total, 1000)) if total > 0 else 0


class Header(QFrame):
    sidebar_requested = Signal()
    picker_requested = Signal()
    cancel_requested = Signal()
    chat_settings_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("header")
        self.setFixedHeight(HEIGHT)
        self._loading = False
        self._name = ""
        self.menu = _menu_button()
        self.title = ElidedLabel(translate("Header", "New chat"), "title")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(BAR)
        plain.set_name(self.bar, translate("Header", "Loading progress"))
        self.cancel = plain.Button(translate("Header", "Cancel"), "accentLink")
        plain.set_name(self.cancel, translate("Header", "Cancel loading"))
        self.model = plain.Button(translate("Header", "Choose a model"), "modelButton")
        plain.set_tool_tip(self.model, translate("Header", "Choose a model (Ctrl+M)"))
        self.chat_settings = IconButton(
            "settings",
            translate("Header", "Settings of this chat"),
            translate("Header", "Settings of this chat (Ctrl+Shift+,)"),
        )
        self.chat_settings.clicked.connect(self.chat_settings_requested)
        self.progress_words = plain.Label("", "secondary")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(SIDE, 0, SIDE, 0)
        layout.setSpacing(SPACING)
        layout.addWidget(self.menu)
        self.title.setContentsMargins(8, 0, 0, 0)
        layout.addWidget(self.title, 1)
        shown = (self.progress_words, self.bar, self.cancel, self.model, self.chat_settings)
        for widget in shown:
            layout.addWidget(widget)
        self.menu.clicked.connect(self.sidebar_requested)
        self.model.clicked.connect(self.picker_requested)
        self.cancel.clicked.connect(self.cancel_requested)
        self.show_model(NoModel())

    def show_title(self, title: str) -> None:
        self.title.setText(title)

    def show_model(self, state: ModelState) -> None:
        self._loading = isinstance(state, LoadingModel)
        match state:
            case LoadingModel():
                self.progress_words.setText(loading_text(state))
                self.bar.setRange(0, 1000 if state.total > 0 else 0)
                self.bar.setValue(thousandths(state.done, state.total))
                self._name = state.name
            case ReadyModel():
                self._name = state.loaded.model.name
            case FailedModel() | NoModel():
                self._name = ""
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def retranslate(self) -> None:
        self._fit()

    def _fit(self) -> None:
        """The less room, the fewer signs of loading; the welcome tells it in words."""
        self._show_name()
        room = self.width() - self._needed()
        self.cancel.setVisible(self._loading)
        room -= BAR + SPACING
        self.bar.setVisible(self._loading and room >= 0)
        room -= self.progress_words.sizeHint().width() + SPACING
        self.progress_words.setVisible(self._loading and room >= 0)

    def _needed(self) -> int:
        """Px of what is always shown, and of Cancel."""
        always = (self.menu, self.cancel, self.model, self.chat_settings)
        widths = sum(widget.sizeHint().width() for widget in always)
        return 2 * SIDE + widths + TITLE + 4 * SPACING

    def _show_name(self) -> None:
        name = self._name
        shown = plain.one_line(name) or translate("Header", "Choose a model")
        self.model.ensurePolished()
        metrics = self.model.fontMetrics()
        room = min(NAME, self.width() // 3)
        self.model.setText(metrics.elidedText(shown, Qt.TextElideMode.ElideMiddle, room))
        plain.set_name(
            self.model, translate("Header", "Model: {name}").format(name=name) if name else shown
        )
        self.model.setIcon(theming.icon("down"))
        self.model.setLayoutDirection(Qt.LayoutDirection.RightToLeft)


def _menu_button() -> QToolButton:
    button = QToolButton()
    button.setIcon(theming.icon("menu", "text"))
    button.setIconSize(QSize(16, 16))
    button.setFixedSize(32, 32)
    plain.set_name(button, translate("Header", "Show the chats"))
    plain.set_tool_tip(button, translate("Header", "Chats (Ctrl+B)"))
    return button
