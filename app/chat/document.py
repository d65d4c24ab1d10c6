"""The conversation as blocks in order, and what changes in them. Knows no widgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from app.chat.blocks import (
    BETWEEN,
    BUBBLE_PAD,
    PARTS,
    Block,
    Part,
    PartKind,
    attachment_head,
    fade_unseen,
    file_block,
    footer,
    mark_last,
    prompt_row,
    text_blocks,
    thinking_head,
    trouble_card,
    unseen_line,
)
from app.chat.parts import Parts
from app.chat.reply_text import ReplyText
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
        self.parts = Parts()
        self._turns = 0
        self._texts: dict[Part, ReplyText] = {}
        self._sources: set[int] = set()
        """Messages whose answer is shown as its source."""
        self._choices: dict[int, bool] = {}
        """Whether the thinking of a message is shown, where that was decided."""
        self._seen_from: int | None = None
        """The first message that the model sees; None if it sees all."""

    # ------------------------------------------------------------------ whole messages

    def show(self, messages: list[StoredMessage]) -> None:
        """Begins anew with these."""
        self.parts, self._turns = Parts(), 0
        self._texts.clear()
        self._sources.clear()
        self._choices.clear()
        self.blocks = []
        for message in messages:
            self.blocks += self._blocks_of(message)
        mark_last(self.blocks)
        fade_unseen(self.blocks)

    def add(self, message: StoredMessage) -> Change:
        end = len(self.blocks)
        change = self._replace(end, end, self._blocks_of(message))
        return replace(change, altered=mark_last(self.blocks))

    def remove(self, message: int) -> Change | None:
        start = self._start_of(message)
        if start is None:
            return None
        gone = {block.message for block in self.blocks[start:]}
        self.parts.forget(lambda part: part.message in gone)
        change = self._replace(start, len(self.blocks), [])
        return replace(change, altered=mark_last(self.blocks))

    def finish(self, message: StoredMessage) -> Change | None:
        """Puts a reply in its final state. Text that reads as it streamed keeps its blocks."""
        start = self._start_of(message.id)
        if start is None:
            return None
        old = self.parts.of(message.id)
        kept = {part.kind: self._settled(part) for part in old if self._reads_as(part, message)}
        turn = next((part.turn for part in old), self._turns - 1)
        self.parts.forget(lambda part: part in old and part.kind not in kept)
        fresh = list(self._reply_blocks(message, turn, kept))
        altered = [block for block in self.blocks[start:] if block in fresh]
        fresh[-1].versions = self.blocks[-1].versions
        change = self._replace(start, len(self.blocks), fresh, altered)
        mark_last(self.blocks)
        return change

    def _reads_as(self, part: Part, message: StoredMessage) -> bool:
        """Whether a part that streamed is what the finished message has, and is on screen."""
        if part.kind == "thought":
            shown = self._choices.get(message.id, not message.content)
            return part.shown and shown and part.text == message.thinking.text
        text = self._texts.get(part)
        return part.text == message.content and text is not None and not text.names_changed()

    def _settled(self, part: Part) -> list[Block]:
        blocks = [block for block in self.blocks if block.part is part]
        for block in blocks:
            block.streaming = False
        return blocks

    def set_versions(self, versions: Mapping[int, tuple[int, int]]) -> Change | None:
        """Of messages that have several: which one is shown, from 1, and of how many."""
        altered = []
        for block in self.blocks:
            known = versions.get(block.message, (1, 1))
            if block.kind in ("prompt_row", "footer") and block.versions != known:
                block.versions = known
                altered.append(block)
        return Change(0, 0, [], altered) if altered else None

    def see_from(self, message: int | None) -> list[Change]:
        """Draws a line above the first message that the model sees; None if it sees all."""
        self._seen_from = message
        changes = [
            self._replace(index, index + 1, [])
            for index, block in enumerate(self.blocks)
            if block.kind == "unseen"
        ][:1]
        start = None if message is None else self._start_of(message)
        if message is not None and start:
            changes.append(self._replace(start, start, [unseen_line(message)]))
        return [*changes, Change(0, 0, [], fade_unseen(self.blocks))]

    # ------------------------------------------------------------------ streaming

    @property
    def grows(self) -> bool:
        """Whether a reply is being written at its end."""
        return bool(self.blocks) and self.blocks[-1].streaming

    def awaits_text(self, message: int) -> bool:
        """Whether the answer of this message streams."""
        part = self._streaming("reply")
        return part is not None and part.message == message

    def awaits_thinking(self, message: int) -> bool:
        part = self._streaming("thought")
        return part is not None and part.message == message

    def is_empty(self, message: int) -> bool:
        """Whether the answer of this message has no words yet."""
        part = self.parts.find("reply", message)
        return part is not None and not part.text

    def begin_thinking(self, message: int) -> Change | None:
        """Puts thinking where the answer was awaited."""
        part = self._streaming("reply")
        if part is None or part.message != message or part.text:
            return None
        index = next(i for i, block in enumerate(self.blocks) if block.part is part)
        self.parts.remove(part)
        head = Block("thinking", message, above=BETWEEN, expanded=True, streaming=True)
        thought = self.parts.add("thought", message, part.turn, "")
        return self._replace(index, index + 1, [head, *self._thoughts(head, thought)])

    def append(self, text: str) -> Change | None:
        """Adds to the thinking or the answer that streams."""
        part = self._streaming("reply") or self._streaming("thought")
        if part is None or not text:
            return None
        if part in self._texts:
            return self._grow(part, text)
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

    def _grow(self, part: Part, text: str) -> Change:
        """Parses the section of an answer that grows once more."""
        stop = self._last_of(part)
        assert stop is not None  # noqa: S101
        start = stop = stop + 1
        while start and self.blocks[start - 1].part is part:
            above = self.blocks[start - 1]
            if above.start < self._texts[part].open_from or above.unread:
                break
            start -= 1
        fresh, altered = self._texts[part].grow(text, self.blocks[start:stop])
        return self._replace(start, stop, fresh, altered)

    def end_thinking(self, message: int, seconds: float, *, keep_open: bool) -> Change | None:
        """Makes room for the answer. Thinking is hidden, unless one has shown it or reads it."""
        head = self._head(message)
        thought = self.parts.find("thought", message)
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
        part = self.parts.add("reply", message, thought.turn, "")
        answer = self._answer_blocks(part, PARTS, streaming=True)
        return self._replace(start, stop, [*kept, *answer], [head, *kept])

    def note(self, message: int, note: str) -> Change | None:
        """Says beside Stop what the engine does before the first word."""
        for block in self.blocks[-1:]:
            if block.kind == "footer" and block.message == message and block.streaming:
                block.note = note
                return Change(0, 0, [], [block])
        return None

    # ------------------------------------------------------------------ thinking

    def toggle(self, head: Block) -> Change:
        """Shows or hides what stands below the head of thinking, or of an attached file."""
        index = self.blocks.index(head) + 1
        if head.file:
            head.expanded = head.file.shown = not head.expanded
            if head.expanded:
                return self._replace(index, index, [file_block(head)], [head])
            return self._replace(index, index + 1, [], [head])
        head.expanded = self._choices[head.message] = not head.expanded
        thought = self.parts.find("thought", head.message)
        assert thought is not None  # noqa: S101
        fresh = self._thoughts(head, thought)
        return self._replace(index, self._end_of_thoughts(index), fresh, [head])

    # ------------------------------------------------------------------ Markdown

    def read(self, block: Block) -> Change:
        """Parses what is unread: into sections, or a section into what it shows."""
        assert block.part  # noqa: S101
        index = self.blocks.index(block)
        return self._replace(index, index + 1, self._texts[block.part].read(block))

    def toggle_source(self, message: int) -> Change | None:
        """Shows the source of an answer, or the answer again."""
        part = self.parts.find("reply", message)
        if part is None:
            return None
        self._sources ^= {message}
        self._texts.pop(part, None)
        old = [index for index, block in enumerate(self.blocks) if block.part is part]
        above = self.blocks[old[0]].above
        fresh = self._answer_blocks(part, above, streaming=self.blocks[old[-1]].streaming)
        rows = [b for b in self.blocks if b.message == message and b.kind == "footer"]
        return self._replace(old[0], old[-1] + 1, fresh, rows)

    def shows_source(self, message: int) -> bool:
        return message in self._sources

    def copied(self, start: Place, stop: Place) -> str:
        """What is shown from one place to another, as plain text."""
        pieces = []
        for part, first, last in self.parts.between(start, stop):
            if part.kind == "reply" and part.message not in self._sources:
                pieces.append(self._copied(part, first, last))
            else:
                pieces.append(part.text[first:last])
        return "\n\n".join(pieces)

    def _copied(self, part: Part, start: int, stop: int) -> str:
        pieces = []
        blocks = [b for b in self.blocks if b.part is part and b.start < stop and start < b.stop]
        while blocks:
            block = blocks.pop(0)
            if block.unread:
                fresh = self._texts[part].read(block)
                blocks[:0] = [b for b in fresh if b.start < stop and start < b.stop]
            elif block.content:
                first, last = max(start, block.start), min(stop, block.stop)
                pieces.append(block.content.copied(first, last))
        return "\n\n".join(pieces)

    # ------------------------------------------------------------------ source

    def text(self) -> str:
        """The source of everything that is shown."""
        return self.between(*self.parts.ends())

    def between(self, start: Place, stop: Place) -> str:
        """The source from one place to another; a blank line between parts."""
        return "\n\n".join(part.text[a:b] for part, a, b in self.parts.between(start, stop))

    def block_at(self, place: Place) -> Block | None:
        """The block that shows a place, or will when it is read."""
        for block in self.blocks:
            part = block.part
            if part and part.place(block.start) <= place < part.place(block.stop):
                return block
        return None

    def answer(self, message: int) -> str:
        part = self.parts.find("reply", message)
        return part.text if part else ""

    def answer_as_text(self, message: int) -> str:
        """An answer as it is shown, as plain text."""
        part = self.parts.find("reply", message)
        return self.copied(part.place(0), part.place(len(part.text))) if part else ""

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
        line = [unseen_line(message.id)] if message.id == self._seen_from and self.blocks else []
        if message.role == "assistant":
            return [*line, *self._reply_blocks(message, turn)]
        for number, attached in enumerate(message.attachments):
            file = self.parts.add("file", message.id, turn, attached.content, number)
            file.shown = False
            line.append(attachment_head(message.id, file, attached.name))
        part = self.parts.add("prompt", message.id, turn, message.content)
        words = text_blocks(part) if message.content or not message.attachments else []
        if words and message.attachments:
            words[0].above = PARTS + BUBBLE_PAD
        return [*line, *words, prompt_row(message)]

    def _reply_blocks(
        self,
        message: StoredMessage,
        turn: int,
        kept: dict[PartKind, list[Block]] | None = None,
    ) -> Iterator[Block]:
        """`kept`: blocks of parts that stay as they are."""
        kept = kept or {}
        streaming = message.state == "streaming"
        thinks = bool(message.thinking.text)
        if thinks:
            expanded = self._choices.get(message.id, not message.content)
            head = self._head(message.id) or thinking_head(message.id)
            head.expanded = expanded
            head.streaming = streaming and not message.content
            head.seconds = message.thinking.seconds
            yield head
            if "thought" in kept:
                yield from kept["thought"]
            else:
                thought = self.parts.add("thought", message.id, turn, message.thinking.text)
                yield from self._thoughts(head, thought)
        if "reply" in kept:
            yield from kept["reply"]
        elif message.content or (streaming and not thinks):
            part = self.parts.add("reply", message.id, turn, message.content)
            above = PARTS if thinks else BETWEEN
            yield from self._answer_blocks(part, above, streaming=streaming)
        if message.trouble.title:
            yield trouble_card(message)
        row = footer(message)
        if not (thinks or message.content or streaming or message.trouble.title):
            row.above = BETWEEN
        yield row

    def _answer_blocks(self, part: Part, above: int, *, streaming: bool) -> list[Block]:
        if part.message not in self._sources:
            self._texts[part] = ReplyText(part, above)
            return self._texts[part].blocks(streaming=streaming)
        blocks = text_blocks(part)
        blocks[0].above = above
        blocks[-1].streaming = streaming
        return blocks

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
        if start < len(self.blocks) and self.blocks[start].faded:
            for block in fresh:
                block.faded = True
        self.blocks[start:stop] = fresh
        return Change(start, stop, fresh, altered or [])

    # ------------------------------------------------------------------ finding

    def _streaming(self, kind: PartKind) -> Part | None:
        """The part of this kind that grows, in the last message."""
        for block in reversed(self.blocks):
            if block.message != self.blocks[-1].message:
                break
            if block.streaming and block.kind == kind:
                return block.part
            if block.streaming and block.kind == "thinking" and kind == "thought":
                return self.parts.find("thought", block.message)
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
        """The head above what the last message thought."""
        for block in reversed(self.blocks):
            if block.message != message:
                break
            if block.kind == "thinking":
                return block
        return None

    def _start_of(self, message: int) -> int | None:
        return next((i for i, block in enumerate(self.blocks) if block.message == message), None)

    def _end_of_thoughts(self, start: int) -> int:
        stop = start
        while stop < len(self.blocks) and self.blocks[stop].kind == "thought":
            stop += 1
        return stop
