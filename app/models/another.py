"""A reply written again by another model."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer

from app.chat.dialogue import Dialogue
from app.chat.message_menu import MessageMenu
from app.models.loader import FailedModel, ModelLoader, ModelState, ReadyModel
from engine import protocol


class AnotherModel(QObject):
    """Loads the model that was chosen in a reply's menu, then has the reply written again beside
    the one that is there."""

    def __init__(
        self,
        loader: ModelLoader,
        dialogue: Dialogue,
        menu: MessageMenu,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._loader = loader
        self._dialogue = dialogue
        self._menu = menu
        self._wanted: tuple[int | None, int, str] | None = None
        """Conversation, message and model, while that is being loaded."""
        loader.models_changed.connect(self._show)
        loader.state_changed.connect(self._on_state)
        menu.model_requested.connect(self._ask)
        self._show(loader.models)

    def _show(self, models: tuple[protocol.ModelInfo, ...]) -> None:
        self._menu.set_models([(known.id, known.name) for known in models if not known.problem])

    def _ask(self, message: int, model: str) -> None:
        state = self._loader.state
        if isinstance(state, ReadyModel) and state.loaded.model.id == model:
            self._dialogue.regenerate(message)
            return
        self._wanted = (self._dialogue.conversation, message, model)
        self._loader.load(model)

    def _on_state(self, state: ModelState) -> None:
        if self._wanted is None:
            return
        conversation, message, model = self._wanted
        if isinstance(state, FailedModel):
            self._wanted = None
        elif isinstance(state, ReadyModel):
            self._wanted = None
            if state.loaded.model.id == model and conversation == self._dialogue.conversation:
                # After the dialogue has been told of the model, too.
                QTimer.singleShot(0, self, lambda: self._dialogue.regenerate(message))
