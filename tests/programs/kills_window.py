"""The process that `kills.py` kills: the real window, which reports what happens and is told what
to do, in lines. A report is [kind, value, seconds since the epoch] in JSON.
"""

from __future__ import annotations

import json
import sys
import time

from PySide6.QtCore import QSocketNotifier, QTimer

from app.models.loader import FailedModel, LoadingModel, ModelState, ReadyModel
from app.program import application, open_window
from app.settings.values import Settings
from app.window import MainWindow
from engine import protocol


def say(kind: str, value: object = None) -> None:
    print(json.dumps([kind, value, time.time()]), flush=True)


class Reports:
    """Says what happens in the window."""

    def __init__(self, window: MainWindow) -> None:
        self._shown = 0
        window.engine.event_received.connect(self._on_event)
        window.engine.died.connect(lambda _: say("died"))
        window.loader.state_changed.connect(self._on_model)
        window.dialogue.text_added.connect(self._on_text)

    def _on_event(self, event: protocol.Event) -> None:
        match event:
            case protocol.Hello():
                say("engine", event.pid)
            case protocol.Prefill():
                self._shown = 0
                say("prefill")

    def _on_model(self, state: ModelState) -> None:
        match state:
            case LoadingModel():
                say(state.stage)
            case ReadyModel():
                say("ready")
            case FailedModel():
                say("failed", state.error.detail)

    def _on_text(self, _: int, text: str) -> None:
        self._shown += len(text)
        say("text", self._shown)


class Orders:
    """Does what the lines of stdin say: `send PROMPT`, `start the engine`, `close`."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._lines = QSocketNotifier(sys.stdin.fileno(), QSocketNotifier.Type.Read)
        self._lines.activated.connect(self._read)

    def _read(self) -> None:
        verb, _, rest = sys.stdin.readline().rstrip("\n").partition(" ")
        match verb:
            case "send":
                self._window.new_chat()
                QTimer.singleShot(0, lambda: self._window.send(json.loads(rest)))
            case "start":
                self._window.page.banner.button.click()
            case _:
                self._lines.setEnabled(False)
                self._window.close()


def main() -> int:
    running = application()
    say("begin")
    window = open_window(running)
    say("opened", window.page.storage_banner.isVisible())
    window.closed.connect(running.quit)
    settings = Settings(seed=1, temperature=0.0)
    window.dialogue.seen.settings_of = lambda _: settings
    both = Reports(window), Orders(window)
    code = running.exec()
    del both
    return code


if __name__ == "__main__":
    sys.exit(main())
