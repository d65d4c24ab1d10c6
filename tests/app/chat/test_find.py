from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest

from app import theming
from app.chat.find_bar import FindBar
from app.chat.text_block import TextBlock
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


def marked(window: MainWindow) -> list[tuple[str, bool]]:
    """What is marked on screen, and whether it is the present one."""
    found = []
    for widget in window.page.transcript.widgets().values():
        if isinstance(widget, TextBlock):
            found += [(widget.text()[a:b], now) for a, b, now in widget._found]
    return found


def test_all_places_are_marked_and_have_a_tick_beside_the_scroll_bar(window: MainWindow) -> None:
    found = bar(window)
    found.field.setText("lighthouse")
    assert len(marked(window)) > 1
    assert {words for words, _ in marked(window)} == {"Lighthouse"}
    assert [now for _, now in marked(window)].count(True) == 1
    ticks = window.page.transcript.found._ticks
    assert ticks.isVisible()
    assert len(ticks.shares) == 30
    shares = [share for share, _ in ticks.shares]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < 1
    assert [now for _, now in ticks.shares].index(True) == 29
    QTest.keyClick(found.field, Qt.Key.Key_Return)
    assert [now for _, now in ticks.shares].index(True) == 0
    found.leave()
    assert marked(window) == []
    assert not ticks.isVisible()


def test_marks_are_drawn_in_text_code_and_tables(make_window: MakeWindow, store: Store) -> None:
    chat = store.add_conversation("Kinds")
    store.add_prompt(chat, "needle")
    reply = store.add_reply(chat, "smollm2")
    said = "A needle.\n\n```py\nneedle = 1\n```\n\n| a |\n|---|\n| needle |\n"
    store.finish_reply(reply, said, "stop", Figures(), NO_TROUBLE)
    window = make_window()
    window._open(chat)
    bar(window).field.setText("needle")
    hit = QColor(theming.theme().hit).rgb()
    kinds = set()
    for widget in window.page.transcript.widgets().values():
        image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
        colours = {image.pixel(x, y) for x in range(image.width()) for y in range(image.height())}
        if hit in colours:
            kinds.add((type(widget).__name__, widget.block.kind))
    assert kinds == {("TextBlock", "prompt"), ("TextBlock", "reply"), ("CodeBlock", "reply")}
