"""What is selected: from an anchor to a focus, each a place in the source of a message."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from typing import Final


@dataclass(frozen=True, order=True)
class Place:
    """A character of the conversation. It stays the same however messages are cut into blocks."""

    turn: int
    """Number of the message."""
    rank: int
    """Of the part: a message's thinking stands before its answer."""
    offset: int
    """Characters of the part's source before this one."""


_WIDE: Final = re.compile("[\U00010000-\U0010ffff]")
"""Characters of two UTF-16 code units."""


def to_utf16(text: str, offset: int) -> int:
    """UTF-16 code units, which Qt counts in, of the first `offset` characters."""
    if text.isascii():
        return offset
    return offset + bisect_left(_wide_in(text), offset)


def from_utf16(text: str, units: int) -> int:
    """Characters of the first `units` UTF-16 code units; a half of one does not count."""
    if text.isascii():
        return min(units, len(text))
    wide = _wide_in(text)
    return min(units - bisect_left(range(len(wide)), units, key=lambda i: wide[i] + i), len(text))


@lru_cache(maxsize=64)
def _wide_in(text: str) -> tuple[int, ...]:
    """Where they stand: found once for a paragraph, whose every format asks."""
    return tuple(found.start() for found in _WIDE.finditer(text))


class Selection:
    def __init__(self) -> None:
        self._anchor: Place | None = None
        self._focus: Place | None = None

    def clear(self) -> None:
        self._anchor = self._focus = None

    def set(self, anchor: Place, focus: Place) -> None:
        self._anchor, self._focus = anchor, focus

    def move(self, focus: Place) -> None:
        """Keeps the anchor, where there is one."""
        self._anchor = self._anchor or focus
        self._focus = focus

    def span(self) -> tuple[Place, Place] | None:
        """First and last place; None when nothing is selected."""
        if self._anchor is None or self._focus is None or self._anchor == self._focus:
            return None
        return min(self._anchor, self._focus), max(self._anchor, self._focus)

    def within(self, start: Place, stop: Place) -> tuple[int, int]:
        """Offsets of what is selected between two places of one part; (0, 0) for nothing."""
        span = self.span()
        if span is None:
            return 0, 0
        first, last = max(span[0], start), min(span[1], stop)
        return (first.offset, last.offset) if first < last else (0, 0)
