"""Whatever a row holds, it is read; whatever is given, it is stored."""

from __future__ import annotations

from datetime import datetime

import pytest

from app.store.records import LARGEST, LONGEST_TITLE, NO_TITLE, NO_TROUBLE, Figures, Trouble
from app.store.store import Store
from tests.app.store.conftest import MakeStore

ODD = [
    None, "", "yesterday", b"\xff\xfe", -1e10, 9e18, float("inf"), -(2**63), 2**63 - 1, "x" * 10_000
]  # fmt: skip
COLUMNS = [
    "role", "state", "content", "finish_reason", "model", "created_at", "prompt_tokens",
    "new_tokens", "first_token_ms", "decode_rate", "error_title", "thinking", "thinking_seconds",
]  # fmt: skip


def allow_nulls(store: Store) -> None:
    """As in a file that another program made or damage has changed."""
    store._db.execute("PRAGMA ignore_check_constraints = ON")
    store._db.execute("PRAGMA writable_schema = ON")
    store._db.execute(
        "UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '') WHERE type = 'table'"
    )
    store._db.execute("PRAGMA writable_schema = RESET")


@pytest.mark.parametrize("column", ["title", "updated_at", "created_at"])
def test_a_conversation_with_any_value_is_listed(store: Store, column: str) -> None:
    allow_nulls(store)
    store.add_conversation("Plain")
    for value in ODD:
        store._db.execute(f"UPDATE conversations SET {column} = ?", (value,))  # noqa: S608
        (listed,) = store.conversations()
        assert 0 < len(listed.title) <= LONGEST_TITLE
        assert listed.title.isprintable()
        assert datetime.fromtimestamp(listed.updated_at).astimezone().year >= 1969


@pytest.mark.parametrize("column", COLUMNS)
def test_a_message_with_any_value_is_read(store: Store, column: str) -> None:
    allow_nulls(store)
    chat = store.add_conversation("Plain")
    store.add_reply(chat, "smollm2")
    for value in ODD:
        store._db.execute(f"UPDATE messages SET {column} = ?", (value,))  # noqa: S608
        (message,) = store.messages(chat)
        assert message.role in ("system", "user", "assistant")
        assert message.state in ("complete", "streaming", "failed")
        assert isinstance(message.content, str)
        assert isinstance(message.trouble.title, str)
        assert 0 <= message.figures.prompt_tokens <= LARGEST
        assert abs(message.figures.decode_rate) < float("inf")
        assert abs(message.thinking.seconds) < float("inf")


def test_bytes_that_are_no_text_are_marked_and_the_rest_is_read(store: Store) -> None:
    chat = store.add_conversation("Plain")
    store.add_prompt(chat, "prompt")
    store._db.execute("UPDATE messages SET content = CAST(x'61ff62' AS TEXT)")
    assert [m.content for m in store.messages(chat)] == ["a\ufffdb"]
    store._db.execute("UPDATE conversations SET title = CAST(x'fffe63' AS TEXT)")
    assert [c.title for c in store.conversations()] == ["\ufffd\ufffdc"]


def test_a_setting_of_any_value_is_text(store: Store) -> None:
    store.set_setting("geometry", "AAAA")
    for value in (b"\xff", 7, 1.5, ""):
        store._db.execute("UPDATE settings SET value = ? WHERE name = 'geometry'", (value,))
        assert isinstance(store.setting("geometry"), str)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a\ud800b", "a\ufffdb"),
        ("a\0b", "a b"),
        ("two\nlines\t", "two lines"),
        ("\u202eabc", "\u202eabc"),
        ("x" * 1_000_000, "x" * (LONGEST_TITLE - 1) + "…"),
        ("  ", NO_TITLE),
    ],
    ids=["half a pair", "NUL", "lines", "right to left", "1 MB", "blank"],
)
def test_a_name_of_any_letters_can_be_given(store: Store, given: str, shown: str) -> None:
    chat = store.add_conversation("Plain")
    store.rename_conversation(chat, given)
    assert [c.title for c in store.conversations()] == [shown]
    assert store.unsaved == []


def test_text_of_any_letters_is_stored(store: Store) -> None:
    chat = store.add_conversation("half \udc00")
    prompt = store.add_prompt(chat, "a\ud800b\0c")
    reply = store.add_reply(chat, "mod\udfffel")
    store.finish_reply(reply, "x\ud83d", "stop", Figures(), Trouble("t\ud800", "d", "h"))
    store.set_setting("na\ud800me", "val\ud800ue")
    assert [m.content for m in store.messages(chat)] == ["a\ufffdb\0c", "x\ufffd"]
    assert prompt < reply
    assert (store.unsaved, store.trouble) == ([], None)


@pytest.mark.parametrize("count", [2**63, 10**30, -(2**80)])
@pytest.mark.parametrize("rate", [float("inf"), float("nan"), 1e308])
def test_figures_of_any_size_are_stored(make: MakeStore, count: int, rate: float) -> None:
    store = make()
    chat = store.add_conversation("Plain")
    reply = store.add_reply(chat, "smollm2")
    figures = Figures(count, count, count, rate, rate, rate, count)
    store.finish_reply(reply, "text", "stop", figures, NO_TROUBLE)
    assert (store.unsaved, store.trouble) == ([], None)
    (message,) = store.messages(chat)
    assert (message.content, message.state) == ("text", "complete")
    assert message.figures.new_tokens == (LARGEST if count > 0 else 0)
