"""From a GGUF file's vocabulary to a `tokenizers.Tokenizer`, as the model's own repository has it.

Byte-level BPE (GGML's "gpt2") names its merges; SentencePiece (GGML's "llama") does not: there the
merges are found again from the vocabulary, as transformers' converters do.
"""

from __future__ import annotations

from collections.abc import Callable
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

from engine.errors import CheckpointError, UnsupportedError
from engine.loading import gguf_pretokenizers
from engine.loading.gguf_config import embedding_rows, flag, token_id
from engine.loading.gguf_header import GGUFHeader
from engine.loading.gguf_pretokenizers import BYTE_LEVEL, SENTENCEPIECE

CONTROL: Final = 3
USER_DEFINED: Final = 4
SPACE: Final = "\u2581"
"""SentencePiece's visible space."""
INSTRUCTION: Final = "[INST]"
"""A control token from Mistral's second vocabulary on; before it was text."""
KEEP_SPACE_AFTER: Final = ("<unk>", "<s>", "<|endoftext|>")
"""The control tokens of Phi-3 that do not swallow the space after them: llama-vocab.cpp."""
MAX_TOKEN: Final = 512
"""Characters; Llama 3's longest token has 128. Finding merges takes their square."""
MAX_CHARACTERS: Final = 16_000_000
"""Of all tokens; Gemma 3's 262,144 have 1.5 million."""
MAX_ADDED: Final = 20_000
"""Control and user-defined tokens; Gemma 3 has 6,415. A message is searched for all of them."""

Builder = Callable[[GGUFHeader, list[str]], Tokenizer]


def tokenizer(header: GGUFHeader) -> Tokenizer:
    """Raises CheckpointError without a vocabulary, UnsupportedError for an unknown kind."""
    kind = gguf_pretokenizers.check(header)
    tokens = [str(token) for token in header.items("tokenizer.ggml.tokens")]
    if not tokens:
        raise CheckpointError(f"{header.path.name} has no vocabulary.")
    if len(tokens) > embedding_rows(header):
        raise CheckpointError(f"{header.path.name} is damaged: it has tokens without embeddings.")
    lengths = [len(token) for token in tokens]
    if max(lengths) > MAX_TOKEN or sum(lengths) > MAX_CHARACTERS:
        raise CheckpointError(f"{header.path.name} is damaged: its tokens are too long.")
    try:
        return _made(header, _BUILDERS[kind], tokens)
    except (CheckpointError, UnsupportedError):
        raise
    except Exception as error:  # tokenizers raises nothing more special
        raise CheckpointError(
            f"{header.path.name} is damaged: its vocabulary contradicts itself."
        ) from error


def _made(header: GGUFHeader, builder: Builder, tokens: list[str]) -> Tokenizer:
    made = builder(header, tokens)
    _add_tokens(made, header, tokens)
    begin = gguf_pretokenizers.begin_id(header)
    if begin is not None:
        _add_begin(made, tokens[begin], begin)
    return made


def _byte_level(header: GGUFHeader, tokens: list[str]) -> Tokenizer:
    pre = gguf_pretokenizers.of(header)
    merges = [_pair(str(merge), header) for merge in header.items("tokenizer.ggml.merges")]
    model = models.BPE(_ids(tokens), merges, ignore_merges=pre.whole_words_first)
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


def _pair(merge: str, header: GGUFHeader) -> tuple[str, str]:
    left, space, right = merge.partition(" ")
    if not space:
        raise CheckpointError(f"{header.path.name} is damaged: a merge has no two parts.")
    return left, right


def _sentencepiece(header: GGUFHeader, tokens: list[str]) -> Tokenizer:
    gemma = header.architecture.startswith("gemma")
    if gemma:
        # Runs of spaces are stored as spaces; every other piece has SPACE for them.
        tokens = [SPACE * len(t) if t and not t.strip(" ") else t for t in tokens]
        ranks = [-float(index) for index in range(len(tokens))]
    else:
        ranks = [float(score) for score in header.items("tokenizer.ggml.scores")]
    if len(ranks) != len(tokens):
        raise CheckpointError(f"{header.path.name} is damaged: it has not one score a token.")
    unknown = token_id(header, "unknown")
    model = models.BPE(
        _ids(tokens),
        merges(tokens, ranks),
        unk_token=tokens[unknown] if unknown is not None else None,
        fuse_unk=True,
        byte_fallback=True,
    )
    made = Tokenizer(model)
    prefix = flag(header, "tokenizer.ggml.add_space_prefix", default=not gemma)
    once = INSTRUCTION in _of_kind(CONTROL, header, tokens)
    _set_spaces(made, gemma=gemma, prefix=prefix, once=once)
    return made


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


def merges(tokens: list[str], ranks: list[float]) -> list[tuple[str, str]]:
    """Every way to join two pieces into a third, the best-ranked third first.

    transformers.tokenization_utils_base.generate_merges, without its sort of each piece's splits.
    """
    ids = {token: index for index, token in enumerate(tokens)}
    order = sorted(range(len(tokens)), key=lambda index: -ranks[index])
    found: list[tuple[str, str]] = []
    for index in order:
        token = tokens[index]
        splits = [
            (ids[token[:cut]], ids[token[cut:]])
            for cut in range(1, len(token))
            if token[:cut] in ids and token[cut:] in ids
        ]
        found += [(tokens[left], tokens[right]) for left, right in sorted(splits)]
    return found


def _ids(tokens: list[str]) -> dict[str, int]:
    return {token: index for index, token in enumerate(tokens)}


def _add_tokens(made: Tokenizer, header: GGUFHeader, tokens: list[str]) -> None:
    """Control tokens are special, user-defined ones are not, and both stay whole in a text."""
    swallow = header.architecture == "phi3" and _is_sentencepiece(header)
    special = [
        AddedToken(
            token,
            normalized=False,
            special=True,
            rstrip=swallow and token not in KEEP_SPACE_AFTER,
        )
        for token in _of_kind(CONTROL, header, tokens)
    ]
    whole = [
        AddedToken(token, normalized=False, special=False)
        for token in _of_kind(USER_DEFINED, header, tokens)
    ]
    if len(special) + len(whole) > MAX_ADDED:
        raise CheckpointError(f"{header.path.name} is damaged: it has too many control tokens.")
    known = made.get_vocab(with_added_tokens=False)
    made.add_special_tokens([token for token in special if token.content in known])
    made.add_tokens([token for token in whole if token.content in known])


def _of_kind(kind: int, header: GGUFHeader, tokens: list[str]) -> list[str]:
    kinds = header.items("tokenizer.ggml.token_type")
    return [token for token, found in zip(tokens, kinds, strict=False) if found == kind]


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
