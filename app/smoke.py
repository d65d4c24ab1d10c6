"""`hearth --smoke`: the real window, one prompt, one whole answer, one picture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QApplication

from app.engine import Death
from app.models.loader import FailedModel, ModelState, NoModel, ReadyModel
from app.program import application, open_window
from app.settings.values import Settings
from app.store.records import StoredMessage
from app.window import SIZE, MainWindow
from engine import protocol

SETTINGS: Final = Settings(seed=0, max_new_tokens=256)
"""The same answer each time, and an end to it: a small model may talk until its context is full."""


class Smoke(QObject):
    """Sends the prompt when the model is loaded, and leaves when the answer is whole."""

    def __init__(self, window: MainWindow, prompt: str, screenshot: Path | None) -> None:
        super().__init__(window)
        self._window = window
        self._prompt = prompt
        self._screenshot = screenshot
        self._sent = False
        self.code: int | None = None
        window.dialogue.seen.settings_of = lambda _: SETTINGS
        window.resize(SIZE)  # whatever the last window was: pictures are compared
        window.loader.state_changed.connect(self._on_model)
        window.loader.models_changed.connect(self._on_models)
        window.dialogue.finished.connect(self._on_finished)
        window.engine.died.connect(self._on_death)

    def give_up(self) -> None:
        state = "the reply was not finished" if self._sent else "no model was loaded"
        self._leave(f"time is up: {state}")

    def _on_models(self, models: tuple[protocol.ModelInfo, ...]) -> None:  # noqa: ARG002
        QTimer.singleShot(0, self, self._check_model)

    def _check_model(self) -> None:
        if isinstance(self._window.loader.state, NoModel) and not self._sent:
            self._leave("there is no model to load")

    def _on_model(self, state: ModelState) -> None:
        if isinstance(state, FailedModel):
            self._leave(f"{state.error.title}: {state.error.detail} {state.error.hint}")
        elif isinstance(state, ReadyModel) and not self._sent:
            self._sent = True
            self._window.send(self._prompt)
            if not self._window.dialogue.answering:
                self._leave("the prompt was not taken: is it empty?")

    def _on_finished(self, reply: StoredMessage) -> None:
        if reply.trouble.title:
            self._leave(f"{reply.trouble.title}: {reply.trouble.detail} {reply.trouble.hint}")
        elif not reply.content.strip():
            self._leave("the reply is empty")
        else:
            QTimer.singleShot(100, self, self._take_picture)  # one frame for the last words

    def _take_picture(self) -> None:
        if self._screenshot and not self._window.grab().save(str(self._screenshot)):
            self._leave(f"the picture could not be saved to {self._screenshot}")
        else:
            self._leave("")

    def _on_death(self, death: Death) -> None:
        self._leave("\n".join((f"{death.title}: {death.detail}", *death.last_lines)))

    def _leave(self, problem: str) -> None:
        if self.code is not None:
            return
        self.code = 1 if problem else 0
        if problem:
            sys.stderr.write(f"hearth: {problem}\n")
        self._window.close()


def run_smoke(prompt: str, screenshot: Path | None, timeout_s: float) -> int:
    running: QApplication = application()
    window = open_window(running)
    smoke = Smoke(window, prompt, screenshot)
    window.closed.connect(running.quit)
    QTimer.singleShot(round(timeout_s * 1000), smoke, smoke.give_up)
    running.exec()
    return 1 if smoke.code is None else smoke.code
