"""What can be done now: which actions are enabled, and what becomes of a prompt."""

from __future__ import annotations

from app import plain
from app.actions import Actions
from app.chat.dialogue import Dialogue
from app.chat.page import ChatPage
from app.chat.welcome import is_demo
from app.chats import Chats
from app.engine import Engine, EngineState
from app.models.loader import FailedModel, ModelLoader, NoModel, ReadyModel
from app.words import translate


class Availability:
    def __init__(
        self,
        engine: Engine,
        loader: ModelLoader,
        dialogue: Dialogue,
        chats: Chats,
        page: ChatPage,
        table: Actions,
    ) -> None:
        self._engine = engine
        self._loader = loader
        self._dialogue = dialogue
        self._chats = chats
        self._page = page
        self._table = table

    def refresh(self) -> None:
        """What can be done now."""
        state = self._loader.state
        name = state.loaded.model.name if isinstance(state, ReadyModel) else ""
        if is_demo(state):
            name = translate("Availability", "the demo model")
        self._page.composer.set_model(name)
        self._page.composer.set_reason(self.why_not())
        self._page.composer.set_note(self._when())
        saved, running = self._chats.current is not None, bool(self._dialogue.replies.running)
        ready = isinstance(state, ReadyModel) and not running
        for action, enabled in (
            ("rename", saved),
            ("pin", saved),
            ("delete", saved),
            ("export", saved),
            ("print", saved),
            ("export_all", bool(self._chats.known)),
            ("regenerate", saved and ready),
            ("continue", saved and ready),
            ("edit_last", saved),
            ("stop", self._dialogue.answering or self._dialogue.waits),
            ("previous_version", bool(self._dialogue.versions) and not running),
            ("next_version", bool(self._dialogue.versions) and not running),
            ("unload", isinstance(state, ReadyModel)),
            ("start_engine", self._engine.state in (EngineState.DEAD, EngineState.CLOSED)),
        ):
            self._table[action].setEnabled(enabled)
        pinned = self._chats.current is not None and self._chats.current.pinned
        unpin = translate("Availability", "Unpin this chat")
        plain.set_text(self._table["pin"], unpin if pinned else self._table.text("pin"))

    def _when(self) -> str:
        """When a prompt is sent that is taken now; empty for at once."""
        if self._dialogue.answering:
            return translate("Availability", "Sent when this reply is done")
        if self._dialogue.replies.running:
            return translate("Availability", "Sent when another chat's reply is done")
        return (
            ""
            if isinstance(self._loader.state, ReadyModel)
            else translate("Availability", "Sent when the model is ready")
        )

    def why_not(self) -> str:
        """Why no prompt is taken now; empty if one is, to be sent when its turn comes."""
        engine = self._engine.state
        if engine is EngineState.DEAD:
            return translate("Availability", "The engine has stopped")
        if engine is EngineState.CLOSED:
            return translate("Availability", "The engine is starting")
        if not self._engine.answers:
            return translate("Availability", "The engine does not answer")
        if self._page.editing is not None and self._dialogue.replies.running:
            return translate(
                "Availability", "A reply is running: the prompt can be changed when it is done"
            )
        if self._dialogue.waits:
            return translate(
                "Availability", "Waits until the database of your chats is free; Esc stops waiting"
            )
        listed = engine is EngineState.READY and not self._loader.lists
        if listed and isinstance(self._loader.state, FailedModel | NoModel):
            return translate("Availability", "Choose a model first (Ctrl+M)")
        return ""
