"""Text cut into pieces that are cheap to lay out. Joined, they are the text again."""

from __future__ import annotations

import unicodedata
from typing import Final

TARGET: Final = 1500
"""Characters at which a segment ends, at the next end of a line."""

LIMIT: Final = 4000
"""Characters at which a segment without the end of a line ends: behind its last word, or, when it
has no words, behind TARGET characters."""

MOST_LINES: Final = 64
"""Lines of a segment at most: each is laid out by itself."""

LONGEST_CLUSTER: Final = 32
"""Characters that are kept together as one letter or emoji; a letter may have more accents."""

_ZWJ: Final = "\u200d"
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)


def split(text: str, target: int = TARGET, limit: int = LIMIT) -> list[str]:
    """Segments of a text; at least one, the last of them open to more."""
    segments: list[str] = []
    start = 0
    while (cut := _cut(text, start, target, limit)) < len(text):
        segments.append(text[start:cut])
        start = cut
    segments.append(text[start:])
    return segments


def _cut(text: str, start: int, target: int, limit: int) -> int:
    """Where the segment from `start` ends; the end of the text when it is still open."""
    lines = _after_lines(text, start, start + limit)
    if lines:
        return lines
    if len(text) - start <= target:
        return len(text)
    paragraph = text.rfind("\n\n", start + target // 2, start + target)
    if paragraph >= 0:
        return paragraph + 2
    line = text.find("\n", start + target // 2, start + limit)
    if line >= 0:
        return line + 1
    if len(text) - start <= limit:
        return len(text)
    word = text.rfind(" ", start + target, start + limit)
    return word + 1 if word >= 0 else _before_cluster(text, start + target)


def _after_lines(text: str, start: int, stop: int) -> int:
    """Where MOST_LINES lines end, if they do before `stop`; else 0."""
    at = start
    for _ in range(MOST_LINES):
        at = text.find("\n", at, stop) + 1
        if not at:
            return 0
    return at if at < len(text) else 0


def _before_cluster(text: str, cut: int) -> int:
    """The nearest place before this one where no letter is parted from its accents."""
    for place in range(cut, cut - LONGEST_CLUSTER, -1):
        if not _joins(text[place - 1], text[place]):
            return place
    return cut


def _joins(before: str, after: str) -> bool:
    """Whether two characters are drawn as one."""
    return (
        unicodedata.category(after) in ("Mn", "Me", "Mc")
        or _ZWJ in (before, after)
        or ord(after) in _SKIN_TONES
        or (before, after) == ("\r", "\n")
    )
