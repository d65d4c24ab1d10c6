"""Several windows on one home: none settles, purges or overwrites what another one uses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.engine_command import ROOT
from app.store.errors import GoneError
from app.store.presence import FILE as LOCK
from app.store.records import NO_TROUBLE, Figures
from app.store.store import Store
from tests.app.store.conftest import MakeStore, written

ANSWER = "forty minutes of text"


def finish(store: Store, reply: int, text: str = ANSWER) -> None:
    store.finish_reply(reply, text, "stop", Figures(), NO_TROUBLE)


def test_a_second_window_leaves_the_firsts_reply_alone(one: Store, make: MakeStore) -> None:
    chat = one.add_conversation("Story")
    reply = one.add_reply(chat, "smollm2")
    one.save_partial(reply, "Once upon")
    second = make()
    (shown,) = second.messages(chat)
    assert (shown.content, shown.state, shown.trouble) == ("Once upon", "streaming", NO_TROUBLE)
    finish(one, reply)
    assert [m.content for m in second.messages(chat)] == [ANSWER]


def test_a_third_window_leaves_the_seconds_reply_alone(one: Store, make: MakeStore) -> None:
    second = make()
    chat = second.add_conversation("Story")
    second.add_reply(chat, "smollm2")
    one.close()
    third = make()
    assert [m.state for m in third.messages(chat)] == ["streaming"]


def test_what_a_window_left_is_settled_once_nobody_is_there(one: Store, make: MakeStore) -> None:
    second = make()
    chat = one.add_conversation("Story")
    one.add_reply(chat, "smollm2")
    one.close()
    third = make()
    assert [m.state for m in third.messages(chat)] == ["streaming"]
    second.close()
    third.close()
    assert [m.state for m in make().messages(chat)] == ["failed"]


def test_undo_outlives_the_start_of_a_second_window(one: Store, make: MakeStore) -> None:
    chat = one.add_conversation("Kept")
    one.add_prompt(chat, "keep me")
    one.delete_conversation(chat)
    make()
    one.restore_conversation(chat)
    assert [m.content for m in one.messages(chat)] == ["keep me"]
    assert [c.id for c in one.conversations()] == [chat]


def test_a_reply_that_another_window_replaced_is_added_again(one: Store, make: MakeStore) -> None:
    chat = one.add_conversation("Story")
    reply = one.add_reply(chat, "smollm2")
    second = make()
    second.add_reply(chat, "smollm2", replaced=[reply])
    finish(one, reply)
    assert ANSWER in [m.content for m in second.messages(chat)]


def test_a_reply_whose_id_was_given_away_overwrites_nothing(one: Store, make: MakeStore) -> None:
    chat = one.add_conversation("Story")
    reply = one.add_reply(chat, "smollm2")
    second = make()
    second._db.execute("DELETE FROM messages WHERE id = ?", (reply,))
    other = second.add_prompt(chat, "Another one's")
    assert other == reply
    finish(one, reply)
    assert sorted(m.content for m in one.messages(chat)) == ["Another one's", ANSWER]


def test_a_reply_whose_chat_is_gone_is_kept_in_one_named_after_it(
    one: Store, make: MakeStore
) -> None:
    chat = one.add_conversation("Story")
    reply = one.add_reply(chat, "smollm2")
    make()._db.execute("DELETE FROM conversations")
    finish(one, reply, "A rainbow is light.\nAnd more.")
    assert [c.title for c in one.conversations()] == ["A rainbow is light."]
    assert [m.content for m in one.messages(chat)] == ["A rainbow is light.\nAnd more."]


def test_a_prompt_brings_back_a_chat_that_another_window_deleted(
    one: Store, make: MakeStore, folder: Path
) -> None:
    chat = one.add_conversation("Open in one")
    second = make()
    second.delete_conversation(chat)
    one.add_prompt(chat, "hello")
    for store in (one, second):
        store.close()
    later = make()
    assert [m.content for m in later.messages(chat)] == ["hello"]
    assert [c.id for c in later.conversations()] == [chat]


def test_writing_into_a_chat_that_is_gone_for_good_is_said_truly(
    one: Store, make: MakeStore
) -> None:
    chat = one.add_conversation("Gone")
    make()._db.execute("DELETE FROM conversations")
    for change in (
        lambda: one.add_prompt(chat, "hello"),
        lambda: one.rename_conversation(chat, "Other"),
        lambda: one.restore_conversation(chat),
    ):
        with pytest.raises(GoneError, match="another window or program deleted it"):
            change()
    assert (one.trouble, one.unsaved) == (None, [])


HOLDS = """
import sys, time
from pathlib import Path
from app.store.store import open_store
store, _ = open_store(Path(sys.argv[1]))
store.add_reply(store.add_conversation("Killed"), "smollm2")
print("open", flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_window_counts_until_its_process_ends(make: MakeStore, folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-P", "-c", HOLDS, str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        second = make()
        (chat,) = second.conversations()
        assert [m.state for m in second.messages(chat.id)] == ["streaming"]
        second.close()
        process.send_signal(signal.SIGKILL)
    assert [m.state for m in make().messages(chat.id)] == ["failed"]


def test_a_lock_file_with_anything_in_it_stops_nobody(folder: Path, make: MakeStore) -> None:
    folder.mkdir()
    (folder / LOCK).write_bytes(b"not a lock" * 1000)
    store = make()
    chat = store.add_conversation("Story")
    assert store.trouble is None
    assert written(folder, "SELECT id FROM conversations") == [(chat,)]
