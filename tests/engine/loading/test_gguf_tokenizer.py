"""Converted vocabularies cut text as transformers and llama.cpp do, and come back to it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from engine.errors import CheckpointError, UnsupportedError
from engine.loading import families, gguf_conversion, gguf_file, gguf_header, gguf_tokenizer
from engine.loading.gguf_header import GGUFHeader
from engine.packaged import PACKAGED
from tests.engine import tiny

SPACE = "\u2581"
TEXTS = (
    "",
    " ",
    "word",
    " leading",
    "   three leading",
    "trailing   ",
    "a  b   c    d",
    "line\nline\n\nline\r\n\r\n\tend\n",
    "\n",
    "\t\t\tx",
    "1", "12", "123", "1234567890", "3.14159", "2024-06-01", "x=10**100",
    "on 12 May, 3 times",
    "it's we'll I'VE don't",
    "Ünïcödé naïve façade",
    "日本語のテキスト、中文文本。한국어",
    "👩‍👩‍👧 🔥🔥 🇩🇪",
    "مرحبا بالعالم ไทย",
    "def f(x):\n    return x  # comment\n",
    "<|im_start|>user\nhi<|im_end|>",
    "<|im_start|",
    "<start_of_turn>user\nhi<end_of_turn>\n",
    "<bos></s><unk><pad>",
    "\u00a0no\u200bbreak\ufeff",
    "combining e\u0301 a\u030a",
    "\U0001f9d1\U0001f3fd\u200d\U0001f680",
    "x" * 500,
    "ab" * 100 + " " * 31 + "🔥" * 20,  # Gemma has no piece of more spaces
    f"visible {SPACE} space",
    "\x00\x01\x7f",
)  # fmt: skip


def converted(header: GGUFHeader) -> Any:
    """The tokenizer that a load of the file would have."""
    family = families.of_gguf(header.architecture)
    return gguf_file.fast_tokenizer(gguf_conversion.converted(header, family, lambda: None))


# ---------------------------------------------------------------------------- byte-level BPE


@pytest.fixture(scope="module")
def smollm2() -> tuple[Any, Any]:
    """Ours, and the one that transformers builds from the same file."""
    file = PACKAGED[0].file()
    reference = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    return converted(gguf_header.read(file)), reference


@pytest.mark.parametrize("text", TEXTS)
def test_smollm2_cuts_text_as_transformers_does(text: str, smollm2: tuple[Any, Any]) -> None:
    ours, reference = smollm2
    ids = ours(text).input_ids
    assert ids == reference(text).input_ids
    assert ours.decode(ids) == reference.decode(ids) == text


def test_smollm2_has_the_special_tokens_that_transformers_finds(smollm2: tuple[Any, Any]) -> None:
    ours, reference = smollm2
    for name in ("bos_token", "eos_token", "unk_token", "pad_token"):
        assert getattr(ours, name) == getattr(reference, name)
    assert len(ours) == len(reference) == 49_152


# ---------------------------------------------------------------------------- SentencePiece


class SentencePiece:
    """The rule itself, slowly: of all neighbours that make a piece, join the best-scored first.

    llama.cpp, llm_tokenizer_spm. User-defined pieces are taken whole before that, and what no
    piece covers becomes its UTF-8 bytes.
    """

    def __init__(self, header: GGUFHeader) -> None:
        tokens = [str(token) for token in header.items("tokenizer.ggml.tokens")]
        # GGUF files of Gemma have runs of spaces as spaces, all other pieces as SPACE.
        tokens = [t if t.strip(" ") else t.replace(" ", SPACE) for t in tokens]
        kinds = header.items("tokenizer.ggml.token_type")
        scores = header.items("tokenizer.ggml.scores")
        self.ids = {token: index for index, token in enumerate(tokens)}
        self.scores = {t: float(scores[i]) for i, t in enumerate(tokens) if kinds[i] in (1, 4)}
        self.whole = sorted((t for i, t in enumerate(tokens) if kinds[i] == 4), key=len)[::-1]

    def encode(self, text: str) -> list[int]:
        text = text.replace(" ", SPACE)
        if not self.whole:
            return self._joined(text)
        parts = re.split("(" + "|".join(map(re.escape, self.whole)) + ")", text)
        ids = [[self.ids[p]] if i % 2 else self._joined(p) for i, p in enumerate(parts)]
        return [index for part in ids for index in part]

    def _joined(self, text: str) -> list[int]:
        pieces = list(text)
        while pieces:
            pairs = [left + right for left, right in itertools.pairwise(pieces)]
            known = [(self.scores[pair], -i) for i, pair in enumerate(pairs) if pair in self.scores]
            if not known:
                break
            at = -max(known)[1]
            pieces[at : at + 2] = [pairs[at]]
        return [index for piece in pieces for index in self._ids(piece)]

    def _ids(self, piece: str) -> list[int]:
        if piece in self.scores:
            return [self.ids[piece]]
        return [self.ids[f"<0x{byte:02X}>"] for byte in piece.encode()]


@pytest.fixture(scope="module")
def gemma() -> tuple[Any, SentencePiece]:
    header = gguf_header.read(PACKAGED[1].file())
    return converted(header), SentencePiece(header)


CONTROL_OF_GEMMA = ("<start_of_turn>", "<bos>")


@pytest.mark.parametrize("text", [t for t in TEXTS if not t.startswith(CONTROL_OF_GEMMA)])
def test_gemma_cuts_text_as_sentencepiece_does(text: str, gemma: tuple[Any, SentencePiece]) -> None:
    ours, reference = gemma
    assert ours(text, add_special_tokens=False).input_ids == reference.encode(text)


def test_gemma_takes_control_tokens_whole(gemma: tuple[Any, SentencePiece]) -> None:
    ours, reference = gemma
    ids = ours("<start_of_turn>user\nhi<end_of_turn>\n", add_special_tokens=False).input_ids
    start, end = reference.ids["<start_of_turn>"], reference.ids["<end_of_turn>"]
    inner, newline = reference.encode("user\nhi"), reference.encode("\n")
    assert ids == [start, *inner, end, *newline]


@pytest.mark.parametrize("text", [t for t in TEXTS if SPACE not in t])
def test_gemma_comes_back_to_the_text(text: str, gemma: tuple[Any, SentencePiece]) -> None:
    ours, _ = gemma
    assert ours.decode(ours(text, add_special_tokens=False).input_ids) == text


def test_gemma_takes_user_defined_pieces_whole(gemma: tuple[Any, SentencePiece]) -> None:
    ours, reference = gemma
    for piece in ("\n\n", "\t\t\t", "<h1>", SPACE * 4):
        assert piece in reference.whole
        spelled = piece.replace(SPACE, " ")
        assert ours(spelled, add_special_tokens=False).input_ids == [reference.ids[piece]]


def test_gemma_begins_every_text_with_bos(gemma: tuple[Any, SentencePiece]) -> None:
    ours, _ = gemma
    assert ours("word").input_ids[0] == ours.bos_token_id == 2


@pytest.fixture
def llama2(tmp_path: Path) -> GGUFHeader:
    """A vocabulary of the Llama 2 kind: scores, byte pieces, a space before the first word."""
    path = tmp_path / "llama2.gguf"
    writer = tiny.gguf_writer(path)
    pieces = [SPACE, *"abcdehlnort", "he", "the", f"{SPACE}t", f"{SPACE}the", "ar", "thear", "ea"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    kinds = [2, 3, 3, *[6] * 256, *[1] * len(pieces)]
    scores = [0.0] * 259 + [-float(index) for index in range(len(pieces))]
    scores[tokens.index("ea")] = 1.0  # before "he", which stands before it
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_tensor("token_embd.weight", tiny.zeros(len(tokens), 32))
    tiny.finish(writer)
    return gguf_header.read(path)


@pytest.mark.parametrize(
    "text", ["the hearth", " the", "the  lord", "Zoë", "🔥", "hearth\nhearth", "the<0x41>"]
)
def test_llama_2_cuts_text_as_sentencepiece_does(text: str, llama2: GGUFHeader) -> None:
    ours = gguf_tokenizer.tokenizer(llama2)
    ids = ours.encode(text).ids
    assert ids == [1, *SentencePiece(llama2).encode(f" {text}")]
    assert ours.decode(ids) == text


# ---------------------------------------------------------------------------- what is wrong


def vocabulary(tmp_path: Path, change: Callable[[Any], None]) -> GGUFHeader:
    writer = tiny.gguf_writer(tmp_path / "x.gguf")
    tiny.write_vocabulary(writer)
    change(writer)
    writer.add_tensor("token_embd.weight", tiny.zeros(len(tiny.VOCABULARY), 32))
    tiny.finish(writer)
    return gguf_header.read(tmp_path / "x.gguf")


def put(writer: Any, key: str, value: object) -> None:
    writer.kv_data[0][f"tokenizer.ggml.{key}"].value = value


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("tokens", ["only", "two"], "contradicts itself"),
        ("tokens", [f"w{i}" for i in range(1000)], "tokens without embeddings"),
        ("merges", ["h e", "no-such piece"], "contradicts itself"),
        ("merges", ["he"], "a merge has no two parts"),
        ("bos_token_id", 9999, "bos token is 9999"),
    ],
)
def test_vocabulary_that_contradicts_itself(
    key: str, value: object, said: str, tmp_path: Path
) -> None:
    header = vocabulary(tmp_path, lambda writer: put(writer, key, value))
    with pytest.raises(CheckpointError, match=said):
        gguf_tokenizer.tokenizer(header)


@pytest.mark.parametrize(("key", "said"), [("model", "'wordpiece'"), ("pre", "'wordpiece'")])
def test_vocabulary_of_an_unknown_kind(key: str, said: str, tmp_path: Path) -> None:
    header = vocabulary(tmp_path, lambda writer: put(writer, key, "wordpiece"))
    with pytest.raises(UnsupportedError, match=said):
        gguf_tokenizer.tokenizer(header)


def test_no_vocabulary(tmp_path: Path) -> None:
    writer = tiny.gguf_writer(tmp_path / "x.gguf")
    tiny.finish(writer)
    with pytest.raises(CheckpointError, match="no vocabulary"):
        gguf_tokenizer.tokenizer(gguf_header.read(tmp_path / "x.gguf"))
