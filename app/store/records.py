"""What is stored, as frozen values; and the one place where a row's values are checked.

A row may hold anything: SQLite has no types that it enforces, and files are damaged or edited.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import msgspec

from app.words import now, translate

Row = Mapping[str, Any] | sqlite3.Row
State = Literal["complete", "streaming", "failed"]
Role = Literal["system", "user", "assistant"]

LARGEST: Final = 2**63 - 1
"""Of SQLite's integers."""

LATEST_S: Final = 32_503_680_000.0
"""The year 3000, which every system can show as a date."""

LONGEST_TITLE: Final = 1000
"""Letters of a title that are shown; more of them is a text pasted by mistake."""

NO_TITLE: Final = translate("StoreRecords", "Chat without a name")

TITLE_LENGTH: Final = 60
"""Letters of a title that is made from a prompt."""

_CONTROLS: Final = dict.fromkeys((*range(32), *range(127, 160)), " ")


@dataclass(frozen=True)
class Conversation:
    id: int
    title: str
    updated_at: float
    """Seconds since the epoch."""
    leaf: int | None = None
    """The message that was chosen last, by whose branch the conversation is shown."""
    pinned: bool = False
    folder: str = ""
    settings: str = ""
    """What is set for it alone, as JSON; empty for nothing."""


class Attachment(msgspec.Struct, frozen=True):
    """A text file that belongs to a prompt. Its repr has none of its words."""

    name: str
    content: str

    def __repr__(self) -> str:
        return f"Attachment({len(self.content)} characters)"


Attachments = tuple[Attachment, ...]


@dataclass(frozen=True)
class Waiting:
    """A prompt that waits to be sent."""

    conversation: int
    content: str
    created_at: float
    """Seconds since the epoch; no two have the same."""
    attachments: Attachments = ()


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
    settings: str = ""
    """JSON of what it was drawn with, by the names of settings; empty if that is not known."""
    kernel: str = ""
    """Attention's, as it was observed: of reading and of writing, if those differ."""


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
    role: Role
    content: str
    state: State = "complete"
    finish_reason: str = ""
    figures: Figures = Figures()
    trouble: Trouble = NO_TROUBLE
    thinking: Thinking = NO_THINKING
    parent: int | None = None
    """The message before it; None for a first one."""
    model: str = ""
    """Of a reply: the id of the model that wrote it."""
    created_at: float = 0.0
    """Seconds since the epoch."""
    attachments: Attachments = ()
    """Of a prompt."""


# ---------------------------------------------------------------------------- out of a row


def conversation_of(row: Row) -> Conversation:
    return Conversation(
        row["id"],
        title(row["title"]),
        moment(row["updated_at"]),
        row_number(row["leaf_id"]),
        bool(row["pinned"]),
        text(row["folder"]),
        text(row["settings"]),
    )


def waiting_of(row: Row) -> Waiting:
    return Waiting(
        row["conversation_id"],
        text(row["content"]),
        moment(row["created_at"]),
        attachments_of(text(row["attachments"])),
    )


def attachments_of(stored: str) -> Attachments:
    """Those of a JSON text; none of one that cannot be read."""
    try:
        return msgspec.json.decode(stored or "[]", type=Attachments)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()


def files_setting(conversation: int | None) -> str:
    """The setting that has the files of a chat's draft; None is the chat that has not begun."""
    return f"draft_files {conversation or ''}".rstrip()


def attachments_written(attachments: Attachments) -> str:
    """As JSON; empty for none."""
    return msgspec.json.encode(attachments).decode() if attachments else ""


def message_of(row: Row) -> StoredMessage:
    state = text(row["state"])
    return StoredMessage(
        id=row["id"],
        role=message_role(row["role"]),
        content=text(row["content"]),
        state=next((known for known in get_args(State) if known == state), "complete"),
        finish_reason=text(row["finish_reason"]),
        figures=Figures(
            count(row["prompt_tokens"]),
            count(row["reused_tokens"]),
            count(row["new_tokens"]),
            real(row["first_token_ms"]),
            real(row["prefill_rate"]),
            real(row["decode_rate"]),
            count(row["thinking_tokens"]),
            text(row["settings"]),
            text(row["kernel"]),
        ),
        trouble=Trouble(
            text(row["error_title"]), text(row["error_detail"]), text(row["error_hint"])
        ),
        thinking=Thinking(text(row["thinking"]), real(row["thinking_seconds"])),
        parent=row_number(row["parent_id"]),
        model=text(row["model"]),
        created_at=moment(row["created_at"]),
    )


def message_role(value: object) -> Role:
    """The assistant's for anything that is none."""
    role = text(value)
    return next((known for known in get_args(Role) if known == role), "assistant")


def text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def title(value: object) -> str:
    """One line, of at most LONGEST_TITLE letters and with at least one."""
    line = text(value)[: LONGEST_TITLE + 1].translate(_CONTROLS)
    if len(line) > LONGEST_TITLE:
        line = line[: LONGEST_TITLE - 1] + "…"
    return line.strip() or now(NO_TITLE)


def row_number(value: object) -> int | None:
    """A row's number; None for anything that is none."""
    return value if isinstance(value, int) else None


def count(value: object) -> int:
    """A number of tokens; 0 for anything that is none."""
    return min(value, LARGEST) if isinstance(value, int) and value > 0 else 0


def real(value: object) -> float:
    """A finite number; 0 for anything that is none."""
    number = float(value) if isinstance(value, int | float) else 0.0
    return number if math.isfinite(number) else 0.0


def moment(value: object) -> float:
    """Seconds since the epoch that every system can show as a date."""
    number = float(value) if isinstance(value, int | float) else 0.0
    return min(max(number, 0.0), LATEST_S) if not math.isnan(number) else 0.0


# ---------------------------------------------------------------------------- into a row


def title_of(prompt: str) -> str:
    """The first line of a prompt, cut at a word."""
    line = prompt.strip().splitlines()[0].strip()
    if len(line) <= TITLE_LENGTH:
        return line
    return line[:TITLE_LENGTH].rsplit(" ", 1)[0].rstrip(" ,.;:") + "…"


def storable(value: object) -> object:
    """The value as SQLite can hold it: whole characters, integers of 64 bits, no NaN."""
    if isinstance(value, str):
        return whole_characters(value)
    if isinstance(value, int):
        return max(-LARGEST, min(value, LARGEST))
    if isinstance(value, float) and math.isnan(value):
        return 0.0
    return value


def whole_characters(words: str) -> str:
    """Without half surrogate pairs, which a clipboard may hold and UTF-8 cannot."""
    try:
        words.encode()
    except UnicodeEncodeError:
        return words.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return words
