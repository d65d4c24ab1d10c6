"""From a conversation to the tokens that the model was trained to read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from engine.errors import HearthError, PromptError
from engine.loading.checkpoint import Checkpoint
from engine.loading.child import AnswerError, Child, ChildError, StartError

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


class TemplateRefusalError(TemplateError):
    """It ended with an error of its own: another conversation may suit it."""


def encode_chat(checkpoint: Checkpoint, messages: Messages) -> list[int]:
    """Token ids of the conversation, up to where the reply begins.

    Control tokens count only where the template wrote them; the same letters in a message are
    ordinary text. A conversation that the template refuses is put in another form first, see
    `_forms`. Raises PromptError when the template refuses the conversation, or writes what
    the model cannot read.
    """
    control = checkpoint.control_tokens
    pattern = _any_of(control)
    masked, originals = _mask(messages, pattern)
    text = _render(checkpoint, masked)
    ids = _token_ids(checkpoint, pattern.split(text), originals)
    if ids and checkpoint.begin not in (None, ids[0]):
        ids = [checkpoint.begin, *ids]
    if not ids or max(ids) >= checkpoint.config.vocab_size:
        raise PromptError(
            "The model's chat template makes nothing of this conversation that the model can read.",
            "Choose another model.",
        )
    return ids


def fold_system(messages: Messages) -> list[tuple[str, str]]:
    """The system message's text at the head of the user's first, or as one of the user's."""
    system = "\n\n".join(content for role, content in messages if role == "system")
    rest = [message for message in messages if message[0] != "system"]
    if system and rest and rest[0][0] == "user":
        return [("user", f"{system}\n\n{rest[0][1]}"), *rest[1:]]
    return [("user", system), *rest] if system else rest


def alternate(messages: Messages) -> list[tuple[str, str]]:
    """The user's turn and the assistant's by turns, from the user's to the user's.

    Neighbours of one role become one message, with a blank line between them. An empty reply is
    left out, as one that was interrupted; an empty message of the user goes where one is missing.
    """
    turns: list[tuple[str, str]] = []
    for role, content in messages:
        if role == "assistant" and not content.strip():
            continue
        if turns and turns[-1][0] == role:
            turns[-1] = (role, f"{turns[-1][1]}\n\n{content}")
        else:
            turns.append((role, content))
    opening = sum(role == "system" for role, _ in turns[:1])
    if turns[opening : opening + 1] and turns[opening][0] == "assistant":
        turns.insert(opening, ("user", ""))
    if turns and turns[-1][0] == "assistant":
        turns.append(("user", ""))
    return turns


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
    except AnswerError as error:
        raise TemplateRefusalError(str(error)) from error
    except ChildError as error:
        raise TemplateError(str(error)) from error


def _render(checkpoint: Checkpoint, messages: Messages) -> str:
    tokenizer = checkpoint.tokenizer
    variables = {
        name: getattr(tokenizer, name) or "" for name in ("bos_token", "eos_token", "unk_token")
    }
    template = checkpoint.chat_template or PLAIN
    rendered, refusal = "", None
    for form in _forms(messages):
        try:
            text = render(template, form, variables)
        except TemplateRefusalError as error:
            refusal = refusal or error
            continue
        except TemplateError as error:
            raise _refused(error) from error
        if _says_system(text, messages):
            return text
        rendered = rendered or text
    if refusal is not None and not rendered:
        raise _refused(refusal) from refusal
    return rendered


def _forms(messages: Messages) -> Iterator[Messages]:
    """The conversation in the forms that templates may ask for, the truest first.

    Many know no system message: they refuse it, or leave it out without a word. Many insist on
    turns that alternate, which they do not after a reply that was stopped before its first word.
    """
    folded = fold_system(messages)
    tried: list[Messages] = []
    for form in (list(messages), folded, alternate(messages), alternate(folded)):
        if form not in tried:
            tried.append(form)
            yield form


def _says_system(text: str, messages: Messages) -> bool:
    """Whether the system message came through; blanks and capitals may have changed."""
    said = _words(text)
    return all(_words(content) in said for role, content in messages if role == "system")


def _words(text: str) -> str:
    return " ".join(text.split()).casefold()


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


def _token_ids(checkpoint: Checkpoint, parts: list[str], originals: dict[str, str]) -> list[int]:
    """Of text and control tokens by turns, the first of them text."""
    backend = checkpoint.tokenizer.backend_tokenizer
    added = {token.content: token for token in backend.get_added_tokens_decoder().values()}
    for at in range(1, len(parts), 2):
        if added[parts[at]].lstrip:
            parts[at - 1] = parts[at - 1].rstrip()
        if added[parts[at]].rstrip:
            parts[at + 1] = parts[at + 1].lstrip()
    if parts[0] and getattr(backend.pre_tokenizer, "prepend_scheme", "") == "first":
        parts[0] = f" {parts[0].removeprefix(' ')}"
    ordinary = _any_of([t for t in checkpoint.control_tokens if not added[t].special])
    ids: list[int] = []
    for at, part in enumerate(parts):
        if at % 2:
            ids.append(checkpoint.control_tokens[part])
        else:
            for piece in _cut(_unmask(part, originals), ordinary):
                ids += checkpoint.encode(piece)
    return ids


def _cut(text: str, tokens: re.Pattern[str]) -> Iterator[str]:
    """Pieces of the text that are not empty and in which none of the tokens is whole.

    Of added tokens that are not special, a tokenizer cannot take the letters for text.
    """
    begin = 0
    while match := tokens.search(text, begin):
        yield text[begin : match.start() + 1]
        begin = match.start() + 1
    if text[begin:]:
        yield text[begin:]


_renderer = Child("engine.loading.template_child", start_limit=START_LIMIT)
