"""A prompt's bytes, from a pipe or the command line, as text."""

from __future__ import annotations

import codecs
from typing import Final

from engine.errors import PromptError

MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks: editors and shells of Windows write them. They are no part of the text."""


def decoded(raw: bytes) -> str:
    """Without its byte order mark. Raises PromptError for what is no text in UTF-8, 16 or 32."""
    encoding = next((name for mark, name in MARKS if raw.startswith(mark)), None) or _unmarked(raw)
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise PromptError(
            f"It is no text in {encoding.removesuffix('-sig').upper()}: byte "
            f"{len(raw) - len(error.object) + error.start + 1:,} is "
            f"0x{error.object[error.start]:02x}.",
            "Save or convert it as UTF-8, for example with "
            "`iconv -f WINDOWS-1252 -t UTF-8`, then send it again.",
        ) from error


def _unmarked(raw: bytes) -> str:
    """UTF-16 without a mark has a zero byte in each character of Latin script."""
    if len(raw) % 2 == 0 and b"\0" in raw:
        if 0 not in raw[::2]:
            return "utf-16-le"
        if 0 not in raw[1::2]:
            return "utf-16-be"
    return "utf-8"
