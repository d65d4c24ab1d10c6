from __future__ import annotations

from itertools import pairwise

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, Qt
from PySide6.QtGui import QGuiApplication, QMouseEvent
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.chat import segments
from app.chat.blocks import Block
from app.chat.reply_rows import Footer, PromptRow, ThinkingHead, TroubleCard
from app.chat.text_block import TextBlock
from app.chat.transcript import Transcript
from app.chat.virtual_column import COLUMN, NEAR, SIDE
from app.store.records import Figures, StoredMessage, Thinking, Trouble
from app.theming import Look
from app.widgets.icon_button import IconButton
from resources.theme import DARK, LIGHT

MOST_WIDGETS = 60
LINE = "The quick brown fox jumps over the lazy dog and then goes home. "


@pytest.fixture
def transcript(qtbot: QtBot, look: Look) -> Transcript:
    made = Transcript()
    qtbot.addWidget(made)
    made.resize(800, 600)
    made.show()
    qtbot.waitExposed(made)
    return made


def user(number: int, text: str) -> StoredMessage:
    return StoredMessage(number, "user", text)


def reply(number: int, text: str, **more: object) -> StoredMessage:
    return StoredMessage(number, "assistant", text, **more)  # type: ignore[arg-type]


def streaming(number: int) -> StoredMessage:
    return StoredMessage(number, "assistant", "", "streaming")


def many(count: int) -> list[StoredMessage]:
    return [
        user(n, f"Question {n}?") if n % 2 else reply(n, f"Answer {n}. " + LINE * 20 + "\n")
        for n in range(1, count + 1)
    ]


def live(transcript: Transcript, kind: type[QWidget]) -> list[QWidget]:
    """Widgets in sight, from top to bottom."""
    shown = [w for w in transcript.viewport().findChildren(kind) if w.isVisible()]
    return sorted(shown, key=lambda widget: widget.y())


def words(widget: QWidget) -> str:
    assert isinstance(widget, TextBlock)
    return widget.text()


def thoughts(transcript: Transcript) -> list[TextBlock]:
    """Segments of thinking in sight, from top to bottom."""
    shown = live(transcript, TextBlock)
    return [w for w in shown if isinstance(w, TextBlock) and w.block.kind == "thought"]


def near(transcript: Transcript) -> list[Block]:
    """Blocks that should have a widget where the transcript is scrolled to."""
    first, last = transcript._near(transcript.verticalScrollBar().value(), NEAR)
    return transcript._blocks[first:last]


def in_view(transcript: Transcript, widget: QWidget) -> bool:
    return widget.geometry().intersects(transcript.viewport().rect())


def flushed(qtbot: QtBot, transcript: Transcript) -> None:
    qtbot.waitUntil(lambda: not transcript._pending)


def button(footer: QWidget, name: str) -> IconButton:
    return next(b for b in footer.findChildren(IconButton) if b.accessibleName() == name)


def at_end(transcript: Transcript) -> bool:
    bar = transcript.verticalScrollBar()
    return bar.value() == bar.maximum()


# ---------------------------------------------------------------------------- what is shown


def test_messages_stand_in_order_prompts_to_the_right(transcript: Transcript) -> None:
    transcript.show_messages([user(1, "Why?"), reply(2, "Because")])
    prompt, answer = live(transcript, TextBlock)
    assert (words(prompt), words(answer)) == ("Why?", "Because")
    assert prompt.accessibleName() == "You wrote"
    assert answer.accessibleName() == "Reply"
    assert answer.y() > prompt.geometry().bottom()
    assert prompt.x() > answer.x()
    assert transcript.text() == "Why?\n\nBecause"


def test_the_column_is_centred_and_no_wider_than_is_read_well(transcript: Transcript) -> None:
    transcript.resize(1200, 600)
    transcript.show_messages(many(9))
    assert transcript.verticalScrollBar().maximum() > 0
    answer = next(w for w in live(transcript, TextBlock) if words(w).startswith("Answer"))
    assert answer.width() == COLUMN
    assert answer.x() == (1200 - COLUMN) // 2


def test_text_is_as_high_as_it_needs_to_be(transcript: Transcript) -> None:
    transcript.show_messages([reply(1, LINE * 30)])
    (answer,) = live(transcript, TextBlock)
    assert isinstance(answer, TextBlock)
    assert answer.height_at(answer.width()) <= answer.height()


def test_a_new_conversation_replaces_the_old(transcript: Transcript) -> None:
    transcript.show_messages(many(20))
    transcript.show_messages([user(1, "Fresh")])
    assert transcript.text() == "Fresh"
    assert [words(w) for w in live(transcript, TextBlock)] == ["Fresh"]
    transcript.show_messages([])
    assert live(transcript, TextBlock) == []
    assert transcript.text() == ""


