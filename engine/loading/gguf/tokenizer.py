"""From a GGUF file's vocabulary to a `tokenizers.Tokenizer`, as the model's own repository has it.

Byte-level BPE is GGML's "gpt2", SentencePiece its "llama".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final

from tokenizers import AddedToken, Tokenizer, processors

from engine.errors import CheckpointError, UnsupportedError
from engine.loading.gguf import config as gguf_config
from engine.loading.gguf import pretokenizers as gguf_pretokenizers
from engine.loading.gguf.config import ANGLED, VOCABULARY, embedding_rows, flag, token_id
from engine.loading.gguf.header import GGUFHeader
from engine.loading.gguf.pretokenizers import BYTE_LEVEL, GEMMA_4, SENTENCEPIECE
from engine.loading.sandbox import vocabulary
from engine.loading.sandbox.vocabulary import (
    CONTROL,
    INSTRUCTION,
    MARKS,
    NORMAL,
    RESERVED,
    SPACE,
    UNKNOWN,
    USER_DEFINED,
    VocabularyError,
)

KEEP_SPACE_AFTER: Final = ("<unk>", "<s>", "<|endoftext|>")
"""The control tokens of Phi-3 that do not swallow the space after them: llama-vocab.cpp."""
BARRED: Final = re.compile("<[|\uff5c](?=.*[^\\W\\d_]).+[|\uff5c]>")
"""A spelling that no text has by chance; of signs alone, it may be a part of a program."""
TAG: Final = re.compile(r"</?[A-Za-z_][\w.:-]+>|\[/?[A-Z_]{2,}\]")
NAMED: Final = ("bos", "eos", "eot", "eom", "unknown", "padding")
"""Tokens whose ids a file may say."""

Builder = Callable[[GGUFHeader, list[str]], Tokenizer]


def tokenizer(header: GGUFHeader) -> Tokenizer:
    """Takes time and memory in proportion to the vocabulary, which has limits.

    Raises CheckpointError without a vocabulary or for one that no model has, UnsupportedError for
    an unknown kind.
    """
    kind = gguf_pretokenizers.check(header)
    tokens = _tokens(header)
    try:
        vocabulary.check(tokens)
        return _made(header, _BUILDERS[kind], tokens)
    except (CheckpointError, UnsupportedError):
        raise
    except VocabularyError as error:
        raise _refused(header, str(error)) from error
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
    if header.count(gguf_pretokenizers.MERGES) > vocabulary.MAX_MERGES:
        raise vocabulary.too_many_merges()
    written = map(str, header.items(gguf_pretokenizers.MERGES))
    return vocabulary.byte_level(vocabulary.ids_of(tokens), written, gguf_pretokenizers.of(header))


def _gemma_4(header: GGUFHeader, tokens: list[str]) -> Tokenizer:
    """llama.cpp cuts text at new lines first, which no token of Gemma's crosses."""
    if header.count(gguf_pretokenizers.MERGES) > vocabulary.MAX_MERGES:
        raise vocabulary.too_many_merges()
    written = map(str, header.items(gguf_pretokenizers.MERGES))
    unknown = token_id(header, "unknown")
    spelled = tokens[unknown] if unknown is not None else None
    made = vocabulary.merged_pieces(tokens, written, spelled)
    vocabulary.set_spaces(made, gemma=True, prefix=False, once=False)
    return made


def _sentencepiece(header: GGUFHeader, tokens: list[str]) -> Tokenizer:
    gemma = header.architecture.startswith("gemma")
    if gemma:
        # Runs of spaces are stored as spaces; every other piece has SPACE for them.
        tokens = [SPACE * len(t) if t and not t.strip(" ") else t for t in tokens]
    unknown = token_id(header, "unknown")
    kinds = header.items("tokenizer.ggml.token_type")
    made = vocabulary.sentencepiece(
        tokens,
        _ranks(header, tokens),
        [index for index, kind in enumerate(kinds) if kind in RESERVED],
        tokens[unknown] if unknown is not None else None,
    )
    prefix = flag(header, "tokenizer.ggml.add_space_prefix", default=not gemma)
    vocabulary.set_spaces(made, gemma=gemma, prefix=prefix, once=INSTRUCTION in tokens)
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


def _add_tokens(made: Tokenizer, header: GGUFHeader, tokens: list[str]) -> None:
    """Control tokens are special, user-defined ones are not, and both stay whole in a text."""
    swallow = header.architecture == "phi3" and _is_sentencepiece(header)
    control, whole = _added(header, tokens)
    special = [
        AddedToken(
            token, normalized=False, special=True, rstrip=swallow and token not in KEEP_SPACE_AFTER
        )
        for token in control
    ]
    vocabulary.add_tokens(made, special, whole)


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
    GEMMA_4: _gemma_4,
    SENTENCEPIECE: _sentencepiece,
}
