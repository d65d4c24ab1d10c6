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

from engine.errors import CheckpointError, UnsupportedError, shown
from engine.loading.gguf_config import embedding_rows, flag, token_id
from engine.loading.gguf_header import GGUFHeader

CONTROL: Final = 3
USER_DEFINED: Final = 4
SPACE: Final = "\u2581"
"""SentencePiece's visible space."""

_GPT2: Final = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPLITS: Final[dict[str, tuple[str, ...]]] = {
    "default": (_GPT2,),
    "gpt-2": (_GPT2,),
    "smollm": (r"\p{N}", _GPT2),
    "llama-bpe": (_LLAMA3,),
    "llama3": (_LLAMA3,),
    "llama-v3": (_LLAMA3,),
}
"""How text is cut before merging, by `tokenizer.ggml.pre`: llama.cpp, llama-vocab.cpp."""
WHOLE_WORDS_FIRST: Final = ("llama-bpe", "llama3", "llama-v3")
"""Where a piece that is in the vocabulary is taken whole, whatever the merges say."""


Builder = Callable[[GGUFHeader, list[str]], Tokenizer]


def tokenizer(header: GGUFHeader) -> Tokenizer:
    """Raises CheckpointError without a vocabulary, UnsupportedError for an unknown kind."""
    kind = header.metadata.get("tokenizer.ggml.model", "")
    tokens = [str(token) for token in header.items("tokenizer.ggml.tokens")]
    if not tokens:
        raise CheckpointError(f"{header.path.name} has no vocabulary.")
    if len(tokens) > embedding_rows(header):
        raise CheckpointError(f"{header.path.name} is damaged: it has tokens without embeddings.")
    if kind not in _BUILDERS:
        raise UnsupportedError(
            f"{header.path.name} has a tokenizer of the unknown kind {shown(kind)}."
        )
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
    _add_begin(made, header, tokens)
    return made


def _byte_level(header: GGUFHeader, tokens: list[str]) -> Tokenizer:
    pre = header.metadata.get("tokenizer.ggml.pre", "default")
    if not isinstance(pre, str) or pre not in SPLITS:
        raise UnsupportedError(f"{header.path.name} cuts text in an unknown way ({shown(pre)}).")
    merges = [_pair(str(merge), header) for merge in header.items("tokenizer.ggml.merges")]
    model = models.BPE(_ids(tokens), merges, ignore_merges=pre in WHOLE_WORDS_FIRST)
    made = Tokenizer(model)
    splits: list[Any] = [
        pre_tokenizers.Split(Regex(split), behavior="isolated") for split in SPLITS[pre]
    ]
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([*splits, byte_level])
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
    _set_spaces(made, gemma=gemma, prefix=prefix)
    return made


def _set_spaces(made: Tokenizer, *, gemma: bool, prefix: bool) -> None:
    """As the tokenizer.json of Llama 2 and of Gemma has it."""
    visible = normalizers.Replace(" ", SPACE)
    steps: list[Any] = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if prefix:
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
    kinds = header.items("tokenizer.ggml.token_type")
    known = made.get_vocab(with_added_tokens=False)
    listed = [(t, k) for t, k in zip(tokens, kinds, strict=False) if t in known]
    special = [t for t, kind in listed if kind == CONTROL]
    whole = [t for t, kind in listed if kind == USER_DEFINED]
    made.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in special])
    made.add_tokens([AddedToken(t, normalized=False, special=False) for t in whole])


def _add_begin(made: Tokenizer, header: GGUFHeader, tokens: list[str]) -> None:
    """A vocabulary of SentencePiece that does not say otherwise begins every text with BOS."""
    sentencepiece = header.metadata.get("tokenizer.ggml.model") == "llama"
    begin = token_id(header, "bos")
    if begin is None or not flag(header, "tokenizer.ggml.add_bos_token", default=sentencepiece):
        return
    made.post_processor = processors.TemplateProcessing(
        single=f"{tokens[begin]} $A",
        pair=f"{tokens[begin]} $A {tokens[begin]}:1 $B:1",
        special_tokens=[(tokens[begin], begin)],
    )


_BUILDERS: Final[dict[object, Builder]] = {
    "gpt2": _byte_level,
    "llama": _sentencepiece,
}
