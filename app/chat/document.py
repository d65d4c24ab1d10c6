"""The conversation as blocks in order, and what changes in them. Knows no widgets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from app.chat.blocks import (
    BETWEEN,
    PARTS,
    Block,
    Part,
    PartKind,
    footer,
    text_blocks,
    thinking_head,
    trouble_card,
)
from app.chat.selection import Place
from app.store.records import StoredMessage


@dataclass(frozen=True)
class Change:
    """Blocks `start` to `stop` were replaced by `fresh`, which may hold some of them again."""

    start: int
    stop: int
    fresh: list[Block]
    altered: list[Block] = field(default_factory=list)
    """Blocks that are still there and show something else now."""


class Document:
    """Messages -> parts with their source -> blocks with source ranges.

    Each method that changes `blocks` returns the change, or None when there was nothing to do.
    """

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._parts: list[Part] = []
        self._turns = 0
        self._choices: dict[int, bool] = {}
        """Whether the thinking of a message is shown, where that was decided."""
        self._last: Block | None = None
        """The footer below which nothing stands."""

    # ------------------------------------------------------------------ whole messages

    def show(self, messages: list[StoredMessage]) -> None:
        """Begins anew with these."""
        self._parts, self._turns = [], 0
        self._choices.clear()
        self.blocks = [block for message in messages for block in self._blocks_of(message)]
        self._mark_last()

    def add(self, message: StoredMessage) -> Change:
        end = len(self.blocks)
        return self._replace(end, end, self._blocks_of(message))

    def remove(self, message: int) -> Change | None:
        start = self._start_of(message)
        if start is None:
            return None
        gone = {block.message for block in self.blocks[start:]}
        self._parts = [part for part in self._parts if part.message not in gone]
        return self._replace(start, len(self.blocks), [])

    def finish(self, message: StoredMessage) -> Change | None:
        """Puts a reply in its final state. Blocks that read as they streamed are kept."""
        start = self._start_of(message.id)
        if start is None:
            return None
        old = self.blocks[start:]
        before = {part.kind: part for part in self._parts if part.message == message.id}
        self._parts = [part for part in self._parts if part.message != message.id]
        turn = next((part.turn for part in before.values()), self._turns)
        fresh = self._blocks_of(message, turn)
        kept = _keep(old, fresh)
        return self._replace(start, len(self.blocks), fresh, kept)

    # ------------------------------------------------------------------ streaming

    def awaits_text(self, message: int) -> bool:
        """Whether the answer of this message streams."""
        part = self._streaming("reply")
        return part is not None and part.message == message

    def awaits_thinking(self, message: int) -> bool:
        part = self._streaming("thought")
        return part is not None and part.message == message

    def is_empty(self, message: int) -> bool:
        """Whether the answer of this message has no words yet."""
        part = self._part("reply", message)
        return part is not None and not part.text

    def begin_thinking(self, message: int) -> Change | None:
        """Puts thinking where the answer was awaited."""
        part = self._streaming("reply")
        if part is None or part.message != message or part.text:
            return None
        index = next(i for i, block in enumerate(self.blocks) if block.part is part)
        self._parts.remove(part)
        head = Block("thinking", message, above=BETWEEN, expanded=True, streaming=True)
        thought = self._new_part("thought", message, part.turn, "")
        return self._replace(index, index + 1, [head, *self._thoughts(head, thought)])

    def append(self, text: str) -> Change | None:
        """Adds to the thinking or the answer that streams."""
        part = self._streaming("reply") or self._streaming("thought")
        if part is None or not text:
            return None
        part.text += text
        index = self._last_of(part)
        if index is None:  # thinking that is folded away
            return None
        last = self.blocks[index]
        grown = text_blocks(part, last.start)
        grown[-1].streaming = True
        first, grown[0] = grown[0], last
        last.stop, last.below, last.ends = first.stop, first.below, first.ends
        last.streaming = first.streaming
        return self._replace(index, index + 1, grown, [last])

    def end_thinking(self, message: int, seconds: float, *, keep_open: bool) -> Change | None:
        """Makes room for the answer. Thinking is hidden, unless one has shown it or reads it."""
        head = self._head(message)
        thought = self._part("thought", message)
        if head is None or thought is None or not head.streaming:
            return None
        head.streaming, head.seconds = False, seconds
        head.expanded = self._choices.setdefault(message, keep_open)
        thought.shown = head.expanded
        start = self.blocks.index(head) + 1
        stop = self._end_of_thoughts(start)
        kept = self.blocks[start:stop] if head.expanded else []
        for block in kept:
            block.streaming = False
        answer = text_blocks(self._new_part("reply", message, thought.turn, ""))
        answer[0].above = PARTS
        answer[-1].streaming = True
        return self._replace(start, stop, [*kept, *answer], [head, *kept])

    def note(self, message: int, note: str) -> Change | None:
        """Says beside Stop what the engine does before the first word."""
        for block in self.blocks[-1:]:
            if block.kind == "footer" and block.message == message and block.streaming:
                block.note = note
                return Change(0, 0, [], [block])
        return None

    # ------------------------------------------------------------------ thinking

    def toggle_thinking(self, head: Block) -> Change:
        index = self.blocks.index(head) + 1
        head.expanded = self._choices[head.message] = not head.expanded
        thought = self._part("thought", head.message)
        assert thought is not None  # noqa: S101
        fresh = self._thoughts(head, thought)
        return self._replace(index, self._end_of_thoughts(index), fresh, [head])

    # ------------------------------------------------------------------ source

    def text(self) -> str:
        """The source of everything that is shown."""
        return self.between(Place(0, 0, 0), Place(self._turns, 0, 0))

    def between(self, start: Place, stop: Place) -> str:
        """The source from one place to another; a blank line between parts."""
        pieces = []
        for part in self._parts:
            first = max(start, part.place(0))
            last = min(stop, part.place(len(part.text)))
            if part.shown and first <= last and part.place(0) <= last:
                pieces.append(part.text[first.offset : last.offset])
        return "\n\n".join(pieces)

    def answer(self, message: int) -> str:
        part = self._part("reply", message)
        return part.text if part else ""

    def ends(self) -> tuple[Place, Place]:
        """The first and the last place."""
        if not self._parts:
            return Place(0, 0, 0), Place(0, 0, 0)
        last = self._parts[-1]
        return self._parts[0].place(0), last.place(len(last.text))

    def turn_of(self, message: int) -> int | None:
        """Number of a message that has text."""
        return next((part.turn for part in self._parts if part.message == message), None)

    def place_of(self, block: Block) -> Place:
        """Of a block without text: where the text above it ends."""
        index = self.blocks.index(block)
        for above in reversed(self.blocks[:index]):
            if above.part:
                return above.part.place(above.stop)
        return Place(0, 0, 0)

    # ------------------------------------------------------------------ blocks

    def _blocks_of(self, message: StoredMessage, turn: int | None = None) -> list[Block]:
        if turn is None:
            turn, self._turns = self._turns, self._turns + 1
        if message.role == "assistant":
            return list(self._reply_blocks(message, turn))
        return text_blocks(self._new_part("prompt", message.id, turn, message.content))

    def _reply_blocks(self, message: StoredMessage, turn: int) -> Iterator[Block]:
        streaming = message.state == "streaming"
        thinks = bool(message.thinking.text)
        if thinks:
            expanded = self._choices.get(message.id, not message.content)
            head = thinking_head(
                message, expanded=expanded, streaming=streaming and not message.content
            )
            thought = self._new_part("thought", message.id, turn, message.thinking.text)
            yield head
            yield from self._thoughts(head, thought)
        if message.content or (streaming and not thinks):
            answer = text_blocks(self._new_part("reply", message.id, turn, message.content))
            answer[0].above = PARTS if thinks else BETWEEN
            answer[-1].streaming = streaming
            yield from answer
        if message.trouble.title:
            yield trouble_card(message)
        row = footer(message)
        if not (thinks or message.content or streaming or message.trouble.title):
            row.above = BETWEEN
        yield row

    def _thoughts(self, head: Block, thought: Part) -> list[Block]:
        """What stands under a head: all of the thinking, or nothing."""
        thought.shown = head.expanded
        if not head.expanded:
            return []
        blocks = text_blocks(thought)
        blocks[-1].streaming = head.streaming
        return blocks

    def _replace(
        self, start: int, stop: int, fresh: list[Block], altered: list[Block] | None = None
    ) -> Change:
        self.blocks[start:stop] = fresh
        return Change(start, stop, fresh, [*(altered or []), *self._mark_last()])

    def _mark_last(self) -> list[Block]:
        """Marks the footer below which nothing stands; those for which that changed."""
        end = self.blocks[-1] if self.blocks and self.blocks[-1].kind == "footer" else None
        if end is self._last:
            return []
        altered = [block for block in (self._last, end) if block]
        for block in altered:
            block.last = block is end
        self._last = end
        return altered

    # ------------------------------------------------------------------ finding

    def _new_part(self, kind: PartKind, message: int, turn: int, text: str) -> Part:
        part = Part(kind, message, turn, text)
        self._parts.append(part)
        return part

    def _part(self, kind: PartKind, message: int) -> Part | None:
        for part in reversed(self._parts):
            if part.message == message and part.kind == kind:
                return part
        return None

    def _streaming(self, kind: PartKind) -> Part | None:
        """The part of this kind that grows, in the last message."""
        for block in reversed(self.blocks):
            if block.message != self.blocks[-1].message:
                break
            if block.streaming and block.kind == kind:
                return block.part
            if block.streaming and block.kind == "thinking" and kind == "thought":
                return self._part("thought", block.message)
        return None

    def _last_of(self, part: Part) -> int | None:
        """The number of the block that a growing part ends with."""
        for index in range(len(self.blocks) - 1, -1, -1):
            if self.blocks[index].part is part:
                return index
            if self.blocks[index].message != part.message:
                break
        return None

    def _head(self, message: int) -> Block | None:
        for block in reversed(self.blocks):
            if block.message == message and block.kind == "thinking":
                return block
        return None

    def _start_of(self, message: int) -> int | None:
        return next((i for i, block in enumerate(self.blocks) if block.message == message), None)

    def _end_of_thoughts(self, start: int) -> int:
        stop = start
        while stop < len(self.blocks) and self.blocks[stop].kind == "thought":
            stop += 1
        return stop


def _keep(old: list[Block], fresh: list[Block]) -> list[Block]:
    """Puts blocks that read the same in the place of fresh ones; they are returned."""
    kept = []
    for index, (before, after) in enumerate(zip(old, fresh, strict=False)):
        same = before.kind == after.kind and before.source == after.source
        if not same or not (after.part or after.kind == "thinking"):
            break
        before.part, before.streaming, before.ends = after.part, False, after.ends
        before.below = after.below
        before.seconds, before.expanded = after.seconds, after.expanded
        fresh[index] = before
        kept.append(before)
    return kept
