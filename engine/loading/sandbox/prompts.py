"""From a conversation to the token ids that a model reads: a child process makes them.

The child (`prompt_child`) runs what a stranger wrote, a chat template and a tokenizer.json. What is
done here is linear in the conversation and in the answer, whose size has a limit of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.errors import CheckpointError, PromptError, PromptTooLongError, reason
from engine.loading.sandbox.chat_template import MAX_TEXT
from engine.loading.sandbox.child import (
    AnswerError,
    Child,
    ChildError,
    LateError,
    StartError,
    never,
)
from engine.loading.sandbox.encoding import COUNTED, FIELDS

TIME_LIMIT: Final = 10.0
"""Seconds for one prompt, and for the child to start again if it must; ordinary ones take 20 ms."""
START_LIMIT: Final = 30.0
"""Seconds to read a tokenizer.json at load, on a slow disk; Gemma's 33 MB take two."""
BYTES_AN_ID: Final = 12
PLAIN: Final = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}\n\n"
    "{% else %}{{ m.role | capitalize }}: {{ m.content }}\n{% endif %}{% endfor %}Assistant:"
)
"""For models without a template."""
OFTEN_WRITTEN: Final = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "")
"""Templates join these to texts without asking whether the model has them."""

Messages = Sequence[tuple[str, str]]
"""(role, content) of each message."""


class Prompts:
    """What makes the prompts of one model."""

    def __init__(
        self,
        child: Child,
        tokenizer: Any,
        control: Mapping[str, int],
        template: str | None,
        rows: int,
        begin: int | None = None,
    ) -> None:
        """`child` reads the tokenizer.json of `tokenizer`, a PreTrainedTokenizerFast.

        `control`: ids of tokens that only the template may write, by spelling. `rows`: how many
        tokens have an embedding. `begin`: the id with which every prompt begins.
        """
        self._child = child
        self._rows = rows
        child.open_with(opening(tokenizer, control, template, begin))

    def start(self) -> None:
        """Has the child make ready, so that the first prompt need not wait for that."""
        self._child.start()

    def ids(
        self,
        messages: Messages,
        longest: int,
        stopped: Callable[[], bool] = never,
        left: float | None = None,
    ) -> list[int]:
        """Token ids of the conversation, up to where the reply begins.

        Control tokens count only where the template wrote them; the same letters in a message are
        ordinary text. A conversation that the template refuses is put in another form first, see
        `conversation.write`. There may be more ids than `longest`, the tokens of the context, but
        not twice as many. `left`: seconds of TIME_LIMIT, if others were used for this prompt.

        Raises PromptTooLongError for more than that; PromptError if the template or the tokenizer
        fails at the conversation, leaves out what the user wrote, takes too long, or writes what
        the model cannot read; StoppedError at most 50 ms after `stopped()`.
        """
        if sum(len(content) for _, content in messages) > MAX_TEXT:
            raise _too_long(longest)
        return self._asked({"messages": messages, "longest": longest}, longest, stopped, left)

    def reply_ids(
        self,
        pieces: Sequence[tuple[str, bool]],
        longest: int,
        stopped: Callable[[], bool] = never,
        left: float | None = None,
    ) -> list[int]:
        """Token ids of a reply that was written so far, in pieces: each a text, and whether it is a
        marker, whose control tokens count. Otherwise as `ids`."""
        if sum(len(text) for text, _ in pieces) > MAX_TEXT:
            raise _too_long(longest)
        return self._asked({"pieces": pieces, "longest": longest}, longest, stopped, left)

    def _asked(
        self,
        request: Mapping[str, Any],
        longest: int,
        stopped: Callable[[], bool],
        left: float | None,
    ) -> list[int]:
        most = BYTES_AN_ID * (COUNTED * longest + 1000)
        try:
            answer = self._child.ask(request, TIME_LIMIT if left is None else left, stopped, most)
        except ChildError as error:
            raise _failure(error) from error
        return self._believed(answer, longest)

    def _believed(self, answer: Any, longest: int) -> list[int]:
        match answer:
            case {"ids": [*ids]} if self._are_tokens(ids):
                return ids
            case {"refused": str(why)}:
                raise PromptError(
                    f"The model's chat template refuses this conversation: {_one_line(why)}.",
                    "Start a new conversation, or choose another model.",
                )
            case {"unsaid": True}:
                raise PromptError(
                    "The model's chat template leaves out what you wrote.", "Choose another model."
                )
            case {"long": True}:
                raise _too_long(longest)
        raise PromptError(
            "The model's chat template makes nothing of this conversation that the model can read.",
            "Choose another model.",
        )

    def _are_tokens(self, ids: list[Any]) -> bool:
        return {type(i) for i in ids} == {int} and min(ids) >= 0 and max(ids) < self._rows


def child_of(file: Path) -> Child:
    """A process for the prompts of the model with this tokenizer.json; not started yet."""
    return Child("engine.loading.sandbox.prompt_child", str(file), start_limit=START_LIMIT)


def check(child: Child, name: str) -> None:
    """Has the child read its tokenizer.json, called `name`, and encode a few words.

    Raises CheckpointError for one that cannot be read, or does not do that within limits.
    """
    try:
        child.open()
    except StartError as error:
        raise CheckpointError(
            f"{name} is damaged: {reason(error)}.",
            "Choose another model, or another copy of this one.",
        ) from error


def opening(
    tokenizer: Any, control: Mapping[str, int], template: str | None, begin: int | None
) -> dict[str, Any]:
    """What `prompt_child.Prompter` takes: what prompts need of a model besides tokenizer.json."""
    added = sorted(tokenizer.added_tokens_decoder.items())
    return {
        "added": [
            {"id": index, **{name: getattr(token, name) for name in FIELDS}}
            for index, token in added
        ],
        "control": dict(control),
        "template": template or PLAIN,
        "variables": {**OFTEN_WRITTEN, **tokenizer.special_tokens_map},
        "begin": begin,
    }


def _one_line(why: str) -> str:
    return reason(ChildError(why))


def _failure(error: ChildError) -> PromptError:
    if isinstance(error, LateError):
        return PromptError(
            "The model's chat template and tokenizer did not come to an end with this conversation "
            f"within {TIME_LIMIT:g} seconds.",
            "Shorten the prompt, start a new conversation, or choose another model.",
        )
    if isinstance(error, AnswerError):
        return PromptError(
            f"The model's tokenizer fails at this text: {reason(error)}.",
            "Shorten the text, or choose another model.",
        )
    return PromptError(
        "The process that runs the model's chat template and tokenizer failed at this "
        f"conversation: {reason(error)}.",
        "Shorten the prompt, start a new conversation, or choose another model.",
    )


def _too_long(longest: int) -> PromptTooLongError:
    return PromptTooLongError(
        f"The conversation has more than {longest:,} tokens and the context holds {longest:,}.",
        "Start a new chat, shorten the prompt, or load the model with a longer context.",
    )
