"""Which kind of vocabulary a GGUF file has, and which row of the pre-tokenizers cuts its text.

Without tokenizers: the catalog asks which vocabularies can be read.
"""

from __future__ import annotations

from typing import Final

from engine.errors import CheckpointError, UnsupportedError, shown
from engine.loading.gguf.config import VOCABULARY, flag, token_id
from engine.loading.gguf.header import GGUFHeader, LongArray
from engine.loading.sandbox.pretokenizers import PRE_TOKENIZERS, PreTokenizer

BYTE_LEVEL: Final = "gpt2"
SENTENCEPIECE: Final = "llama"
GEMMA_4: Final = "gemma4"
"""SentencePiece's pieces, with their merges."""
MERGES: Final = "tokenizer.ggml.merges"
KINDS: Final = (BYTE_LEVEL, SENTENCEPIECE, GEMMA_4)
"""Values of `tokenizer.ggml.model` that can be read."""
UNREADABLE: Final = {
    "bert": "WordPiece",
    "t5": "Unigram",
    "rwkv": "RWKV",
    "plamo2": "PLaMo 2",
}
"""What the other values stand for."""
_UNNAMED: Final = "default"
_BY_ARCHITECTURE: Final = {
    "command-r": "command-r",
    "phi2": "phi-2",
    "qwen2": "qwen2",
    "qwen2moe": "qwen2",
    "starcoder2": "starcoder",
}
"""Of files from before May 2024, which do not name it: all models of the architecture have this."""
_LLAMA3_BEGIN: Final = (128_000, "<|begin_of_text|>")
"""The token that tells Llama 3's vocabulary, and its id."""
GUESSED: Final = (
    "This file does not say how its vocabulary cuts text (tokenizer.ggml.pre). It is cut as GPT-2 "
    "does, and replies may be worse than the model's own. A newer conversion of the model says it."
)


def of(header: GGUFHeader) -> PreTokenizer:
    """The row of a byte-level vocabulary. Raises UnsupportedError for an unknown name."""
    pre = name_of(header)
    if not isinstance(pre, str) or pre not in PRE_TOKENIZERS:
        raise UnsupportedError(
            f"{header.path.name} cuts text in an unknown way ({shown(pre)}).",
            "Choose another model, or a newer Hearth.",
        )
    return PRE_TOKENIZERS[pre]


def name_of(header: GGUFHeader) -> object:
    """What the file says; of one that says nothing, what its architecture or vocabulary tells."""
    pre = header.metadata.get("tokenizer.ggml.pre") or _UNNAMED
    if pre != _UNNAMED:
        return pre
    index, begin = _LLAMA3_BEGIN
    if header.count(VOCABULARY) > index and header.items(VOCABULARY, index + 1)[index] == begin:
        return "llama-bpe"
    return _BY_ARCHITECTURE.get(header.architecture, _UNNAMED)


def notes(header: GGUFHeader) -> tuple[str, ...]:
    """What the user should know of how text is cut."""
    byte_level = header.metadata.get("tokenizer.ggml.model") == BYTE_LEVEL
    return (GUESSED,) if byte_level and name_of(header) == _UNNAMED else ()


def check(header: GGUFHeader) -> str:
    """The kind of its vocabulary: BYTE_LEVEL or SENTENCEPIECE.

    Raises CheckpointError where there is none, UnsupportedError for one that cannot be read.
    """
    if not isinstance(header.metadata.get(VOCABULARY), tuple | LongArray):
        raise CheckpointError(
            f"{header.path.name} has no vocabulary.", "Choose another file of this model."
        )
    kind = header.metadata.get("tokenizer.ggml.model", "")
    if not isinstance(kind, str) or kind not in KINDS:
        known = f", {UNREADABLE[kind]}" if isinstance(kind, str) and kind in UNREADABLE else ""
        raise UnsupportedError(
            f"{header.path.name} has a tokenizer of the unknown kind {shown(kind)}{known}.",
            "Choose another model, or a newer Hearth.",
        )
    if kind == BYTE_LEVEL:
        of(header)
    if kind != SENTENCEPIECE and not header.count(MERGES):
        raise CheckpointError(
            f"{header.path.name} has a vocabulary without its merges ({MERGES}), and text "
            "cannot be cut into its tokens without them.",
            "Choose another file of this model.",
        )
    return kind


def begin_id(header: GGUFHeader) -> int | None:
    """The id of the token with which every text begins, or None where none does.

    A vocabulary of SentencePiece that does not say otherwise has one. What the file says of an end
    (`add_eos_token`) is for training and embeddings: after a prompt comes the reply.
    """
    default = header.metadata.get("tokenizer.ggml.model") != BYTE_LEVEL or of(header).begin
    begin = token_id(header, "bos")
    return begin if flag(header, "tokenizer.ggml.add_bos_token", default=default) else None
