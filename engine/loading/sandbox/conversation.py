"""From a conversation to the text that the model's chat template makes of it.

A conversation goes through the template in the form in which all of it comes out again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from engine.loading.sandbox.chat_template import ChatTemplate, TemplateError

Messages = Sequence[tuple[str, str]]
"""(role, content) of each message."""
PROBE: Final = "zqxjkv"
"""A word that no template writes by itself, short enough for one that cuts its texts."""
PARTS_AS_TEXT: Final = "'type': 'text'"
"""Python's own spelling of a list of parts, where a template takes a content for a text."""


class UnsaidError(Exception):
    """The template leaves out what the user wrote last."""


def write(template: ChatTemplate, messages: Messages) -> str:
    """The conversation as the template writes it.

    Contents are texts unless the user's last one does not come through so: then they are lists of
    parts, which is all that templates of some multimodal models read. Of the forms of `_forms` it
    is the first with which what the system and the user say comes through, else the first with
    which the user's last text does.

    Raises TemplateError if the template refuses all of them, UnsaidError.
    """
    refusal: TemplateError | None = None
    rendered = False
    alike = ""
    for contents in (_texts, _parts, _parts_of_the_user):
        without_system = ""
        for form, probe in _forms(messages):
            try:
                text = template.render(contents(form))
            except TemplateError as error:
                refusal = refusal or error
                continue
            rendered = True
            if contents is not _texts and PARTS_AS_TEXT in text:
                continue
            if not _comes_through(template, contents(probe)):
                alike = alike or (text if _says_last(text, messages) else "")
            elif _says_system(text, messages):
                return text
            else:
                without_system = without_system or text
        if without_system:
            return without_system
    if alike:
        return alike
    if refusal is not None and not rendered:
        raise refusal
    raise UnsaidError


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


def _forms(messages: Messages) -> Iterator[tuple[Messages, Messages]]:
    """The conversation in the forms that templates may ask for, the truest first.

    Many know no system message: they refuse it, or leave it out without a word. Many insist on
    turns that alternate, which they do not after a reply that was stopped before its first word.
    Each comes with a second conversation of that form, in which the user's last text is PROBE.
    """
    probe = _with_last(messages, PROBE)
    tried: list[Messages] = []
    for form in _FORMS:
        made = form(messages)
        if made not in tried:
            tried.append(made)
            yield made, form(probe)


def _alternate_folded(messages: Messages) -> Messages:
    return alternate(fold_system(messages))


_FORMS: Final[tuple[Callable[[Messages], Messages], ...]] = (
    list,
    fold_system,
    alternate,
    _alternate_folded,
)


def _last(messages: Messages) -> int | None:
    """Where the user's last text is that is not blank."""
    said = [at for at, (role, text) in enumerate(messages) if role == "user" and text.strip()]
    return said[-1] if said else None


def _with_last(messages: Messages, text: str) -> Messages:
    at = _last(messages)
    if at is None:
        return messages
    return [*messages[:at], ("user", text), *messages[at + 1 :]]


def _comes_through(template: ChatTemplate, probe: list[dict[str, Any]]) -> bool:
    """Whether the user's last text does: what the template writes of a word that only it has."""
    if not any(PROBE in str(message["content"]) for message in probe):
        return True  # The user has said nothing.
    try:
        return PROBE in template.render(probe).casefold()
    except TemplateError:
        return False


def _says_last(text: str, messages: Messages) -> bool:
    """Whether the user's last text is there. No proof: a template may write the same words."""
    at = _last(messages)
    return at is None or _words(messages[at][1]) in _words(text)


def _says_system(text: str, messages: Messages) -> bool:
    """Whether the system message came through; blanks and capitals may have changed."""
    said = _words(text)
    return all(_words(content) in said for role, content in messages if role == "system")


def _words(text: str) -> str:
    return " ".join(text.split()).casefold()


def _texts(messages: Messages) -> list[dict[str, Any]]:
    return [{"role": role, "content": content} for role, content in messages]


def _parts(messages: Messages) -> list[dict[str, Any]]:
    return [{"role": role, "content": _part(content)} for role, content in messages]


def _parts_of_the_user(messages: Messages) -> list[dict[str, Any]]:
    return [
        {"role": role, "content": _part(content) if role == "user" else content}
        for role, content in messages
    ]


def _part(content: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": content}]