def test_trouble_is_a_card_and_can_be_answered_again(transcript: Transcript) -> None:
    trouble = Trouble("There is not enough memory", "18 GB are needed.", "Choose a smaller one.")
    transcript.show_messages([user(1, "Why?"), reply(2, "Be", state="failed", trouble=trouble)])
    (card,) = live(transcript, TroubleCard)
    assert card.accessibleName().startswith("There is not enough memory. 18 GB are needed.")
    (footer,) = live(transcript, Footer)
    again = QSignalSpy(transcript.regenerate_requested)
    QTest.mouseClick(button(footer, "Write the reply again"), Qt.MouseButton.LeftButton)
    assert again.count() == 1


@pytest.mark.parametrize(
    ("reason", "note"),
    [("stopped", "Stopped"), ("length", "Ended at the length limit"), ("stop", "")],
)
def test_the_footer_says_why_a_reply_ended(transcript: Transcript, reason: str, note: str) -> None:
    transcript.show_messages([user(1, "Why?"), reply(2, "Because", finish_reason=reason)])
    (footer,) = live(transcript, Footer)
    assert isinstance(footer, Footer)
    assert footer._state.text() == note
    assert footer._state.isVisible() is bool(note)


def test_every_reply_can_be_regenerated(transcript: Transcript) -> None:
    transcript.show_messages([user(1, "a"), reply(2, "b"), user(3, "c"), reply(4, "d")])
    asked = QSignalSpy(transcript.regenerate_requested)
    for footer in live(transcript, Footer):
        QTest.mouseClick(button(footer, "Write the reply again"), Qt.MouseButton.LeftButton)
    assert [asked.at(i)[0] for i in range(asked.count())] == [2, 4]


def test_a_message_with_versions_has_a_switch(transcript: Transcript) -> None:
    transcript.show_messages([user(1, "a"), reply(2, "b"), user(3, "c"), reply(4, "d")])
    transcript.set_versions({3: (1, 2), 4: (2, 3)})
    prompts, replies = live(transcript, PromptRow), live(transcript, Footer)
    rows = [row for row in (*prompts, *replies) if isinstance(row, PromptRow | Footer)]
    switches = [row.versions for row in rows]
    assert [switch.isVisible() for switch in switches] == [False, True, False, True]
    asked = QSignalSpy(transcript.version_requested)
    QTest.mouseClick(switches[1].next, Qt.MouseButton.LeftButton)
    QTest.mouseClick(switches[3].before, Qt.MouseButton.LeftButton)
    assert [asked.at(i) for i in range(asked.count())] == [[3, 1], [4, -1]]
    transcript.set_versions({})
    assert not any(switch.isVisible() for switch in switches)


def test_the_figures_of_a_reply_fold_out_under_it(transcript: Transcript) -> None:
    figures = Figures(1284, 1012, 612, 84.0, 1500.0, 68.2, 214)
    transcript.show_messages(
        [user(1, "Why?"), reply(2, "Because", figures=figures, model="m"), user(3, "Oh")]
    )
    (footer,) = live(transcript, Footer)
    assert isinstance(footer, Footer)
    assert footer._speed.text() == "68 tokens/s"
    below = live(transcript, TextBlock)[-1].y()
    press(button(footer, "Figures of the reply"))
    assert footer._details is not None
    assert footer._details.accessibleName() == (
        "Model: m. Length: 612 tokens, 214 of them thought. Speed: 68.2 tokens/s. "
        "First token: 84 ms. Reused from the last turn: 1,012 of 1,284 prompt tokens. "
        "Prompt read at: 1,500 tokens/s"
    )
    opened = live(transcript, TextBlock)[-1].y()
    assert opened - below == footer._details.height() > 0
    press(button(footer, "Figures of the reply"))
    assert live(transcript, TextBlock)[-1].y() == below


