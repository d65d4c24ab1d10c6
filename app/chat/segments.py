"""Text cut into pieces that are cheap to lay out. Joined, they are the text again."""

from __future__ import annotations

from typing import Final

TARGET: Final = 1500
"""Characters at which a segment ends, at the next end of a line."""

LIMIT: Final = 4000
"""Characters at which a segment ends at a word, or anywhere, when no line ends."""


def split(text: str) -> list[str]:
    """Segments of a text; at least one, the last of them open to more."""
    segments: list[str] = []
    start = 0
    while (cut := _cut(text, start)) < len(text):
        segments.append(text[start:cut])
        start = cut
    segments.append(text[start:])
    return segments


def _cut(text: str, start: int) -> int:
    """Where the segment from `start` ends; the end of the text when it is still open."""
    if len(text) - start <= TARGET:
        return len(text)
    paragraph = text.rfind("\n\n", start + TARGET // 2, start + TARGET)
    if paragraph >= 0:
        return paragraph + 2
    line = text.find("\n", start + TARGET // 2, start + LIMIT)
    if line >= 0:
        return line + 1
    if len(text) - start <= LIMIT:
        return len(text)
    word = text.rfind(" ", start + TARGET, start + LIMIT)
    return word + 1 if word >= 0 else start + LIMIT


def shown(segment: str, is_last: bool) -> str:
    """What is drawn of a segment: the line end that cut it is the gap to the next one."""
    return segment if is_last else segment.removesuffix("\n")
