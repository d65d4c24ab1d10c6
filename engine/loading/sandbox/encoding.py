"""From text to token ids with a stranger's tokenizer.json, control tokens cut out.

A tokenizer.json is a program: a regular expression that backtracks for hours, a normaliser that
writes a megabyte for each letter. Which ones are harmless cannot be told by looking at them, and a
probe proves nothing for the next text, so all of this runs in `prompt_child`.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from tokenizers import AddedToken, Tokenizer, models

from engine.errors import shown

MAX_VOCABULARY: Final = 1_000_000
"""Tokens; Gemma 3 has 262,145."""
MAX_ADDED: Final = 20_000
"""Tokens beside the vocabulary; Gemma 3 has 6,415."""
MAX_ADDED_LETTERS: Final = 500_000
"""Of all of those; Gemma 3's have 80,000. What finds them in a text takes 80 bytes a letter."""
MAX_TOKEN: Final = 4096
"""Characters of a token, which the model may choose again and again."""
MAX_STEPS: Final = 16
"""Of decoding, each once over the text."""
GROWTH: Final = 32
"""Tokens a character; byte-level ones of a normalised character can be 20 or more."""
PROBE: Final = "Hello, world!\n  1234 \N{GRINNING FACE}"
COUNTED: Final = 2
"""Times the context up to which tokens are counted: by how much a prompt is too long is worth
knowing, how many tokens a book has is not."""
DENSE: Final = 8
"""Characters a token, more than ordinary text has: with more, a text is counted first."""
SLICE: Final = 1 << 14
"""Characters that are counted at once."""
FIELDS: Final = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")
"""Of an AddedToken."""
MASKS: Final = re.compile("[\U000f0000-\U000ffffd]")
"""Private characters, which may stand for control tokens of a message."""


class TooLongError(Exception):
    """The text has more tokens than are counted."""


class _Added(msgspec.Struct):
    content: str


class _Model(msgspec.Struct):
    vocab: dict[str, Any] | list[Any] | None = None


class _File(msgspec.Struct):
    added_tokens: list[_Added] | None = None
    model: _Model | None = None


def opened(content: bytes) -> Tokenizer:
    """The tokenizer of a tokenizer.json, checked. Raises Exception of any kind."""
    content = content.removeprefix(codecs.BOM_UTF8)
    # Before the library reads it, which can take minutes and gigabytes for some megabytes.
    file = msgspec.json.decode(content, type=_File)
    check_added([token.content for token in file.added_tokens or []])
    if file.model is not None and len(file.model.vocab or ()) > MAX_VOCABULARY:
        raise ValueError(f"it has {len(file.model.vocab or ()):,} tokens")
    del file
    tokenizer = Tokenizer.from_buffer(content)
    check(tokenizer)
    # What a file asks for, trainers of other tasks wanted: a chat is neither cut nor filled up.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encoded(tokenizer, PROBE)
    return tokenizer


def encoded(tokenizer: Tokenizer, text: str) -> list[int]:
    """Raises ValueError for a tokenizer that makes far more of the text than it has."""
    ids = list(tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids)
    if len(ids) > GROWTH * (len(text) + 1):
        raise ValueError(f"it makes {len(ids):,} tokens of {len(text):,} characters")
    return ids


def add(tokenizer: Tokenizer, added: list[dict[str, Any]]) -> None:
    """Adds what a file beside tokenizer.json adds. Raises ValueError where that contradicts it."""
    check_added([fields["content"] for fields in added])
    known = tokenizer.get_added_tokens_decoder()
    for token in added:
        index, fields = token["id"], {name: token[name] for name in FIELDS}
        if index not in known:
            tokenizer.add_tokens([AddedToken(**fields)])
        if tokenizer.token_to_id(token["content"]) != index:
            raise ValueError(f"the token {shown(token['content'])} has two ids")


def check_added(contents: list[str]) -> None:
    """Raises ValueError for added tokens that no text can be searched for."""
    if len(contents) > MAX_ADDED:
        raise ValueError(f"it adds {len(contents):,} tokens to its vocabulary")
    if (letters := sum(map(len, contents))) > MAX_ADDED_LETTERS:
        raise ValueError(f"the tokens that it adds have {letters:,} letters")


