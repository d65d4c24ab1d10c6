"""The whole road: the real window, the real engine process, SmolLM2."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.chat.reply_rows import Footer
from app.engine_client import EngineClient
from app.engine_command import ROOT
from app.models.loader import FailedModel, ReadyModel
from app.settings.values import Settings, read_object
from app.store.records import StoredMessage
from app.store.store import open_store
from app.theming import Look
from app.widgets.icon_button import IconButton
from app.window import MainWindow
from engine import protocol
from tests.app.conftest import end

LOAD_MS = 120_000
"""For the first start of all: torch's import and the conversion on a busy machine."""

SETTINGS = Settings(temperature=0.0, max_new_tokens=24)

LONG = "Write a long story about a lighthouse keeper and the sea."


class Session:
    """One start of Hearth on a folder."""

    def __init__(self, qtbot: QtBot, folder: Path) -> None:
        self.qtbot = qtbot
        self.store, problem = open_store(folder)
        assert not problem
        self.window = MainWindow(self.store, EngineClient())
        self.window.dialogue.seen.settings_of = lambda _: SETTINGS
        self.window.painted.connect(self.window.start_engine)
        self.window.show()
        qtbot.waitUntil(self._settled, timeout=LOAD_MS)
        assert isinstance(self.window.loader.state, ReadyModel), self.window.loader.state

    def _settled(self) -> bool:
        return isinstance(self.window.loader.state, ReadyModel | FailedModel)

    def write(self, prompt: str) -> None:
        QTest.keyClicks(self.window.page.composer.field, prompt)
        QTest.keyClick(self.window.page.composer.field, Qt.Key.Key_Return)

    def ask(self, prompt: str) -> StoredMessage:
        with self.qtbot.waitSignal(self.window.dialogue.finished, timeout=LOAD_MS):
            self.write(prompt)
        return self.messages()[-1]

    def press(self, name: str) -> StoredMessage:
        footers = self.window.page.transcript.viewport().findChildren(Footer)
        footer = max((f for f in footers if f.isVisible()), key=Footer.y)
        button = next(b for b in footer.findChildren(IconButton) if b.accessibleName() == name)
        with self.qtbot.waitSignal(self.window.dialogue.finished, timeout=LOAD_MS):
            QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        return self.messages()[-1]

    def messages(self) -> list[StoredMessage]:
        assert self.window.dialogue.conversation is not None
        return self.store.tree(self.window.dialogue.conversation).path

    def shown(self) -> str:
        return self.window.page.transcript.text()

    def close(self) -> None:
        end(self.qtbot, self.window.engine)
        self.window.close()
        self.window.deleteLater()
        self.store.close()


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that wait for each other crawl when other tests run beside them."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def sessions(qtbot: QtBot, tmp_path: Path, look: Look) -> Iterator[list[Session]]:
    made: list[Session] = []
    yield made
    for session in made:
        session.close()


def test_a_day_with_hearth(qtbot: QtBot, tmp_path: Path, sessions: list[Session]) -> None:
    session = Session(qtbot, tmp_path)
    sessions.append(session)
    window = session.window

    # A reply streams, and is stopped midway.
    with qtbot.waitSignals([window.dialogue.text_added] * 3, timeout=LOAD_MS):
        session.write(LONG)
    stopped = session.press("Stop the reply")
    assert stopped.finish_reason == "stopped"
    assert stopped.content
    assert session.shown() == f"{LONG}\n\n{stopped.content}"

    # The context is kept: what was said is not read again.
    named = session.ask("My name is Ada. Say hello to me by my name.")
    assert named.content
    assert named.figures.reused_tokens > 0
    assert named.figures.prompt_tokens > named.figures.reused_tokens
    drawn = read_object(named.figures.settings)  # what was set, and what the engine added
    assert (drawn["temperature"], drawn["max_new_tokens"]) == (0.0, 24)
    assert drawn["repetition_penalty"] > 0

    # The same prompt answered again, in place of the first answer.
    count = len(session.messages())
    again = session.press("Write the reply again")
    assert len(session.messages()) == count
    assert again.content
    assert again.figures.reused_tokens > 0

    # What the status line says was observed, on whatever device this is.
    qtbot.waitUntil(lambda: window.status._attention is not None, timeout=LOAD_MS)
    attention = window.status._attention
    assert isinstance(attention, protocol.Attention)
    active = attention.prefill.flash and attention.decode.flash
    assert (window.status.badge.text() == "Flash attention active") is active
    assert "GB" in window.status.memory.text()
    assert window.status.rate.text()

    # Another chat, and the old one after a restart.
    old, before = window.dialogue.conversation, session.shown()
    assert old is not None
    window.new_chat()
    assert "Paris" in session.ask("What is the capital of France?").content
    sessions.remove(session)
    session.close()

    session = Session(qtbot, tmp_path)
    sessions.append(session)
    assert len(session.window.sidebar._titles) == 2
    session.window.sidebar.opened.emit(old)
    assert session.shown() == before
    further = session.ask("And goodbye?")
    assert further.content
    assert further.figures.prompt_tokens > again.figures.prompt_tokens


def test_smoke_saves_a_picture_and_logs_no_prompt(tmp_path: Path) -> None:
    picture, home = tmp_path / "window.png", tmp_path / "home"
    prompt = "What is the capital of France?"
    left = subprocess.run(
        [sys.executable, "-P", "-m", "app", "--smoke", prompt, "--screenshot", str(picture)],
        env={
            **{k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")},
            "PYTHONPATH": str(ROOT),
            "HEARTH_HOME": str(home),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert left.returncode == 0, left.stderr
    assert left.stderr == ""
    image = QImage(str(picture))
    scale = float(os.environ.get("QT_SCALE_FACTOR", "1"))
    assert (image.width() / scale, image.height() / scale) == (1180, 760)
    logs = [path.read_text() for path in home.rglob("*.log*")]
    assert logs
    assert not any("capital" in log for log in logs)


def test_smoke_with_an_empty_prompt_fails_with_a_sentence(tmp_path: Path) -> None:
    left = subprocess.run(
        [sys.executable, "-P", "-m", "app", "--smoke", " ", "--timeout", "120"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert left.returncode == 1
    assert left.stderr == "hearth: the prompt was not taken: is it empty?\n"
