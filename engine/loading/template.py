"""From a conversation to the tokens that the model was trained to read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from engine.errors import HearthError, PromptError
from engine.loading.checkpoint import Checkpoint
from engine.loading.child import Child, ChildError, StartError

TIME_LIMIT: Final = 2.0
"""Seconds for one rendering; ordinary ones take a millisecond."""
START_LIMIT: Final = 30.0
"""Seconds for the process to start, on a slow disk."""
PLAIN: Final = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}\n\n"
    "{% else %}{{ m.role | capitalize }}: {{ m.content }}\n{% endif %}{% endfor %}Assistant:"
)
"""For models without a template."""
PRIVATE_USE: Final = range(0xF0000, 0xFFFFE)
"""Code points that stand for control tokens in a user's text while the template runs."""

Messages = Sequence[tuple[str, str]]
"""(role, content) of each message."""


class TemplateError(Exception):
    """The template refused these messages, or did not end."""


def encode_chat(checkpoint: Checkpoint, messages: Messages) -> list[int]:
    """Token ids of the conversation, up to where the reply begins.

    Control tokens count only where the template wrote them; the same letters in a message are
    ordinary text. Raises PromptError when the template refuses the conversation, or writes what
    the model cannot read.
    """
    control = checkpoint.control_tokens
    pattern = _any_of(control)
    masked, originals = _mask(messages, pattern)
    text = _render(checkpoint, masked)
    ids: list[int] = []
    for part in pattern.split(text):
        if part in control:
            ids.append(control[part])
        elif part:
            ids += checkpoint.encode(_unmask(part, originals))
    if not ids or max(ids) >= checkpoint.config.vocab_size:
        raise PromptError(
            "The model's chat template makes nothing of this conversation that the model can read.",
            "Choose another model.",
        )
    return ids


def fold_system(messages: Messages) -> list[tuple[str, str]]:
    """The system message's text at the head of the first message of the user."""
    system = "\n\n".join(content for role, content in messages if role == "system")
    rest = [message for message in messages if message[0] != "system"]
    if system and rest and rest[0][0] == "user":
        rest[0] = ("user", f"{system}\n\n{rest[0][1]}")
    return rest


def render(template: str, messages: Messages, variables: dict[str, str]) -> str:
    """Runs the template in the child process; raises TemplateError."""
    request = {
        "template": template,
        "messages": [{"role": role, "content": content} for role, content in messages],
        "variables": variables,
    }
    try:
        return str(_renderer.ask(request, TIME_LIMIT))
    except StartError as error:
        raise HearthError("The process that renders chat templates does not start.") from error
    except ChildError as error:
        raise TemplateError(str(error)) from error


def _render(checkpoint: Checkpoint, messages: Messages) -> str:
    tokenizer = checkpoint.tokenizer
    variables = {
        name: getattr(tokenizer, name) or "" for name in ("bos_token", "eos_token", "unk_token")
    }
    template = checkpoint.chat_template or PLAIN
    try:
        return render(template, messages, variables)
    except TemplateError as error:
        folded = fold_system(messages)
        if folded == list(messages):
            raise _refused(error) from error
    try:
        return render(template, folded, variables)
    except TemplateError as error:
        raise _refused(error) from error


def _refused(error: TemplateError) -> PromptError:
    return PromptError(
        f"The model's chat template refuses this conversation: {error}.",
        "Start a new conversation, or choose another model.",
    )


def _any_of(control: Any) -> re.Pattern[str]:
    """Matches any control token, the longest first; the group keeps it when splitting."""
    longest_first = sorted(control, key=len, reverse=True)
    return re.compile("(" + ("|".join(map(re.escape, longest_first)) or r"(?!)") + ")")


def _mask(
    messages: Messages, pattern: re.Pattern[str]
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Messages with a private character for each control token, and what those stand for."""
    used = set().union(*(content for _, content in messages))
    free = (chr(code) for code in PRIVATE_USE if chr(code) not in used)
    masks: dict[str, str] = {}

    def mask(match: re.Match[str]) -> str:
        if match[0] not in masks:
            masks[match[0]] = next(free)
        return masks[match[0]]

    masked = [(role, pattern.sub(mask, content)) for role, content in messages]
    return masked, {character: token for token, character in masks.items()}


def _unmask(text: str, originals: dict[str, str]) -> str:
    for character, token in originals.items():
        text = text.replace(character, token)
    return text


_renderer = Child("engine.loading.template_child", start_limit=START_LIMIT)
