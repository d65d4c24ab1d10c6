from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PySide6.QtTest import QSignalSpy
from pytestqt.qtbot import QtBot

from app.chat.dialogue import Dialogue
from app.chat.replies import kernel_of
from app.engine import EngineState
from app.engine_client import EngineClient
from app.store.changes import Moved
from app.store.records import NO_TROUBLE, Figures, Thinking, title_of
from app.store.store import FILE, Store, open_store
from engine import protocol
from tests.app.conftest import TIMEOUT_MS, MakeEngine, wait_for
from tests.app.stand_in import phase


class Scripted(EngineClient):
    """Ready at once; what is sent is kept, and the test says what comes back."""

    def __init__(self) -> None:
        super().__init__(["unused"])
        self._state = EngineState.READY
        self.sent: list[protocol.Command] = []
        self.on_send: Callable[[], object] = lambda: None

    def send(self, command: protocol.Command) -> bool:
        self.on_send()
        self.sent.append(command)
        return True

    @property
    def last(self) -> protocol.Generate:
        return next(c for c in reversed(self.sent) if isinstance(c, protocol.Generate))

    def think(self, *words: str) -> None:
        for word in words:
            self.event_received.emit(protocol.Thinking(request=self.last.request, text=word))

    def say(self, *words: str) -> None:
        for word in words:
            self.event_received.emit(protocol.Text(request=self.last.request, text=word))

    def finish(self, reason: protocol.FinishReason = "stop", tokens: int = 40) -> None:
        self.event_received.emit(
            protocol.Finished(
                request=self.last.request,
                finish_reason=reason,
                prompt_tokens=tokens,
                reused_tokens=12,
                new_tokens=7,
                thinking_tokens=3,
                time_to_first_token_ms=34.0,
                prefill_tokens_per_second=1200.0,
                decode_tokens_per_second=212.0,
                peak_memory_bytes=0,
            )
        )


@pytest.fixture
def engine(qapp: object) -> Scripted:
    return Scripted()


@pytest.fixture
def dialogue(store: Store, engine: Scripted) -> Dialogue:
    return Dialogue(store, engine)


def current(dialogue: Dialogue) -> int:
    assert dialogue.conversation is not None
    return dialogue.conversation


def shown(store: Store, dialogue: Dialogue) -> list[str]:
    return [message.content for message in store.tree(current(dialogue)).path]


def history(command: protocol.Generate) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in command.messages]


