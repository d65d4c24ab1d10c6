from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.chat.find_bar import FindBar
from app.store.records import NO_TROUBLE, Figures
from app.store.store import Store
from app.window import MainWindow
from tests.app.conftest import MakeWindow


@pytest.fixture
def window(make_window: MakeWindow, store: Store) -> MakeWindow:
    chat = store.add_conversation("Long")
    for number in range(30):
        store.add_prompt(chat, f"Question {number}? " + "word " * 100)
        reply = store.add_reply(chat, "smollm2")
        said = f"The **Lighthouse** number {number}.\n\n" + "line\n\n" * 5
        store.finish_reply(reply, said, "stop", Figures(), NO_TROUBLE)
    made = make_window()
    made._open(chat)
    return made  # type: ignore[return-value]


def bar(window: MainWindow) -> FindBar:
    window.actions_table["find"].trigger()
    return window.page.find_bar


def selected(window: MainWindow) -> str:
    return window.page.transcript.selected_text()


def test_each_place_is_shown_and_counted_from_the_end(window: MainWindow) -> None:
    found = bar(window)
    QTest.keyClicks(found.field, "lightHOUSE number")
    assert found.count.text() == "Not found"  # the source has stars between
    found.field.setText("lightHOUSE")
    assert found.count.text() == "30 of 30"
    assert selected(window) == "Lighthouse"
    QTest.keyClick(found.field, Qt.Key.Key_Return)
    assert found.count.text() == "1 of 30"
    QTest.keyClick(found.field, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    QTest.mouseClick(found.up, Qt.MouseButton.LeftButton)
    assert found.count.text() == "29 of 30"
    transcript = window.page.transcript
    span = transcript._selection.span()
    assert span is not None
    shown = [
        widget.geometry()
        for block, widget in transcript.widgets().items()
        if block.part and block.part.place(block.start) <= span[0] < block.part.place(block.stop)
    ]
    assert any(transcript.viewport().rect().intersects(place) for place in shown)


def test_esc_leaves_to_the_composer(window: MainWindow) -> None:
    found = bar(window)
    assert found.isVisible()
    QTest.keyClick(found.field, Qt.Key.Key_Escape)
    assert not found.isVisible()


def test_it_stays_at_the_upper_right(window: MainWindow) -> None:
    found = bar(window)
    for width in (1300, 800):
        window.resize(width, 600)
        assert found.geometry().right() == window.page.width() - 17
