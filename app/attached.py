"""Text files that belong to a prompt: read, checked, and written for the model. Knows no Qt."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path, PurePath
from typing import Final

from app import number_format
from app.store.records import Attachment, Attachments
from app.words import Words, translate

LARGEST: Final = 2_000_000
"""Bytes of a file that can be attached: more than any model's context holds."""

LONGEST_NAME: Final = 200
"""Characters of a file's name."""

LANGUAGES: Final = {
    "py": "python", "js": "javascript", "ts": "typescript", "sh": "bash", "md": "markdown",
    "yml": "yaml", "rs": "rust", "rb": "ruby", "cs": "csharp", "kt": "kotlin", "hpp": "cpp",
    "cc": "cpp", "h": "c", "htm": "html", "tex": "latex", "ps1": "powershell", "pl": "perl",
    "hs": "haskell", "jl": "julia", "txt": "",
}  # fmt: skip
"""What a fence calls the language of files that end so; others are called as they end."""

_RUNS: Final = re.compile("`+")


class RefusedFileError(Exception):
    """Why a file cannot be attached, as a sentence."""

    def __init__(self, sentence: Words) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def read_file(path: Path) -> Attachment:
    """Raises RefusedFileError."""
    name = path.name[-LONGEST_NAME:]
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise RefusedFileError(
                translate(
                    "Attached", "{name} is a folder. Attach the files in it that matter."
                ).format(name=name)
            )
        if not stat.S_ISREG(status.st_mode):
            raise RefusedFileError(translate("Attached", "{name} is no file.").format(name=name))
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
            size = max(os.fstat(file.fileno()).st_size, len(content))
    except OSError as error:
        raise RefusedFileError(
            translate(
                "Attached",
                "{name} cannot be read: {why}. Check that it is still there and that you may read "
                "it.",
            ).format(name=name, why=error.strerror or str(error))
        ) from error
    if size > LARGEST:
        raise RefusedFileError(
            translate(
                "Attached",
                "{name} has {size}; text of up to {largest} can be attached, which is more than "
                "models read at once. Attach the part that matters.",
            ).format(name=name, size=number_format.disk(size), largest=number_format.disk(LARGEST))
        )
    return Attachment(name, _decoded(content, name))


def _decoded(content: bytes, name: str) -> str:
    """Raises RefusedFileError."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedFileError(
            translate(
                "Attached",
                "{name} is not text in UTF-8 (byte {place} is none). Pictures, PDFs and programs "
                "cannot be attached; save a text as UTF-8 and attach it again.",
            ).format(name=name, place=number_format.count(error.start + 1))
        ) from error
    if "\0" in text:
        raise RefusedFileError(
            translate("Attached", "{name} is not text: it holds zero bytes.").format(name=name)
        )
    if not text.strip():
        raise RefusedFileError(translate("Attached", "{name} is empty.").format(name=name))
    return text.replace("\r\n", "\n")


def language_of(name: str) -> str:
    """As a fence calls it."""
    ending = PurePath(name).suffix.removeprefix(".").lower()
    return LANGUAGES.get(ending, ending if ending.isalnum() else "")


def fenced(attached: Attachment) -> str:
    """A file as a block of code, whose fence is longer than any in it."""
    longest = max((len(run) for run in _RUNS.findall(attached.content)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language_of(attached.name)}\n{attached.content.rstrip()}\n{fence}"


def for_model(words: str, attachments: Attachments) -> str:
    """What the model reads of a prompt: its files, each with its name, and then its words."""
    files = [f"File {each.name}:\n{fenced(each)}" for each in attachments]
    return "\n\n".join(part for part in (*files, words) if part)


def size_of(attached: Attachment) -> Words:
    return number_format.disk(len(attached.content.encode("utf-8", "replace")))
