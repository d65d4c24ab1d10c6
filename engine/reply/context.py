"""Which messages of a conversation become the prompt if the context cannot hold all of them.

The oldest turns are left out, the system prompt stays, and what is left begins with a message of
the user. An eighth of the context is kept for the reply then, less if the reply is limited to less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from engine.errors import PromptError, PromptTooLongError
from engine.protocol import KEPT_FOR_REPLY

Messages = Sequence[tuple[str, str]]
"""(role, content) of each message."""
Encode = Callable[[Messages], list[int]]
"""Token ids of the prompt of these messages. Raises PromptTooLongError for far more than fit."""


@dataclass(frozen=True)
class Fitted:
    ids: list[int]
    left_out: int
    """Messages behind the system prompt that are not in it."""


@dataclass(frozen=True)
class Count:
    tokens: int
    """Of the whole conversation as a prompt; at least this many if `exact` is False."""
    exact: bool
    last_tokens: int
    """Of them, those of the last message; 0 if `exact` is False."""
    reserved: int
    """Tokens kept for the reply."""
    left_out: int
    """Messages to leave out for prompt and reply to fit; 0 if they do, or if nothing helps."""
    kept_tokens: int
    """Of the prompt without these; 0 if it fits in no way."""


def fitted(messages: Messages, capacity: int, longest_reply: int | None, encode: Encode) -> Fitted:
    """The prompt with as many of the last messages as the context of `capacity` tokens holds.

    Raises PromptTooLongError if system prompt and last message do not fit.
    """
    ids = _encoded(messages, encode)
    if ids is not None and len(ids) < capacity:
        return Fitted(ids, 0)
    shortened = _shortened(messages, capacity, longest_reply, encode)
    if shortened is None:
        raise _too_long(capacity)
    return shortened


def count(messages: Messages, capacity: int, longest_reply: int | None, encode: Encode) -> Count:
    """The tokens of the conversation, and of what is left of it if it does not fit."""
    kept = reserved(capacity, longest_reply)
    ids = _encoded(messages, encode)
    last = 0 if ids is None else _last_tokens(ids, messages, encode)
    tokens, exact = (2 * capacity, False) if ids is None else (len(ids), True)
    if exact and tokens + kept <= capacity:
        return Count(tokens, exact, last, kept, 0, tokens)
    shortened = _shortened(messages, capacity, longest_reply, encode) or Fitted([], 0)
    return Count(tokens, exact, last, kept, shortened.left_out, len(shortened.ids))


def reserved(capacity: int, longest_reply: int | None) -> int:
    """Tokens of the context that are kept for the reply."""
    kept = capacity // KEPT_FOR_REPLY
    return min(kept, longest_reply or kept)


def _too_long(capacity: int) -> PromptTooLongError:
    return PromptTooLongError(
        f"Your message alone is too long: the context holds {capacity:,} tokens.",
        "Shorten it, or load the model with a longer context.",
    )


def _last_tokens(ids: list[int], messages: Messages, encode: Encode) -> int:
    """What the prompt has more than one without the last message."""
    if len(messages) < 2:
        return len(ids)
    try:
        before = encode(messages[:-1])
    except PromptError:  # a template may refuse a conversation that ends with a reply
        return 0
    return max(0, len(ids) - len(before))


def _shortened(
    messages: Messages, capacity: int, longest_reply: int | None, encode: Encode
) -> Fitted | None:
    """The longest that leaves room for the reply; only the last message needs to leave none."""
    system = len(list(takewhile(lambda message: message[0] == "system", messages)))
    starts = [i for i, (role, _) in enumerate(messages) if role == "user" and i > system]
    room = capacity - reserved(capacity, longest_reply)
    found: Fitted | None = None
    first, last = 0, len(starts)
    while first < last:  # bisection: each later start has fewer tokens
        middle = (first + last) // 2
        start = starts[middle]
        ids = _encoded([*messages[:system], *messages[start:]], encode)
        fits = ids is not None and len(ids) <= room
        if ids is not None and (fits or (start == starts[-1] and len(ids) < capacity)):
            found = Fitted(ids, start - system)
        first, last = (first, middle) if fits else (middle + 1, last)
    return found


def _encoded(messages: Messages, encode: Encode) -> list[int] | None:
    """None if there are so many tokens that they were not all counted."""
    try:
        return encode(messages)
    except PromptTooLongError:
        return None
