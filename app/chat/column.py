"""The blocks of a conversation in order, made from messages. Knows no widgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from app.chat import segments
from app.store.records import NO_TROUBLE, StoredMessage, Trouble

Kind = Literal["prompt", "reply", "trouble", "footer"]

BETWEEN: Final = 24
"""Px between messages."""

BUBBLE_PAD: Final = 10
"""Px above and below the text of a prompt, inside its bubble."""

REASONS: Final = {
    "stopped": "Stopped",
    "length": "Ended at the length limit",
    "context": "The context is full",
}


@dataclass(eq=False)
class Block:
    """One piece of a message, a widget's worth; equal only to itself."""

    kind: Kind
    message: int
    text: str = ""
    above: int = 0
    below: int = 0
    """Px around its widget that belong to it."""
    width: int = 0
    """Of its widget, once that is real."""
    ends_text: bool = True
    """Whether it is the last segment of its message."""
    alone: bool = True
    """Whether it is the only one."""
    trouble: Trouble = NO_TROUBLE
    streaming: bool = False
    note: str = ""

    @property
    def is_text(self) -> bool:
        return self.kind in ("prompt", "reply")

    @property
    def shown(self) -> str:
        return segments.shown(self.text, self.ends_text)


def blocks_of(message: StoredMessage) -> list[Block]:
    if message.role == "assistant":
        return _reply_blocks(message)
    return text_blocks("prompt", message.id, message.content)


def text_blocks(kind: Kind, message: int, text: str) -> list[Block]:
    pieces = segments.split(text)
    blocks = [
        Block(kind, message, piece, ends_text=False, alone=len(pieces) == 1) for piece in pieces
    ]
    pad = BUBBLE_PAD if kind == "prompt" else 0
    blocks[0].above = BETWEEN + pad
    blocks[-1].below = pad
    blocks[-1].ends_text = True
    return blocks


def _reply_blocks(message: StoredMessage) -> list[Block]:
    streaming = message.state == "streaming"
    blocks: list[Block] = []
    if message.content or streaming:
        blocks += text_blocks("reply", message.id, message.content)
        blocks[-1].streaming = streaming
    if message.trouble.title:
        blocks.append(Block("trouble", message.id, above=12, trouble=message.trouble))
    note = REASONS.get(message.finish_reason, "")
    blocks.append(Block("footer", message.id, above=8, streaming=streaming, note=note))
    if len(blocks) == 1:
        blocks[0].above = BETWEEN
    return blocks


def grow(last: Block, text: str) -> list[Block]:
    """The blocks that stand in the place of the last segment after this text was added to it."""
    blocks = text_blocks("reply", last.message, last.text + text)
    blocks[0].above = last.above
    if len(blocks) > 1 or not last.alone:
        for block in blocks:
            block.alone = False
    blocks[-1].streaming = last.streaming
    first = blocks[0]
    last.text, last.ends_text, last.alone = first.text, first.ends_text, first.alone
    last.streaming = first.streaming
    return [last, *blocks[1:]]
