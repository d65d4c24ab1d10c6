"""What the engine and its model give reason to say."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject

from app.engine import Death, Engine, EngineState
from app.engine_sentences import shown_sentence
from app.models.loader import FailedModel, ModelLoader, ModelState, ReadyModel
from app.notices import Level, Notice, Notices
from app.words import joined, translate
from engine import protocol

ENGINE = "engine"
MODEL = "model"


class EngineNotices(QObject):
    def __init__(
        self,
        engine: Engine,
        loader: ModelLoader,
        notices: Notices,
        choose_model: Callable[[], None],
        picker_is_open: Callable[[], bool],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._engine = engine
        self._notices = notices
        self._choose_model = choose_model
        self._picker_is_open = picker_is_open
        engine.state_changed.connect(self._on_engine_state)
        engine.answers_changed.connect(self._on_answers)
        engine.died.connect(self._on_death)
        loader.state_changed.connect(self._on_model_state)
        loader.trouble.connect(self._on_trouble)

    def _on_engine_state(self, state: EngineState) -> None:
        if state is EngineState.STARTING:  # what was said before was about another one
            self._notices.withdraw(ENGINE)
            self._notices.withdraw(MODEL)

    def _on_death(self, death: Death) -> None:
        last = death.last_lines[-1] if death.last_lines else ""
        self._notices.say(
            Notice(
                ENGINE,
                death.title,
                joined(" ", (death.detail, last)),
                translate("EngineNotices", "Your chats are kept."),
                Level.QUESTION,
                translate("EngineNotices", "Start the engine again"),
                self._engine.start,
                stays=True,
            )
        )

    def _on_answers(self, answers: bool) -> None:
        if answers:
            self._notices.withdraw(ENGINE)
            return
        self._notices.say(
            Notice(
                ENGINE,
                translate("EngineNotices", "The engine does not answer"),
                translate(
                    "EngineNotices",
                    "It has sent nothing for a while: it hangs, or the computer is very busy.",
                ),
                translate(
                    "EngineNotices",
                    "Wait, or start it again: your chats and the reply so far are kept.",
                ),
                Level.QUESTION,
                translate("EngineNotices", "Start the engine again"),
                self._engine.replace,
                stays=True,
            )
        )

    def _on_model_state(self, state: ModelState) -> None:
        if isinstance(state, FailedModel):
            self._say(state.error, translate("EngineNotices", "Choose a model"), self._choose_model)
        if isinstance(state, ReadyModel):
            self._notices.withdraw(MODEL)
            if state.loaded.notes:
                notes = "\n".join(state.loaded.notes)
                self._notices.say(
                    Notice(
                        MODEL,
                        translate("EngineNotices", "About this model"),
                        notes,
                        level=Level.NOTE,
                    )
                )

    def _on_trouble(self, error: protocol.Error) -> None:
        """Not while the picker is open, which says it."""
        if not self._picker_is_open():
            self._say(error)

    def _say(
        self, error: protocol.Error, button: str = "", action: Callable[[], None] | None = None
    ) -> None:
        self._notices.say(
            Notice(
                MODEL,
                shown_sentence(error.title),
                error.detail,
                shown_sentence(error.hint),
                Level.PROBLEM,
                button,
                action,
            )
        )
