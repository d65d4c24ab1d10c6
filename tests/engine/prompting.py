"""The prompts of a model that a test has put together, made in its own process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tokenizers import Tokenizer

from engine.loading.sandbox.child import AnswerError, never
from engine.loading.sandbox.prompt_child import Prompter
from engine.loading.sandbox.prompts import Prompts

CONTEXT = 100_000
"""Tokens, more than any prompt of a test has."""


class Here:
    """A prompt child without its process, for one tokenizer."""

    def __init__(self, backend: Tokenizer) -> None:
        self._tokenizer = Tokenizer.from_str(backend.to_str())

    def open_with(self, opening: dict[str, Any]) -> None:
        self._prompter = Prompter(self._tokenizer, json.loads(json.dumps(opening)))

    def ask(
        self,
        request: dict[str, Any],
        limit: float,
        stopped: Callable[[], bool] = never,
        most: int = 0,
    ) -> dict[str, Any]:
        try:
            return self._prompter.answer(request["messages"], request["longest"])
        except BaseException as error:
            raise AnswerError(str(error)) from error


def prompts_of(
    tokenizer: Any,
    control: dict[str, int],
    template: str | None,
    rows: int = 1000,
    begin: int | None = None,
) -> Prompts:
    """`tokenizer`: a PreTrainedTokenizerFast."""
    here: Any = Here(tokenizer.backend_tokenizer)
    return Prompts(here, tokenizer, control, template, rows, begin)
