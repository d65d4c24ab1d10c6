"""From a GGUF file's vocabulary to a `tokenizers.Tokenizer`, as the model's own repository has it.

Byte-level BPE (GGML's "gpt2") names its merges; SentencePiece (GGML's "llama") does not: there the
merges are found again from the vocabulary, as transformers' converters do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from engine.errors import CheckpointError, UnsupportedError, shown
from engine.loading import gguf_config, gguf_pretokenizers
from engine.loading.gguf_config import ANGLED, VOCABULARY, embedding_rows, flag, token_id
from engine.loading.gguf_header import GGUFHeader
from engine.loading.gguf_pretokenizers import BYTE_LEVEL, SENTENCEPIECE

NORMAL: Final = 1
UNKNOWN: Final = 2
CONTROL: Final = 3
USER_DEFINED: Final = 4
SPACE: Final = "\u2581"
"""SentencePiece's visible space."""
INSTRUCTION: Final = "[INST]"
"""A control token from Mistral's second vocabulary on; before it was text."""
KEEP_SPACE_AFTER: Final = ("<unk>", "<s>", "<|endoftext|>")
"""The control tokens of Phi-3 that do not swallow the space after them: llama-vocab.cpp."""
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
BARRED: Final = re.compile("<[|\uff5c](?=.*[^\\W\\d_]).+[|\uff5c]>")
"""A spelling that no text has by chance; of signs alone, it may be a part of a program."""
TAG: Final = re.compile(r"</?[A-Za-z_][\w.:-]+>|\[/?[A-Z_]{2,}\]")
NAMED: Final = ("bos", "eos", "eot", "eom", "unknown", "padding")
"""Tokens whose ids a file may say."""
MAX_TOKEN: Final = 512
"""Characters; Llama 3's longest token has 128. Finding merges takes their square."""
MAX_CHARACTERS: Final = 6_000_000
"""Of all tokens; Gemma 3's 262,144 have 1.5 million."""
MAX_ADDED: Final = 20_000
"""Control and user-defined tokens; Gemma 3 has 6,415. A message is searched for all of them."""
MAX_MERGES: Final = 1_000_000
"""Gemma 3's vocabulary has 514,906, Gemma 2's 580,604, gpt-oss's 446,189, Llama 2's 61,249."""
MAX_MERGED: Final = 16_000_000
"""Characters of all merges: a tokenizer.json spells them. Gemma 3's have 3.4 million."""

Builder = Callable[[GGUFHeader, list[str]], Tokenizer]


def tokenizer(header: GGUFHeader) -> Tokenizer:
    """Takes time and memory in proportion to the vocabulary, which has limits.

    Raises CheckpointError without a vocabulary or for one that no model has, UnsupportedError for
    an unknown kind.
    """
    kind = gguf_pretokenizers.check(header)
    tokens = _tokens(header)
    try:
        return _made(header, _BUILDERS[kind], tokens)
    except (CheckpointError, UnsupportedError):
        raise
    except Exception as error:  # tokenizers raises nothing more special
        raise CheckpointError(
            f"{header.path.name} is damaged: its vocabulary contradicts itself."
        ) from error


def _tokens(header: GGUFHeader) -> list[str]:
    """An empty one gets a name, as in llama.cpp: several would be spelled alike."""
    tokens = [
        str(token) or f"[EMPTY_{index}]" for index, token in enumerate(header.items(VOCABULARY))
    ]
    if not tokens:
        raise _refused(header, "has no vocabulary")
    if len(tokens) > embedding_rows(header):
        raise _refused(
            header,
            f"has {len(tokens):,} tokens, and its embedding is made for {embedding_rows(header):,}",
        )
    lengths = [len(token) for token in tokens]
    if max(lengths) > MAX_TOKEN or sum(lengths) > MAX_CHARACTERS:
        raise _refused(header, "has longer tokens than any model")
    return tokens


def _refused(header: GGUFHeader, why: str) -> CheckpointError:
    """For a file that may be whole, and as its maker wrote it."""
    return CheckpointError(f"{header.path.name} {why}.", "Choose another file of this model.")


def _made(header: GGUFHeader, builder: Builder, tokens: list[str]) -> Tokenizer:
    made = builder(header, tokens)
    _add_tokens(made, header, tokens)
    begin = gguf_pretokenizers.begin_id(header)
    if begin is not None:
        _add_begin(made, tokens[begin], begin)
    return made


def _byte_level(header: GGUFHeader, tokens: list[str]) -> Tokenizer:
    pre = gguf_pretokenizers.of(header)
    ids = _ids(header, tokens)
    lacking = [letter for letter in PRINTABLE if letter not in ids]
    if lacking:
        raise _refused(header, f"has no tokens for letters such as {shown(lacking[0])}")
    model = models.BPE(ids, _named_merges(header, ids), ignore_merges=pre.whole_words_first)
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


def _named_merges(header: GGUFHeader, ids: dict[str, int]) -> list[tuple[str, str]]:
    """Without those that llama.cpp never uses: parts or wholes that are no tokens, repetitions."""
    if header.count(gguf_pretokenizers.MERGES) > MAX_MERGES:
        raise _too_many_merges(header)
    found: dict[tuple[str, str], None] = {}
    for merge in map(str, header.items(gguf_pretokenizers.MERGES)):
        cut = merge.find(" ", 1)  # the first part may begin with a space
        left, right = merge[:cut], merge[cut + 1 :]
        if cut > 0 and left in ids and right in ids and left + right in ids:
            found.setdefault((left, right))
    return list(found)


