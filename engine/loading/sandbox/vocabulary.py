"""From the parts of a vocabulary to a `tokenizers.Tokenizer`, whatever file they come from.

Byte-level BPE names its merges. SentencePiece does not: its merges are found again from the
vocabulary, as transformers' converters do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
)

from engine.errors import shown
from engine.loading.sandbox.pretokenizers import PreTokenizer

NORMAL: Final = 1
UNKNOWN: Final = 2
CONTROL: Final = 3
USER_DEFINED: Final = 4
BYTE: Final = 6
"""Kinds of pieces, as SentencePiece and GGUF number them."""
RESERVED: Final = (UNKNOWN, CONTROL, BYTE)
"""Kinds of pieces that SentencePiece never makes of text by merging."""
SPACE: Final = "\u2581"
"""SentencePiece's visible space."""
INSTRUCTION: Final = "[INST]"
"""A control token from Mistral's second vocabulary on; before it was text."""
PRINTABLE: Final = ("\u0120", *map(chr, range(0x21, 0x7F)))
"""ASCII as byte-level vocabularies spell it. Not all bytes are tokens of each: SmolLM2 lacks 21."""
MARKS: Final = (
    "<end_of_turn>",
    "<start_of_turn>",
    "<end_of_utterance>",
    "<turn|>",
    "<|tool_response>",
    "<EOT>",
    "_<EOT>",
    f"{SPACE}<EOT>",
    "[EOT]",
    "[EOS]",
    "[e~[",
)
"""Control tokens that a file may call ordinary ones, beside those between bars:
llama_vocab::impl::load."""
MAX_TOKEN: Final = 512
"""Characters; Llama 3's longest token has 128. Finding merges takes their square."""
MAX_CHARACTERS: Final = 6_000_000
"""Of all tokens; Gemma 3's 262,144 have 1.5 million."""
MAX_ADDED: Final = 20_000
"""Control and user-defined tokens; Gemma 3 has 6,415. A message is searched for all of them."""
MAX_MERGES: Final = 1_000_000
"""Gemma 3's vocabulary has 514,906, SmolLM2's 48,900."""
MAX_MERGED: Final = 16_000_000
"""Characters of all merges: a tokenizer.json spells them. Gemma 3's have 3.1 million."""


class VocabularyError(Exception):
    """A vocabulary that no model has. Its message goes on from the file's name: "has ..."."""


def check(tokens: Collection[str]) -> None:
    """Raises VocabularyError for more letters than can be worked on."""
    lengths = [len(token) for token in tokens]
    if max(lengths, default=0) > MAX_TOKEN or sum(lengths) > MAX_CHARACTERS:
        raise VocabularyError("has longer tokens than any model")


def ids_of(tokens: list[str]) -> dict[str, int]:
    """Raises VocabularyError for two tokens of one spelling, as llama.cpp refuses them too."""
    ids: dict[str, int] = {}
    for index, token in enumerate(tokens):
        first = ids.setdefault(token, index)
        if first != index:
            raise VocabularyError(
                f"has two tokens of one spelling, {first} and {index} ({shown(token)})"
            )
    return ids


def byte_level(ids: dict[str, int], written: Iterable[str], pre: PreTokenizer) -> Tokenizer:
    """Byte-level BPE; `written` has its merges, two parts with a space between.

    Raises VocabularyError.
    """
    lacking = [letter for letter in PRINTABLE if letter not in ids]
    if lacking:
        raise VocabularyError(f"has no tokens for letters such as {shown(lacking[0])}")
    model = models.BPE(ids, _named_merges(ids, written), ignore_merges=pre.whole_words_first)
    made = Tokenizer(model)
    splits: list[Any] = [
        pre_tokenizers.Split(Regex(split), behavior="isolated") for split in pre.splits
    ]
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([*splits, byte_level])
    if pre.nfc:
        made.normalizer = normalizers.NFC()
    made.decoder = decoders.ByteLevel()
    return made


