"""Formulas in replies: drawn by another process, and their source until then."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QColor, QGuiApplication, QImage
from pytestqt.qtbot import QtBot

from app import theming
from app.chat import formula_child
from app.chat.flow import PLACE, Flow, Leaf, Picture, Run, Style
from app.chat.table_block import TableBlock
from app.chat.text_block import TextBlock
from app.chat.transcript import Transcript
from app.store.records import StoredMessage
from app.theming import Look
from resources.theme import DARK
from tests.app.conftest import TIMEOUT_MS

HANGS = r"\frac{" * 100 + "x}{y}" * 100
"""Takes ziamath longer than anybody waits."""


@pytest.fixture
def transcript(qtbot: QtBot, look: Look) -> Transcript:
    made = Transcript()
    qtbot.addWidget(made)
    made.resize(700, 600)
    made.show()
    qtbot.waitExposed(made)
    return made


def show(transcript: Transcript, text: str) -> None:
    transcript.show_messages([StoredMessage(1, "assistant", text)])


def texts(transcript: Transcript) -> str:
    found = [w for w in transcript.widgets().values() if isinstance(w, TextBlock | TableBlock)]
    return "\n".join(widget.text() for widget in sorted(found, key=lambda w: w.y()))


def wait_for_pictures(transcript: Transcript, qtbot: QtBot, count: int) -> None:
    qtbot.waitUntil(lambda: texts(transcript).count(PLACE) == count, timeout=2 * TIMEOUT_MS)


def test_formulas_are_shown_as_source_until_their_pictures_are_there(
    transcript: Transcript, qtbot: QtBot
) -> None:
    show(
        transcript,
        "So $x_1^2$ and \\(y\\):\n\n$$\na+b\n$$\n\n| a |\n|---|\n| $c$ |\n\n\\[\nd\n\\]\n",
    )
    assert "x_1^2" in texts(transcript)
    wait_for_pictures(transcript, qtbot, 5)
    assert f"So {PLACE} and {PLACE}:\n{PLACE}" in texts(transcript)


def test_what_cannot_be_drawn_stays_its_source_and_holds_up_nothing(
    transcript: Transcript, qtbot: QtBot
) -> None:
    bad = (r"\frac{1}{", r"\def\a{\a\a}\a", "{" * 300 + "}" * 300, HANGS)
    show(transcript, " and ".join(f"${each}$" for each in bad) + " but $x$")
    wait_for_pictures(transcript, qtbot, 1)
    shown = texts(transcript)
    assert all(each in shown for each in bad)
    assert shown.endswith(f"but {PLACE}")


def test_a_formula_is_copied_and_found_as_its_source(transcript: Transcript, qtbot: QtBot) -> None:
    text = r"The sum $\sum_i x_i$ is" + "\n\n$$\n\\frac{a}{b}\n$$\n\nlarge."
    show(transcript, text)
    wait_for_pictures(transcript, qtbot, 2)
    transcript.select_all()
    transcript.copy()
    assert QGuiApplication.clipboard().text() == "The sum \\sum_i x_i is\n\n\\frac{a}{b}\n\nlarge."
    ((start, stop),) = transcript.find_words("x_i")
    transcript.show_span(start, stop)
    assert transcript.selected_text() == "x_i"
    block = next(w for w in transcript.widgets().values() if isinstance(w, TextBlock))
    assert block.selected_text() == PLACE
    assert "\\sum_i x_i" in block.accessibleDescription()


def test_a_formula_is_drawn_in_the_colour_of_the_text(
    transcript: Transcript, qtbot: QtBot, look: Look
) -> None:
    show(transcript, "$$\nMMMM\n$$")
    wait_for_pictures(transcript, qtbot, 1)
    for theme in (theming.theme(), DARK):
        look.show(theme)
        QGuiApplication.processEvents()
        assert QColor(theme.text).rgb() in colours(transcript)


def colours(transcript: Transcript) -> set[int]:
    block = next(w for w in transcript.widgets().values() if isinstance(w, TextBlock))
    image = block.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    return {image.pixel(x, y) for x in range(image.width()) for y in range(image.height())}


def test_a_formula_that_is_too_wide_is_drawn_smaller(transcript: Transcript, qtbot: QtBot) -> None:
    show(transcript, "$$\n" + "+".join(f"x_{{{n}}}" for n in range(60)) + "\n$$")
    wait_for_pictures(transcript, qtbot, 1)
    block = next(w for w in transcript.widgets().values() if isinstance(w, TextBlock))
    assert block.rect_of(PLACE).width() <= block.width() + 1


def test_the_line_of_a_high_formula_has_room_for_it(transcript: Transcript, qtbot: QtBot) -> None:
    show(transcript, "one\n\n$\\dfrac{\\dfrac{a}{b}}{\\dfrac{c}{d}}$ two")
    block = next(w for w in transcript.widgets().values() if isinstance(w, TextBlock))
    before = block.height()
    wait_for_pictures(transcript, qtbot, 1)
    assert block.height() > before + 15


def test_a_reply_that_streams_shows_its_formulas(transcript: Transcript, qtbot: QtBot) -> None:
    transcript.show_messages([StoredMessage(1, "assistant", "", "streaming")])
    for piece in ("It is $x", "^2$ and", " $y$"):
        transcript.append_text(1, piece)
        transcript._flush.flush()
    wait_for_pictures(transcript, qtbot, 2)
    transcript.finish_message(StoredMessage(1, "assistant", "It is $x^2$ and $y$"))
    assert texts(transcript) == f"It is {PLACE} and {PLACE}"


def test_a_place_in_a_picture_is_the_beginning_or_the_end_of_its_source() -> None:
    picture = Picture(1.0, 1.0, 0.0, b"")
    runs = (Run("a ", 0), Run(PLACE, 3, Style.MATH, picture=picture, span=5), Run(" b", 9))
    flow = Flow([Leaf(runs)])
    assert [flow.to_source(at) for at in range(6)] == [0, 1, 3, 9, 10, 11]
    assert [flow.to_shown(at) for at in (2, 3, 5, 7, 8, 9, 10)] == [2, 2, 2, 2, 3, 3, 4]


@pytest.mark.filterwarnings("ignore:path is deprecated")
def test_the_size_of_a_formula_is_told_in_letters() -> None:
    one, high = formula_child.drawn("x", False), formula_child.drawn(r"\frac{a}{b}", True)
    assert one
    assert high
    assert 0.3 < one["width"] < 0.8
    assert 0.3 < one["ascent"] < 0.7
    assert high["descent"] > 0.4
    assert formula_child.drawn(r"\frac{1}{", False) is None
