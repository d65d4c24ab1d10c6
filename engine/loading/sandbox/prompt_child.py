"""The process that makes prompts: runs a chat template and the tokenizer.json at a given path.

Its first request opens the two, and has None where only the tokenizer.json is to be checked. Each
other one is an object (messages, longest), or (pieces, longest) for a reply that goes on. Its
answer is one of: ids; "refused", why the template refuses the conversation; "unsaid": it leaves out
what the user wrote; "long": the conversation has more tokens than `longest`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer

from engine.loading.sandbox import child_loop, conversation, encoding
from engine.loading.sandbox.chat_template import ChatTemplate, TemplateError
from engine.loading.sandbox.encoding import Encoder

OPENING: Final = 8
"""Seconds of computing in which a tokenizer.json is read; Gemma's 33 MB take two."""
MEMORY: Final = 1_000_000_000
"""Bytes of address space; Gemma 3's vocabulary, the largest of today's, takes half of them."""


class Prompter:
    """What makes a model's prompts."""

    def __init__(self, tokenizer: Tokenizer, opening: Mapping[str, Any]) -> None:
        """`opening` has

        - added: fields of AddedToken, and the id, of each token beside the vocabulary,
        - control: ids of control tokens by spelling,
        - template: the chat template, variables: what it knows besides the messages,
        - begin: the id of the token with which every prompt begins, or None.
        """
        encoding.add(tokenizer, opening["added"])
        self._encoder = Encoder(tokenizer, opening["control"])
        self._template = ChatTemplate(opening["template"], opening["variables"])
        self._begin: int | None = opening["begin"]

    def answer(self, messages: list[tuple[str, str]], longest: int) -> dict[str, Any]:
        contents, originals = self._encoder.mask([content for _, content in messages])
        roles = [role for role, _ in messages]
        try:
            text = conversation.write(self._template, list(zip(roles, contents, strict=True)))
            ids = self._encoder.ids(text, originals, encoding.COUNTED * longest)
        except TemplateError as error:
            return {"refused": str(error)}
        except conversation.UnsaidError:
            return {"unsaid": True}
        except encoding.TooLongError:
            return {"long": True}
        if ids and self._begin not in (None, ids[0]):
            ids = [self._begin, *ids]
        return {"ids": ids}

    def written(self, pieces: list[tuple[str, bool]], longest: int) -> dict[str, Any]:
        """The ids of a reply, in whose markers control tokens count."""
        masked, originals = self._encoder.mask(["" if marks else text for text, marks in pieces])
        text = "".join(
            piece if marks else mask for (piece, marks), mask in zip(pieces, masked, strict=True)
        )
        try:
            return {"ids": self._encoder.ids(text, originals, encoding.COUNTED * longest)}
        except encoding.TooLongError:
            return {"long": True}


class Program:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._tokenizer: Tokenizer | None = None
        self._prompter: Prompter | None = None

    def answer(self, request: dict[str, Any] | None) -> Any:
        if request is None or self._prompter is None:
            with child_loop.limited_time(OPENING):
                return self._open(request)
        if "pieces" in request:
            return self._prompter.written(request["pieces"], request["longest"])
        messages = [(role, content) for role, content in request["messages"]]
        return self._prompter.answer(messages, request["longest"])

    def _open(self, opening: dict[str, Any] | None) -> None:
        if self._tokenizer is None:
            self._tokenizer = encoding.opened(self._file.read_bytes())
        if opening is not None:
            self._prompter = Prompter(self._tokenizer, opening)


if __name__ == "__main__":
    child_loop.limit_memory(MEMORY)
    child_loop.serve(Program(Path(sys.argv[1])).answer)
