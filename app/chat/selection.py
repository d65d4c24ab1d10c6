"""What is selected across blocks: from an anchor to a focus, each a block and an offset in it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Place:
    """A character: the block's number, and how many characters of its source precede it."""

    block: int
    offset: int

    @staticmethod
    def from_utf16(block: int, text: str, units: int) -> Place:
        """Qt counts in UTF-16 code units."""
        if text.isascii():
            return Place(block, units)
        before = text.encode("utf-16-le", "surrogatepass")[: 2 * units]
        return Place(block, len(before.decode("utf-16-le", "ignore")))


def to_utf16(text: str, offset: int) -> int:
    """UTF-16 code units of the first `offset` characters."""
    if text.isascii():
        return offset
    return len(text[:offset].encode("utf-16-le", "surrogatepass")) // 2


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

    def within(self, block: int, length: int) -> tuple[int, int]:
        """The selected part of a block of this length, as offsets; (0, 0) for none."""
        span = self.span()
        if span is None or not span[0].block <= block <= span[1].block:
            return 0, 0
        start = span[0].offset if block == span[0].block else 0
        stop = span[1].offset if block == span[1].block else length
        return min(start, length), min(stop, length)
