"""The blocks of an answer: its Markdown, parsed a section at a time and no sooner than needed."""

from __future__ import annotations

from typing import Final

from app.chat import markdown, sections
from app.chat.blocks import BETWEEN, Block, Part, unread_block
from app.chat.flow import GAP, TIGHT, Content, Flow
from app.chat.markdown import Definitions, Names, Piece
from app.chat.sections import Section

AFTER_FENCE = markdown.BELOW["code"]

MOST_UNREAD: Final = 64
"""Blocks at most in the place of an unread one: of more sections, several are one block that is
read in its turn."""


class ReplyText:
    """Makes and grows the blocks of one answer; `above`: px above the first of them."""

    def __init__(self, part: Part, above: int = BETWEEN) -> None:
        self.part = part
        self.above = above
        self._names: Names | None = None
        self._stale = False
        """Whether blocks were made before something was defined that they may refer to."""
        self._definitions = Definitions()
        """Of the sections that do not grow, as far as they have been cut."""
        self._read: dict[tuple[Section, int], list[Piece]] = {}
        """What the sections that grow showed last, by section and gap above."""
        self._tail = [Section(0, 0)]
        """What is parsed again when the text grows: one section, or two."""

    @property
    def open_from(self) -> int:
        """Offset of what is parsed again when the text grows."""
        return self._tail[0].start

    def blocks(self, *, streaming: bool) -> list[Block]:
        """Of the whole text: all of it unread, but for the section that grows."""
        length = len(self.part.text)
        if not streaming:
            whole = unread_block(self.part, 0, length)
            whole.above = self.above
            return [whole]
        split = sections.split(self.part.text)
        first = self._settle(split)
        made = [unread_block(self.part, 0, self.open_from)] if first else []
        for block in made:
            block.above = self.above
        for number in range(first, len(split)):
            made += self._parsed(split[number], _gap(split, number))
        made[-1].streaming = True
        return made

    def read(self, block: Block) -> list[Block]:
        """What stands in the place of an unread block: its sections, or what the only one shows."""
        text = self.part.text[block.start : block.stop]
        found = sections.split(text, goes_on=block.goes_on)
        if block.begins and block.ends:
            self._define(found)
        if len(found) == 1:
            only = found[0]._replace(start=block.start, stop=block.stop)
            return self._parsed(only, block.above if not block.begins else GAP)
        made = []
        together = -(-len(found) // MOST_UNREAD)
        for number in range(0, len(found), together):
            last = found[min(number + together, len(found)) - 1]
            start, stop = found[number].start + block.start, last.stop + block.start
            fresh = unread_block(self.part, start, stop)
            fresh.goes_on = found[number].goes_on
            fresh.above = self.above if fresh.begins else _gap(found, number)
            made.append(fresh)
        return made

    def grow(self, text: str, tail: list[Block]) -> tuple[list[Block], list[Block]]:
        """Adds to the text. The blocks that stand in the place of `tail`, those of the section that
        grows, and which of them were there before and show something else now."""
        self.part.text += text
        split = sections.split(self.part.text, self.open_from, goes_on=self._tail[0].goes_on)
        first = GAP if not tail or tail[0].begins else tail[0].above
        gaps = [first, *(_gap(split, number) for number in range(1, len(split)))]
        self._read = {
            key: self._read.get(key) or self._pieces(*key) for key in zip(split, gaps, strict=True)
        }
        fresh = [
            block
            for (section, gap), pieces in self._read.items()
            for block in self._blocks_of(section, gap, pieces)
        ]
        fresh[-1].streaming = True
        self._settle(split)
        altered = []
        for index, (before, after) in enumerate(zip(tail, fresh, strict=False)):
            if type(before.content) is type(after.content) and not before.unread:
                take_over(before, after)
                fresh[index] = before
                altered.append(before)
        return fresh, altered

    def _settle(self, split: list[Section]) -> int:
        """Which of these sections are parsed again, from this number on: the last one, and the one
        above it while the line that parts them is not complete."""
        number = len(split) - 1
        if number and "\n" not in self.part.text[split[number].start :]:
            number -= 1
        self._define(split[:number])
        self._tail = split[number:]
        return number

    def _define(self, closed: list[Section]) -> None:
        """Takes what these sections define, which follow on those that were taken before."""
        for section in closed:
            self._definitions.take(self.part.text, section)
        before, self._names = self._names, self._definitions.names()
        if before is not None and before != self._names:
            self._stale = True
            self._read.clear()

    def names_changed(self) -> bool:
        """Whether links or footnotes are defined now that were not when blocks were parsed. A
        section finds its own."""
        if self.open_from or len(self._tail) > 1:
            self._define(self._tail)
        return self._stale

    def _pieces(self, section: Section, gap: int) -> list[Piece]:
        return markdown.read(self.part.text, section, self._names or Names(), gap)

    def _parsed(self, section: Section, gap: int) -> list[Block]:
        return self._blocks_of(section, gap, self._pieces(section, gap))

    def _blocks_of(self, section: Section, gap: int, pieces: list[Piece]) -> list[Block]:
        part = self.part
        if section.goes_on:
            gap = _gap_within(pieces[0].content)
        made = []
        for number, piece in enumerate(pieces):
            last = number == len(pieces) - 1
            stop = section.stop if last else pieces[number + 1].start
            block = Block(part.kind, part.message, part, piece.start, stop, piece.content)
            block.above = gap if section.goes_on and not number else piece.above
            block.begins, block.ends = piece.start == 0, stop == len(part.text)
            made.append(block)
        if made[0].begins:
            made[0].above = self.above
        return made


def _gap_within(content: Content | None) -> int:
    """Px above what goes on with a block that was cut: an item of a list, or more of it."""
    if isinstance(content, Flow) and content.leaves[0].marker:
        return TIGHT
    return 0


def take_over(before: Block, after: Block) -> None:
    """Makes a block show what another one does, so that its widget stays."""
    before.start, before.stop, before.content = after.start, after.stop, after.content
    before.above, before.begins, before.ends = after.above, after.begins, after.ends
    before.streaming = after.streaming


def _gap(split: list[Section], number: int) -> int:
    """Px that what stands above a section wants below itself."""
    return AFTER_FENCE if number and split[number - 1].fenced else GAP
