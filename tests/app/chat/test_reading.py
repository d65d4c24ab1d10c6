"""A reply on screen: what its Markdown looks like, is selected, copied and opened as."""

from __future__ import annotations

import random
from typing import TypeVar

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from app.chat import virtual_column
from app.chat.block_widget import BlockWidget
from app.chat.code_block import CodeBlock
from app.chat.links import LinkDialog
from app.chat.table_block import TableBlock
from app.chat.text_block import TextBlock
from app.chat.transcript import Transcript
from app.chat.virtual_column import NEAR
from app.store.records import StoredMessage
from app.theming import Look
from resources.theme import DARK
from tests.app.chat.test_commonmark import EXAMPLES
from tests.app.conftest import POPUP, TIMEOUT_MS
from tests.hostile.replies import STREAMED, hostile_text, steps

REPLY = """# Keys

Some **bold** words and `code` with [a link](https://example.org/page).

```python
def find(table, keys):
    return [table.index(key) for key in keys if key in table]  # a comment that makes it long
```

| Keys | Gain |
|---|---|
| 1 | 0.2 |
| 100 | 7.9 |

- [x] done
- item

> said
"""


@pytest.fixture
def transcript(qtbot: QtBot, look: Look) -> Transcript:
    made = Transcript()
    qtbot.addWidget(made)
    made.resize(800, 700)
    made.show()
    qtbot.waitExposed(made)
    return made


def reply(text: str) -> StoredMessage:
    return StoredMessage(2, "assistant", text)


def blocks(transcript: Transcript) -> list[BlockWidget]:
    """Of text, from top to bottom."""
    found = [w for w in transcript.widgets().values() if w.block.part]
    return sorted(found, key=lambda widget: widget.y())


Kind = TypeVar("Kind", bound=BlockWidget)


def only(transcript: Transcript, kind: type[Kind]) -> Kind:
    (found,) = [w for w in blocks(transcript) if isinstance(w, kind)]
    return found


def drag(transcript: Transcript, start: QPoint, stop: QPoint) -> None:
    viewport = transcript.viewport()
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, pos=start)
    transcript._selection.drag(stop)
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=stop)


def rect_point(widget: TextBlock | TableBlock, words: str) -> QPoint:
    assert isinstance(widget, TextBlock)
    return widget.rect_of(words).center().toPoint() + widget.pos()


def button(widget: QWidget, name: str) -> QToolButton:
    return next(b for b in widget.findChildren(QToolButton) if b.accessibleName() == name)


def test_a_reply_is_blocks_of_text_code_and_a_table(transcript: Transcript) -> None:
    transcript.show_messages([reply(REPLY)])
    kinds = [type(widget).__name__ for widget in blocks(transcript)]
    assert kinds == ["TextBlock", "CodeBlock", "TableBlock", "TextBlock"]
    assert only_text(transcript, 0) == "Keys\nSome bold words and code with a link."
    assert only_text(transcript, 3) == "done\nitem\nsaid"
    assert transcript.text() == REPLY


def only_text(transcript: Transcript, index: int) -> str:
    widget = blocks(transcript)[index]
    assert isinstance(widget, TextBlock)
    return widget.text()


def test_all_of_it_is_copied_as_text_or_as_markdown(transcript: Transcript) -> None:
    transcript.show_messages([reply(REPLY)])
    transcript.select_all()
    transcript.copy()
    copied = QGuiApplication.clipboard().text()
    assert copied.startswith(
        "Keys\n\nSome bold words and code with a link.\n\ndef find(table, keys):"
    )
    assert "Keys\tGain\n1\t0.2\n100\t7.9" in copied
    assert copied.endswith("[x] done\n• item\n\nsaid")
    keys = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    QTest.keyClick(transcript, Qt.Key.Key_C, keys)
    assert QGuiApplication.clipboard().text() == REPLY


def test_a_selection_goes_over_blocks_of_every_kind(transcript: Transcript) -> None:
    transcript.show_messages([reply(REPLY)])
    first, code, table, last = blocks(transcript)
    assert isinstance(first, TextBlock)
    assert isinstance(last, TextBlock)
    start = first.rect_of("bold").topLeft().toPoint() + first.pos() + QPoint(0, 4)
    stop = last.rect_of("item").topRight().toPoint() + last.pos() + QPoint(1, 4)
    drag(transcript, start, stop)
    assert transcript.selected_text().startswith("bold words and code")
    assert transcript.selected_text().endswith("[x] done\n• item")
    assert isinstance(code, CodeBlock)
    assert isinstance(table, TableBlock)
    assert code.selected_text() == code.text()
    assert table.selected_text() == table.text()


def test_a_double_click_takes_a_word_of_code_and_of_a_table(transcript: Transcript) -> None:
    transcript.show_messages([reply(REPLY)])
    table = only(transcript, TableBlock)
    viewport = transcript.viewport()
    at = table.cell_rect(2, 1).center().toPoint() + table.pos()
    at.setX(round(table.x() + table.cell_rect(2, 1).right() - 4))
    QTest.mouseDClick(viewport, Qt.MouseButton.LeftButton, pos=at)
    assert transcript.selected_text() in ("7", "9", "7.9")
    code = only(transcript, CodeBlock)
    QTest.mouseDClick(code, Qt.MouseButton.LeftButton, pos=QPoint(20, 36 + 12 + 8))
    assert transcript.selected_text() == "def"