def check(tokenizer: Tokenizer) -> None:
    """Of what runs in the engine itself: decoding, and copying. Raises ValueError."""
    vocabulary = tokenizer.get_vocab()
    if len(vocabulary) > MAX_VOCABULARY:
        raise ValueError(f"it has {len(vocabulary):,} tokens")
    # A copy is written out id by id, those that no token has included.
    if (last := max(vocabulary.values(), default=0)) >= MAX_VOCABULARY:
        raise ValueError(f"one of its tokens has the id {last:,}")
    if max(map(len, vocabulary), default=0) > MAX_TOKEN:
        raise ValueError("one of its tokens is too long")
    if tokenizer.decoder is not None:
        steps = list(_steps(json.loads(tokenizer.decoder.__getstate__())))
        if len(steps) > MAX_STEPS or any(map(_grows, steps)):
            raise ValueError("its decoder makes more text than its tokens have")


def _steps(decoder: dict[str, Any]) -> Iterator[dict[str, Any]]:
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


class Finder:
    """Finds words in a text in time that is linear in it, whatever the words are.

    By the automaton with which `tokenizers` finds added tokens: at each place the longest one.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._finder = Tokenizer(models.WordLevel({"": 0}, unk_token=""))
        self._finder.add_tokens([AddedToken(word, normalized=False) for word in words if word])
        self._words = {index: word for word, index in self._finder.get_vocab().items() if index}

    def split(self, text: str) -> list[str]:
        """The text in parts: other text and words by turns, the first and the last other text."""
        parts, begin = [], 0
        for index in self._finder.encode_batch_fast([text], add_special_tokens=False)[0].ids:
            if index == 0:
                continue
            word = self._words[index]
            # No word begins before the one that was found, so this is where it was found.
            at = text.index(word, begin)
            parts += [text[begin:at], word]
            begin = at + len(word)
        return [*parts, text[begin:]]


class Encoder:
    """Encodes texts in which control tokens stand as they are spelled."""

    def __init__(self, tokenizer: Tokenizer, control: Mapping[str, int]) -> None:
        self._tokenizer = tokenizer
        self._control = control
        self._finder = Finder(control)
        added = {token.content: token for token in tokenizer.get_added_tokens_decoder().values()}
        self._added = {spelling: added[spelling] for spelling in control}
        # From here on its control tokens are text; the library only lets special ones be that.
        tokenizer.add_special_tokens([AddedToken(token, special=True) for token in control])
        tokenizer.encode_special_tokens = True
        self._space_first = getattr(tokenizer.pre_tokenizer, "prepend_scheme", "") == "first"
        if self._space_first:
            tokenizer.pre_tokenizer.prepend_scheme = "never"

    def mask(self, texts: list[str]) -> tuple[list[str], dict[str, str]]:
        """Texts with a private character for each control token, and what those stand for."""
        used = set().union(*(MASKS.findall(text) for text in texts if not text.isascii()))
        free = (chr(code) for code in range(0xF0000, 0xFFFFE) if chr(code) not in used)
        masks: dict[str, str] = {}
        masked = []
        for text in texts:
            parts = self._finder.split(text)
            for at in range(1, len(parts), 2):
                if parts[at] not in masks:
                    masks[parts[at]] = next(free)
                parts[at] = masks[parts[at]]
            masked.append("".join(parts))
        return masked, {character: token for token, character in masks.items()}

    def ids(self, text: str, originals: Mapping[str, str], most: int) -> list[int]:
        """Token ids of a text; what `originals` has in place of a character is ordinary text.

        Raises TooLongError for more than `most`, at the latest after the part that has them.
        """
        self._count(text, most)
        parts = self._finder.split(text)
        for at in range(1, len(parts), 2):
            token = self._added[parts[at]]
            if token.lstrip:
                parts[at - 1] = parts[at - 1].rstrip()
            if token.rstrip:
                parts[at + 1] = parts[at + 1].lstrip()
        if parts[0] and self._space_first:
            parts[0] = f" {parts[0].removeprefix(' ')}"
        ids: list[int] = []
        for at, part in enumerate(parts):
            if at % 2:
                ids.append(self._control[part])
            elif part:
                ids += encoded(self._tokenizer, _unmask(part, originals))
            if len(ids) > most:
                raise TooLongError
        return ids

    def _count(self, text: str, most: int) -> None:
        """Raises TooLongError for a text that has more tokens, before all of it is encoded.

        Where a slice ends in the middle of a word, that has a few tokens more than it would have.
        """
        if len(text) <= DENSE * most:
            return
        self._tokenizer.encode_special_tokens = False
        try:
            count = 0
            for begin in range(0, len(text), SLICE):
                count += len(encoded(self._tokenizer, text[begin : begin + SLICE]))
                if count > most:
                    raise TooLongError
        finally:
            self._tokenizer.encode_special_tokens = True


def _unmask(text: str, originals: Mapping[str, str]) -> str:
    if not originals:
        return text
    return MASKS.sub(lambda found: originals.get(found[0], found[0]), text)
