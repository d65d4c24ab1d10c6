from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.notices import Level, Notice, Notices
from app.theming import Look
from app.widgets.banner import Banner, Toast

ALL = frozenset({"a", "b", "c"})


def titles(notices: Notices) -> list[str]:
    return [notice.title for notice in notices.waiting]


def test_the_most_urgent_comes_first_and_nothing_is_lost(qapp: object) -> None:
    notices = Notices()
    notices.say(Notice("a", "Note", level=Level.NOTE))
    notices.say(Notice("b", "Problem"))
    notices.say(Notice("c", "Question", level=Level.QUESTION))
    assert titles(notices) == ["Question", "Problem", "Note"]


def test_only_one_about_the_same_takes_its_place(qapp: object) -> None:
    notices = Notices()
    notices.say(Notice("a", "First"))
    notices.say(Notice("b", "Other"))
    notices.say(Notice("a", "Second"))
    assert titles(notices) == ["Second", "Other"]
    notices.withdraw("a")
    notices.withdraw("unknown")
    assert titles(notices) == ["Other"]


def test_one_that_lasts_goes_by_itself_unless_another_took_its_place(qtbot: QtBot) -> None:
    notices = Notices()
    notices.say(Notice("a", "Short", lasts_ms=20))
    notices.say(Notice("b", "Short", lasts_ms=20))
    notices.say(Notice("b", "Stays"))
    qtbot.waitUntil(lambda: titles(notices) == ["Stays"])
    qtbot.wait(50)
    assert titles(notices) == ["Stays"]


def test_a_banner_shows_the_first_and_how_many_wait(qtbot: QtBot, look: Look) -> None:
    notices = Notices()
    banner = Banner(notices, ALL)
    qtbot.addWidget(banner)
    did: list[str] = []
    notices.say(Notice("a", "First", "Detail", "Hint", button="Do", action=lambda: did.append("a")))
    notices.say(Notice("b", "Second"))
    notices.say(Notice("elsewhere", "Not here"))
    assert (banner.title.text(), banner.more.text()) == ("First", "1 more")
    assert banner.detail.text() == "Detail\nHint"
    left = QSignalSpy(notices.left)
    QTest.mouseClick(banner.button, Qt.MouseButton.LeftButton)
    assert did == ["a"]
    assert left.at(0)[0].title == "First"
    assert banner.title.text() == "Second"
    QTest.mouseClick(banner.dismiss, Qt.MouseButton.LeftButton)
    assert not banner.isVisible()
    assert titles(notices) == ["Not here"]


def test_undoing_one_thing_leaves_the_undo_of_the_one_before(qtbot: QtBot, look: Look) -> None:
    notices = Notices()
    page = QWidget()
    qtbot.addWidget(page)
    layout = QVBoxLayout(page)
    below = QWidget()
    layout.addWidget(below)
    page.resize(600, 300)
    page.show()
    toast = Toast(notices, page, below)
    undone: list[str] = []
    for name in ("a", "b"):
        undo = {"button": "Undo", "action": lambda name=name: undone.append(name)}
        notices.say(Notice(name, f"Deleted {name}", level=Level.DONE, **undo))  # type: ignore[arg-type]
    for name in ("b", "a"):
        assert toast._words.text() == f"Deleted {name}"
        QTest.mouseClick(toast.button, Qt.MouseButton.LeftButton)
    assert undone == ["b", "a"]
    assert not toast.isVisible()
