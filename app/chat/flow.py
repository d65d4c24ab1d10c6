"""Text as it is shown, and where each of its characters stands in the source. Knows no Qt."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Run:
    """Characters of the source that are shown as they are."""

    text: str
    source: int
    """Offset of the first one."""


@dataclass(frozen=True)
class Leaf:
    """A paragraph."""

    runs: tuple[Run, ...]

    @cached_property
    def text(self) -> str:
        return "".join(run.text for run in self.runs)


class Flow:
    """Paragraphs, one below the other. Shown offsets count an end of a line between two."""

    def __init__(self, leaves: list[Leaf]) -> None:
        self.leaves = leaves
        self.starts: list[int] = []
        """Shown offset at which each begins."""
        self._shown: list[int] = []
        self._sources: list[int] = []
        self._lengths: list[int] = []
        at = 0
        for leaf in leaves:
            self.starts.append(at)
            for run in leaf.runs:
                self._shown.append(at)
                self._sources.append(run.source)
                self._lengths.append(len(run.text))
                at += len(run.text)
            at += 1

    @cached_property
    def text(self) -> str:
        return "\n".join(leaf.text for leaf in self.leaves)

    def to_source(self, shown: int) -> int:
        return _translated(shown, self._shown, self._sources, self._lengths)

    def to_shown(self, source: int) -> int:
        """Of the nearest character that is shown, if this one is not."""
        return _translated(source, self._sources, self._shown, self._lengths)

    def leaf_at(self, shown: int) -> int:
        """Number of the paragraph that holds a character."""
        return max(0, bisect_right(self.starts, shown) - 1)


def _translated(offset: int, here: list[int], there: list[int], lengths: list[int]) -> int:
    if not here:
        return 0
    index = max(0, bisect_right(here, offset) - 1)
    return there[index] + max(0, min(offset - here[index], lengths[index]))


def plain_flow(source: str, start: int, *, ends: bool) -> Flow:
    """Each line is a paragraph. `start`: offset of the source in its part; `ends`: whether nothing
    follows it. The line end that cut it from what follows is the gap to that."""
    text = source if ends else source.removesuffix("\n").removesuffix("\r")
    leaves = []
    at = start
    for line in text.split("\n"):
        leaves.append(Leaf((Run(line.removesuffix("\r"), at),)))
        at += len(line) + 1
    return Flow(leaves)
