from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.exchange import reading
from app.exchange.reading import ImportProblemError, read, read_file
from app.exchange.writing import as_json, as_markdown, chat_of, file_name
from app.store.chat import Chat
from app.store.records import NO_TROUBLE, Figures, Thinking
from app.store.store import Store


def turns(chat: Chat) -> list[tuple[str, str, str | None]]:
    return [(m.role, m.content, m.parent) for m in chat.messages]


def filled(store: Store) -> int:
    chat = store.add_conversation("Rainbows")
    store.add_prompt(chat, "Why is it round?")
    first = store.add_reply(chat, "smollm2")
    store.finish_reply(first, "No idea.", "stop", Figures(), NO_TROUBLE)
    second = store.add_reply(chat, "smollm2", [first])
    thought = Thinking("Seen from above,\nyes.", 2.0)
    store.finish_reply(second, "It is **not**.", "stop", Figures(), NO_TROUBLE, thought)
    return chat


def one_of(data: object) -> Chat:
    (chat,) = read(json.dumps(data).encode(), "export.json")
    return chat


# ---------------------------------------------------------------------------- our own


def test_a_chat_comes_back_whole_from_json_with_its_branches(store: Store) -> None:
    chat = filled(store)
    (conversation,) = store.conversations()
    (back,) = read(as_json([chat_of(conversation, store.messages(chat))]), "chats.json")
    added = store.add_chat(back)
    assert [m.content for m in store.messages(added)] == [
        "Why is it round?",
        "No idea.",
        "It is **not**.",
    ]
    before, after = store.tree(chat).path, store.tree(added).path
    assert [m.content for m in after] == ["Why is it round?", "It is **not**."]
    assert [(m.role, m.model, m.created_at, m.thinking.text) for m in after] == [
        (m.role, m.model, m.created_at, m.thinking.text) for m in before
    ]
    assert len(store.tree(added).versions(after[1].id)) == 2


def test_markdown_has_the_branch_on_screen(store: Store) -> None:
    chat = filled(store)
    (conversation,) = store.conversations()
    written = as_markdown(conversation, store.messages(chat))
    assert written.startswith("# Rainbows\n\n## You, ")
    assert "## Reply of smollm2, " in written
    assert "> *Thinking*\n>\n> Seen from above,\n> yes.\n\nIt is **not**." in written
    assert "No idea" not in written


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("What? A/B\\C: «D»", "What A B C D"),
        ("...", "chat"),
        ("x" * 300, "x" * 60),
        ("灯台", "灯台"),
    ],
)
def test_a_title_becomes_the_name_of_a_file(title: str, name: str) -> None:
    assert file_name(title) == name


# ---------------------------------------------------------------------------- others'


def test_chatgpts_export_is_read_with_branches_and_without_tools() -> None:
    def node(parent: str | None, role: str, *parts: Any) -> dict[str, Any]:
        message = {
            "author": {"role": role},
            "content": {"content_type": "text", "parts": list(parts)},
            "create_time": 1_700_000_000.5,
            "metadata": {"model_slug": "gpt-4o"} if role == "assistant" else {},
        }
        return {"message": message, "parent": parent}

    chat = one_of(
        [
            {
                "title": "Trip",
                "create_time": 1_700_000_000.0,
                "update_time": 1_700_000_009.0,
                "current_node": "d",
                "mapping": {
                    "root": {"message": None, "parent": None},
                    "a": node("root", "system", ""),
                    "b": node("a", "user", "Where to?", {"asset_pointer": "picture"}),
                    "t": node("b", "tool", "searching"),
                    "c": node("t", "assistant", "Ghent."),
                    "d": node("t", "assistant", "Bruges."),
                },
            }
        ]
    )
    assert (chat.title, chat.created_at, chat.chosen) == ("Trip", 1_700_000_000.0, "d")
    assert turns(chat) == [
        ("user", "Where to?", None),
        ("assistant", "Ghent.", "b"),
        ("assistant", "Bruges.", "b"),
    ]
    assert chat.messages[1].model == "gpt-4o"


