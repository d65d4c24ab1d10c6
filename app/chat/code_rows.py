"""Code as rows of a monospaced face: which characters stand in which row. Knows no Qt."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from typing import Final

LONGEST_ROW: Final = 2000
"""Characters of a row at most: a longer line goes on in the next one, as laying it out would take
too long."""

MOST_LETTERS: Final = 4
"""Characters of a row for each of its columns at most: accents take none."""

TAB: Final = 4
"""Columns of a tab."""


class CodeRows:
    """Rows of a text that may grow, each at most so many columns wide if it wraps."""

    def __init__(self) -> None:
        self.text = ""
        self.starts: list[int] = [0]
        """Offset at which each row begins."""
        self.widest = 0
        """Columns of the widest row."""
        self._columns = 0

    def __len__(self) -> int:
        return len(self.starts)

    def show(self, text: str, columns: int = 0) -> None:
        """`columns`: at which rows wrap; 0 if they do not. What only grew is not cut anew."""
        if columns == self._columns and text == self.text and self.widest:
            return
        if columns == self._columns and text.startswith(self.text):
            begin = self.text.rfind("\n") + 1
            del self.starts[bisect_right(self.starts, begin - 1) :]
        else:
            begin, self.widest, self._columns = 0, 0, columns
            self.starts = []
        self.text = text
        while True:
            end = text.find("\n", begin)
            self._add_line(begin, end if end >= 0 else len(text))
            if end < 0:
                return
            begin = end + 1

    def row(self, index: int) -> str:
        return self.text[self.starts[index] : self.stop(index)]

    def stop(self, index: int) -> int:
        """Offset at which a row ends; the end of its line is not part of it."""
        if index + 1 == len(self.starts):
            return len(self.text)
        stop = self.starts[index + 1]
        return stop - 1 if self.text[stop - 1] == "\n" else stop

    def row_of(self, offset: int) -> int:
        return max(0, bisect_right(self.starts, offset) - 1)

    def _add_line(self, begin: int, end: int) -> None:
        line = self.text[begin:end]
        most = self._columns or LONGEST_ROW
        if len(line) <= most and "\t" not in line:
            columns = len(line) if line.isascii() else sum(map(_width, line))
            if columns <= most:
                self.starts.append(begin)
                self.widest = max(self.widest, columns)
                return
        at = 0
        while at < len(line):
            stop, columns = _fitting(line, at, most)
            self.starts.append(begin + at)
            self.widest = max(self.widest, columns)
            at = stop


def _fitting(line: str, start: int, most: int) -> tuple[int, int]:
    """Where a row ends that begins at `start`, and how many columns it takes."""
    letters = line[start : start + min(LONGEST_ROW, MOST_LETTERS * most)]
    if "\t" in letters:
        sums = list(_columns_with_tabs(letters))
    else:
        sums = list(accumulate(map(_width, letters)))
    fit = max(1, bisect_right(sums, most))
    return start + fit, sums[fit - 1]


def _columns_with_tabs(letters: str) -> Iterator[int]:
    """Columns up to each letter, and with it."""
    columns = 0
    for letter in letters:
        columns += TAB - columns % TAB if letter == "\t" else _width(letter)
        yield columns


@lru_cache(maxsize=4096)
def _width(letter: str) -> int:
    """Columns of a letter that is no tab."""
    if letter.isascii():
        return 1
    if unicodedata.combining(letter) or letter in "\u200b\u200d\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
