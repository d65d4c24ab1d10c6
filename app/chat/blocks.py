"""What the transcript is made of: parts of messages, cut into blocks. Knows no widgets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from app.attached import language_of
from app.chat import segments
from app.chat.flow import Code, Content, Table
from app.chat.selection import Place
from app.store.records import NO_TROUBLE, Figures, StoredMessage, Trouble
from app.words import translate

Kind = Literal[
    "prompt", "prompt_row", "thinking", "thought", "reply", "trouble", "footer", "unseen",
    "attachment", "file",
]  # fmt: skip
"""thinking: the head above what was thought, shown or not; thought: a segment of it; unseen: the
line above which the model does not see the conversation; attachment: the head above a file that
belongs to a prompt, shown or not; file: its text."""

PartKind = Literal["prompt", "thought", "reply", "file"]

MOST_FILES: Final = 1 << 20
"""More than the files of a prompt."""

BETWEEN: Final = 24
"""Px between messages."""

PARTS: Final = 8
"""Px between thinking's head, what was thought, and the answer."""

BUBBLE_PAD: Final = 10
"""Px above and below the text of a prompt, inside its bubble."""

AROUND: Final[dict[PartKind, tuple[int, int]]] = {
    "prompt": (BETWEEN + BUBBLE_PAD, BUBBLE_PAD),
    "thought": (PARTS, PARTS),
    "reply": (BETWEEN, 0),
    "file": (PARTS, 0),
}
"""Px above and below the text of a part."""

NO_FIGURES: Final = Figures()

REASONS: Final = {
    "stopped": translate("Blocks", "Stopped"),
    "length": translate("Blocks", "Ended at the length limit"),
    "context": translate("Blocks", "The context is full"),
}


@dataclass(eq=False)
class Part:
    """A prompt, an answer, or what was thought before one; equal only to itself.

    Its repr, which errors and logs print, has none of the conversation's words.
    """

    kind: PartKind
    message: int
    turn: int
    """Number of its message in the conversation."""
    text: str = field(repr=False)
    """Its source. It grows while a reply streams."""
    shown: bool = True
    number: int = 0
    """Of a file: which one of its prompt."""

    @property
    def rank(self) -> int:
        if self.kind == "file":
            return self.number - MOST_FILES
        return 0 if self.kind == "thought" else 1

    def place(self, offset: int) -> Place:
        return Place(self.turn, self.rank, offset)


@dataclass(eq=False)
class Block:
    """One piece of a message, a widget's worth; equal only to itself."""

    kind: Kind
    message: int
    part: Part | None = None
    """Whose text it shows, from start to stop; None for rows and cards."""
    start: int = 0
    stop: int = 0
    content: Content | None = field(default=None, repr=False)
    """What Markdown shows there; None for plain text."""
    unread: bool = False
    """Whether its Markdown is not parsed yet."""
    goes_on: bool = False
    """Of an unread one: whether it was cut within a block, which it goes on with."""
    above: int = 0
    below: int = 0
    """Px around its widget that belong to it."""
    begins: bool = True
    """Whether it is the first block of its part."""
    ends: bool = True
    """Whether it is the last."""
    streaming: bool = False
    faded: bool = False
    """Whether the model does not see its message."""
    file: Part | None = None
    """Of an attachment's head: the file, shown below it or not."""
    name: str = field(default="", repr=False)
    """Of an attachment's head."""
    trouble: Trouble = field(default=NO_TROUBLE, repr=False)
    note: str = ""
    seconds: float = 0.0
    """That the thinking took."""
    expanded: bool = False
    wraps: bool = False
    """Of code: whether long lines are wrapped."""
    copyable: bool = False
    unfinished: bool = False
    """Of a footer: whether the reply ended in the middle."""
    is_last: bool = False
    """Of a footer: whether nothing follows the reply."""
    versions: tuple[int, int] = (1, 1)
    """Of a row: which version of its message is shown, from 1, and of how many."""
    figures: Figures = NO_FIGURES
    model: str = ""
    details: bool = False
    """Of a footer: whether the figures are shown."""

    @property
    def can_go_on(self) -> bool:
        """Of a footer: whether the model can go on with the reply."""
        return self.unfinished and self.is_last and not self.streaming

    @property
    def shape(self) -> str:
        """Of its widget, which can show another block of the same shape; empty for code and
        tables, whose widgets are made for one block."""
        return "" if isinstance(self.content, Code | Table) else self.kind

    @property
    def source(self) -> str:
        return self.part.text[self.start : self.stop] if self.part else ""


