"""The blocks of a conversation in order, made from messages. Knows no widgets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from app.chat import segments
from app.store.records import NO_TROUBLE, StoredMessage, Trouble

Kind = Literal["prompt", "thinking", "thought", "reply", "trouble", "footer"]
"""thinking: the head above what was thought, shown or not; thought: a segment of it."""

BETWEEN: Final = 24
"""Px between messages."""

PARTS: Final = 8
"""Px between thinking's head, what was thought, and the answer."""

BUBBLE_PAD: Final = 10
"""Px above and below the text of a prompt, inside its bubble."""

AROUND: Final[dict[Kind, tuple[int, int]]] = {
    "prompt": (BETWEEN + BUBBLE_PAD, BUBBLE_PAD),
    "thought": (PARTS, PARTS),
    "reply": (BETWEEN, 0),
}
"""Px above and below a text."""

REASONS: Final = {
    "stopped": "Stopped",
    "length": "Ended at the length limit",
    "context": "The context is full",
}


@dataclass(eq=False)
class Block:
    """One piece of a message, a widget's worth; equal only to itself.

    Its repr, which errors and logs print, has none of the conversation's words.
    """

    kind: Kind
    message: int
    text: str = field(default="", repr=False)
    """Of a head, all of the thinking."""
    above: int = 0
    below: int = 0
    """Px around its widget that belong to it."""
    width: int = 0
    """Of its widget, once that is real."""
    ends_text: bool = True
    """Whether it is the last segment of its message."""
    alone: bool = True
    """Whether it is the only one."""
    trouble: Trouble = field(default=NO_TROUBLE, repr=False)
    streaming: bool = False
    note: str = ""
    seconds: float = 0.0
    """That the thinking took."""
    expanded: bool = False

    @property
    def is_text(self) -> bool:
        return self.kind in ("prompt", "thought", "reply")

    @property
    def shown(self) -> str:
        return segments.shown(self.text, self.ends_text)


def blocks_of(message: StoredMessage, *, expanded: bool) -> list[Block]:
    """`expanded`: whether its thinking is shown."""
    if message.role == "assistant":
        return _reply_blocks(message, expanded=expanded)
    return text_blocks("prompt", message.id, message.content)


def text_blocks(kind: Kind, message: int, text: str) -> list[Block]:
    pieces = segments.split(text)
    blocks = [
        Block(kind, message, piece, ends_text=False, alone=len(pieces) == 1) for piece in pieces
    ]
    blocks[0].above, blocks[-1].below = AROUND[kind]
    blocks[-1].ends_text = True
    return blocks


def thinking_head(message: int, text: str, *, expanded: bool) -> Block:
    return Block("thinking", message, text, above=BETWEEN, expanded=expanded)


def thought_blocks(head: Block) -> list[Block]:
    """What stands under a head: all of the thinking, or nothing."""
    if not head.expanded:
        return []
    blocks = text_blocks("thought", head.message, head.text)
    blocks[-1].streaming = head.streaming
    return blocks


def answer_after_thinking(message: int, text: str) -> list[Block]:
    blocks = text_blocks("reply", message, text)
    blocks[0].above = PARTS
    return blocks


def _reply_blocks(message: StoredMessage, *, expanded: bool) -> list[Block]:
    streaming = message.state == "streaming"
    blocks: list[Block] = []
    if message.thinking.text:
        head = thinking_head(message.id, message.thinking.text, expanded=expanded)
        head.seconds = message.thinking.seconds
        head.streaming = streaming and not message.content
        blocks += [head, *thought_blocks(head)]
    if blocks and message.content:
        blocks += answer_after_thinking(message.id, message.content)
        blocks[-1].streaming = streaming
    elif message.content or (streaming and not blocks):
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
    blocks = text_blocks(last.kind, last.message, last.text + text)
    blocks[0].above = last.above
    if len(blocks) > 1 or not last.alone:
        for block in blocks:
            block.alone = False
    blocks[-1].streaming = last.streaming
    first = blocks[0]
    last.text, last.ends_text, last.alone = first.text, first.ends_text, first.alone
    last.streaming, last.below = first.streaming, first.below
    return [last, *blocks[1:]]
