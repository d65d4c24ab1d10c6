"""Text comes out whole: characters of several tokens, spaces, stop strings across pieces."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from engine.reply.detokenizer import Detokenizer, StopStrings


def decode(ids: Sequence[int]) -> str:
    """A byte-level vocabulary: each id is a byte."""
    return bytes(ids).decode(errors="replace")


def pieces(text: bytes) -> list[str]:
    detokenizer = Detokenizer(decode)
    return [detokenizer.push(byte) for byte in text] + [detokenizer.flush()]


@pytest.mark.parametrize(
    "text", ["plain", "naïve café", "汉字", "👩‍👩‍👧 and 🏳️‍🌈", " leading", "a\n\nb "]
)
def test_pieces_join_to_the_text_and_none_is_broken(text: str) -> None:
    parts = pieces(text.encode())
    assert "".join(parts) == text
    assert not any("\N{REPLACEMENT CHARACTER}" in part for part in parts)


def test_bytes_that_are_no_text_come_out_at_last() -> None:
    parts = pieces(b"ok \xff\xfe\xfd\xfc and on")
    assert "".join(parts).startswith("ok \N{REPLACEMENT CHARACTER}")
    assert "".join(parts).endswith(" and on")


def test_an_unfinished_character_is_flushed() -> None:
    assert pieces("é".encode()[:1])[-1] == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("cut", range(1, 12))
def test_stop_string_is_found_across_pieces(cut: int) -> None:
    stops = StopStrings(["STOP", "END"])
    text = "one two STOP three"
    out = stops.push(text[:cut]) + stops.push(text[cut:])
    assert stops.found
    assert out == "one two "


def test_what_only_began_a_stop_string_is_not_lost() -> None:
    stops = StopStrings(["STOP"])
    assert stops.push("a ST") == "a "
    assert stops.push("ART") == "START"
    assert stops.push(" S") + stops.flush() == " S"
    assert not stops.found


# ---------------------------------------------------------------------------- as transformers does

SPACE = "\u2581"
WORDS = ("a", "b", "c", "1", ".", " a", " b", " c", " the", "  ", " ", "\n")
"""In each vocabulary, spelled its own way."""


def byte_level() -> Tokenizer:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    whole = [word.replace(" ", "\u0120").replace("\n", "\u010a") for word in WORDS]
    made = Tokenizer(models.BPE({token: at for at, token in enumerate({*letters, *whole})}, []))
    made.decoder = decoders.ByteLevel()
    return made


def sentencepiece(*more: Any) -> Tokenizer:
    spelled = [word.replace(" ", SPACE) for word in WORDS] + ["<0x0A>", "<0xC3>", "<0xA9>"]
    made = Tokenizer(models.BPE({token: at for at, token in enumerate(spelled)}, []))
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *more]
    made.decoder = decoders.Sequence(steps)
    return made


def metaspace(scheme: Any) -> Tokenizer:
    made = sentencepiece()
    made.decoder = decoders.Metaspace(SPACE, prepend_scheme=scheme)
    return made


def wordpiece() -> Tokenizer:
    spelled = [word.strip() or "##x" for word in WORDS] + ["##b", "##c"]
    made = Tokenizer(models.WordPiece({t: at for at, t in enumerate(set(spelled))}, unk_token="a"))  # noqa: S106
    made.decoder = decoders.WordPiece(cleanup=False)
    return made


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "byte level": byte_level,
    "Llama 2": lambda: sentencepiece(decoders.Strip(" ", 1, 0)),
    "Gemma": sentencepiece,
    "Mistral": lambda: metaspace("first"),
    "T5": lambda: metaspace("always"),
    "BERT": wordpiece,
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_streamed_is_what_transformers_makes_of_the_whole(kind: str) -> None:
    """Though control tokens, and ids that are no tokens, stand between words and in characters."""
    from transformers import PreTrainedTokenizerFast

    from engine.local.session import text_tokens

    backend = KINDS[kind]()
    backend.add_special_tokens([AddedToken("<|a|>"), AddedToken("</s>"), AddedToken("[b]")])
    backend.add_tokens([AddedToken("<i>", special=False)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, clean_up_tokenization_spaces=False
    )
    loaded: Any = SimpleNamespace(tokenizer=tokenizer, control_tokens={})
    is_text = text_tokens(loaded)
    draw = random.Random(kind)
    size = backend.get_vocab_size()
    control = [token for token in range(size + 3) if not is_text(token)]
    words = [token for token in range(size) if is_text(token)]
    if kind != "BERT":
        words = [token for token in words if whole(tokenizer, token)]
    for _ in range(200):
        ids = [draw.choice(draw.choice((words, words, control))) for _ in range(12)]
        detokenizer = Detokenizer(lambda ids: str(tokenizer.decode(list(ids))), is_text)
        streamed = "".join(map(detokenizer.push, ids)) + detokenizer.flush()
        assert streamed == tokenizer.decode(ids, skip_special_tokens=True), ids


def whole(tokenizer: Any, token: int) -> bool:
    """No part of a character: what is not text when a token comes cannot be awaited."""
    return "\N{REPLACEMENT CHARACTER}" not in tokenizer.decode([token])