def test_code_is_copied_by_its_button_which_says_so_for_a_moment(
    transcript: Transcript, qtbot: QtBot
) -> None:
    transcript.show_messages([reply(REPLY)])
    code = only(transcript, CodeBlock)
    copy = button(code, "Copy the code")
    before = copy.icon().pixmap(20, 20).toImage()
    QTest.mouseClick(copy, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == code.text()
    assert copy.icon().pixmap(20, 20).toImage() != before
    qtbot.waitUntil(lambda: copy.icon().pixmap(20, 20).toImage() == before, timeout=TIMEOUT_MS)


def test_code_is_coloured_by_another_process(transcript: Transcript, qtbot: QtBot) -> None:
    transcript.show_messages([reply(REPLY)])
    code = only(transcript, CodeBlock)
    qtbot.waitUntil(lambda: bool(code.spans()), timeout=TIMEOUT_MS)
    text = code.text()
    coloured = {text[at : at + length]: role for at, length, role in code.spans()}
    assert coloured["def"] == "k"
    assert coloured["find"] == "f"
    assert coloured["# a comment that makes it long"] == "c"


def test_long_lines_of_code_scroll_or_wrap(transcript: Transcript) -> None:
    transcript.resize(500, 700)
    transcript.show_messages([reply(REPLY)])
    code = only(transcript, CodeBlock)
    before = code.height()
    assert code._scroll.isVisible()
    QTest.mouseClick(button(code, "Wrap lines"), Qt.MouseButton.LeftButton)
    assert not code._scroll.isVisible()
    assert code.height() > before
    table = only(transcript, TableBlock)
    assert table.y() > code.geometry().bottom()


def test_code_that_streams_grows_in_its_widget(transcript: Transcript) -> None:
    transcript.show_messages([StoredMessage(2, "assistant", "", "streaming")])
    transcript.append_text(2, "Look:\n\n```py\n")
    transcript._flush.flush()
    code = only(transcript, CodeBlock)
    for number in range(50):
        transcript.append_text(2, f"x = {number}\n")
        transcript._flush.flush()
    assert only(transcript, CodeBlock) is code
    assert code.text() == "\n".join(f"x = {number}" for number in range(50))
    transcript.append_text(2, "```\nDone.")
    transcript._flush.flush()
    assert only_text(transcript, 2) == "Done."


@POPUP
def test_a_link_shows_where_it_leads_and_asks_before_it_opens(
    transcript: Transcript, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))
    transcript.show_messages([reply(REPLY)])
    at = rect_point(first_text(transcript), "a link")
    QTest.mouseMove(transcript.viewport(), at)
    qtbot.waitUntil(lambda: transcript.viewport().toolTip() == "https://example.org/page")
    QTest.mouseClick(transcript.viewport(), Qt.MouseButton.LeftButton, pos=at)
    dialog = transcript.findChild(LinkDialog)
    assert dialog is not None
    assert dialog.address.text().replace("\u200b", "") == "https://example.org/page"
    assert opened == []
    QTest.mouseClick(dialog.open_button, Qt.MouseButton.LeftButton)
    assert opened == ["https://example.org/page"]


@POPUP
def test_a_link_that_is_none_of_the_web_or_mail_is_not_opened(transcript: Transcript) -> None:
    transcript.show_messages([reply("[x](file:///etc/passwd) [y](ssh://host)")])
    at = rect_point(first_text(transcript), "y")
    QTest.mouseClick(transcript.viewport(), Qt.MouseButton.LeftButton, pos=at)
    dialog = transcript.findChild(LinkDialog)
    assert dialog is not None
    assert not dialog.open_button.isVisible()


def first_text(transcript: Transcript) -> TextBlock:
    widget = blocks(transcript)[0]
    assert isinstance(widget, TextBlock)
    return widget


def test_the_source_of_a_reply_can_be_viewed(transcript: Transcript) -> None:
    transcript.show_messages([reply(REPLY)])
    transcript._toggle_source(2)
    assert "".join(w.text() for w in blocks(transcript) if isinstance(w, TextBlock)) == REPLY
    transcript._toggle_source(2)
    assert len(blocks(transcript)) == 4


def test_a_text_from_right_to_left_stands_at_the_right(transcript: Transcript) -> None:
    transcript.show_messages([reply("שלום עולם\n\n- פריט\n\nHello")])
    (text,) = blocks(transcript)
    assert isinstance(text, TextBlock)
    assert text.rect_of("שלום עולם").right() > text.width() - 4
    assert text.rect_of("Hello").left() < 4


