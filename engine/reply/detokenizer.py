"""Token ids in, text out as it becomes certain: no broken UTF-8, no lost spaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence

UNFINISHED = "\N{REPLACEMENT CHARACTER}"
LONGEST_CHARACTER = 4
"""Bytes of the longest UTF-8 character: so many tokens may be needed to finish one."""

Decode = Callable[[Sequence[int]], str]


def always(_: int) -> bool:
    return True


class Detokenizer:
    """Decodes a short tail in the context of the tokens before it.

    A tokenizer's decode of one token alone loses leading spaces and splits characters. The
    difference between decoding `ids[anchor:]` with and without the new tokens does not. Tokens that
    are no text are left out of both: next to one of those alone a word has no space before it.
    """

    def __init__(self, decode: Decode, is_text: Callable[[int], bool] = always) -> None:
        self._decode = decode
        self._is_text = is_text
        self._ids: list[int] = []
        self._anchor = 0
        self._done = 0

    def push(self, token: int) -> str:
        """The text that this token makes certain; often a word, sometimes nothing yet."""
        if not self._is_text(token):
            return ""
        self._ids.append(token)
        pending = len(self._ids) - self._done
        text = self._tail()
        if text.endswith(UNFINISHED) and pending < LONGEST_CHARACTER:
            return ""
        self._anchor, self._done = self._done, len(self._ids)
        return text

    def flush(self) -> str:
        """What is left when no more tokens come, broken or not."""
        text = self._tail()
        self._anchor = self._done = len(self._ids)
        return text

    def _tail(self) -> str:
        before = self._decode(self._ids[self._anchor : self._done])
        return self._decode(self._ids[self._anchor :])[len(before) :]


class StopStrings:
    """Lets text through up to the first stop string, holding back what might become one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.found = False

    def push(self, text: str) -> str:
        if not self._stops:
            return text
        self._held += text
        ends = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if ends:
            self.found = True
            safe, self._held = self._held[: min(ends)], ""
            return safe
        keep = max(overlap(self._held, stop) for stop in self._stops)
        cut = len(self._held) - keep
        safe, self._held = self._held[:cut], self._held[cut:]
        return safe

    def flush(self) -> str:
        held, self._held = self._held, ""
        return held


def overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    for size in range(min(len(text), len(stop) - 1), 0, -1):
        if stop.startswith(text[-size:]):
            return size
    return 0
