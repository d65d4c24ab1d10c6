"""Markdown cut into sections that can be parsed one by one. Joined, they are the text again.

A cut depends on nothing behind it but the beginning of the next line, so a text that grows keeps
its cuts, and only its last section is parsed again. Cuts stand where CommonMark begins a block of
its own; a fenced block is a section. A list or a table of more than LONG characters is cut between
items or rows, and a paragraph or a block of HTML that long behind a word: what follows is read as
a block of its own then.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from app.chat import segments

ENOUGH: Final = 1000
"""Characters from which a section ends where the next block begins."""

LONG: Final = 2500
"""Characters from which it ends at the next item, row or line."""

LIMIT: Final = 4000
"""Characters of a section at most, but for fenced blocks."""

INNER_LIMIT: Final = 16_000
"""The same where a fenced block within a list or a quotation is open."""

BLANK: Final = 200
"""Characters from which a line is not taken for a blank one."""

_BLANK_LINES: Final = re.compile(r"\n+")
_ITEM_BEGINS: Final = frozenset("-*+ 0123456789")
_FENCE: Final = re.compile(r"( {0,3})(`{3,}(?=[^`\n]*(?:\n|\Z))|~{3,})")
_INNER_FENCE: Final = re.compile(r"[ \t>]*+(?:[-*+]|\d{1,9}[.)])?[ \t]*+(`{3,}|~{3,})")
_ITEM: Final = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)])(?:[ \t]|\n|\Z)")
_ROW: Final = re.compile(r" {0,3}\|")
_RULE: Final = re.compile(r"[ |:-]+\n")
_MATH: Final = re.compile(r" {0,3}(?:\$\$|\\\[)")
_MATH_END: Final = re.compile(r"(?:\$\$|\\\])[ \t]*\n")


class Section(NamedTuple):
    """A tuple, which is made in a third of the time: a hostile text has 30,000 of them."""

    start: int
    stop: int
    fenced: bool = False
    """Whether it is one fenced block."""
    goes_on: bool = False
    """Whether it was cut within a block, which it goes on with."""


def split(text: str, start: int = 0, *, goes_on: bool = False) -> list[Section]:
    """Sections of a text from an offset, where one begins; at least one, the last of them open."""
    sections = []
    has_fences = "```" in text or "~~~" in text
    has_math = "$$" in text or "\\[" in text
    while True:
        section, within = _next(text, start, goes_on, has_fences, has_math)
        sections.append(section)
        start, goes_on = section.stop, within
        if start >= len(text):
            return sections


def _next(
    text: str, start: int, goes_on: bool, has_fences: bool, has_math: bool
) -> tuple[Section, bool]:
    """The section from `start`, and whether it ends within a block."""
    fence = None if goes_on else _FENCE.match(text, start)
    if fence:
        return Section(start, _end_of_fence(text, fence), fenced=True), False
    stop, within = _end_of_prose(text, start, has_fences, has_math)
    return Section(start, stop, goes_on=goes_on), within


def _end_of_fence(text: str, fence: re.Match[str]) -> int:
    begin = text.find("\n", fence.end())
    end = _closing(fence[2]).search(text, begin + 1) if begin >= 0 else None
    return end.end() if end else len(text)


@lru_cache
def _closing(opening: str) -> re.Pattern[str]:
    """The line that closes a fenced block."""
    mark = f"{re.escape(opening[0])}{{{len(opening)},}}"
    return re.compile(rf"^ {{0,3}}{mark}[ \t]*(?:\n|\Z)", re.MULTILINE)


def _end_of_prose(text: str, start: int, has_fences: bool, has_math: bool) -> tuple[int, bool]:
    """Where a section ends, and whether within a block. Whether the text has fences or formulas
    anywhere is known, so that lines need not be looked at for them where there are none."""
    at = start
    blank = in_math = False
    listed = bool(_ITEM.match(text, at))
    inner = ""
    while at < len(text):
        length = at - start
        if length and not inner and not in_math:
            first = text[at]
            if has_fences and _FENCE.match(text, at) and not (listed and first == " "):
                return at, False
            item = first in _ITEM_BEGINS and bool(_ITEM.match(text, at))
            fresh = blank and first not in " \t\n" and not (listed and item)
            if fresh and length >= ENOUGH:
                return at, False
            if fresh or not listed:
                listed = item
            if length >= LONG and (item or blank or _ROW.match(text, at)):
                return at, True
        end = text.find("\n", at) + 1 or len(text)
        if text[at] == "\n" and not inner and not in_math:  # all blank lines of a run at once
            run = _BLANK_LINES.match(text, at)
            end = min(run.end() if run else end, max(end, start + LONG))
        if end - start > (INNER_LIMIT if inner else LIMIT):
            return _within_block(text, start, at)
        if has_fences:
            inner = _inner_fence(text, at, end, inner)
        if has_math:
            in_math = _goes_on_with_math(text, at, end, in_math)
        blank = end - at < BLANK and not text[at:end].strip()
        at = end
    return len(text), False


def _goes_on_with_math(text: str, at: int, end: int, in_math: bool) -> bool:
    """Whether a formula that stands alone is open behind a line."""
    opening = None if in_math else _MATH.match(text, at)
    if not in_math and not opening:
        return False
    return not _MATH_END.search(text, opening.end() if opening else at, end)


def _within_block(text: str, start: int, line: int) -> tuple[int, bool]:
    """Where a section ends whose next line makes it too long."""
    if line - start >= LONG:
        return line, True
    piece = segments.split(text[start : start + LIMIT + 1], LONG, LIMIT)[0]
    return start + len(piece), True


def _inner_fence(text: str, at: int, end: int, inner: str) -> str:
    """The mark of the fence, within an item or a quotation, that is open behind a line."""
    found = _INNER_FENCE.match(text, at, end)
    if not found:
        return inner
    if not inner:
        return found[1]
    closes = found[1].startswith(inner) and not text[found.end() : end].strip()
    return "" if closes else inner


def head_of_table(text: str, start: int) -> str:
    """The head and the line below it of the table whose rows go on at an offset; else empty."""
    if not _ROW.match(text, start):
        return ""
    first = start
    while (above := text.rfind("\n", 0, max(0, first - 1)) + 1) < first and _ROW.match(text, above):
        first = above
    lines = text[first:start].splitlines(keepends=True)[:2]
    return "".join(lines) if len(lines) == 2 and _RULE.match(lines[1]) else ""
