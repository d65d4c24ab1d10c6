"""Where each block of a column lies: heights, and sums of them brought up to date when asked."""

from __future__ import annotations

from bisect import bisect_right


class Heights:
    """Heights of blocks in px. Changing one costs the sums from there on, once."""

    def __init__(self) -> None:
        self._heights: list[int] = []
        self._tops: list[int] = [0]
        self._valid = 0
        """`_tops[: _valid + 1]` are right."""

    def __len__(self) -> int:
        return len(self._heights)

    def __getitem__(self, index: int) -> int:
        return self._heights[index]

    def replace(self, heights: list[int]) -> None:
        self._heights = heights
        self._tops = [0] * (len(heights) + 1)
        self._valid = 0

    def set(self, index: int, height: int) -> None:
        self._heights[index] = height
        self._valid = min(self._valid, index)

    def splice(self, start: int, stop: int, heights: list[int]) -> None:
        """Puts these in the place of blocks start to stop."""
        self._heights[start:stop] = heights
        self._tops[start + 1 :] = [0] * (len(self._heights) - start)
        self._valid = min(self._valid, start)

    def top(self, index: int) -> int:
        """Of a block, or the end of all for index = len."""
        self._sum_to(index)
        return self._tops[index]

    @property
    def total(self) -> int:
        return self.top(len(self._heights))

    def at(self, y: int) -> int:
        """The block at this height; the first or the last one beyond the ends."""
        self._sum_to(len(self._heights))
        return max(0, min(bisect_right(self._tops, y) - 1, len(self._heights) - 1))

    def _sum_to(self, index: int) -> None:
        for number in range(self._valid, index):
            self._tops[number + 1] = self._tops[number] + self._heights[number]
        self._valid = max(self._valid, index)
