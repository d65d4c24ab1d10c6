"""A window, an engine that follows a script, and a store of a test's own."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QLocale, SignalInstance
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app import language, motion
from app.chat import accessible, virtual_column
from app.engine import Engine, EngineState
from app.engine_client import EngineClient
from app.models.loader import ReadyModel
from app.store.database import open_in_memory
from app.store.store import Store, open_store
from app.theming import Look, theme
from app.window import MainWindow
from engine import protocol
from resources.theme import LIGHT

STAND_IN = Path(__file__).parent / "stand_in.py"
TIMEOUT_MS = 15000
"""How long a test waits for a signal: ample, as nothing here measures time."""

FREEZES = pytest.mark.skipif(sys.platform == "win32", reason="no process is frozen there")

POPUP = pytest.mark.qt_log_ignore(r"This plugin does not support (raise\(\)|grabbing)")
"""For tests that open a window above another: the offscreen platform says what it lacks."""

MakeEngine = Callable[..., EngineClient]
MakeWindow = Callable[..., MainWindow]


@pytest.fixture(scope="session")
def qapp_cls() -> type[QApplication]:
    return QApplication


@pytest.fixture(scope="session")
def look(qapp: QApplication) -> Look:
    """The one look of the run. A second one would set style sheets against the first."""
    qapp.setQuitOnLastWindowClosed(False)
    language.choose("en")
    accessible.install()
    made = Look(qapp)
    made.show(LIGHT)
    return made


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine changes nothing of what a test sees: blocks are real at once."""
    monkeypatch.setattr(virtual_column, "PATIENCE_S", 60.0)


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """What opens is at once where it stays."""
    monkeypatch.setattr(motion, "is_wanted", lambda: False)


@pytest.fixture(autouse=True)
def light(look: Look) -> Iterator[None]:
    """Every test begins in the light theme and in English, whatever the system's."""
    yield
    if theme() is not LIGHT:
        look.show(LIGHT)
    if look.percent != 100:
        look.scale(100)
    if QLocale().language() is not QLocale.Language.English:
        language.choose("en")


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store(open_in_memory())
    yield made
    made.close()


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[Store]:
    made, problem = open_store(tmp_path / "data")
    assert not problem
    yield made
    made.close()


@pytest.fixture
def make_engine(qtbot: QtBot) -> Iterator[MakeEngine]:
    """Makes clients of the stand-in: `make_engine("dies", "--word-ms", "5")`. All end with it."""
    made: list[EngineClient] = []

    def make(script: str = "", *options: str, command: list[str] | None = None) -> EngineClient:
        client = EngineClient(command or [sys.executable, "-P", str(STAND_IN), script, *options])
        made.append(client)
        return client

    yield make
    for client in made:
        end(qtbot, client)


def end(qtbot: QtBot, client: Engine) -> None:
    """Ends the engine and waits until its process is gone."""
    with qtbot.waitSignal(client.closed, timeout=TIMEOUT_MS):
        client.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients for which an engine hangs after half a second of silence in a reply."""
    monkeypatch.setattr("app.engine_client.TICK_MS", 20)
    silence = {protocol.Hello: 10_000, protocol.Text: 25}
    monkeypatch.setattr("app.engine_client.LONGEST_SILENCE", silence)


def process_of(engine: Engine) -> int:
    """The id of the process of an engine that is one."""
    assert isinstance(engine, EngineClient)
    return engine.process_id


def freeze(qtbot: QtBot, client: Engine) -> None:
    """The engine does nothing any more, in the middle of a reply, and the client notices."""
    with qtbot.waitSignal(client.answers_changed, timeout=TIMEOUT_MS):
        os.kill(process_of(client), signal.SIGSTOP)
    assert not client.answers


@pytest.fixture
def make_window(
    qtbot: QtBot, make_engine: MakeEngine, store: Store, look: Look
) -> Iterator[MakeWindow]:
    """Makes a shown window on a scripted engine that is not yet started."""
    made: list[MainWindow] = []

    def make(script: str = "", *options: str, **given: object) -> MainWindow:
        own = given.get("store", store)
        assert isinstance(own, Store)
        window = MainWindow(own, make_engine(script, *options), str(given.get("problem", "")))
        made.append(window)
        window.show()
        qtbot.waitExposed(window)
        return window

    yield make
    for window in made:
        end(qtbot, window.engine)
        window.hide()
        window.deleteLater()


@pytest.fixture
def ready(qtbot: QtBot, make_window: MakeWindow) -> MakeWindow:
    """Makes a window whose model is loaded."""

    def make(script: str = "", *options: str, **given: object) -> MainWindow:
        window = make_window(script, *options, **given)
        with qtbot.waitSignal(
            window.loader.state_changed,
            timeout=TIMEOUT_MS,
            check_params_cb=lambda state: isinstance(state, ReadyModel),
        ):
            window.start_engine()
        assert window.engine.state is EngineState.READY
        return window

    return make


def wait_for(qtbot: QtBot, signal: SignalInstance, kind: type[protocol.Event]) -> protocol.Event:
    """Waits until the signal brings an event of this kind."""
    with qtbot.waitSignal(
        signal, timeout=TIMEOUT_MS, check_params_cb=lambda event: isinstance(event, kind)
    ) as received:
        pass
    assert received.args
    event = received.args[0]
    assert isinstance(event, kind)
    return event


def stop_of(request: str) -> protocol.Stop:
    return protocol.Stop(request=request)
