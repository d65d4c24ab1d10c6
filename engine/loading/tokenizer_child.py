"""The process that runs a stranger's tokenizer.json, given as its argument.

A request is a text, the answer its token ids: of ordinary text, whatever control tokens it spells.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer

from engine.loading import child_loop

MEMORY: Final = 2 << 30
"""Bytes of address space; Gemma 3's vocabulary, the largest of today's, takes a tenth."""
MAX_VOCABULARY: Final = 1_000_000
"""Tokens; Gemma 3 has 262,145."""
MAX_ADDED: Final = 20_000
"""Tokens beside the vocabulary; Gemma 3 has 6,415. A message is searched for all of them."""
MAX_TOKEN: Final = 4096
"""Characters of a token, which the model may choose again and again."""
MAX_STEPS: Final = 16
"""Of decoding, each once over the text."""
GROWTH: Final = 32
"""Tokens a character; byte-level ones of a normalised character can be 20 or more."""


class Encoder:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._tokenizer: Tokenizer | None = None

    def open(self) -> None:
        tokenizer = Tokenizer.from_buffer(self._path.read_bytes())
        check(tokenizer)
        # What a file asks for, trainers of other tasks wanted: a chat is neither cut nor filled up.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True
        if getattr(tokenizer.pre_tokenizer, "prepend_scheme", "") == "first":
            tokenizer.pre_tokenizer.prepend_scheme = "never"
        self._tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        assert self._tokenizer is not None  # noqa: S101 - opened first
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        if len(ids) > GROWTH * (len(text) + 1):
            raise ValueError(f"it makes {len(ids):,} tokens of {len(text):,} characters")
        return list(ids)


def check(tokenizer: Tokenizer) -> None:
    """Of what runs in the engine itself: decoding, and telling control tokens apart.

    Raises ValueError.
    """
    if tokenizer.get_vocab_size() > MAX_VOCABULARY:
        raise ValueError(f"it has {tokenizer.get_vocab_size():,} tokens")
    added = tokenizer.get_added_tokens_decoder()
    if len(added) > MAX_ADDED:
        raise ValueError(f"it adds {len(added):,} tokens to its vocabulary")
    if max(map(len, tokenizer.get_vocab()), default=0) > MAX_TOKEN:
        raise ValueError("one of its tokens is too long")
    if tokenizer.decoder is not None:
        steps = list(_steps(json.loads(tokenizer.decoder.__getstate__())))
        if len(steps) > MAX_STEPS or any(map(_grows, steps)):
            raise ValueError("its decoder makes more text than its tokens have")


def _steps(decoder: dict[str, Any]) -> Any:
    if decoder["type"] != "Sequence":
        yield decoder
        return
    for step in decoder["decoders"]:
        yield from _steps(step)


def _grows(step: dict[str, Any]) -> bool:
    if step["type"] != "Replace":
        return False
    replaced = step["pattern"].get("String", "")
    return not replaced or len(step["content"]) > len(replaced)


if __name__ == "__main__":
    child_loop.limit_memory(MEMORY)
    encoder = Encoder(Path(sys.argv[1]))
    child_loop.serve(encoder.encode, encoder.open)