def text_blocks(part: Part, start: int = 0) -> list[Block]:
    """Blocks of a part's plain text from an offset, where the text was cut, to its end."""
    blocks = []
    for piece in segments.split(part.text[start:]):
        stop = start + len(piece)
        blocks.append(Block(part.kind, part.message, part, start, stop, ends=False))
        blocks[-1].begins = start == 0
        start = stop
    above, below = AROUND[part.kind]
    blocks[0].above = above if blocks[0].begins else 0
    blocks[-1].below, blocks[-1].ends = below, True
    return blocks


def unread_block(part: Part, start: int, stop: int) -> Block:
    """Markdown that is parsed when it comes near the viewport."""
    block = Block(part.kind, part.message, part, start, stop, unread=True)
    block.begins, block.ends = start == 0, stop == len(part.text)
    return block


def thinking_head(message: int) -> Block:
    return Block("thinking", message, above=BETWEEN)


def prompt_row(message: StoredMessage) -> Block:
    return Block("prompt_row", message.id, above=4)


def is_unfinished(message: StoredMessage) -> bool:
    """Whether a reply ended in the middle: stopped, cut, or with what wrote it."""
    ended = message.finish_reason in ("stopped", "length", "error")
    return ended and bool(message.content or message.thinking.text)


def footer(message: StoredMessage) -> Block:
    return Block(
        "footer",
        message.id,
        above=8,
        streaming=message.state == "streaming",
        note=REASONS.get(message.finish_reason, ""),
        copyable=bool(message.content),
        unfinished=is_unfinished(message),
        figures=message.figures,
        model=message.model,
    )


def unseen_line(message: int) -> Block:
    """Stands above this message."""
    return Block("unseen", message, above=BETWEEN)


def attachment_head(message: int, file: Part, name: str) -> Block:
    above = PARTS if file.number else BETWEEN
    return Block("attachment", message, file=file, name=name, above=above)


def file_block(head: Block) -> Block:
    """The text of an attached file, which is shown as code."""
    part = head.file
    assert part  # noqa: S101
    text = part.text.rstrip("\n")
    code = Code(text, language_of(head.name), (), (0,))
    return Block("file", head.message, part, 0, len(part.text), code, above=PARTS)


def trouble_card(message: StoredMessage) -> Block:
    return Block("trouble", message.id, above=12, trouble=message.trouble)


def footer_of(blocks: list[Block], message: int) -> Block | None:
    """The row below a reply."""
    return next((b for b in blocks if b.message == message and b.kind == "footer"), None)


def mark_last(blocks: list[Block]) -> list[Block]:
    """Which rows below replies show something else, now that another message may be the last."""
    altered = []
    for number, block in enumerate(reversed(blocks)):
        if block.kind == "footer" and block.is_last != (number == 0):
            block.is_last = number == 0
            altered.append(block)
    return altered


def fade_unseen(blocks: list[Block]) -> list[Block]:
    """Which blocks show something else, now that the line above which the model sees nothing
    stands somewhere else."""
    line = next((at for at, block in enumerate(blocks) if block.kind == "unseen"), 0)
    altered = []
    for at, block in enumerate(blocks):
        if block.faded != (at < line):
            block.faded = at < line
            altered.append(block)
    return altered
