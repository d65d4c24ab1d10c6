"""The process that makes a tokenizer.json of what older folders have in its place.

Each request is an object with a kind and that kind's fields. The answer has the tokenizer.json as
text, and by name the special tokens that its source tells; or says why it is refused, or not
supported, in words that go on from the file's name.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from tokenizers import AddedToken, Regex, Tokenizer, normalizers

from engine.loading.sandbox import child_loop, sentencepiece_file, vocabulary
from engine.loading.sandbox.pretokenizers import PRE_TOKENIZERS
from engine.loading.sandbox.sentencepiece_file import MAX_PIECES, DamagedError, SentencePieceModel
from engine.loading.sandbox.vocabulary import (
    CONTROL,
    INSTRUCTION,
    MARKS,
    RESERVED,
    UNKNOWN,
    USER_DEFINED,
    VocabularyError,
)

MEMORY: Final = 1_000_000_000
"""Bytes of address space."""
SECONDS: Final = 30
"""Of computing; Gemma's vocabulary takes seven."""
END_OF_TEXT: Final = "<|endoftext|>"
"""Ends a text in the vocabularies of GPT-2 and those that follow it."""

Made = tuple[Tokenizer, dict[str, str]]


def answer(request: dict[str, Any] | None) -> Any:
    if request is None:
        return None
    make = KINDS[request.pop("kind")]
    try:
        with child_loop.limited_time(SECONDS):
            tokenizer, named = make(**request)
            return {"tokenizer": tokenizer.to_str(), "named": named}
    except UnsupportedKindError as error:
        return {"unsupported": str(error)}
    except VocabularyError as error:
        return {"refused": str(error)}
    except DamagedError as error:
        return {"refused": f"is damaged: {error}"}


class UnsupportedKindError(Exception):
    """Of a vocabulary that is whole. Its message goes on from the file's name."""


def sentencepiece(file: str, gemma: bool, prefix: bool | None, once: bool | None) -> Made:
    """From the tokenizer.model at `file`.

    `prefix`: whether a space is added in front of a text, `once`: not after each control token;
    both None if the file tells.
    """
    model = sentencepiece_file.read(Path(file).read_bytes())
    return of_model(model, gemma=gemma, prefix=prefix, once=once)


def of_model(
    model: SentencePieceModel, *, gemma: bool, prefix: bool | None, once: bool | None
) -> Made:
    """Raises UnsupportedKindError for what is no BPE, VocabularyError."""
    if model.model_type != sentencepiece_file.BPE:
        kind = sentencepiece_file.KINDS.get(model.model_type, f"kind {model.model_type}")
        raise UnsupportedKindError(
            f"has a SentencePiece vocabulary of {kind}, and Hearth reads BPE"
        )
    tokens = [token or f"[EMPTY_{index}]" for index, token in enumerate(model.pieces)]
    vocabulary.check(tokens)
    if gemma:  # its pieces' scores are no ranks
        ranks = [-float(index) for index in range(len(tokens))]
    else:
        ranks = [score if math.isfinite(score) else -math.inf for score in model.scores]
    kinds = dict(enumerate(model.kinds))
    made = vocabulary.sentencepiece(
        tokens,
        ranks,
        [index for index, kind in kinds.items() if kind in RESERVED],
        next((tokens[index] for index, kind in kinds.items() if kind == UNKNOWN), None),
    )
    vocabulary.set_spaces(
        made,
        gemma=gemma,
        prefix=model.adds_prefix_space if prefix is None else prefix,
        once=INSTRUCTION in tokens if once is None else once,
    )
    _normalize_first(made, model)
    control = [
        token
        for token, kind in zip(tokens, model.kinds, strict=True)
        if kind in (CONTROL, UNKNOWN) or token in MARKS
    ]
    whole = [t for t, kind in zip(tokens, model.kinds, strict=True) if kind == USER_DEFINED]
    vocabulary.add_tokens(
        made,
        [AddedToken(token, normalized=False, special=True) for token in control],
        [token for token in whole if token not in MARKS],
    )
    return made, {
        f"{name}_token": tokens[index]
        for name, index in model.named.items()
        if kinds.get(index) in (CONTROL, UNKNOWN)
    }


def _normalize_first(made: Tokenizer, model: SentencePieceModel) -> None:
    """What SentencePiece does with a text before it marks spaces."""
    steps: list[Any] = []
    if model.character_map:
        try:
            steps.append(normalizers.Precompiled(model.character_map))
        except Exception as error:  # tokenizers raises nothing more special
            raise DamagedError("its table of characters contradicts itself") from error
    if model.removes_extra_spaces:
        # The look behind has a long run of spaces tried once, not from each space on.
        steps.append(normalizers.Replace(Regex("^ +|(?<! ) +$"), ""))
        steps.append(normalizers.Replace(Regex(" {2,}"), " "))
    if steps:
        last = [made.normalizer] if made.normalizer is not None else []
        made.normalizer = normalizers.Sequence([*steps, *last])


def byte_level(vocab: str, merges: str, pre: str) -> Made:
    """From the vocab.json and merges.txt at these paths; `pre` names how text is cut."""
    try:
        content = Path(vocab).read_bytes().removeprefix(codecs.BOM_UTF8)
        ids = msgspec.json.decode(content, type=dict[str, int])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise VocabularyError("is damaged: it is no vocabulary") from error
    vocabulary.check(ids)
    if len(set(ids.values())) < len(ids) or not all(0 <= i < MAX_PIECES for i in ids.values()):
        raise VocabularyError("is damaged: its ids are not those of a vocabulary")
    written = Path(merges).read_bytes().decode("utf-8", "replace").split("\n")
    lines = (line.rstrip("\r") for line in written if not line.startswith("#version"))
    made = vocabulary.byte_level(ids, lines, PRE_TOKENIZERS[pre])
    return made, {"eos_token": END_OF_TEXT} if END_OF_TEXT in ids else {}


KINDS: Final[dict[str, Callable[..., Made]]] = {
    "sentencepiece": sentencepiece,
    "byte_level": byte_level,
}

if __name__ == "__main__":
    child_loop.limit_memory(MEMORY)
    child_loop.serve(answer)
