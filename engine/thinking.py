"""Where a reply begins with its model's thinking: told apart from the answer as text streams.

Knows text and token ids, no models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from engine.detokenizer import Decode, overlap


@dataclass(frozen=True)
class Markers:
    opening: str
    closing: str


MARKERS: Final = (
    Markers("<think>", "</think>"),  # DeepSeek-R1, Qwen3, SmolLM3, Granite 3.3
    Markers("[THINK]", "[/THINK]"),  # Magistral
    Markers(
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),  # gpt-oss: parts of a reply, each with a head
)
HEAD_OF_AN_ANSWER: Final = "<|channel|>final<|message|>"
"""What gpt-oss begins a reply with that has no thinking; no part of the answer."""
TOKEN: Final = re.compile(r"<[^<>]+>|\[[^\[\]]+\]")
"""What is one token of a marker where it is special."""
TAIL: Final = 32
"""Tokens at the end of a prompt in which an opening marker is looked for."""


@dataclass(frozen=True)
class Thought:
    """A piece of thinking; a piece of the answer is a plain str."""

    text: str


Piece = Thought | str


class Part(Enum):
    """Of a reply, in the order in which they come."""

    BEGINNING = auto()
    """It may become either: blanks, or the start of a marker."""
    OPENED = auto()
    THINKING = auto()
    CLOSED = auto()
    ANSWER = auto()


class Sections:
    """Tells thinking from answer, holding back what may become a marker.

    Only a section that opens the reply counts: a marker anywhere in the answer is text. Blanks
    beside a marker belong to neither.
    """

    def __init__(self, opened: Markers | None = None) -> None:
        """`opened`: those whose opening marker the prompt ends with."""
        self._closing = opened.closing if opened else ""
        self._part = Part.OPENED if opened else Part.BEGINNING
        self._held = ""

    @property
    def open(self) -> bool:
        """Whether what comes next may be thinking."""
        return self._part in (Part.OPENED, Part.THINKING)

    def push(self, text: str) -> Iterator[Piece]:
        """What has become certain; a push may end one part and begin the next."""
        self._held += text
        if self._part is Part.BEGINNING:
            self._begin()
        if self._part is Part.OPENED:
            self._skip_blanks(Part.THINKING)
        if self._part is Part.THINKING and (thought := self._think()):
            yield Thought(thought)
        if self._part is Part.CLOSED:
            self._skip_blanks(Part.ANSWER)
        if self._part is Part.ANSWER and self._held:
            yield self._take(len(self._held))

    def flush(self) -> Iterator[Piece]:
        """What is left when no more text comes."""
        held = self._take(len(self._held))
        if self._part is Part.THINKING and (thought := held.rstrip()):
            yield Thought(thought)
        if self._part is Part.BEGINNING and held:
            yield held

    def _begin(self) -> None:
        start = self._held.lstrip()
        for markers in MARKERS:
            if start.startswith(markers.opening):
                self._held = start.removeprefix(markers.opening)
                self._closing = markers.closing
                self._part = Part.OPENED
                return
        if start.startswith(HEAD_OF_AN_ANSWER):
            self._held = start.removeprefix(HEAD_OF_AN_ANSWER)
            self._part = Part.CLOSED
            return
        openings = [markers.opening for markers in MARKERS]
        if not any(opening.startswith(start) for opening in (*openings, HEAD_OF_AN_ANSWER)):
            self._part = Part.ANSWER

    def _skip_blanks(self, then: Part) -> None:
        self._held = self._held.lstrip()
        if self._held:
            self._part = then

    def _think(self) -> str:
        """Blanks are held back too: the closing marker may follow them."""
        thought, closing, rest = self._held.partition(self._closing)
        if closing:
            self._held = rest
            self._part = Part.CLOSED
            return thought.rstrip()
        certain = self._held[: len(self._held) - overlap(self._held, self._closing)]
        return self._take(len(certain.rstrip()))

    def _take(self, length: int) -> str:
        taken, self._held = self._held[:length], self._held[length:]
        return taken


def opened_by(prompt: str) -> Markers | None:
    """The markers of the section that a prompt ends in, as templates of some models do."""
    end = prompt.rstrip()
    return next((markers for markers in MARKERS if end.endswith(markers.opening)), None)


def with_markers(decode: Decode, control: Mapping[str, int]) -> Decode:
    """A decode that leaves special tokens out, but for markers.

    `control`: special tokens by spelling. Models whose markers are ordinary tokens need nothing.
    """
    kept: dict[int, str] = {}
    for spelling in (text for pair in MARKERS for text in (pair.opening, pair.closing)):
        parts = set(TOKEN.findall(spelling))
        if parts <= control.keys():
            kept |= {control[part]: part for part in parts}

    def decode_with_markers(ids: Sequence[int]) -> str:
        text, start = "", 0
        for at, token in enumerate(ids):
            if token in kept:
                text += decode(ids[start:at]) + kept[token]
                start = at + 1
        return text + decode(ids[start:])

    return decode_with_markers if kept else decode