def _sentencepiece(header: GGUFHeader, tokens: list[str]) -> Tokenizer:
    gemma = header.architecture.startswith("gemma")
    if gemma:
        # Runs of spaces are stored as spaces; every other piece has SPACE for them.
        tokens = [SPACE * len(t) if t and not t.strip(" ") else t for t in tokens]
    unknown = token_id(header, "unknown")
    model = models.BPE(
        _ids(header, tokens),
        _found_merges(header, tokens),
        unk_token=tokens[unknown] if unknown is not None else None,
        fuse_unk=True,
        byte_fallback=True,
    )
    made = Tokenizer(model)
    prefix = flag(header, "tokenizer.ggml.add_space_prefix", default=not gemma)
    once = INSTRUCTION in tokens
    _set_spaces(made, gemma=gemma, prefix=prefix, once=once)
    return made


def _ranks(header: GGUFHeader, tokens: list[str]) -> list[float]:
    """SentencePiece writes the pieces of BPE in the order of their scores: Gemma's files have
    others, and some files none."""
    scores = [float(score) for score in header.items("tokenizer.ggml.scores")]
    if header.architecture.startswith("gemma") or not scores:
        return [-float(index) for index in range(len(tokens))]
    if len(scores) < len(tokens):
        raise _refused(header, f"has {len(tokens):,} tokens and {len(scores):,} scores for them")
    return [score if math.isfinite(score) else -math.inf for score in scores[: len(tokens)]]


def _found_merges(header: GGUFHeader, tokens: list[str]) -> list[tuple[str, str]]:
    """Counted as they are found: a vocabulary can be made of which every cut is a merge."""
    found: list[tuple[str, str]] = []
    characters = 0
    for left, right in merges(tokens, _ranks(header, tokens)):
        found.append((left, right))
        characters += len(left) + len(right)
        if len(found) > MAX_MERGES or characters > MAX_MERGED:
            raise _too_many_merges(header)
    return found


def _too_many_merges(header: GGUFHeader) -> CheckpointError:
    return _refused(header, "has tokens that merge in more ways than any model's")


def _set_spaces(made: Tokenizer, *, gemma: bool, prefix: bool, once: bool) -> None:
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


def merges(tokens: list[str], ranks: list[float]) -> Iterator[tuple[str, str]]:
    """Every way to join two pieces into a third, the best-ranked third first.

    transformers.tokenization_utils_base.generate_merges, without its sort of each piece's splits.
    """
    ids = {token: index for index, token in enumerate(tokens)}
    for index in sorted(range(len(tokens)), key=lambda index: -ranks[index]):
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


def _ids(header: GGUFHeader, tokens: list[str]) -> dict[str, int]:
    """Raises CheckpointError for two tokens of one spelling, as llama.cpp refuses them too."""
    ids: dict[str, int] = {}
    for index, token in enumerate(tokens):
        first = ids.setdefault(token, index)
        if first != index:
            raise _refused(
                header, f"has two tokens of one spelling, {first} and {index} ({shown(token)})"
            )
    return ids


def _add_tokens(made: Tokenizer, header: GGUFHeader, tokens: list[str]) -> None:
    """Control tokens are special, user-defined ones are not, and both stay whole in a text."""
    swallow = header.architecture == "phi3" and _is_sentencepiece(header)
    control, whole = _added(header, tokens)
    if len(control) + len(whole) > MAX_ADDED:
        raise _refused(header, "has more control tokens than any model")
    known = made.get_vocab(with_added_tokens=False)
    made.add_special_tokens(
        [
            AddedToken(
                token,
                normalized=False,
                special=True,
                rstrip=swallow and token not in KEEP_SPACE_AFTER,
            )
            for token in control
            if token in known
        ]
    )
    made.add_tokens(
        [AddedToken(token, normalized=False, special=False) for token in whole if token in known]
    )


def _added(header: GGUFHeader, tokens: list[str]) -> tuple[list[str], list[str]]:
    """Control tokens, and user-defined ones.

    Marks of turns are such tokens though a file calls them ordinary, or has no kinds of tokens.
    """
    kinds = header.items("tokenizer.ggml.token_type")
    kinds += [NORMAL] * (len(tokens) - len(kinds))
    named = {token_id(header, name) for name in NAMED}
    tags = set(TAG.findall(gguf_config.chat_template(header) or ""))
    control, whole = [], []
    for index, (token, kind) in enumerate(zip(tokens, kinds, strict=False)):
        if kind in (CONTROL, UNKNOWN) or token in MARKS:
            control.append(token)
        elif kind == USER_DEFINED:
            whole.append(token)
        elif (
            kind == NORMAL
            and token[-1] in ">]"
            and (
                BARRED.fullmatch(token)
                or token in tags
                or (index in named and ANGLED.fullmatch(token))
            )
        ):
            control.append(token)
    return control, whole


def _is_sentencepiece(header: GGUFHeader) -> bool:
    return header.metadata.get("tokenizer.ggml.model") == SENTENCEPIECE


def _add_begin(made: Tokenizer, token: str, index: int) -> None:
    made.post_processor = processors.TemplateProcessing(
        single=f"{token} $A",
        pair=f"{token} $A {token}:1 $B:1",
        special_tokens=[(token, index)],
    )


_BUILDERS: Final[dict[str, Builder]] = {
    BYTE_LEVEL: _byte_level,
    SENTENCEPIECE: _sentencepiece,
}
