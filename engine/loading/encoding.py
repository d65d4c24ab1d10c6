"""From ordinary text to token ids, whatever special tokens the text spells.

The text is a part of a prompt: a tokenizer that puts a space before the first part alone puts none.

A stranger's tokenizer.json is a program: a regular expression that backtracks for hours, a
normaliser that writes a megabyte for each letter. Which ones are harmless cannot be told by looking
at them, and a probe proves nothing for the next text, so it runs in a child process all the time,
ended when it takes too long. A GGUF file has only a vocabulary: what runs on it is Hearth's own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from engine.errors import CheckpointError, PromptError, reason
from engine.loading.child import Child, ChildError, StartError

Encode = Callable[[str], list[int]]
START_LIMIT: Final = 30.0
"""Seconds to read a tokenizer.json, on a slow disk; Gemma's 33 MB take two."""
TIME_LIMIT: Final = 10.0
"""Seconds for one text; a million characters take half a second."""
PROBE: Final = "Hello, world!\n  1234 \N{GRINNING FACE}"


def in_child(file: Path) -> Encode:
    """The encoder of a stranger's tokenizer.json.

    Raises CheckpointError for one that cannot be read, or not encode a few words, within limits.
    """
    child = Child("engine.loading.tokenizer_child", str(file), start_limit=START_LIMIT)

    def encode(text: str) -> list[int]:
        try:
            ids: list[int] = child.ask(text, TIME_LIMIT)
        except ChildError as error:
            raise PromptError(
                f"The model's tokenizer fails at this text: {reason(error)}.",
                "Shorten the text, or choose another model.",
            ) from error
        return ids

    try:
        child.ask(PROBE, TIME_LIMIT)
    except StartError as error:
        raise CheckpointError(f"{file.name} is damaged: {reason(error)}.") from error
    except ChildError as error:
        raise CheckpointError(f"{file.name} cannot be used: {reason(error)}.") from error
    return encode


def in_process(tokenizer: Any) -> Encode:
    """The encoder of a PreTrainedTokenizerFast that Hearth has made itself."""

    def encode(text: str) -> list[int]:
        backend = tokenizer.backend_tokenizer
        scheme = getattr(backend.pre_tokenizer, "prepend_scheme", "")
        backend.encode_special_tokens = True
        if scheme == "first":
            backend.pre_tokenizer.prepend_scheme = "never"
        try:
            return list(backend.encode(text, add_special_tokens=False).ids)
        finally:
            backend.encode_special_tokens = False
            if scheme == "first":
                backend.pre_tokenizer.prepend_scheme = scheme

    return encode