def _named_merges(ids: Mapping[str, int], written: Iterable[str]) -> list[tuple[str, str]]:
    """Without those that llama.cpp never uses: parts or wholes that are no tokens, repetitions."""
    found: dict[tuple[str, str], None] = {}
    for merge in written:
        cut = merge.find(" ", 1)  # the first part may begin with a space
        left, right = merge[:cut], merge[cut + 1 :]
        if cut > 0 and left in ids and right in ids and left + right in ids:
            found.setdefault((left, right))
            if len(found) > MAX_MERGES:
                raise too_many_merges()
    return list(found)


def sentencepiece(
    tokens: list[str], ranks: list[float], reserved: Collection[int], unknown: str | None
) -> Tokenizer:
    """BPE of SentencePiece, without what it does with spaces.

    `ranks`: of each token, the highest is merged first. `reserved`: ids of tokens that are never
    made of text. Raises VocabularyError.
    """
    return Tokenizer(
        models.BPE(
            ids_of(tokens),
            _found_merges(tokens, ranks, reserved),
            unk_token=unknown,
            fuse_unk=True,
            byte_fallback=True,
        )
    )


def merged_pieces(tokens: list[str], written: Iterable[str], unknown: str | None) -> Tokenizer:
    """BPE of SentencePiece whose merges are written, without what it does with spaces.

    Of tokens of one spelling, of which Gemma 4's files have three pairs, the last is used, as by
    llama.cpp; the other is no text.
    """
    ids = {token: index for index, token in enumerate(tokens)}
    merges = _named_merges(ids, written)
    return Tokenizer(models.BPE(ids, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True))


def _found_merges(
    tokens: list[str], ranks: list[float], reserved: Collection[int]
) -> list[tuple[str, str]]:
    """Counted as they are found: a vocabulary can be made of which every cut is a merge."""
    found: list[tuple[str, str]] = []
    characters = 0
    for left, right in merges(tokens, ranks, reserved):
        found.append((left, right))
        characters += len(left) + len(right)
        if len(found) > MAX_MERGES or characters > MAX_MERGED:
            raise too_many_merges()
    return found


def too_many_merges() -> VocabularyError:
    return VocabularyError("has tokens that merge in more ways than any model's")


def set_spaces(made: Tokenizer, *, gemma: bool, prefix: bool, once: bool) -> None:
    """As the tokenizer.json of Llama 2, of Mistral (`once`: none after a token) and of Gemma."""
    visible = normalizers.Replace(" ", SPACE)
    steps: list[Any] = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if prefix and once:
        made.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, "first", split=False)
        steps.append(decoders.Strip(content=" ", left=1, right=0))
    elif prefix:
        made.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), visible])
        steps.append(decoders.Strip(content=" ", left=1, right=0))
    else:
        made.normalizer = visible
    if gemma:
        made.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    made.decoder = decoders.Sequence(steps)


def merges(
    tokens: list[str], ranks: list[float], reserved: Collection[int]
) -> Iterator[tuple[str, str]]:
    """Every way to join two pieces into a third, the best-ranked third first.

    transformers.tokenization_utils_base.generate_merges, without its sort of each piece's splits.
    """
    never = frozenset(reserved)
    ids = {token: index for index, token in enumerate(tokens)}
    for index in sorted(range(len(tokens)), key=lambda index: -ranks[index]):
        if index in never:
            continue
        token = tokens[index]
        splits = []
        for cut in range(1, len(token)):
            left = ids.get(token[:cut])
            if left is not None:
                right = ids.get(token[cut:])
                if right is not None:
                    splits.append((left, right))
        for left, right in sorted(splits):
            yield tokens[left], tokens[right]


def add_tokens(made: Tokenizer, special: Iterable[AddedToken], whole: Iterable[str]) -> None:
    """Adds those that are in the vocabulary; both kinds stay whole in a text.

    Raises VocabularyError for more than a message can be searched for.
    """
    special, whole = list(special), list(whole)
    if len(special) + len(whole) > MAX_ADDED:
        raise VocabularyError("has more control tokens than any model")
    known = made.get_vocab(with_added_tokens=False)
    made.add_special_tokens([token for token in special if token.content in known])
    made.add_tokens(
        [AddedToken(token, normalized=False, special=False) for token in whole if token in known]
    )
