"""The parts of a conversation, in order, and what lies between two places in them."""

from __future__ import annotations

import re
from bisect import insort
from collections.abc import Callable, Iterator

from app.chat.blocks import Part, PartKind
from app.chat.selection import Place


class Parts:
    def __init__(self) -> None:
        self._parts: list[Part] = []

    def __iter__(self) -> Iterator[Part]:
        return iter(self._parts)

    def add(self, kind: PartKind, message: int, turn: int, text: str, number: int = 0) -> Part:
        part = Part(kind, message, turn, text, number=number)
        if self._parts and _order(part) < _order(self._parts[-1]):
            insort(self._parts, part, key=_order)
        else:
            self._parts.append(part)
        return part

    def remove(self, part: Part) -> None:
        self._parts.remove(part)

    def forget(self, gone: Callable[[Part], bool]) -> None:
        self._parts = [part for part in self._parts if not gone(part)]

    def of(self, message: int) -> list[Part]:
        return [part for part in self._parts if part.message == message]

    def find(self, kind: PartKind, message: int) -> Part | None:
        for part in reversed(self._parts):
            if part.message == message and part.kind == kind:
                return part
        return None

    def turn_of(self, message: int) -> int | None:
        """Number of a message that has text."""
        return next((part.turn for part in self._parts if part.message == message), None)

    def find_words(self, words: str) -> list[tuple[Place, Place]]:
        """Where these letters stand in the source of what is shown, whatever their case."""
        if not words:
            return []
        pattern = re.compile(re.escape(words), re.IGNORECASE)
        return [
            (part.place(hit.start()), part.place(hit.end()))
            for part in self._parts
            if part.shown
            for hit in pattern.finditer(part.text)
        ]

    def ends(self) -> tuple[Place, Place]:
        """The first and the last place."""
        if not self._parts:
            return Place(0, 0, 0), Place(0, 0, 0)
        last = self._parts[-1]
        return self._parts[0].place(0), last.place(len(last.text))

    def between(self, start: Place, stop: Place) -> Iterator[tuple[Part, int, int]]:
        """The parts that are shown between two places, and the offsets between which they are."""
        for part in self._parts:
            first = max(start, part.place(0))
            last = min(stop, part.place(len(part.text)))
            if part.shown and first <= last and part.place(0) <= last:
                yield part, first.offset, last.offset


def _order(part: Part) -> tuple[int, int]:
    return part.turn, part.rank
