from __future__ import annotations

import time

import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QGuiApplication, QInputMethodEvent, QPaintEvent, QRegion
from PySide6.QtTest import QSignalSpy, QTest
from pytestqt.qtbot import QtBot

from app.chat.composer import MOST_LINES, PASTED, Composer
from app.theming import Look


class Painted(QObject):
    """What is painted of a widget anew."""

    def __init__(self, watched: QObject) -> None:
        super().__init__()
        self.region = QRegion()
        watched.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QPaintEvent):
            self.region += event.region()
        return False


NO = Qt.KeyboardModifier.NoModifier
LINE = 14
"""Px of a line at least, in every font."""


@pytest.fixture
def composer(qtbot: QtBot, look: Look) -> Composer:
    made = Composer()
    qtbot.addWidget(made)
    made.resize(600, 120)
    made.show()
    qtbot.waitExposed(made)
    made.setFocus()
    qtbot.waitUntil(made.field.hasFocus)
    return made


def typed(composer: Composer, text: str) -> None:
    QTest.keyClicks(composer.field, text)


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_enter_sends(composer: Composer, key: Qt.Key) -> None:
    sent = QSignalSpy(composer.sent)
    typed(composer, "Why?")
    keypad = Qt.KeyboardModifier.KeypadModifier if key == Qt.Key.Key_Enter else NO
    QTest.keyClick(composer.field, key, keypad)
    assert [sent.at(i)[0] for i in range(sent.count())] == ["Why?"]
    assert composer.field.toPlainText() == "Why?"  # its owner clears it when it is saved