def test_copy_takes_the_whole_reply_as_it_was_written(transcript: Transcript) -> None:
    text = "\n".join(f"{n}: {LINE}" for n in range(200))
    transcript.show_messages([user(1, "Why?"), reply(2, text)])
    footer = live(transcript, Footer)[-1]
    QTest.mouseClick(button(footer, "Copy the reply"), Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == text


def test_markup_in_a_reply_is_text(transcript: Transcript) -> None:
    text = "<b>bold</b> <img src='https://example.org/x.png'> &amp;"
    transcript.show_messages([user(1, text), reply(2, text)])
    prompt, answer = live(transcript, TextBlock)
    assert words(prompt) == text
    assert words(answer) == text.replace("&amp;", "&")


def test_another_theme_keeps_the_widgets_and_where_one_reads(
    transcript: Transcript, look: Look
) -> None:
    transcript.show_messages(many(60))
    transcript.verticalScrollBar().setValue(3000)
    before = {id(w): w.geometry() for w in live(transcript, TextBlock)}
    for theme in (DARK, LIGHT, DARK):
        look.show(theme)
        QCoreApplication.processEvents()
    assert {id(w): w.geometry() for w in live(transcript, TextBlock)} == before


def test_another_font_is_measured_anew(qtbot: QtBot, transcript: Transcript) -> None:
    transcript.show_messages([reply(1, LINE * 10)])
    (answer,) = live(transcript, TextBlock)
    before = answer.height()
    transcript.setStyleSheet("Transcript, TextBlock { font-size: 28px; }")
    qtbot.waitUntil(lambda: answer.height() > 2 * before)
    assert isinstance(answer, TextBlock)
    assert answer.height_at(answer.width()) <= answer.height()


STRANGE = {
    "joined emoji": "\U0001f468\u200d",
    "accents": "e\u0301\u0302",
    "accents alone": "\u0301",
    "zero width": "\u200b",
    "right to left overrides": "\u202eab\u202c",
    "NULs": "a\0",
    "lines of Windows": "line\r\n",
    "line separators": "a\u2028",
    "one word": "x",
}
"""Each is far higher or lower than its number of letters lets one expect."""


@pytest.mark.parametrize("unit", STRANGE.values(), ids=STRANGE)
def test_strange_text_is_shown_whole_near_the_viewport(transcript: Transcript, unit: str) -> None:
    text = unit * (60_000 // len(unit))
    transcript.show_messages([user(1, text), reply(2, text)])
    for place in (1.0, 0.5, 0.0):
        transcript.verticalScrollBar().setValue(
            round(place * transcript.verticalScrollBar().maximum())
        )
        assert near(transcript)
        for block in near(transcript):
            widget = transcript._live[block]
            assert isinstance(widget, Footer | PromptRow) or words(widget)
    assert transcript.text() == f"{text}\n\n{text}"


def test_an_error_names_a_block_without_its_words(transcript: Transcript) -> None:
    trouble = Trouble("secret", "secret", "secret")
    transcript.show_messages([user(1, "secret"), reply(2, "secret", trouble=trouble)])
    assert "secret" not in repr(transcript._blocks)
    assert "secret" not in repr(list(transcript._document.parts))


def test_what_is_selected_is_exact_in_text_with_line_ends_of_windows(
    transcript: Transcript,
) -> None:
    text = "".join(f"line {n}\r\n" for n in range(400))
    transcript.show_messages([reply(1, text)])
    (answer,) = (w for w in live(transcript, TextBlock) if "line 399" in words(w))
    assert isinstance(answer, TextBlock)
    where = answer.rect_of("399").center().toPoint() + answer.pos()
    QTest.mouseDClick(transcript.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert transcript.selected_text() == "399"
    assert all("\n\n" not in words(w).strip("\n") for w in live(transcript, TextBlock))


@pytest.mark.parametrize("cluster", ["e\u0301", "\U0001f468\u200d\U0001f469\u200d\U0001f467"])
def test_a_letter_is_not_parted_from_its_accents(cluster: str) -> None:
    text = "x" + cluster * 3000
    pieces = segments.split(text)
    assert "".join(pieces) == text
    assert all(piece.startswith(cluster) for piece in pieces[1:])


# ---------------------------------------------------------------------------- streaming


def test_a_reply_grows_where_it_stands(qtbot: QtBot, transcript: Transcript) -> None:
    transcript.show_messages([user(1, "Why?")])
    transcript.add_message(streaming(2))
    for word in ("Be", "cau", "se"):
        transcript.append_text(2, word)
    flushed(qtbot, transcript)
    assert words(live(transcript, TextBlock)[1]) == "Because"
    (footer,) = live(transcript, Footer)
    assert button(footer, "Stop the reply").isVisible()
    assert not button(footer, "Copy the reply").isVisible()
    stopped = QSignalSpy(transcript.stop_requested)
    QTest.mouseClick(button(footer, "Stop the reply"), Qt.MouseButton.LeftButton)
    assert stopped.count() == 1


def test_text_of_another_message_is_not_taken(qtbot: QtBot, transcript: Transcript) -> None:
    transcript.show_messages([user(1, "Why?")])
    transcript.add_message(streaming(2))
    transcript.append_text(1, "no")
    transcript.append_text(2, "yes")
    flushed(qtbot, transcript)
    assert transcript.text() == "Why?\n\nyes"


def test_reading_progress_gives_way_to_the_first_word(qtbot: QtBot, transcript: Transcript) -> None:
    transcript.show_messages([user(1, "Why?")])
    transcript.add_message(streaming(2))
    transcript.set_progress(2, "Reading the prompt")
    (footer,) = live(transcript, Footer)
    assert isinstance(footer, Footer)
    assert footer._progress.text() == "Reading the prompt"
    transcript.append_text(2, "Be")
    flushed(qtbot, transcript)
    assert footer._progress.text() == ""


def test_a_finished_reply_has_its_last_words_at_once(transcript: Transcript) -> None:
    transcript.show_messages([user(1, "Why?")])
    transcript.add_message(streaming(2))
    transcript.append_text(2, "Be")
    transcript.append_text(2, "cause")
    transcript.finish_message(reply(2, "Because"))
    assert words(live(transcript, TextBlock)[1]) == "Because"
    (footer,) = live(transcript, Footer)
    assert not button(footer, "Stop the reply").isVisible()
    assert button(footer, "Write the reply again").isVisible()


@pytest.mark.parametrize("lines", [1, 2, 5, 40])
def test_a_finished_reply_is_as_high_as_its_text(transcript: Transcript, lines: int) -> None:
    text = (LINE * 2 * lines)[: 75 * lines]
    transcript.show_messages([user(1, "Why?")])
    transcript.add_message(streaming(2))
    for start in range(0, len(text), 40):
        transcript.append_text(2, text[start : start + 40])
        transcript._flush.flush()
    transcript.finish_message(reply(2, text))
    answer = live(transcript, TextBlock)[-1]
    (footer,) = live(transcript, Footer)
    assert isinstance(answer, TextBlock)
    assert answer.height() == answer.height_at(answer.width())
    assert 0 <= footer.y() - answer.geometry().bottom() <= 16


def test_a_reply_can_be_taken_away_and_come_again(transcript: Transcript) -> None:
    transcript.show_messages([user(1, "Why?"), reply(2, "Wrong")])
    transcript.remove_message(2)
    assert transcript.text() == "Why?"
    transcript.add_message(streaming(3))
    transcript.append_text(3, "Right")
    transcript.finish_message(reply(3, "Right"))
    assert transcript.text() == "Why?\n\nRight"


@pytest.mark.parametrize(
    "paragraph", [LINE * 4 + "\n\n", LINE, "x" * 64], ids=["paragraphs", "one line", "one word"]
)
def test_a_reply_of_100_000_characters_streams_in_few_widgets(
    qtbot: QtBot, transcript: Transcript, paragraph: str
) -> None:
    text = (paragraph * (100_000 // len(paragraph) + 1))[:100_000]
    transcript.show_messages([user(1, "Write a book")])
    transcript.add_message(streaming(2))
    longest = most = 0
    for start in range(0, len(text), 500):
        transcript.append_text(2, text[start : start + 500])
        transcript._flush.flush()
        shown = live(transcript, TextBlock)
        most = max(most, len(shown))
        longest = max(longest, *(len(words(w)) for w in shown))
        assert at_end(transcript)
    transcript.finish_message(reply(2, text))
    assert transcript.text() == "Write a book\n\n" + text
    assert most <= MOST_WIDGETS
    assert longest <= 4500  # what one widget lays out stays bounded, so that no frame grows


def test_a_long_prompt_is_one_bubble(transcript: Transcript) -> None:
    text = "\n".join(f"{n}: {LINE}" for n in range(300))
    transcript.show_messages([user(1, text)])
    assert transcript.text() == text
    pieces = live(transcript, TextBlock)
    assert len(pieces) > 1
    assert len({(w.x(), w.width()) for w in pieces}) == 1
    for above, below in pairwise(pieces):
        assert below.y() == above.geometry().bottom() + 1


# ---------------------------------------------------------------------------- thinking


def thoughtful(number: int, text: str, thinking: str, **more: object) -> StoredMessage:
    return reply(number, text, thinking=Thinking(thinking, 12.4), **more)


def head(transcript: Transcript) -> QPushButton:
    (found,) = live(transcript, ThinkingHead)
    (button,) = found.findChildren(QPushButton)
    return button


def press(widget: QWidget) -> None:
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


def thinking(transcript: Transcript, *pieces: str) -> None:
    """A reply that has thought so far."""
    transcript.show_messages([user(1, "Why?")])
    transcript.add_message(streaming(2))
    for piece in pieces:
        transcript.append_thinking(2, piece)
    transcript._flush.flush()


def test_thinking_streams_in_sight_under_its_head(transcript: Transcript) -> None:
    thinking(transcript, "Hm", ", so.")
    (thought,) = thoughts(transcript)
    assert words(thought) == "Hm, so."
    assert thought.accessibleName() == "Thinking"
    assert head(transcript).text() == "Thinking…"
    assert head(transcript).accessibleName() == "Thinking… (expanded)"
    assert thought.y() > live(transcript, ThinkingHead)[0].geometry().bottom()
    (footer,) = live(transcript, Footer)
    assert button(footer, "Stop the reply").isVisible()
    assert not button(footer, "Copy the reply").isVisible()


def test_thinking_is_hidden_when_the_answer_begins_and_can_be_shown(
    transcript: Transcript,
) -> None:
    thinking(transcript, "Hm, so.")
    transcript.end_thinking(2, 12.4)
    transcript.append_text(2, "Be")
    transcript._flush.flush()
    assert thoughts(transcript) == []
    assert transcript.text() == "Why?\n\nBe"
    assert head(transcript).text() == "Thought for 12 s"
    assert head(transcript).accessibleName() == "Thought for 12 s (collapsed)"
    press(head(transcript))
    transcript.append_text(2, "cause")
    transcript.finish_message(thoughtful(2, "Because", "Hm, so."))
    assert transcript.text() == "Why?\n\nHm, so.\n\nBecause"
    assert head(transcript).accessibleName() == "Thought for 12 s (expanded)"
    press(head(transcript))
    assert transcript.text() == "Why?\n\nBecause"


def test_an_answer_that_turns_out_to_be_thinking_is_shown_as_such(transcript: Transcript) -> None:
    """Of what had not been drawn yet, nothing is left where it was."""
    transcript.show_messages([user(1, "Why?"), streaming(2)])
    transcript.append_text(2, "Hm")
    transcript._flush.flush()
    transcript.append_text(2, ", so.")
    transcript.remove_message(2)
    transcript.add_message(streaming(2))
    transcript.append_thinking(2, "Hm, so.")
    transcript._flush.flush()
    assert [words(w) for w in thoughts(transcript)] == ["Hm, so."]
    transcript.end_thinking(2, 1.0)
    transcript.append_text(2, "Because")
    transcript._flush.flush()
    assert transcript.text() == "Why?\n\nBecause"


def test_thinking_hidden_while_it_streams_is_whole_when_shown(transcript: Transcript) -> None:
    thinking(transcript, "Hm")
    press(head(transcript))
    transcript.append_thinking(2, ", so.")
    transcript._flush.flush()
    assert thoughts(transcript) == []
    press(head(transcript))
    transcript.append_thinking(2, " Yes.")
    transcript.end_thinking(2, 1.0)
    assert [words(w) for w in thoughts(transcript)] == ["Hm, so. Yes."]


def test_thinking_that_one_reads_above_is_not_hidden_when_the_answer_begins(
    transcript: Transcript,
) -> None:
    thinking(transcript, *(LINE * 3 + "\n" for _ in range(30)))
    transcript.verticalScrollBar().setValue(100)
    before = [(words(w), w.y()) for w in thoughts(transcript) if in_view(transcript, w)]
    assert before
    transcript.end_thinking(2, 1.0)
    transcript.append_text(2, "Because")
    transcript._flush.flush()
    after = [(words(w), w.y()) for w in thoughts(transcript) if in_view(transcript, w)]
    assert after == before


def test_a_conversation_is_shown_without_thinking_unless_there_is_nothing_else(
    transcript: Transcript,
) -> None:
    transcript.show_messages([user(1, "Why?"), thoughtful(2, "Because", "Hm")])
    assert transcript.text() == "Why?\n\nBecause"
    cut = thoughtful(2, "", "Hm", finish_reason="stopped")
    transcript.show_messages([user(1, "Why?"), cut])
    assert transcript.text() == "Why?\n\nHm"
    (footer,) = live(transcript, Footer)
    assert not button(footer, "Copy the reply").isVisible()
    assert button(footer, "Write the reply again").isVisible()


def test_a_reply_that_thinks_goes_on_after_one_comes_back_to_it(transcript: Transcript) -> None:
    half = thoughtful(2, "", "Hm", state="streaming")
    transcript.show_messages([user(1, "Why?"), half])
    transcript.append_thinking(2, ", so.")
    transcript._flush.flush()
    assert transcript.text() == "Why?\n\nHm, so."
    transcript.end_thinking(2, 1.0)
    transcript.append_text(2, "Because")
    transcript._flush.flush()
    assert transcript.text() == "Why?\n\nBecause"


def test_copy_takes_the_answer_alone(transcript: Transcript) -> None:
    transcript.show_messages([user(1, "Why?"), thoughtful(2, "Because", "Hm")])
    press(head(transcript))
    press(button(live(transcript, Footer)[-1], "Copy the reply"))
    assert QGuiApplication.clipboard().text() == "Because"


def test_the_head_stays_where_it_was_pressed(transcript: Transcript) -> None:
    messages = [*many(20), user(98, "Why?"), thoughtful(99, LINE * 20, LINE * 300), *many(3)]
    transcript.show_messages(messages)
    bar = transcript.verticalScrollBar()
    while not live(transcript, ThinkingHead):
        bar.setValue(bar.value() - 200)
    bar.setValue(bar.value() + live(transcript, ThinkingHead)[0].y() - 300)
    where = live(transcript, ThinkingHead)[0].y()
    for _ in range(3):
        press(head(transcript))
        assert live(transcript, ThinkingHead)[0].y() == where


def test_tab_goes_from_the_head_to_the_footer_below_it(transcript: Transcript) -> None:
    thinking(transcript, "Hm")
    transcript.finish_message(thoughtful(2, "Because", "Hm"))
    transcript.setFocus()
    reached = []
    for _ in range(5):
        QTest.keyClick(transcript.window().focusWidget(), Qt.Key.Key_Tab)
        focused = transcript.window().focusWidget()
        assert focused is not None
        reached.append(focused.accessibleName())
    assert reached == [
        "Copy the prompt",
        "Change the prompt",
        "Thought for 12 s (collapsed)",
        "Copy the reply",
        "Write the reply again",
    ]
    head(transcript).setFocus()
    QTest.keyClick(head(transcript), Qt.Key.Key_Space)
    assert transcript.text() == "Why?\n\nHm\n\nBecause"
    assert head(transcript).hasFocus()


def test_long_thinking_streams_in_few_widgets(transcript: Transcript) -> None:
    text = (LINE * 4 + "\n\n") * 80
    assert len(text) > 20_000
    thinking(transcript)
    longest = most = 0
    for start in range(0, len(text), 500):
        transcript.append_thinking(2, text[start : start + 500])
        transcript._flush.flush()
        shown = thoughts(transcript)
        most = max(most, len(shown))
        longest = max(longest, *(len(words(w)) for w in shown))
        assert at_end(transcript)
    assert most <= MOST_WIDGETS
    assert longest <= 4500
    transcript.end_thinking(2, 60.0)
    transcript.append_text(2, "Because")
    transcript.finish_message(thoughtful(2, "Because", text))
    assert transcript.text() == "Why?\n\nBecause"
    press(head(transcript))
    assert transcript.text() == f"Why?\n\n{text}\n\nBecause"
    assert len(thoughts(transcript)) <= MOST_WIDGETS


def test_what_is_selected_stays_selected_when_thinking_opens(transcript: Transcript) -> None:
    transcript.show_messages([user(1, "Why?"), thoughtful(2, "Because", "Hm"), user(3, "Oh")])
    transcript.select_all()
    assert transcript.selected_text() == "Why?\n\nBecause\n\nOh"
    press(head(transcript))
    assert transcript.selected_text() == "Why?\n\nHm\n\nBecause\n\nOh"


def test_what_is_selected_stays_selected_when_a_reply_ends(transcript: Transcript) -> None:
    transcript.show_messages([user(1, "Why?")])
    transcript.add_message(streaming(2))
    transcript.append_text(2, "Because")
    transcript._flush.flush()
    prompt, answer = live(transcript, TextBlock)
    drag(
        transcript,
        QPoint(prompt.x() - 5, prompt.geometry().center().y()),
        QPoint(answer.geometry().right(), answer.geometry().center().y()),
    )
    transcript.finish_message(reply(2, "Because"))
    assert transcript.selected_text() == "Why?\n\nBecause"


def test_thinking_is_as_high_as_it_needs_to_be_at_every_width(transcript: Transcript) -> None:
    transcript.show_messages([thoughtful(1, "Because", LINE * 12)])
    press(head(transcript))
    for width in (800, 400, 1200):
        transcript.resize(width, 600)
        (thought,) = thoughts(transcript)
        assert isinstance(thought, TextBlock)
        assert thought.height() == thought.height_at(thought.width())
        answer = next(w for w in live(transcript, TextBlock) if words(w) == "Because")
        assert answer.geometry().right() == thought.geometry().right()
        assert isinstance(answer, TextBlock)
        assert answer.rect_of("Because").x() < thought.rect_of("The").x()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "Thought for a moment"),
        (1.0, "Thought for 1 s"),
        (59.7, "Thought for 1 min 0 s"),
        (125.0, "Thought for 2 min 5 s"),
    ],
)
def test_the_head_says_how_long_it_took(transcript: Transcript, seconds: float, said: str) -> None:
    transcript.show_messages([reply(1, "Because", thinking=Thinking("Hm", seconds))])
    assert head(transcript).text() == said


# ---------------------------------------------------------------------------- scrolling


def test_the_end_is_followed_while_one_is_at_it(qtbot: QtBot, transcript: Transcript) -> None:
    transcript.show_messages(many(21))
    transcript.add_message(streaming(99))
    for _ in range(30):
        transcript.append_text(99, LINE * 3 + "\n")
        transcript._flush.flush()
        assert at_end(transcript)
    assert in_view(transcript, live(transcript, Footer)[-1])


def test_one_who_reads_above_is_not_moved(qtbot: QtBot, transcript: Transcript) -> None:
    transcript.show_messages(many(21))
    transcript.add_message(streaming(99))
    transcript.verticalScrollBar().setValue(1000)
    before = [(words(w), w.y()) for w in live(transcript, TextBlock) if in_view(transcript, w)]
    assert before
    for _ in range(30):
        transcript.append_text(99, LINE * 3)
        transcript._flush.flush()
    transcript.finish_message(reply(99, LINE * 90))
    after = [(words(w), w.y()) for w in live(transcript, TextBlock) if in_view(transcript, w)]
    assert after == before


def test_a_button_leads_back_to_the_end(qtbot: QtBot, transcript: Transcript) -> None:
    transcript.show_messages(many(21))
    assert not transcript._to_end.isVisible()
    transcript.verticalScrollBar().setValue(500)
    assert transcript._to_end.isVisible()
    QTest.mouseClick(transcript._to_end, Qt.MouseButton.LeftButton)
    assert at_end(transcript)
    assert not transcript._to_end.isVisible()


def test_sending_goes_to_the_end(transcript: Transcript) -> None:
    transcript.show_messages(many(21))
    transcript.verticalScrollBar().setValue(0)
    transcript.add_message(user(99, "And then?"))
    assert at_end(transcript)
    assert words(live(transcript, TextBlock)[-1]) == "And then?"


def test_home_and_end_keys(transcript: Transcript) -> None:
    transcript.show_messages(many(21))
    QTest.keyClick(transcript, Qt.Key.Key_Home)
    assert transcript.verticalScrollBar().value() == 0
    assert words(live(transcript, TextBlock)[0]) == "Question 1?"
    QTest.keyClick(transcript, Qt.Key.Key_End)
    assert at_end(transcript)


def places(transcript: Transcript) -> dict[str, int]:
    """Where each message in sight is, px from the top of the viewport."""
    return {words(w): w.y() for w in live(transcript, TextBlock) if in_view(transcript, w)}


def moves(before: dict[str, int], after: dict[str, int]) -> set[int]:
    """By how many px what is in sight both times was moved."""
    return {after[text] - y for text, y in before.items() if text in after}


@pytest.mark.parametrize("step", [120, -120])
def test_text_moves_by_as_much_as_one_scrolls(transcript: Transcript, step: int) -> None:
    """Also while estimated heights beside the viewport are replaced by true ones."""
    transcript.show_messages(many(60))
    bar = transcript.verticalScrollBar()
    bar.setValue(bar.maximum() // 2)
    for _ in range(40):
        before = places(transcript)
        bar.setValue(bar.value() + step)
        assert moves(before, places(transcript)) == {-step}


def test_a_resize_keeps_the_line_that_is_read(transcript: Transcript) -> None:
    transcript.show_messages(many(60))
    transcript.verticalScrollBar().setValue(3000)
    first = next(w for w in live(transcript, TextBlock) if in_view(transcript, w))
    text = words(first)
    for width in (500, 1000, 620):
        transcript.resize(width, 600)
        shown = [w for w in live(transcript, TextBlock) if in_view(transcript, w)]
        assert words(shown[0]) == text
        assert all(w.width() <= width - 2 * SIDE for w in shown)
        assert all(isinstance(w, TextBlock) and w.height_at(w.width()) <= w.height() for w in shown)


def test_a_thousand_messages_are_a_few_widgets(transcript: Transcript) -> None:
    transcript.show_messages(many(1000))
    assert at_end(transcript)
    assert words(live(transcript, TextBlock)[-1]).startswith("Answer 1000")
    bar = transcript.verticalScrollBar()
    seen = set()
    for step in range(41):
        bar.setValue(bar.maximum() * step // 40)
        shown = live(transcript, TextBlock)
        assert len(shown) <= MOST_WIDGETS
        assert any(in_view(transcript, w) for w in shown)
        seen |= {words(w)[:12] for w in shown}
    assert "Question 1?" in seen
    assert len(seen) > 40
    assert transcript.text().count("Question") == 500


def test_going_through_all_of_it_meets_every_message_once_in_order(
    transcript: Transcript,
) -> None:
    transcript.show_messages(many(60))
    bar = transcript.verticalScrollBar()
    bar.setValue(0)
    order: list[str] = []
    while True:
        for widget in live(transcript, TextBlock):
            start = words(widget)[:12]
            if in_view(transcript, widget) and start not in order:
                order.append(start)
        if bar.value() == bar.maximum():
            break
        bar.setValue(bar.value() + 300)
    assert [int("".join(filter(str.isdigit, start))) for start in order] == list(range(1, 61))


# ---------------------------------------------------------------------------- selection


def drag(transcript: Transcript, start: QPoint, stop: QPoint) -> None:
    viewport = transcript.viewport()
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, pos=start)
    move = QMouseEvent(
        QEvent.Type.MouseMove,
        stop.toPointF(),
        viewport.mapToGlobal(stop).toPointF(),
        Qt.MouseButton.NoButton,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    QGuiApplication.sendEvent(viewport, move)
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=stop)


def test_a_selection_goes_across_messages(transcript: Transcript) -> None:
    transcript.show_messages([user(1, "Why?"), reply(2, "Because"), user(3, "Oh")])
    prompt, answer, last = live(transcript, TextBlock)
    drag(
        transcript,
        QPoint(prompt.x() - 5, prompt.geometry().center().y()),
        QPoint(answer.geometry().right(), answer.geometry().center().y()),
    )
    assert transcript.selected_text() == "Why?\n\nBecause"
    QTest.keyClick(transcript, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "Why?\n\nBecause"
    assert isinstance(last, TextBlock)
    assert not last.selected_text()


def test_select_all_takes_what_is_out_of_sight_too(transcript: Transcript) -> None:
    messages = many(100)
    transcript.show_messages(messages)
    QTest.keyClick(transcript, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    assert transcript.selected_text() == "\n\n".join(m.content.strip() for m in messages)
    marked = [w for w in live(transcript, TextBlock) if isinstance(w, TextBlock)]
    assert all(w.selected_text() for w in marked)


def test_a_selection_is_marked_in_what_scrolls_into_sight(transcript: Transcript) -> None:
    transcript.show_messages(many(100))
    transcript.select_all()
    transcript.verticalScrollBar().setValue(0)
    shown = [w for w in live(transcript, TextBlock) if isinstance(w, TextBlock)]
    assert all(w.selected_text() for w in shown)


def test_a_click_ends_a_selection(transcript: Transcript) -> None:
    transcript.show_messages([user(1, "Why?"), reply(2, "Because")])
    transcript.select_all()
    answer = live(transcript, TextBlock)[1]
    QTest.mouseClick(
        transcript.viewport(), Qt.MouseButton.LeftButton, pos=answer.geometry().center()
    )
    assert transcript.selected_text() == ""
    QGuiApplication.clipboard().setText("kept")
    QTest.keyClick(transcript, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "kept"


def test_a_double_click_takes_a_word_beside_characters_of_two_units(
    transcript: Transcript,
) -> None:
    transcript.show_messages([reply(1, "🔥🔥 rainbow 🔥")])
    (answer,) = live(transcript, TextBlock)
    assert isinstance(answer, TextBlock)
    where = answer.rect_of("rainbow").center().toPoint() + answer.pos()
    QTest.mouseDClick(transcript.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert transcript.selected_text() == "rainbow"


def test_dragging_beyond_the_edge_scrolls(transcript: Transcript) -> None:
    transcript.show_messages(many(60))
    transcript.verticalScrollBar().setValue(1000)
    before = places(transcript)
    drag(transcript, QPoint(200, 300), QPoint(200, 640))
    assert moves(before, places(transcript)) == {-40}
    assert transcript.selected_text()


def test_a_shift_click_extends_the_selection(transcript: Transcript) -> None:
    transcript.show_messages([user(1, "Why?"), reply(2, "Because")])
    prompt, answer = live(transcript, TextBlock)
    viewport = transcript.viewport()
    left = QPoint(prompt.x() - 5, prompt.geometry().center().y())
    QTest.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=left)
    QTest.mouseClick(
        viewport,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.ShiftModifier,
        QPoint(answer.geometry().right(), answer.geometry().center().y()),
    )
    assert transcript.selected_text() == "Why?\n\nBecause"