def test_a_prompt_is_in_the_store_before_it_is_sent(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    stored: list[list[str]] = []
    engine.on_send = lambda: stored.append(
        [m.content for m in store.messages(current(dialogue)) if m.role == "user"]
    )
    assert dialogue.send("Why is the sky dark?")
    assert stored == [["Why is the sky dark?"]]
    assert history(engine.last) == [("user", "Why is the sky dark?")]
    assert [c.title for c in store.conversations()] == ["Why is the sky dark?"]


def test_a_reply_is_told_piece_by_piece_and_stored_whole(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    pieces = QSignalSpy(dialogue.text_added)
    answering = QSignalSpy(dialogue.answering_changed)
    finished = QSignalSpy(dialogue.finished)
    dialogue.send("Why?")
    engine.say("Be", "cause")
    engine.finish()
    reply = store.messages(current(dialogue))[1]
    assert [pieces.at(i)[1] for i in range(pieces.count())] == ["Be", "cause"]
    assert [answering.at(i)[0] for i in range(answering.count())] == [True, False]
    assert reply.content == "Because"
    assert (reply.state, reply.finish_reason) == ("complete", "stop")
    assert reply.figures == Figures(40, 12, 7, 34.0, 1200.0, 212.0, 3)
    assert finished.count() == 1
    assert finished.at(0)[0] == reply


def test_the_whole_conversation_is_sent_each_time(dialogue: Dialogue, engine: Scripted) -> None:
    dialogue.send("One?")
    engine.say("1")
    engine.finish()
    dialogue.send("Two?")
    assert history(engine.last) == [("user", "One?"), ("assistant", "1"), ("user", "Two?")]


def test_a_partial_reply_is_saved_while_it_streams(
    qtbot: QtBot,
    store: Store,
    engine: Scripted,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.chat.replies.SAVE_MS", 20)
    dialogue = Dialogue(store, engine)
    dialogue.send("Why?")
    engine.say("Half an ")
    qtbot.waitUntil(
        lambda: store.messages(current(dialogue))[1].content == "Half an ", timeout=TIMEOUT_MS
    )
    engine.say("answer")
    qtbot.waitUntil(
        lambda: store.messages(current(dialogue))[1].content == "Half an answer",
        timeout=TIMEOUT_MS,
    )
    assert store.messages(current(dialogue))[1].state == "streaming"
    engine.finish()


def test_a_partial_reply_is_saved_each_second(dialogue: Dialogue) -> None:
    saver = dialogue.replies._saver
    assert saver.interval() <= 1000
    assert not saver.isActive()
    dialogue.send("Why?")
    assert saver.isActive()


def test_thinking_is_told_timed_and_stored_beside_the_answer(
    store: Store, engine: Scripted
) -> None:
    times = iter([10.0, 11.0, 13.5])
    dialogue = Dialogue(store, engine, clock=lambda: next(times))
    told: list[tuple[object, ...]] = []
    dialogue.thinking_added.connect(lambda *what: told.append(what))
    dialogue.thinking_ended.connect(lambda *what: told.append(what))
    dialogue.text_added.connect(lambda *what: told.append(what))
    dialogue.send("Why?")
    engine.think("Hm", ", ", "so.")
    engine.say("Be", "cause")
    engine.finish()
    reply = store.messages(current(dialogue))[1]
    assert [what for _, what in told] == ["Hm", ", ", "so.", 3.5, "Be", "cause"]
    assert (reply.content, reply.thinking) == ("Because", Thinking("Hm, so.", 3.5))


def test_an_answer_that_turns_out_to_be_thinking_begins_again_behind_it(
    store: Store, engine: Scripted
) -> None:
    times = iter([10.0, 12.5, 13.0])
    dialogue = Dialogue(store, engine, clock=lambda: next(times))
    told: list[tuple[object, ...]] = []
    dialogue.send("Why?")
    for signal in (dialogue.removed, dialogue.thinking_added, dialogue.thinking_ended):
        signal.connect(lambda *what: told.append(what))
    engine.say("Hm, ", "so")
    engine.event_received.emit(protocol.Rethought(request=engine.last.request))
    engine.think(".")
    engine.say("Because")
    engine.finish()
    reply = store.messages(current(dialogue))[1]
    assert [what for _, *what in told] == [[], ["Hm, so"], ["."], [3.0]]
    assert (reply.content, reply.thinking) == ("Because", Thinking("Hm, so.", 3.0))


def test_an_answer_without_thinking_ends_none(dialogue: Dialogue, engine: Scripted) -> None:
    ended = QSignalSpy(dialogue.thinking_ended)
    dialogue.send("Why?")
    engine.say("Be", "cause")
    assert ended.count() == 0


def test_thinking_is_never_sent_back(dialogue: Dialogue, engine: Scripted) -> None:
    dialogue.send("One?")
    engine.think("Hm.")
    engine.say("1")
    engine.finish()
    dialogue.send("Two?")
    assert history(engine.last) == [("user", "One?"), ("assistant", "1"), ("user", "Two?")]


def test_a_reply_stopped_while_the_model_thought_stands_between_two_prompts(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    dialogue.send("One?")
    engine.think("Hm.")
    engine.finish("stopped")
    assert store.messages(current(dialogue))[1].thinking.text == "Hm."
    dialogue.send("Two?")
    assert history(engine.last) == [("user", "One?"), ("assistant", ""), ("user", "Two?")]


def test_thinking_is_saved_while_it_streams_and_shown_when_one_comes_back(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    dialogue.send("Why?")
    first = current(dialogue)
    engine.think("Hm")
    dialogue.save()
    assert store.messages(first)[1].thinking.text == "Hm"
    assert store.messages(first)[1].content == ""
    dialogue.open(None)
    told = QSignalSpy(dialogue.thinking_added)
    engine.think(", so")
    assert told.count() == 0
    opened = QSignalSpy(dialogue.opened)
    dialogue.open(first)
    assert opened.at(0)[0][1].thinking.text == "Hm, so"
    engine.finish()


@pytest.mark.parametrize("prompt", ["", " ", "\n\t \n"])
def test_an_empty_prompt_is_not_sent(
    dialogue: Dialogue, engine: Scripted, store: Store, prompt: str
) -> None:
    assert not dialogue.send(prompt)
    assert engine.sent == []
    assert store.conversations() == []


def asked(engine: Scripted) -> list[str]:
    """The last message of each request."""
    return [c.messages[-1].content for c in engine.sent if isinstance(c, protocol.Generate)]


def test_a_prompt_sent_while_a_reply_runs_waits_for_its_end(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    queued = QSignalSpy(dialogue.queue_changed)
    assert dialogue.send("One?")
    assert not dialogue.regenerate()
    assert dialogue.send("Two?")
    assert dialogue.send("Three?")
    assert [waiting.content for waiting in dialogue.queue] == ["Two?", "Three?"]
    assert asked(engine) == ["One?"]
    assert shown(store, dialogue) == ["One?", ""]
    engine.say("1")
    engine.finish()
    assert asked(engine) == ["One?", "Two?"]
    assert history(engine.last) == [("user", "One?"), ("assistant", "1"), ("user", "Two?")]
    engine.say("2")
    engine.finish()
    engine.say("3")
    engine.finish()
    assert shown(store, dialogue) == ["One?", "1", "Two?", "2", "Three?", "3"]
    assert dialogue.queue == []
    assert queued.count() == 4


def test_two_chats_wait_for_one_engine(dialogue: Dialogue, engine: Scripted, store: Store) -> None:
    dialogue.send("One?")
    first = current(dialogue)
    dialogue.open(None)
    assert dialogue.send("Two?")
    second = current(dialogue)
    assert second != first
    assert engine.last.messages[-1].content == "One?"
    opened, added = QSignalSpy(dialogue.opened), QSignalSpy(dialogue.added)
    engine.say("1")
    engine.finish()
    assert dialogue.answering
    assert [added.at(i)[0].content for i in range(added.count())] == ["Two?", ""]
    assert opened.count() == 0
    engine.say("2")
    engine.finish()
    assert [m.content for m in store.tree(first).path] == ["One?", "1"]
    assert [m.content for m in store.tree(second).path] == ["Two?", "2"]


def test_a_prompt_that_waits_for_its_turn_can_be_taken_back(
    dialogue: Dialogue, engine: Scripted
) -> None:
    dialogue.send("One?")
    dialogue.send("Two?")
    dialogue.take_back(dialogue.queue[0])
    engine.finish()
    assert asked(engine) == ["One?"]
    assert dialogue.queue == []


def test_prompts_wait_until_a_model_is_there(dialogue: Dialogue, engine: Scripted) -> None:
    dialogue.set_model(None)
    assert dialogue.send("Why?")
    assert engine.sent == []
    dialogue.set_model("smollm2")
    assert asked(engine) == ["Why?"]


def test_prompts_that_waited_when_the_window_ended_wait_at_the_next_start(
    on_disk: Dialogue, engine: Scripted, file_store: Store, tmp_path: Path
) -> None:
    on_disk.set_model(None)
    on_disk.send("Why?")
    file_store.close()
    later, _ = open_store(tmp_path / "data")
    again = Dialogue(later, engine)
    assert [waiting.content for waiting in again.queue] == ["Why?"]
    again.send_next()
    assert asked(engine) == ["Why?"]
    later.close()


def test_a_prompt_that_waits_under_a_lock_is_sent_when_it_ends(
    on_disk: Dialogue, engine: Scripted, tmp_path: Path
) -> None:
    on_disk.send("One?")
    on_disk.send("Two?")
    with locked(tmp_path):
        engine.finish()
        assert asked(engine) == ["One?"]
        assert not on_disk.waits
    on_disk.go_on()
    assert asked(engine) == ["One?", "Two?"]


def test_prompts_of_a_deleted_chat_wait_until_it_is_restored(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    dialogue.send("One?")
    dialogue.open(None)
    dialogue.send("Two?")
    store.delete_conversation(current(dialogue))
    engine.finish()
    assert asked(engine) == ["One?"]
    store.restore_conversation(current(dialogue))
    dialogue.send_next()
    assert asked(engine) == ["One?", "Two?"]


@pytest.mark.parametrize("state", [EngineState.DEAD, EngineState.CLOSED])
def test_nothing_waits_for_an_engine_that_is_not_there(
    dialogue: Dialogue, engine: Scripted, store: Store, state: EngineState
) -> None:
    engine._state = state
    assert not dialogue.send("Why?")
    assert store.conversations() == []


# ---------------------------------------------------------------------------- versions


def answered(engine: Scripted, text: str) -> None:
    engine.say(text)
    engine.finish()


def test_a_prompt_can_be_changed_and_both_versions_are_kept(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    dialogue.send("Wy?")
    answered(engine, "What?")
    dialogue.send("And?")
    answered(engine, "And what?")
    first = store.messages(current(dialogue))[0].id
    told, removed = QSignalSpy(dialogue.versions_changed), QSignalSpy(dialogue.removed)
    assert dialogue.edit(first, "Why?")
    assert removed.count() == 4
    assert history(engine.last) == [("user", "Why?")]
    answered(engine, "Because")
    assert shown(store, dialogue) == ["Why?", "Because"]
    second = store.tree(current(dialogue)).path[0].id
    assert told.at(told.count() - 1)[0] == {second: (2, 2)}
    dialogue.show_version(second, -1)
    assert shown(store, dialogue) == ["Wy?", "What?", "And?", "And what?"]
    assert told.at(told.count() - 1)[0] == {first: (1, 2)}
    dialogue.show_version(first, -1)  # there is none before
    assert shown(store, dialogue) == ["Wy?", "What?", "And?", "And what?"]


def test_any_reply_can_be_written_again_and_what_followed_it_is_kept(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    dialogue.send("One?")
    answered(engine, "1")
    dialogue.send("Two?")
    answered(engine, "2")
    reply = store.messages(current(dialogue))[1].id
    assert dialogue.regenerate(reply)
    assert history(engine.last) == [("user", "One?")]
    answered(engine, "uno")
    assert shown(store, dialogue) == ["One?", "uno"]
    dialogue.show_version(store.tree(current(dialogue)).path[1].id, -1)
    assert shown(store, dialogue) == ["One?", "1", "Two?", "2"]
    dialogue.send("Three?")
    assert [content for _, content in history(engine.last)] == ["One?", "1", "Two?", "2", "Three?"]


def test_no_version_is_changed_while_a_reply_runs(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    dialogue.send("Why?")
    answered(engine, "1")
    dialogue.regenerate()
    engine.say("2")
    prompt, _, second = store.messages(current(dialogue))
    dialogue.show_version(second.id, -1)
    assert not dialogue.edit(prompt.id, "Other?")
    assert shown(store, dialogue) == ["Why?", ""]
    engine.finish()


def test_stop_names_the_reply_and_keeps_what_came(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    dialogue.stop()
    assert engine.sent == []  # nothing to stop yet
    dialogue.send("Why?")
    engine.say("Be")
    dialogue.stop()
    assert engine.sent[-1] == protocol.Stop(request=engine.last.request)
    engine.finish("stopped")
    reply = store.messages(current(dialogue))[1]
    assert (reply.content, reply.state, reply.finish_reason) == ("Be", "complete", "stopped")
    dialogue.send("Go on")
    assert ("assistant", "Be") in history(engine.last)


def test_regenerate_shows_another_reply_beside_the_last_one(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    assert not dialogue.regenerate()  # nothing to answer yet
    dialogue.send("Why?")
    engine.say("Wrong")
    engine.finish()
    removed = QSignalSpy(dialogue.removed)
    wrong = store.messages(current(dialogue))[1]
    assert dialogue.regenerate()
    assert removed.at(0)[0] == wrong.id
    assert history(engine.last) == [("user", "Why?")]
    engine.say("Right")
    engine.finish()
    assert shown(store, dialogue) == ["Why?", "Right"]
    assert [m.content for m in store.messages(current(dialogue))] == ["Why?", "Wrong", "Right"]


def test_a_reply_that_cannot_be_replaced_is_kept(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    dialogue.send("Why?")
    engine.say("Because")
    engine.finish()
    store._db.execute(
        "CREATE TRIGGER full BEFORE INSERT ON messages BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    removed, failed = QSignalSpy(dialogue.removed), QSignalSpy(dialogue.store_failed)
    assert not dialogue.regenerate()
    assert failed.count() == 1
    assert removed.count() == 0
    assert not dialogue.answering
    assert [m.content for m in store.messages(current(dialogue))] == ["Why?", "Because"]


def test_another_conversation_hears_nothing_of_a_reply_that_goes_on(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    other = store.add_conversation("Other")
    dialogue.send("Why?")
    first = current(dialogue)
    engine.say("Be")
    dialogue.open(other)
    pieces, finished = QSignalSpy(dialogue.text_added), QSignalSpy(dialogue.finished)
    engine.say("cau")
    assert pieces.count() == 0
    opened = QSignalSpy(dialogue.opened)
    dialogue.open(first)
    shown = opened.at(0)[0]
    assert (shown[1].content, shown[1].state) == ("Becau", "streaming")
    dialogue.open(other)
    engine.say("se")
    engine.finish()
    assert finished.count() == 0
    assert not dialogue.answering
    assert store.messages(first)[1].content == "Because"


def test_events_of_another_request_are_not_ours(dialogue: Dialogue, engine: Scripted) -> None:
    dialogue.send("Why?")
    pieces = QSignalSpy(dialogue.text_added)
    engine.event_received.emit(protocol.Text(request="someone else's", text="no"))
    assert pieces.count() == 0
    assert dialogue.answering


def test_an_error_is_kept_with_its_reply(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    dialogue.send("Why?")
    engine.event_received.emit(
        protocol.Error(title="T", detail="D", hint="H", request=engine.last.request)
    )
    engine.finish("error")
    reply = store.messages(current(dialogue))[1]
    assert reply.state == "failed"
    assert (reply.trouble.title, reply.trouble.detail, reply.trouble.hint) == ("T", "D", "H")


def test_prefill_progress_is_told(dialogue: Dialogue, engine: Scripted) -> None:
    dialogue.send("Why?")
    progress = QSignalSpy(dialogue.progressed)
    engine.event_received.emit(
        protocol.Prefill(request=engine.last.request, done=512, total=2048, reused=0)
    )
    assert (progress.at(0)[1].done, progress.at(0)[1].total) == (512, 2048)


def test_an_engine_that_dies_keeps_everything_and_can_go_on(
    qtbot: QtBot, make_engine: MakeEngine, store: Store
) -> None:
    client = make_engine("dies")
    dialogue = Dialogue(store, client)
    client.start()
    wait_for(qtbot, client.event_received, protocol.Hello)
    with qtbot.waitSignal(dialogue.finished, timeout=TIMEOUT_MS):
        dialogue.send("Why?")
    prompt, reply = store.messages(current(dialogue))
    assert prompt.content == "Why?"
    assert (reply.content, reply.state) == ("A rainbow is ", "failed")
    assert reply.trouble.title == "The engine has stopped"
    assert reply.trouble.hint == "Regenerate the reply once the engine runs again."
    assert not dialogue.answering
    client.start()
    wait_for(qtbot, client.event_received, protocol.Hello)
    assert dialogue.regenerate()


def test_a_reply_of_a_hung_engine_is_stopped_at_once(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    dialogue.send("Why?")
    engine.say("Becau")
    engine._answers = False
    dialogue.stop()
    assert not dialogue.answering
    assert engine.sent[-1] == protocol.Stop(request=engine.last.request)
    reply = store.messages(current(dialogue))[1]
    assert (reply.content, reply.state, reply.finish_reason) == ("Becau", "complete", "stopped")


def test_an_engine_ended_on_purpose_leaves_a_stopped_reply(
    qtbot: QtBot, make_engine: MakeEngine, store: Store
) -> None:
    client = make_engine("endless")
    dialogue = Dialogue(store, client)
    client.start()
    wait_for(qtbot, client.event_received, protocol.Hello)
    with qtbot.waitSignal(dialogue.text_added, timeout=TIMEOUT_MS):
        dialogue.send("Why?")
    with qtbot.waitSignal(dialogue.finished, timeout=TIMEOUT_MS):
        client.restart()
    reply = store.messages(current(dialogue))[1]
    assert reply.finish_reason == "stopped"
    assert reply.content.startswith("A ")
    assert reply.trouble == NO_TROUBLE


@pytest.fixture
def on_disk(engine: Scripted, file_store: Store) -> Dialogue:
    return Dialogue(file_store, engine)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another program writes."""
    connection = sqlite3.connect(folder / "data" / FILE, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.close()


def test_a_prompt_that_cannot_be_saved_is_not_sent(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    store._db.execute("PRAGMA max_page_count = 1")
    failed, added = QSignalSpy(dialogue.store_failed), QSignalSpy(dialogue.added)
    assert not dialogue.send("Why? " * 2000)
    assert failed.at(0)[0].title == "The disk is full"
    assert "SQLITE_FULL" in str(failed.at(0)[0])
    assert (engine.sent, added.count(), dialogue.waits) == ([], 0, False)
    assert dialogue.conversation is None
    store._db.execute("PRAGMA max_page_count = 100000")
    assert dialogue.send("Why?")
    assert [m.content for m in store.messages(current(dialogue))] == ["Why?", ""]


def test_a_prompt_waits_for_a_lock_and_is_then_saved_and_sent(
    on_disk: Dialogue, engine: Scripted, file_store: Store, tmp_path: Path
) -> None:
    waiting, sent = QSignalSpy(on_disk.waiting_changed), QSignalSpy(on_disk.sent)
    failed = QSignalSpy(on_disk.store_failed)
    with locked(tmp_path):
        assert not on_disk.send("Why?")
        assert on_disk.waits
        assert not on_disk.send("And this?")  # one at a time
        on_disk.go_on()
        assert (engine.sent, sent.count(), failed.count()) == ([], 0, 0)
    on_disk.go_on()
    assert [waiting.at(i)[0] for i in range(waiting.count())] == [True, False]
    assert sent.count() == 1
    assert history(engine.last) == [("user", "Why?")]
    assert [m.content for m in file_store.messages(current(on_disk))] == ["Why?", ""]


@pytest.mark.parametrize("way", ["stop", "open", "engine"])
def test_a_prompt_that_waits_can_be_given_up(
    on_disk: Dialogue, engine: Scripted, file_store: Store, tmp_path: Path, way: str
) -> None:
    with locked(tmp_path):
        on_disk.send("Why?")
        match way:
            case "stop":
                on_disk.stop()
            case "open":
                on_disk.open(None)
            case _:
                engine.state_changed.emit(EngineState.DEAD)
        assert not on_disk.waits
    on_disk.go_on()
    assert engine.sent == []
    assert file_store.conversations() == []


def test_another_reply_waits_for_a_lock_too(
    on_disk: Dialogue, engine: Scripted, file_store: Store, tmp_path: Path
) -> None:
    on_disk.send("Why?")
    engine.say("Wrong")
    engine.finish()
    with locked(tmp_path):
        assert not on_disk.regenerate()
        assert on_disk.waits
        assert [m.content for m in file_store.messages(current(on_disk))] == ["Why?", "Wrong"]
    on_disk.go_on()
    engine.say("Right")
    engine.finish()
    assert shown(file_store, on_disk) == ["Why?", "Right"]


def test_a_reply_that_ends_under_a_lock_is_part_of_the_conversation(
    on_disk: Dialogue, engine: Scripted, file_store: Store, tmp_path: Path
) -> None:
    on_disk.send("Why?")
    engine.say("Because")
    finished = QSignalSpy(on_disk.finished)
    with locked(tmp_path):
        engine.finish()
        assert finished.at(0)[0].content == "Because"
        opened = QSignalSpy(on_disk.opened)
        on_disk.open(current(on_disk))
        assert [m.content for m in opened.at(0)[0]] == ["Why?", "Because"]
    on_disk.send("And?")
    assert history(engine.last) == [("user", "Why?"), ("assistant", "Because"), ("user", "And?")]
    assert file_store.unsaved == []


def test_a_reply_goes_on_where_its_chat_has_moved(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    dialogue.send("Why?")
    engine.say("Be")
    chat = current(dialogue)
    reply = store.messages(chat)[1].id
    other = store.add_conversation("The same chat, copied")
    store.add_prompt(other, "Why?")
    copied = store.add_reply(other, "smollm2")
    opened = QSignalSpy(dialogue.opened)
    dialogue.follow(Moved({chat: other}, {reply: copied}))
    assert [(m.id, m.content) for m in opened.at(0)[0]][1] == (copied, "Be")
    engine.say("cause")
    engine.finish()
    assert dialogue.conversation == other
    assert store.messages(other)[1].content == "Because"


@pytest.mark.parametrize("count", [2**63, 10**25])
def test_counts_of_an_engine_of_any_size_are_stored(
    dialogue: Dialogue, engine: Scripted, store: Store, count: int
) -> None:
    dialogue.send("Why?")
    engine.say("Because")
    engine.finish(tokens=count)
    reply = store.messages(current(dialogue))[1]
    assert (reply.content, reply.state) == ("Because", "complete")
    assert reply.figures.prompt_tokens == 2**63 - 1
    assert (store.unsaved, store.trouble) == ([], None)


def test_half_a_surrogate_pair_can_be_sent(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    assert dialogue.send("cut \ud83d here")
    assert store.messages(current(dialogue))[0].content == "cut � here"
    assert protocol.encode(engine.last)


@pytest.mark.parametrize(
    ("prompt", "title"),
    [
        ("\n  Short \nand more", "Short"),
        ("word " * 30, "word " * 11 + "word…"),
        ("x" * 80, "x" * 60 + "…"),
        ("x" * 50 + ", then " + "y" * 20, "x" * 50 + ", then…"),
        ("x" * 55 + ", " + "y" * 20, "x" * 55 + "…"),
    ],
)
def test_a_title_is_the_first_line_cut_at_a_word(prompt: str, title: str) -> None:
    assert title_of(prompt) == title


# ---------------------------------------------------------------------------- going on


def test_a_reply_that_was_stopped_goes_on_where_it_ended(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    dialogue.send("Why?")
    engine.think("It is", " late")
    engine.say("Be", "cause")
    engine.finish("stopped")
    before = store.messages(current(dialogue))[1]
    added = QSignalSpy(dialogue.added)
    assert dialogue.continue_reply()
    assert engine.last.continues
    assert history(engine.last) == [("user", "Why?"), ("assistant", "Because")]
    assert engine.last.messages[-1].thinking == "It is late"
    assert added.at(0)[0].content == "Because"
    assert added.at(0)[0].state == "streaming"
    engine.say(" of", " night.")
    engine.finish("stop")
    _, reply = store.messages(current(dialogue))
    assert (reply.id, reply.content, reply.finish_reason) == (
        before.id,
        "Because of night.",
        "stop",
    )
    assert reply.thinking.text == "It is late"
    assert reply.figures.new_tokens == 2 * before.figures.new_tokens
    assert not dialogue.continue_reply()


def test_a_reply_whose_engine_died_goes_on_and_its_trouble_is_gone(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    dialogue.send("Why?")
    engine.say("Because")
    engine.event_received.emit(
        protocol.Error(request=engine.last.request, title="It broke", detail="x", hint="y")
    )
    engine.finish("error")
    assert store.messages(current(dialogue))[1].trouble.title == "It broke"
    assert dialogue.continue_reply()
    engine.say(" so.")
    engine.finish()
    reply = store.messages(current(dialogue))[1]
    assert (reply.content, reply.trouble) == ("Because so.", NO_TROUBLE)


def test_only_the_last_reply_goes_on_and_only_if_it_ended_in_the_middle(
    dialogue: Dialogue, engine: Scripted, store: Store
) -> None:
    assert not dialogue.continue_reply()
    dialogue.send("Why?")
    engine.say("Because")
    engine.finish("length")
    first = store.messages(current(dialogue))[1].id
    dialogue.send("And?")
    engine.say("So")
    engine.finish("stop")
    assert not dialogue.continue_reply(first)
    assert not dialogue.continue_reply()


def test_a_reply_that_goes_on_and_is_killed_keeps_what_it_had(
    engine: Scripted, tmp_path: Path
) -> None:
    store, _ = open_store(tmp_path)
    dialogue = Dialogue(store, engine)
    dialogue.send("Why?")
    engine.say("Because")
    engine.finish("length")
    dialogue.continue_reply()
    engine.say(" of")
    dialogue.save()
    store._db.close()
    store._home.leave()  # type: ignore[union-attr]
    again, _ = open_store(tmp_path)
    reply = again.messages(1)[1]
    assert (reply.content, reply.state) == ("Because of", "failed")
    again.close()


def test_a_reply_says_which_kernel_ran() -> None:
    flash, plain = phase(flash=True), phase(flash=False)
    both = protocol.Attention(prefill=flash, decode=flash)
    assert kernel_of(both) == "flash_fwd_kernel"
    mixed = protocol.Attention(prefill=flash, decode=plain)
    assert kernel_of(mixed) == "flash_fwd_kernel, _scaled_dot_product_attention_math"
    assert kernel_of(None) == ""
