"""Text files that are attached to a prompt: what is taken, and what is said of what is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.attached import LARGEST, RefusedFileError, fenced, for_model, read_file
from app.exchange.reading import read
from app.exchange.writing import as_json, as_markdown, chat_of, chats_of
from app.store.records import Attachment
from app.store.store import Store


def refusal(path: Path) -> str:
    with pytest.raises(RefusedFileError) as caught:
        read_file(path)
    return str(caught.value.sentence)


def test_text_in_utf_8_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "grüße.py"
    path.write_bytes("\ufeffx = 'é'\r\ny = '👨'\n".encode())
    assert read_file(path) == Attachment("grüße.py", "x = 'é'\ny = '👨'\n")


def test_what_is_no_text_is_refused_with_the_place(tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert refusal(picture).startswith("picture.png is not text in UTF-8 (byte 1 is none).")
    zeros = tmp_path / "zeros.txt"
    zeros.write_bytes(b"a\0b")
    assert refusal(zeros) == "zeros.txt is not text: it holds zero bytes."
    empty = tmp_path / "empty.txt"
    empty.write_text(" \n")
    assert refusal(empty) == "empty.txt is empty."


def test_a_file_of_a_gigabyte_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.log"
    with path.open("wb") as file:
        file.truncate(10**9)
    assert refusal(path).startswith("huge.log has 1.0 GB; text of up to 2 MB can be attached")


def test_a_file_that_is_gone_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone.txt").startswith("gone.txt cannot be read: ")
    assert "Check that it is still there" in refusal(tmp_path / "gone.txt")
    assert "is a folder" in refusal(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert refusal(tmp_path / "pipe") == "pipe is no file."


def test_the_largest_file_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_bytes(b"a" * LARGEST)
    assert len(read_file(path).content) == LARGEST
    path.write_bytes(b"a" * (LARGEST + 1))
    assert "can be attached" in refusal(path)


def test_a_fence_is_longer_than_those_in_the_file() -> None:
    assert fenced(Attachment("a.md", "```py\nx\n```")) == "````markdown\n```py\nx\n```\n````"
    assert for_model("Why?", (Attachment("a.py", "x"),)) == "File a.py:\n```python\nx\n```\n\nWhy?"
    assert for_model("Why?", ()) == "Why?"


def test_files_are_exported_and_read_again(store: Store) -> None:
    files = (Attachment("a.py", "x = 1"), Attachment("b.txt", "text"))
    chat = store.add_conversation("Files")
    store.add_prompt(chat, "What is this?", attachments=files)
    (known,) = store.conversations()
    written = as_markdown(known, store.messages(chat))
    assert "**a.py**\n\n```python\nx = 1\n```\n\n**b.txt**" in written
    for content in (
        as_json([chat_of(*each) for each in chats_of(store._db, [chat])]),
        as_json([chat_of(known, store.messages(chat))]),
    ):
        (read_again,) = read(content, "chats.json")
        copy = store.add_chat(read_again)
        assert store.messages(copy)[0].attachments == files


def test_an_error_has_none_of_a_files_words() -> None:
    assert "secret" not in repr(Attachment("a", "secret"))
