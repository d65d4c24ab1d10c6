"""What the row and the menu of a reply offer: going on, and another model."""

from __future__ import annotations

from PySide6.QtWidgets import QApplication, QMenu
from pytestqt.qtbot import QtBot

from app.chat.reply_rows import Footer
from app.window import MainWindow
from tests.app.conftest import POPUP, TIMEOUT_MS, MakeWindow
from tests.app.stand_in import IMPORTED, MODEL


def footers(window: MainWindow) -> list[Footer]:
    widgets = window.page.transcript.widgets().values()
    return sorted((w for w in widgets if isinstance(w, Footer)), key=lambda w: w.y())


def ask(window: MainWindow, qtbot: QtBot, prompt: str) -> None:
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        window.send(prompt)


def stop_in_the_middle(window: MainWindow, qtbot: QtBot) -> None:
    with qtbot.waitSignal(window.dialogue.text_added, timeout=TIMEOUT_MS):
        window.send("Why?")
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        window.dialogue.stop()


def test_the_button_of_a_stopped_reply_has_it_go_on(ready: MakeWindow, qtbot: QtBot) -> None:
    window = ready("", "--word-ms", "20", "--text", "one two three four five " * 4)
    stop_in_the_middle(window, qtbot)
    (row,) = footers(window)
    before = window.page.transcript.text()
    assert row._continue.isVisible()
    assert window.actions_table["continue"].isEnabled()
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        row._continue.click()
    assert window.page.transcript.text().startswith(before)
    assert len(window.page.transcript.text()) > len(before)
    assert not footers(window)[0]._continue.isVisible()


def test_a_reply_that_something_follows_offers_not_to_go_on(
    ready: MakeWindow, qtbot: QtBot
) -> None:
    window = ready("", "--word-ms", "20", "--text", "one two three four five " * 4)
    stop_in_the_middle(window, qtbot)
    ask(window, qtbot, "And?")
    assert [row._continue.isVisible() for row in footers(window)] == [False, False]


@POPUP
def test_a_reply_is_written_again_by_another_model_which_is_loaded_first(
    ready: MakeWindow, qtbot: QtBot
) -> None:
    window = ready()
    ask(window, qtbot, "Why?")
    message = window.dialogue.path[-1].id
    window.page.transcript.menu.open(message, window.pos())
    menu = window.page.transcript.findChild(QMenu)
    assert menu is not None
    others = next(a.menu() for a in menu.actions() if a.text() == "Write again with")
    names = {action.text(): action for action in others.actions()}  # type: ignore[attr-defined]
    assert set(names) == {MODEL.name, IMPORTED.name}
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        names[IMPORTED.name].trigger()
    menu.close()
    assert window.loader.model == IMPORTED.id
    again = window.dialogue.path[-1]
    assert again.model == IMPORTED.id
    assert list(window.dialogue.versions.values()) == [(2, 2)]
    QApplication.processEvents()
    assert "gemma-3-4b-it" in footers(window)[0]._speed.text()
