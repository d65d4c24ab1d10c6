"""Where a reply begins with its model's thinking: told apart from the answer as text streams.

Knows text and token ids, no models.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from operator import itemgetter
from typing import Final

from engine.reply.detokenizer import overlap


@dataclass(frozen=True)
class Markers:
    opening: str
    closing: str


MARKERS: Final = (
    # DeepSeek R1 and V3.1, Qwen 3, QwQ, GLM-4.5, SmolLM3, Granite 3.3, EXAONE 4, Hunyuan, Kimi K2,
    # MiniMax, ERNIE 4.5, Phi-4 reasoning, Nemotron
    Markers("<think>", "</think>"),
    Markers("[THINK]", "[/THINK]"),  # Magistral
    Markers(
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),  # gpt-oss: parts of a reply, each with a head
    Markers("<seed:think>", "</seed:think>"),  # Seed-OSS
    Markers("<thought>", "</thought>"),  # EXAONE Deep
    Markers("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A Reasoning
    Markers("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    Markers("◁think▷", "◁/think▷"),  # Kimi-VL
)
HEAD_OF_AN_ANSWER: Final = "<|channel|>final<|message|>"
"""What gpt-oss begins a reply with that has no thinking; no part of the answer."""
TOKEN: Final = re.compile(r"<[^<>]+>|\[[^\[\]]+\]|◁[^◁▷]+▷")
"""What is one token of a marker where it is special."""
NONE: Final = Markers("", "")
LONE: Final = tuple(markers for markers in MARKERS if TOKEN.fullmatch(markers.closing))
"""Those whose closing marker may come alone: the model was trained on a template that opens the
section, and answers one that does not."""
DOUBT: Final = 64
"""Characters of a reply that are held back until one of LONE may have come: what has been shown
as answer is taken back only where it is longer."""
TAIL: Final = 32
"""Tokens at the end of a prompt in which an opening marker is looked for."""


@dataclass(frozen=True)
class Thought:
    """A piece of thinking; a piece of the answer is a plain str."""

    text: str


@dataclass(frozen=True)
class Rethought:
    """All of the answer so far was thinking: a closing marker came without an opening one."""


Piece = Thought | Rethought | str


class Part(Enum):
    """Of a reply, in the order in which they come."""

    BEGINNING = auto()
    """It may become either: blanks, or the start of a marker."""
    DOUBTED = auto()
    """The answer, unless a closing marker comes without an opening one."""
    OPENED = auto()
    THINKING = auto()
    CLOSED = auto()
    ANSWER = auto()


class Sections:
    """Tells thinking from answer, holding back what may become a marker.

    Only a section that opens the reply counts: a marker anywhere in the answer is text. A closing
    marker without an opening one counts at the start or the end of a line. Blanks beside a marker
    belong to neither.
    """

    def __init__(self, opened: Markers | None = None, lone: Collection[Markers] = LONE) -> None:
        """`opened`: those whose opening marker the prompt ends with. `lone`: those whose closing
        marker this model may write without the opening one."""
        self._markers = opened or NONE
        self._lone = lone
        self._part = Part.OPENED if opened else Part.BEGINNING
        self._held = ""
        self.was_told = False
        """Whether something of the answer was told, which a `Rethought` takes back."""

    @property
    def open(self) -> bool:
        """Whether what comes next may be thinking."""
        return self._part in (Part.OPENED, Part.THINKING)

    @property
    def closed(self) -> bool:
        """Whether a section came to its end."""
        return self._markers is not NONE and not self.open

    def push(self, text: str) -> Iterator[Piece]:
        """What has become certain; a push may end one part and begin the next."""
        self._held += text
        if self._part is Part.BEGINNING:
            self._begin()
        if self._part is Part.DOUBTED:
            yield from self._doubt()
        if self._part is Part.OPENED:
            self._skip_opening()
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
        if self._part in (Part.BEGINNING, Part.DOUBTED) and held:
            yield held

    def _begin(self) -> None:
        start = self._held.lstrip()
        for markers in MARKERS:
            if start.startswith(markers.opening):
                self._markers = markers
                self._part = Part.OPENED
                return
        if start.startswith(HEAD_OF_AN_ANSWER):
            self._held = start.removeprefix(HEAD_OF_AN_ANSWER)
            self._part = Part.CLOSED
            return
        openings = [markers.opening for markers in MARKERS]
        if not any(opening.startswith(start) for opening in (*openings, HEAD_OF_AN_ANSWER)):
            self._part = Part.DOUBTED if self._lone else Part.ANSWER

    def _doubt(self) -> Iterator[Piece]:
        """The answer as far as it is certain that no marker follows; the first DOUBT characters
        only with what comes after them."""
        ends = [(self._held.find(m.closing), m) for m in self._lone if m.closing in self._held]
        at, markers = min(ends, key=itemgetter(0), default=(len(self._held), None))
        before = self._held[:at]
        if any(m.opening in before for m in self._lone):  # it writes about markers
            self._part = Part.ANSWER
        elif markers is None:
            yield from self._certain()
        elif ends_line := self._is_beside_a_line(before, self._held[at + len(markers.closing) :]):
            if self.was_told:
                yield Rethought()
            if thought := before.rstrip() if self.was_told else before.strip():
                yield Thought(thought)
            self._held = self._held[at + len(markers.closing) :]
            self._markers, self._part = markers, Part.CLOSED
        elif ends_line is False:
            self._part = Part.ANSWER

    def _is_beside_a_line(self, before: str, after: str) -> bool | None:
        """Whether a marker stands at a start or end of a line; None until that is known."""
        blanks = before[len(before.rstrip()) :]
        if "\n" in blanks or (not self.was_told and blanks == before):
            return True
        return after.startswith(("\n", "\r")) if after else None

    def _certain(self) -> Iterator[str]:
        """Blanks are held back too: a marker may follow them."""
        if not self.was_told and len(self._held) < DOUBT:
            return
        spellings = [text for m in self._lone for text in (m.opening, m.closing)]
        certain = self._held[: len(self._held) - max(overlap(self._held, s) for s in spellings)]
        if text := self._take(len(certain.rstrip())):
            self.was_told = True
            yield text

    def _skip_opening(self) -> None:
        """Once: some models repeat the marker that their template ends with."""
        start = self._held.lstrip()
        opening = self._markers.opening
        if start.startswith(opening):
            self._held = start.removeprefix(opening)
        elif opening.startswith(start):
            return
        self._skip_blanks(Part.THINKING)

    def _skip_blanks(self, then: Part) -> None:
        self._held = self._held.lstrip()
        if self._held:
            self._part = then

    def _think(self) -> str:
        """Blanks are held back too: the closing marker may follow them."""
        thought, closing, rest = self._held.partition(self._markers.closing)
        if closing:
            self._held = rest
            self._part = Part.CLOSED
            return thought.rstrip()
        certain = self._held[: len(self._held) - overlap(self._held, self._markers.closing)]
        return self._take(len(certain.rstrip()))

    def _take(self, length: int) -> str:
        taken, self._held = self._held[:length], self._held[length:]
        return taken


def written(
    thinking: str, answer: str, prompt: str, known: Callable[[str], bool]
) -> list[tuple[str, bool]]:
    """A reply as the model wrote it, in pieces: each a text, and whether it is a marker.

    `prompt`: the end of what it answered, which may open the section; `known`: whether a text is a
    token of the vocabulary. Blanks beside markers are not kept with a reply: they are those that
    most models write.
    """
    opened = opened_by(prompt)
    markers = opened or _markers_of(known)
    blank = "\n" if markers.opening == MARKERS[0].opening else ""
    pieces: list[tuple[str, bool]] = []
    if thinking and not opened:
        pieces += [(markers.opening, True), (blank, False)]
    elif thinking and not prompt.endswith("\n"):
        pieces.append((blank, False))
    pieces.append((thinking, False))
    if answer and (thinking or opened):
        pieces += [(blank if thinking else "", False), (markers.closing, True), (2 * blank, False)]
    elif answer and known("<|channel|>"):
        pieces.append((HEAD_OF_AN_ANSWER, True))
    return [piece for piece in (*pieces, (answer, False)) if piece[0]]


def _markers_of(known: Callable[[str], bool]) -> Markers:
    """Those whose tokens the vocabulary has."""
    for markers in MARKERS:
        if all(map(known, TOKEN.findall(markers.opening + markers.closing))):
            return markers
    return MARKERS[0]


def opened_by(prompt: str) -> Markers | None:
    """The markers of the section that a prompt ends in, as templates of some models do."""
    end = prompt.rstrip()
    return next((markers for markers in MARKERS if end.endswith(markers.opening)), None)


def may_come_alone(known: Callable[[str], bool]) -> tuple[Markers, ...]:
    """Those whose closing marker is a token of the vocabulary: other models do not write it."""
    return tuple(markers for markers in LONE if known(markers.closing))


def marker_tokens(control: Mapping[str, int]) -> frozenset[int]:
    """Ids of the control tokens that markers are made of: a reply is decoded with them.

    `control`: control tokens by spelling. Models whose markers are ordinary tokens need nothing.
    """
    found: set[int] = set()
    for spelling in (text for pair in MARKERS for text in (pair.opening, pair.closing)):
        parts = set(TOKEN.findall(spelling))
        if parts <= control.keys():
            found |= {control[part] for part in parts}
    return frozenset(found)
