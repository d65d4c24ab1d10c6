"""Text cut into pieces that are cheap to lay out. Joined, they are the text again."""

from __future__ import annotations

import unicodedata
from typing import Final

TARGET: Final = 1500
"""Characters at which a segment ends, at the next end of a line."""

LIMIT: Final = 4000
"""Characters at which a segment without the end of a line ends: behind its last word, or, when it
has no words, behind TARGET characters."""

LONGEST_CLUSTER: Final = 32
"""Characters that are kept together as one letter or emoji; a letter may have more accents."""

_ZWJ: Final = "\u200d"
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)


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
    return word + 1 if word >= 0 else _before_cluster(text, start + TARGET)


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


def shown(segment: str, is_last: bool) -> str:
    """What is drawn of a segment: the line end that cut it is the gap to the next one.

    As long as what it shows, so that offsets agree: Qt makes one character of a line end in two.
    """
    drawn = segment.replace("\r\n", " \n")
    return drawn if is_last else drawn.removesuffix("\n")
