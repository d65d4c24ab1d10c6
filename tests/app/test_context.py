"""A chat that fills its context: what is counted, what is asked, and what the model then sees.

The engine is scripted; it counts a token for each word and one for each message, by the engine's
own rules. A context holds 1,000.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.context.card import Way
from app.context.use import ContextUse, short_enough, surely_fits
from app.models.loader import ReadyModel
from app.store.database import open_in_memory
from app.store.records import Attachment
from app.store.store import Store
from app.theming import Look
from app.window import MainWindow
from engine import protocol
from engine.errors import PromptTooLongError
from engine.reply import context
from tests.app.chat.test_dialogue import Scripted
from tests.app.stand_in import MODEL

CAPACITY = 1000
LONG = " ".join(["word"] * 200)
USE = ContextUse(1000, 500, True, 100, 125, 0, 500)


class Counting(Scripted):
    """Answers each count at once, and every load."""

    capacity = CAPACITY

    def send(self, command: protocol.Command) -> bool:
        super().send(command)
        if isinstance(command, protocol.Count):
            self.event_received.emit(self._counted(command))
        if isinstance(command, protocol.Load):
            self.capacity = command.context_length or CAPACITY
            event = loaded(self.capacity)
            QTimer.singleShot(0, self, lambda: self.event_received.emit(event))
        return True

    def _counted(self, command: protocol.Count) -> protocol.Counted:
        messages = [(message.role, message.content) for message in command.messages]
        counted = context.count(messages, self.capacity, command.longest_reply, self._encode)
        fields: dict[str, Any] = vars(counted)
        return protocol.Counted(request=command.request, context_length=self.capacity, **fields)

    def _encode(self, messages: context.Messages) -> list[int]:
        tokens = [0 for _, content in messages for _ in ("role", *content.split())]
        if len(tokens) > 2 * self.capacity:
            raise PromptTooLongError("far too long")
        return tokens

    @property
    def asked(self) -> list[protocol.Generate]:
        return [command for command in self.sent if isinstance(command, protocol.Generate)]


def loaded(capacity: int) -> protocol.Loaded:
    return protocol.Loaded(
        model=MODEL,
        device="CPU",
        dtype="float32",
        context_length=capacity,
        use_flash_attn=False,
        load_ms=1.0,
    )


class Chat:
    """A window with a loaded model, as its user has it."""

    def __init__(self, qtbot: QtBot, store: Store) -> None:
        self.engine = Counting()
        self.store = store
        self.window = MainWindow(store, self.engine)
        self.window.show()
        qtbot.waitExposed(self.window)
        self._qtbot = qtbot
        self.engine.event_received.emit(protocol.Models(models=(MODEL,)))
        self.window.loader.load(MODEL.id)
        qtbot.waitUntil(lambda: isinstance(self.window.loader.state, ReadyModel))

    @property
    def card(self) -> Any:
        return self.window.page.context_card

    @property
    def field(self) -> Any:
        return self.window.page.composer.field

    def write(self, text: str) -> None:
        self.window.page.composer.set_text(text)

    def enter(self) -> None:
        QTest.keyClick(self.field, Qt.Key.Key_Return)
        QApplication.processEvents()

    def turn(self, text: str) -> None:
        """A prompt, and a reply as long as it."""
        self.write(text)
        self.enter()
        self.engine.say(text)
        self.engine.finish()

    def choose(self, way: Way) -> None:
        self.card._options[way].radio.setChecked(True)
        self.card._send.click()
        QApplication.processEvents()

    def gauge(self) -> str:
        """What it says once the count has come."""
        gauge = self.window.page.composer.gauge
        self._qtbot.waitUntil(lambda: not gauge.isHidden())
        return str(gauge._words.text())


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store(open_in_memory())
    yield made
    made.close()


@pytest.fixture
def chat(qtbot: QtBot, store: Store, look: Look) -> Iterator[Chat]:
    made = Chat(qtbot, store)
    yield made
    made.window.hide()
    made.window.deleteLater()


@pytest.fixture
def full(chat: Chat) -> Chat:
    """Two turns of 402 tokens; a third does not fit."""
    chat.turn(LONG)
    chat.turn(LONG)
    chat.write(LONG)
    chat.enter()
    return chat


def test_tokens_are_counted_while_one_writes(chat: Chat) -> None:
    chat.write("three small words")
    assert chat.gauge() == "4 of 1,000"


def test_a_prompt_that_fits_is_sent_at_once(chat: Chat) -> None:
    chat.write("Hello")
    chat.enter()
    assert [command.messages[-1].content for command in chat.engine.asked] == ["Hello"]
    assert chat.card.isHidden()


def test_a_prompt_that_does_not_fit_stays_in_the_box_and_the_ways_on_are_shown(full: Chat) -> None:
    assert not full.card.isHidden()
    assert full.field.toPlainText() == LONG
    assert len(full.engine.asked) == 2
    assert full.card._title.text() == "This no longer fits: 130 tokens too many"
    assert [way for way, option in full.card._options.items() if not option.isHidden()] == [*Way]


def test_leaving_out_the_oldest_turn_sends_the_rest_and_keeps_the_chat(full: Chat) -> None:
    full.choose(Way.LEAVE_OUT)
    assert full.card.isHidden()
    assert full.field.toPlainText() == ""
    assert [message.role for message in full.engine.asked[-1].messages] == [
        "user",
        "assistant",
        "user",
    ]
    assert len(full.store.messages(1)) == 6


def test_what_was_left_out_stays_left_out_at_the_next_turn(full: Chat) -> None:
    full.choose(Way.LEAVE_OUT)
    full.engine.say("Yes.")
    full.engine.finish()
    full.write("And now?")
    full.enter()
    assert len(full.engine.asked[-1].messages) == 5


def lines(chat: Chat) -> list[int]:
    """The messages above which the line stands."""
    blocks = chat.window.page.transcript._document.blocks
    return [block.message for block in blocks if block.kind == "unseen"]


def test_a_line_shows_from_where_on_the_model_sees_the_chat(full: Chat) -> None:
    full.choose(Way.LEAVE_OUT)
    assert lines(full) == [3]
    full.window.new_chat()
    assert lines(full) == []
    full.window.dialogue.open(1)
    assert lines(full) == [3]


def test_what_the_model_does_not_see_is_grey(full: Chat) -> None:
    full.write(LONG)
    full.enter()
    full.choose(Way.LEAVE_OUT)
    full.engine.finish()
    blocks = full.window.page.transcript._document.blocks
    line = next(at for at, block in enumerate(blocks) if block.kind == "unseen")
    assert line > 1
    assert [block.faded for block in blocks] == [at < line for at in range(len(blocks))]
    full.window.page.transcript.see_all_requested.emit()
    assert not any(block.faded for block in full.window.page.transcript._document.blocks)


def test_undoing_it_shows_the_model_everything_again(full: Chat) -> None:
    full.choose(Way.LEAVE_OUT)
    full.engine.say("Yes.")
    full.engine.finish()
    full.window.page.transcript.see_all_requested.emit()
    assert lines(full) == []
    full.write("Short")
    full.enter()
    assert not full.card.isHidden()


def test_shortening_goes_back_to_the_box(full: Chat) -> None:
    full.choose(Way.SHORTEN)
    assert full.card.isHidden()
    assert full.field.toPlainText() == LONG
    assert len(full.engine.asked) == 2


def test_a_longer_context_is_loaded_and_the_prompt_sent_then(full: Chat, qtbot: QtBot) -> None:
    full.choose(Way.LONGER)
    qtbot.waitUntil(lambda: len(full.engine.asked) == 3)
    loads = [command for command in full.engine.sent if isinstance(command, protocol.Load)]
    assert loads[-1].context_length == 2000
    assert len(full.engine.asked[-1].messages) == 5
    assert full.field.toPlainText() == ""


def test_escape_leaves_everything_as_it_was(full: Chat) -> None:
    QTest.keyClick(full.card, Qt.Key.Key_Escape)
    assert full.card.isHidden()
    assert full.field.toPlainText() == LONG


def test_the_card_goes_when_the_message_is_changed(full: Chat) -> None:
    full.write("Short")
    assert full.card.isHidden()


def test_another_chat_has_no_card_of_this_one(full: Chat) -> None:
    full.window.new_chat()
    assert full.card.isHidden()


def test_a_message_too_long_for_any_chat_offers_no_turns_to_leave_out(chat: Chat) -> None:
    chat.write(" ".join(["word"] * 1200))
    chat.enter()
    assert chat.card._options[Way.LEAVE_OUT].isHidden()
    assert not chat.card._options[Way.LONGER].isHidden()


def test_an_engine_that_does_not_count_does_not_keep_a_prompt(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    monkeypatch.setattr(Counting, "send", Scripted.send)
    chat.window.context._counter._patience.setInterval(10)
    chat.window.context._counter.forget()
    chat.write(LONG)
    chat.enter()
    qtbot.waitUntil(lambda: len(chat.engine.asked) == 1)


@pytest.mark.parametrize(("letters", "fits"), [(400, True), (600, False)])
def test_a_message_surely_fits_if_its_bytes_do(letters: int, fits: bool) -> None:
    assert surely_fits(USE, "x" * letters) is fits
    assert surely_fits(USE, "ä" * (letters // 2)) is fits


@pytest.mark.parametrize(("letters", "fits"), [(800, True), (820, False)])
def test_a_short_conversation_needs_no_count(letters: int, fits: bool) -> None:
    assert short_enough(["x" * letters], 1000) is fits


# ---------------------------------------------------------------------------- other versions


def test_while_a_prompt_is_changed_what_follows_it_is_not_counted(chat: Chat, qtbot: QtBot) -> None:
    chat.turn("one two three")
    chat.turn("four five")
    prompts = [m.id for m in chat.window.dialogue.path if m.role == "user"]
    chat.window.page.edit(prompts[0])
    qtbot.waitUntil(lambda: chat.gauge().startswith("4 of"))
    chat.window.page.leave_edit()
    qtbot.waitUntil(lambda: chat.gauge().startswith("14 of"))


def test_a_prompt_that_is_changed_to_one_that_does_not_fit_stays_in_the_box(full: Chat) -> None:
    sent = len(full.engine.asked)
    prompts = [m.id for m in full.window.dialogue.path if m.role == "user"]
    full.window.page.edit(prompts[-1])
    full.write(" ".join(["word"] * 700))
    full.enter()
    assert full.card.isVisible()
    assert len(full.engine.asked) == sent
    full.choose(Way.LEAVE_OUT)
    assert len(full.engine.asked) == sent + 1
    assert full.window.page.editing is None


def test_a_reply_that_no_longer_fits_is_asked_about_before_it_is_written_again(
    full: Chat, qtbot: QtBot
) -> None:
    full.window.dialogue.seen.see_all(full.window.dialogue.conversation or 0)
    sent = len(full.engine.asked)
    full.engine.capacity = 500
    full.window.loader._set_state(ReadyModel(loaded(500)))
    full.window._regenerate()
    assert full.card.isVisible()
    assert len(full.engine.asked) == sent
    full.choose(Way.LEAVE_OUT)
    assert len(full.engine.asked) == sent + 1


def test_the_tokens_of_a_file_are_told(chat: Chat, qtbot: QtBot) -> None:
    chips = chat.window.page.composer.files
    chips.add(Attachment("a.txt", "one two three four"))
    qtbot.waitUntil(lambda: "5 tokens" in chips._chips[0]._words.text())
    chat.gauge()
