"""The blocks of an answer: its Markdown, parsed a section at a time and no sooner than needed."""

from __future__ import annotations

from app.chat import markdown, sections
from app.chat.blocks import BETWEEN, Block, Part, unread_block
from app.chat.flow import GAP, TIGHT, Content, Flow
from app.chat.markdown import Names
from app.chat.sections import Section

AFTER_FENCE = markdown.BELOW["code"]


class ReplyText:
    """Makes and grows the blocks of one answer; `above`: px above the first of them."""

    def __init__(self, part: Part, above: int = BETWEEN) -> None:
        self.part = part
        self.above = above
        self._names = Names()
        self._named: int | None = None
        """Length of the text in which names were looked for."""
        self._open = Section(0, 0)

    @property
    def open_from(self) -> int:
        """Offset of what is parsed again when the text grows."""
        return self._open.start

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
        moved = [
            Section(s.start + block.start, s.stop + block.start, s.fenced, s.goes_on) for s in found
        ]
        if len(moved) == 1:
            return self._parsed(moved[0], block.above if not block.begins else GAP)
        made = []
        for number, section in enumerate(moved):
            fresh = unread_block(self.part, section.start, section.stop)
            fresh.goes_on = section.goes_on
            fresh.above = self.above if fresh.begins else _gap(moved, number)
            made.append(fresh)
        return made

    def grow(self, text: str, tail: list[Block]) -> tuple[list[Block], list[Block]]:
        """Adds to the text. The blocks that stand in the place of `tail`, those of the section that
        grows, and which of them were there before and show something else now."""
        self.part.text += text
        split = sections.split(self.part.text, self.open_from, goes_on=self._open.goes_on)
        first = GAP if not tail or tail[0].begins else tail[0].above
        fresh = [
            block
            for number, section in enumerate(split)
            for block in self._parsed(section, _gap(split, number) if number else first)
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
        self._open = split[number]
        return number

    def names_changed(self) -> bool:
        """Whether links or footnotes are defined now that were not when blocks were parsed."""
        known = self._names
        return self._names_now() != known

    def _names_now(self) -> Names:
        length = len(self.part.text)
        if length != self._named:
            self._named = length
            self._names = markdown.names_in(self.part.text)
        return self._names

    def _parsed(self, section: Section, gap: int) -> list[Block]:
        part = self.part
        pieces = markdown.read(part.text, section, self._names_now(), gap)
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