def test_shift_enter_begins_a_line(composer: Composer) -> None:
    sent = QSignalSpy(composer.sent)
    typed(composer, "One")
    QTest.keyClick(composer.field, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    typed(composer, "Two")
    assert sent.count() == 0
    assert composer.field.toPlainText() == "One\nTwo"
    QTest.keyClick(composer.field, Qt.Key.Key_Return)
    assert sent.at(0)[0] == "One\nTwo"


def test_the_button_sends_too(composer: Composer) -> None:
    sent = QSignalSpy(composer.sent)
    typed(composer, "Why?")
    QTest.mouseClick(composer._button, Qt.MouseButton.LeftButton)
    assert sent.at(0)[0] == "Why?"


def test_an_input_method_composes_without_sending(composer: Composer) -> None:
    sent = QSignalSpy(composer.sent)
    QGuiApplication.sendEvent(composer.field, QInputMethodEvent("ひか", []))
    assert not composer._button.isEnabled()
    commit = QInputMethodEvent()
    commit.setCommitString("火")
    QGuiApplication.sendEvent(composer.field, commit)
    assert composer.field.toPlainText() == "火"
    assert sent.count() == 0
    assert composer._button.isEnabled()
    QTest.keyClick(composer.field, Qt.Key.Key_Return)
    assert sent.at(0)[0] == "火"


@pytest.mark.parametrize("text", ["", "   ", "\n\n"])
def test_an_empty_prompt_is_not_sent(composer: Composer, text: str) -> None:
    sent = QSignalSpy(composer.sent)
    composer.set_text(text)
    QTest.keyClick(composer.field, Qt.Key.Key_Return)
    QTest.mouseClick(composer._button, Qt.MouseButton.LeftButton)
    assert sent.count() == 0
    assert not composer._button.isEnabled()


def test_the_reason_is_shown_and_what_is_written_stays(composer: Composer) -> None:
    sent = QSignalSpy(composer.sent)
    composer.set_reason("The model is loading")
    typed(composer, "Why?")
    QTest.keyClick(composer.field, Qt.Key.Key_Return)
    assert sent.count() == 0
    assert composer._hint.text() == "The model is loading"
    assert not composer._button.isEnabled()
    composer.set_reason("")
    assert "Enter sends" in composer._hint.text()
    QTest.keyClick(composer.field, Qt.Key.Key_Return)
    assert sent.at(0)[0] == "Why?"


def test_while_a_reply_streams_the_button_stops_it(composer: Composer) -> None:
    sent, stopped = QSignalSpy(composer.sent), QSignalSpy(composer.stop_requested)
    composer.set_answering(True)
    assert composer._button.isEnabled()
    assert composer._button.accessibleName() == "Stop the reply"
    assert composer._hint.text() == "Esc stops the reply"
    QTest.mouseClick(composer._button, Qt.MouseButton.LeftButton)
    assert stopped.count() == 1
    typed(composer, "next")
    assert composer._button.accessibleName() == "Send"
    QTest.keyClick(composer.field, Qt.Key.Key_Return)
    assert sent.at(0)[0] == "next"  # it waits for its turn
    QTest.keyClick(composer.field, Qt.Key.Key_Escape)
    assert stopped.count() == 2
    composer.set_answering(False)
    assert composer._button.accessibleName() == "Send"
    QTest.keyClick(composer.field, Qt.Key.Key_Escape)
    assert stopped.count() == 2
    assert composer.field.toPlainText() == "next"


def test_the_field_grows_with_its_lines_then_scrolls(composer: Composer) -> None:
    heights = []
    for count in (1, 2, MOST_LINES, MOST_LINES + 10):
        composer.set_text("\n".join("line" for _ in range(count)))
        heights.append(composer.field.height())
    one, two, most, more = heights
    assert one < two < most == more
    policy = composer.field.verticalScrollBarPolicy()
    assert policy is Qt.ScrollBarPolicy.ScrollBarAsNeeded
    composer.clear()
    assert composer.field.height() == one


def test_a_long_line_wraps_and_grows(composer: Composer) -> None:
    before = composer.field.height()
    composer.set_text("word " * 60)
    assert composer.field.height() > before


def test_the_field_has_room_for_its_lines_at_every_width(composer: Composer, qtbot: QtBot) -> None:
    composer.set_text("word " * 12)
    field = composer.field
    block = field.document().firstBlock()
    for width in (800, 300, 500):
        composer.resize(width, 300)
        qtbot.waitUntil(
            lambda: 0 <= field.height() - field.blockBoundingRect(block).height() < LINE
        )


def test_a_pasted_picture_or_markup_is_plain_text(composer: Composer) -> None:
    QGuiApplication.clipboard().setText("<b>bold</b>")
    composer.field.paste()
    assert composer.field.toPlainText() == "<b>bold</b>"


def test_the_focus_ring_follows_the_field(composer: Composer, qtbot: QtBot) -> None:
    assert composer.property("focused") is True
    composer.field.clearFocus()
    assert composer.property("focused") is False


def test_the_placeholder_names_the_model(composer: Composer) -> None:
    composer.set_model("SmolLM2 135M Instruct")
    assert composer.field.placeholderText() == "Message SmolLM2 135M Instruct…"
    composer.set_model("")
    assert composer.field.placeholderText() == "Write a message…"


def test_another_placeholder_is_painted_whole(composer: Composer, qtbot: QtBot) -> None:
    composer.set_model("SmolLM2 135M Instruct")
    viewport = composer.field.viewport()
    viewport.repaint()
    painted = Painted(viewport)
    composer.set_model("")
    qtbot.waitUntil(lambda: painted.region.boundingRect() == viewport.rect())


# ---------------------------------------------------------------------------- long texts

MONSTERS = {
    "one line": "x",
    "words": "word ",
    "lines": "line\n",
    "accents": "e\u0301\u0302",
    "joined emoji": "\U0001f468\u200d",
    "right to left overrides": "\u202eab\u202c",
    "NULs": "a\0",
    "no-break spaces": "\u00a0a",
    "Thai": "\u0e01",
}


def put(composer: Composer, text: str) -> float:
    """Pastes a text and writes a letter behind it; the CPU time of both, s."""
    QGuiApplication.clipboard().setText(text)
    start = time.process_time()
    composer.field.paste()
    typed(composer, "!")
    composer.field.viewport().repaint()
    return time.process_time() - start


@pytest.mark.parametrize("unit", MONSTERS.values(), ids=MONSTERS)
@pytest.mark.parametrize("size", [4_500, 1_000_000])
def test_a_text_of_any_kind_is_pasted_without_a_stall_and_sent_whole(
    composer: Composer, unit: str, size: int
) -> None:
    text = unit * (size // len(unit))
    sent = QSignalSpy(composer.sent)
    assert put(composer, text) < 0.5
    QTest.keyClick(composer.field, Qt.Key.Key_Return)
    assert sent.at(0)[0] == text + "!"


def test_long_texts_stand_where_they_were_pasted(composer: Composer) -> None:
    one, other = "1" * 100_000, "2" * 50_000
    typed(composer, "first ")
    put(composer, one)
    typed(composer, " then ")
    put(composer, other)
    assert composer.field.toPlainText() == f"first {one}! then {other}!"
    assert composer._hint.text() == PASTED


def test_many_pastes_into_one_line_do_not_add_up_to_a_stall(composer: Composer) -> None:
    piece = "x" * 4_000
    assert max(put(composer, piece) for _ in range(10)) < 0.5
    assert composer.field.toPlainText() == (piece + "!") * 10


def test_a_long_text_is_one_letter_to_the_keys(composer: Composer) -> None:
    text = "word " * 20_000
    put(composer, text)
    for _ in range(2):
        QTest.keyClick(composer.field, Qt.Key.Key_Backspace)
    assert composer.field.toPlainText() == ""
    assert "Enter sends" in composer._hint.text()
    composer.field.undo()
    assert text in composer.field.toPlainText()


def test_a_long_text_is_copied_whole(composer: Composer) -> None:
    text = "word " * 20_000
    put(composer, text)
    composer.field.selectAll()
    QTest.keyClick(composer.field, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == text + "!"


def test_a_long_text_of_spaces_is_not_sent(composer: Composer) -> None:
    sent = QSignalSpy(composer.sent)
    composer.set_text(" " * 100_000)
    QTest.keyClick(composer.field, Qt.Key.Key_Return)
    assert sent.count() == 0
    assert not composer._button.isEnabled()


def test_a_letter_that_stands_for_objects_is_only_a_letter(composer: Composer) -> None:
    put(composer, "a\ufffcb")
    put(composer, "x" * 100_000)
    assert composer.field.toPlainText() == "a\ufffcb!" + "x" * 100_000 + "!"


def test_a_long_text_is_drawn_as_high_as_the_text_beside_it(composer: Composer) -> None:
    """In a line of its own and beside letters, no higher than the field has room for."""
    composer.set_text("word " * 20_000)
    typed(composer, "and")
    field = composer.field
    assert field.document().size().height() == 1
    block = field.document().firstBlock()
    assert field.blockBoundingRect(block).height() <= field.viewport().height()
