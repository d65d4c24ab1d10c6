"""What is stored, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

State = Literal["complete", "streaming", "failed"]


@dataclass(frozen=True)
class Conversation:
    id: int
    title: str
    updated_at: float
    """Seconds since the epoch."""


@dataclass(frozen=True)
class Figures:
    """Statistics of a finished reply: tokens, ms, tokens/s."""

    prompt_tokens: int = 0
    reused_tokens: int = 0
    new_tokens: int = 0
    first_token_ms: float = 0.0
    prefill_rate: float = 0.0
    decode_rate: float = 0.0
    thinking_tokens: int = 0
    """Of the new ones."""


@dataclass(frozen=True)
class Thinking:
    """What a model wrote before its answer; it is never sent back."""

    text: str = ""
    seconds: float = 0.0


NO_THINKING: Final = Thinking()


@dataclass(frozen=True)
class Trouble:
    """What went wrong with a reply, as a person reads it."""

    title: str = ""
    detail: str = ""
    hint: str = ""


NO_TROUBLE: Final = Trouble()


@dataclass(frozen=True)
class StoredMessage:
    id: int
    role: Literal["system", "user", "assistant"]
    content: str
    state: State = "complete"
    finish_reason: str = ""
    figures: Figures = Figures()
    trouble: Trouble = NO_TROUBLE
    thinking: Thinking = NO_THINKING
