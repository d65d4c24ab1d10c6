from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget
from pytestqt.qtbot import QtBot
from shiboken6 import isValid

from app.command.palette import Entry, Palette, marked, matching
from app.theming import Look


def entry(section: str, text: str, did: list[str] | None = None) -> Entry:
    return Entry(section, text, lambda: did.append(text) if did is not None else None)


def names(palette: Palette) -> list[str]:
    return [palette.list.item(row).text() for row in range(palette.list.count())]


def opened(qtbot: QtBot, entries: list[Entry]) -> tuple[QWidget, QLineEdit, Palette]:
    window = QWidget()
    field = QLineEdit(window)
    qtbot.addWidget(window)
    window.resize(1000, 700)
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    field.setFocus()
    return window, field, Palette(window, entries)


def test_all_words_are_looked_for_and_beginnings_come_first() -> None:
    entries = [entry("Do", "Choose a model"), entry("Do", "Model list"), entry("Chats", "Models")]
    assert [e.text for e in matching(entries, "MODEL")] == [
        "Model list",
        "Choose a model",
        "Models",
    ]
    assert [e.text for e in matching(entries, "a model")] == ["Choose a model"]
    assert matching(entries, "nothing") == []


def test_of_a_long_section_behind_the_first_few_are_shown() -> None:
    entries = [entry("Do", "x"), *(entry("Chats", f"Chat {n}") for n in range(100))]
    assert len(matching(entries, "")) == 7


def test_what_was_typed_is_marked_in_the_name() -> None:
    assert marked("Switch model…", "MODEL") == [("Switch ", False), ("model", True), ("…", False)]
    assert marked("anan", "an ana") == [("ana", True), ("n", False)]
    assert marked("Straße İ", "stra") == [("Straße İ", False)]


def test_enter_does_what_is_chosen_and_gives_the_focus_back(qtbot: QtBot, look: Look) -> None:
    did: list[str] = []
    _window, field, palette = opened(qtbot, [entry("Do", "First", did), entry("Do", "Second", did)])
    assert palette.field.hasFocus()
    QTest.keyClick(palette.field, Qt.Key.Key_Down)
    QTest.keyClick(palette.field, Qt.Key.Key_Return)
    assert did == ["Second"]
    assert field.hasFocus()
    QApplication.sendPostedEvents(palette, QEvent.Type.DeferredDelete)
    assert not isValid(palette)


def test_the_arrows_go_round_and_pass_over_headings(qtbot: QtBot, look: Look) -> None:
    _window, _field, palette = opened(qtbot, [entry("Do", "First"), entry("Chats", "Second")])
    assert names(palette) == ["Do", "First", "Chats", "Second"]
    chosen = []
    for _ in range(3):
        chosen.append(palette.list.currentItem().text())
        QTest.keyClick(palette.field, Qt.Key.Key_Down)
    assert chosen == ["First", "Second", "First"]
    QTest.keyClick(palette.field, Qt.Key.Key_Up)
    assert palette.list.currentItem().text() == "First"


def test_typing_narrows_the_list_down(qtbot: QtBot, look: Look) -> None:
    _window, _field, palette = opened(qtbot, [entry("Do", "First"), entry("Do", "Second")])
    QTest.keyClicks(palette.field, "sec")
    assert names(palette) == ["Do", "Second"]
    QTest.keyClicks(palette.field, "x")
    assert names(palette) == ["Nothing has this name"]
    QTest.keyClick(palette.field, Qt.Key.Key_Return)
    assert palette.isVisible()


def test_esc_closes_it(qtbot: QtBot, look: Look) -> None:
    _window, field, palette = opened(qtbot, [entry("Do", "First")])
    QTest.keyClick(palette.field, Qt.Key.Key_Escape)
    assert field.hasFocus()


def test_a_click_beside_it_closes_it(qtbot: QtBot, look: Look) -> None:
    _window, field, palette = opened(qtbot, [entry("Do", "First")])
    QTest.mouseClick(palette, Qt.MouseButton.LeftButton, pos=QPoint(5, 5))
    assert field.hasFocus()


def test_it_fits_any_window(qtbot: QtBot, look: Look) -> None:
    window, _, palette = opened(qtbot, [entry("Do", f"Entry {n}") for n in range(50)])
    for width, height in ((1366, 768), (480, 400), (800, 600)):
        window.resize(width, height)
        QApplication.processEvents()
        assert palette.rect().contains(palette.card.geometry())
    palette.grab()
