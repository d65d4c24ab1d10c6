"""How full the context is, in tokens. Knows no Qt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app.words import number, translate
from engine import protocol

NEARLY_FULL: Final = 0.85
"""The share of the context from which the gauge warns."""
TURN: Final = 64
"""Tokens that a template may write around a message."""


@dataclass(frozen=True)
class ContextUse:
    capacity: int
    tokens: int
    """Of the whole conversation as a prompt; at least this many if `exact` is False."""
    exact: bool
    message: int
    """Of them, those of the message that is being written."""
    reserved: int
    """Kept for the reply."""
    left_out: int
    """Messages to leave out for everything to fit; 0 if it does, or if nothing helps."""
    kept: int
    """Tokens of the prompt without these."""

    @property
    def chat(self) -> int:
        """Tokens of what was said before."""
        return max(0, self.tokens - self.message)

    @property
    def total(self) -> int:
        """Tokens of prompt and reply."""
        return self.tokens + self.reserved

    @property
    def excess(self) -> int:
        """Tokens that are too many."""
        return max(0, self.total - self.capacity)

    @property
    def fits(self) -> bool:
        return self.exact and not self.excess

    @property
    def nearly_full(self) -> bool:
        return self.total >= NEARLY_FULL * self.capacity

    @property
    def most_of_message(self) -> int:
        """Tokens that the message may have beside the chat; 0 if shortening it does not help."""
        return max(0, self.capacity - self.reserved - self.chat) if self.exact else 0

    @property
    def freed(self) -> int:
        """Tokens that leaving out the oldest turns frees."""
        return max(0, self.tokens - self.kept) if self.left_out else 0


def use_of(counted: protocol.Counted, *, drafted: bool) -> ContextUse:
    """`drafted`: whether the last message that was counted is the one that is being written."""
    return ContextUse(
        capacity=counted.context_length,
        tokens=counted.tokens,
        exact=counted.exact,
        message=counted.last_tokens if drafted else 0,
        reserved=counted.reserved,
        left_out=counted.left_out,
        kept=counted.kept_tokens,
    )


def share(tokens: int, capacity: int) -> str:
    """How full: 97 % full."""
    return (
        translate("ContextUse", "{share} % full").format(share=number(100 * tokens / capacity))
        if capacity > 0
        else ""
    )


def surely_fits(use: ContextUse, draft: str) -> bool:
    """Whether this message fits in place of the one that was counted."""
    return use.exact and use.total - use.message + most_tokens(draft) <= use.capacity


def short_enough(texts: Iterable[str], capacity: int) -> bool:
    """Whether a conversation of these messages fits, without a count."""
    return sum(map(most_tokens, texts)) <= capacity - capacity // protocol.KEPT_FOR_REPLY


def most_tokens(text: str) -> int:
    """Tokens that a message has at most: no tokenizer makes more than one of a byte."""
    return len(text.encode("utf-8", "replace")) + TURN