def test_open_webuis_export_is_read() -> None:
    chat = one_of(
        [
            {
                "title": "Soup",
                "created_at": 1_700_000_000,
                "chat": {
                    "history": {
                        "currentId": "2",
                        "messages": {
                            "1": {
                                "id": "1",
                                "parentId": None,
                                "role": "user",
                                "content": "Recipe?",
                            },
                            "2": {
                                "id": "2",
                                "parentId": "1",
                                "role": "assistant",
                                "content": "Onions.",
                                "model": "llama3",
                            },
                        },
                    }
                },
            }
        ]
    )
    assert turns(chat) == [("user", "Recipe?", None), ("assistant", "Onions.", "1")]


def test_lm_studios_conversations_are_read_with_their_versions() -> None:
    def text(words: str) -> list[dict[str, str]]:
        return [{"type": "text", "text": words}]

    chat = one_of(
        {
            "name": "Cats",
            "createdAt": 1_700_000_000_000,
            "messages": [
                {"versions": [{"role": "user", "content": text("Name?")}], "currentlySelected": 0},
                {
                    "versions": [
                        {"role": "assistant", "steps": [{"content": text("Mo")}]},
                        {"role": "assistant", "steps": [{"content": text("Tom")}]},
                    ],
                    "currentlySelected": 1,
                },
            ],
        }
    )
    assert (chat.title, chat.created_at, chat.chosen) == ("Cats", 1_700_000_000.0, "1.1")
    assert turns(chat) == [
        ("user", "Name?", None),
        ("assistant", "Mo", "0.0"),
        ("assistant", "Tom", "0.0"),
    ]


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda messages: messages,
        lambda messages: {"messages": messages},
        lambda messages: [{"messages": messages}],
        lambda messages: {"conversations": [{"messages": messages}]},
    ],
    ids=["a list", "an object", "a list of objects", "an object of objects"],
)
def test_lists_of_messages_are_read_however_they_are_wrapped(wrapped: Any) -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url"}]},
        {"role": "tool", "content": "42"},
        {"role": "assistant", "content": "Hello."},
    ]
    assert turns(one_of(wrapped(messages))) == [
        ("system", "Be brief.", None),
        ("user", "Hi", "0"),
        ("assistant", "Hello.", "1"),
    ]


def test_json_lines_are_a_chat_each() -> None:
    line = json.dumps({"messages": [{"role": "user", "content": "Hi"}]}).encode()
    assert len(read(line + b"\n" + line + b"\n", "train.jsonl")) == 2


# ---------------------------------------------------------------------------- bad files


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b'{"half": ', "is not whole JSON"),
        (b"\xff\xfe\x00", "is not whole JSON"),
        (b"[" * 100_000, "is not whole JSON"),
        (b"{}", "No chat was found"),
        (b"[1, null, [], {}]", "No chat was found"),
        (b'{"messages": [{"role": "user", "content": "  "}]}', "No chat was found"),
        (b'{"mapping": {"a": 1, "b": {"message": 2, "parent": "b"}}}', "No chat was found"),
        (b'{"hearth": 99, "chats": []}', "A newer version of Hearth"),
        (b'{"hearth": 1, "chats": [{"title": 5}]}', "is not as Hearth wrote it"),
    ],
)
def test_what_is_no_chat_is_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(ImportProblemError, match=words):
        read(content, "export.json")


def test_a_ring_of_parents_ends() -> None:
    def node(parent: str) -> dict[str, Any]:
        said = {"author": {"role": "user"}, "content": {"parts": ["Hi"]}}
        return {"message": said, "parent": parent}

    chat = one_of({"mapping": {"a": node("b"), "b": node("a")}, "current_node": "a"})
    assert len(chat.messages) == 2


def test_times_of_any_kind_are_bounded() -> None:
    said = {"author": {"role": "user"}, "content": {"parts": ["Hi"]}}
    for at in (1e300, -5, "yesterday", None, True, 1_700_000_000_000):
        mapping = {"a": {"message": said | {"create_time": at}, "parent": None}}
        chat = one_of({"mapping": mapping, "create_time": at})
        assert 0 <= chat.created_at <= 32_503_680_000


def test_a_file_that_is_gone_or_too_large_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ImportProblemError, match=r"gone\.json cannot be read: ."):
        read_file(tmp_path / "gone.json")
    monkeypatch.setattr(reading, "LARGEST", 2**20)
    large = tmp_path / "large.json"
    large.write_bytes(b" " * (2**20 + 1))
    with pytest.raises(ImportProblemError, match="files of up to 1 MB are read"):
        read_file(large)