def test_another_theme_reaches_what_is_drawn(transcript: Transcript, look: Look) -> None:
    transcript.show_messages([reply(REPLY)])
    before = transcript.viewport().grab().toImage().pixelColor(60, 100)
    look.show(DARK)
    QGuiApplication.processEvents()
    after = transcript.viewport().grab().toImage()
    assert after.pixelColor(60, 100) != before


def test_every_example_of_the_specification_can_be_shown(transcript: Transcript) -> None:
    transcript.show_messages(
        [StoredMessage(e["example"], "assistant", e["markdown"]) for e in EXAMPLES]
    )
    bar = transcript.verticalScrollBar()
    drawn = set()
    while True:
        drawn |= {widget.block.message for widget in blocks(transcript)}
        if bar.value() == 0:
            break
        bar.setValue(bar.value() - transcript.viewport().height() - NEAR)
    assert len(drawn) == len(EXAMPLES)


def test_the_place_that_is_read_holds_when_blocks_above_become_real(transcript: Transcript) -> None:
    transcript.show_messages(
        [StoredMessage(n, "assistant", REPLY + f"\nEnd {n}\n") for n in range(40)]
    )
    bar = transcript.verticalScrollBar()
    bar.setValue(bar.maximum() // 2)
    for step in [-90] * 40 + [70] * 40:
        before = {id(w): w.y() for w in blocks(transcript) if 0 < w.y() < 600}
        was = bar.value()
        bar.setValue(was + step)
        after = {id(w): w.y() for w in blocks(transcript)}
        moved = {after[name] - y for name, y in before.items() if name in after}
        assert moved == {-step}


def test_what_takes_long_is_laid_out_in_the_next_turns(
    transcript: Transcript, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(virtual_column, "PATIENCE_S", 0.0)
    text = "word " * 20_000
    transcript.show_messages([reply(text)])
    assert len(blocks(transcript)) < 2
    qtbot.waitUntil(lambda: not transcript._rest.isActive())
    shown = blocks(transcript)
    assert min(w.y() for w in shown) < 0
    assert max(w.y() + w.height() for w in shown) > transcript.viewport().height() - 100
    assert transcript.at_end()


def test_a_link_that_is_defined_last_leads_somewhere_when_the_reply_has_ended(
    transcript: Transcript,
) -> None:
    text = (
        "See [this][a].\n\n" + "word " * 300 + "\n\n" + "word " * 300 + "\n\n[a]: https://a.org/\n"
    )
    transcript.show_messages([StoredMessage(1, "assistant", "", "streaming")])
    for start in range(0, len(text), 200):
        transcript.append_text(1, text[start : start + 200])
        transcript._flush.flush()
    assert "[this][a]" in only_text(transcript, 0)
    transcript.finish_message(StoredMessage(1, "assistant", text))
    transcript.verticalScrollBar().setValue(0)
    assert only_text(transcript, 0).startswith("See this.")


@pytest.mark.parametrize("number", range(5))
def test_a_hostile_reply_is_shown_scrolled_and_streamed(
    transcript: Transcript, number: int
) -> None:
    text = hostile_text(random.Random(number))
    for _, step in steps(transcript, text):
        step()
    assert transcript.text() == text[:STREAMED]


def press(key: Qt.Key) -> None:
    widget = QApplication.focusWidget()
    assert widget is not None
    QTest.keyClick(widget, key)


def focused_name() -> str:
    widget = QApplication.focusWidget()
    return widget.accessibleName() if widget else ""


@POPUP
def test_links_are_reached_and_opened_by_the_keyboard(transcript: Transcript, qtbot: QtBot) -> None:
    table = "| a |\n|---|\n| [three](https://c.org) |\n"
    text = f"See [one](https://a.org/1) and https://b.org/2\n\n{table}"
    transcript.show_messages([reply(text)])
    transcript.window().activateWindow()
    transcript.setFocus()
    seen = []
    for _ in range(5):
        press(Qt.Key.Key_Tab)
        seen.append(focused_name())
    assert seen[:3] == [
        "Link: one, https://a.org/1",
        "Link: https://b.org/2",
        "Link: three, https://c.org",
    ]
    press(Qt.Key.Key_Backtab)
    while focused_name() != "Link: three, https://c.org":
        press(Qt.Key.Key_Backtab)
    press(Qt.Key.Key_Return)
    dialog = transcript.window().findChild(LinkDialog)
    assert dialog is not None
    assert dialog.address.text().replace("\u200b", "") == "https://c.org"
    dialog.close()


def test_a_link_that_gets_the_focus_comes_into_sight(transcript: Transcript) -> None:
    transcript.show_messages([reply("[first](https://a.org)\n\n" + "word " * 1500)])
    transcript.verticalScrollBar().setValue(300)
    spot = next(s for w in blocks(transcript) for s in w.buttons() if "first" in s.accessibleName())
    assert spot.mapTo(transcript.viewport(), QPoint(0, 0)).y() < 0
    transcript.window().activateWindow()
    transcript.setFocus()
    press(Qt.Key.Key_Tab)
    assert spot.hasFocus()
    assert spot.mapTo(transcript.viewport(), QPoint(0, 0)).y() >= 0
