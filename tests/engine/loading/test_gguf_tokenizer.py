"""Converted vocabularies cut text as transformers and llama.cpp do, and come back to it."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Regex, pre_tokenizers
from transformers import AutoTokenizer
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
from transformers.models.codegen.tokenization_codegen import CodeGenTokenizer
from transformers.models.cohere.tokenization_cohere import CohereTokenizer
from transformers.models.gpt2.tokenization_gpt2 import GPT2Tokenizer
from transformers.models.gpt_neox.tokenization_gpt_neox import GPTNeoXTokenizer
from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer
from transformers.models.qwen3_5.tokenization_qwen3_5 import Qwen3_5Tokenizer

from engine.catalog.packaged import PACKAGED
from engine.errors import CheckpointError, UnsupportedError
from engine.loading.gguf import conversion as gguf_conversion
from engine.loading.gguf import families as gguf_families
from engine.loading.gguf import file as gguf_file
from engine.loading.gguf import header as gguf_header
from engine.loading.gguf import pretokenizers as gguf_pretokenizers
from engine.loading.gguf import tokenizer as gguf_tokenizer
from engine.loading.gguf.header import GGUFHeader
from engine.loading.sandbox.pretokenizers import PRE_TOKENIZERS
from engine.loading.sandbox.vocabulary import RESERVED, merged_pieces, merges
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
    row = gguf_families.of(header)
    return gguf_file.fast_tokenizer(gguf_conversion.converted(header, row, lambda: None))


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


# ---------------------------------------------------------------------------- how families cut

VARIED = " ".join(TEXTS) + (
    "def f(x):\n        return x**2  # it's I'VE DON'T\r\n\r\n 12345 1,234.56 \uff11\uff12 ½²\n"
    "$100\n/ a//b\n\n"
    "camelCaseXMLHttp_snake-case हिन्दी ไทยกำ \u2029 \ufeff “q”\u3000。!?#tag   \n \n  \n   end   "
)  # fmt: skip
# The classes of transformers that have a family's rule, and the names that stand for it.
BY_CLASS: dict[type, tuple[str, ...]] = {
    GPT2Tokenizer: ("default", "gpt-2"),
    CodeGenTokenizer: ("phi-2",),
    GPTNeoXTokenizer: ("olmo", "mpt"),
    CohereTokenizer: ("command-r",),
    Qwen2Tokenizer: ("qwen2", "deepseek-r1-qwen", "stablelm2", "megrez"),
    Qwen3_5Tokenizer: ("qwen35",),
}


def named(pre: str, tmp_path: Path) -> Any:
    """A byte-level tokenizer of a file that says `pre`."""
    header = vocabulary(tmp_path, lambda writer: put(writer, "pre", pre))
    return gguf_tokenizer.tokenizer(header)


def cut(text: str, by: Any) -> list[str]:
    return [text[begin:end] for _, (begin, end) in by.pre_tokenizer.pre_tokenize_str(text)]


def composed(by: Any) -> str:
    return "e\u0301" if by.normalizer is None else str(by.normalizer.normalize_str("e\u0301"))


@pytest.mark.parametrize(
    ("kind", "pre"), [(kind, pre) for kind, names in BY_CLASS.items() for pre in names]
)
def test_text_is_cut_as_the_familys_class_does(kind: Any, pre: str, tmp_path: Path) -> None:
    ours, reference = named(pre, tmp_path), kind().backend_tokenizer
    assert cut(VARIED, ours) == cut(VARIED, reference)
    assert composed(ours) == composed(reference)


@pytest.mark.parametrize("pre", sorted(set(GGUF_PRE_TOKENIZER_SPLITS) & set(PRE_TOKENIZERS)))
def test_text_is_cut_as_transformers_cuts_that_of_gguf(pre: str, tmp_path: Path) -> None:
    split = pre_tokenizers.Split(Regex(GGUF_PRE_TOKENIZER_SPLITS[pre]), "isolated")
    expected = [text for text, _ in split.pre_tokenize_str(VARIED)]
    assert cut(VARIED, named(pre, tmp_path)) == expected


@pytest.mark.parametrize("pre", ["smollm", "starcoder", "refact", "codeshell", "exaone"])
def test_digits_stand_alone(pre: str, tmp_path: Path) -> None:
    steps = (pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel())
    reference = pre_tokenizers.Sequence(list(steps))
    reference[1].add_prefix_space = False
    expected = [VARIED[begin:end] for _, (begin, end) in reference.pre_tokenize_str(VARIED)]
    assert cut(VARIED, named(pre, tmp_path)) == expected


# What only the models' own tokenizer.json has. DeepSeek V3 was compared with its file by hand.
CUTS = (
    ("deepseek-v3", "x=12345 日本語ok", ["x", "=", "123", "45", " ", "日本語", "ok"]),
    ("deepseek-v3", ".path(a)\n\nन्", [".path", "(a", ")\n\n", "न्"]),
    (
        "deepseek-coder",
        " f(10)\r\n½\t日本",
        [" f", "(", "1", "0", ")", "\r", "\n", "½", "\t", "日本"],
    ),
    ("deepseek-coder", "हि", ["ह", "ि"]),
    # Its marks run from : to ~ and so take the letters of ASCII with them.
    ("deepseek-llm", " Zoë::12。한국", [" Zo", "ë", "::", "1", "2", "。", "한국"]),
    ("deepseek-llm", "Նն", ["Ն", "ն"]),
    ("deepseek-llm", "\n  end  ", ["\n", " ", " end", "  "]),
    ("glm4", "it'S 12345", ["it", "'S", " ", "123", "45"]),
    ("chatglm-bpe", "a\n\n b", ["a", "\n\n", " b"]),
    ("falcon", "a=12345, b", ["a", "=", "123", "45", ",", " b"]),
    ("seed-coder", "x;\n1", ["x", ";", "\n", "1"]),
)


@pytest.mark.parametrize(("pre", "text", "expected"), CUTS)
def test_text_is_cut_as_the_models_own_file_says(
    pre: str, text: str, expected: list[str], tmp_path: Path
) -> None:
    assert cut(text, named(pre, tmp_path)) == expected


@pytest.mark.parametrize("pre", sorted(PRE_TOKENIZERS))
def test_nothing_of_a_text_is_lost(pre: str, tmp_path: Path) -> None:
    assert "".join(cut(VARIED, named(pre, tmp_path))) == VARIED
    ours = named(pre, tmp_path)
    assert ours.decode(ours.encode("the \t12\n 한🔥").ids) == "the \t12\n 한🔥"


LONG = (" " * 20_000 + "\u0576", "\n" * 20_000 + "x", "a" * 20_000, "Aa" * 10_000, "'" * 20_000)


@pytest.mark.parametrize("pre", sorted(PRE_TOKENIZERS))
def test_long_runs_of_a_letter_are_cut_at_once(pre: str, tmp_path: Path) -> None:
    """Nothing can stop a regular expression that backtracks; these take milliseconds."""
    ours = named(pre, tmp_path)
    for text in LONG:
        begin = time.process_time()
        cut(text, ours)
        assert time.process_time() - begin < 0.5


@pytest.mark.parametrize(
    ("pre", "whole"), [("llama-bpe", True), ("tekken", True), ("smaug-bpe", True), ("dbrx", False)]
)
def test_words_of_the_vocabulary_are_taken_whole(pre: str, whole: bool, tmp_path: Path) -> None:
    """No merge makes `ab`, which is in the vocabulary all the same."""

    def add(writer: Any) -> None:
        put(writer, "pre", pre)
        put(writer, "tokens", [*tiny.VOCABULARY[:-1], "ab"])
        put(writer, "token_type", [1] * len(tiny.VOCABULARY))

    ours = gguf_tokenizer.tokenizer(vocabulary(tmp_path, add))
    assert (ours.encode("ab", add_special_tokens=False).tokens == ["ab"]) == whole


@pytest.mark.parametrize(
    ("pre", "said", "begins"),
    [
        ("llama-bpe", None, True),
        ("llama-bpe", False, False),
        ("tekken", None, True),
        ("qwen2", None, False),
        ("qwen2", True, True),
    ],
)
def test_texts_begin_with_bos_where_the_file_or_its_family_says_so(
    pre: str, said: bool | None, begins: bool, tmp_path: Path
) -> None:
    def change(writer: Any) -> None:
        put(writer, "pre", pre)
        if said is None:
            del writer.kv_data[0]["tokenizer.ggml.add_bos_token"]
        else:
            put(writer, "add_bos_token", said)

    header = vocabulary(tmp_path, change)
    begin = tiny.SIZES["bos_token_id"]
    assert gguf_pretokenizers.begin_id(header) == (begin if begins else None)
    assert (gguf_tokenizer.tokenizer(header).encode("he").ids[0] == begin) == begins


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


@pytest.fixture(scope="module")
def gemma_4(
    gemma: tuple[Any, SentencePiece], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Any]:
    """Gemma 3's pieces as Gemma 4's files have them: no scores, but merges. Ours, and Gemma 3's."""
    header = gguf_header.read(PACKAGED[1].file())
    tokens = [str(token) for token in header.items("tokenizer.ggml.tokens")]
    tokens = [t if t.strip(" ") else t.replace(" ", SPACE) for t in tokens]
    kinds = [int(kind) for kind in header.items("tokenizer.ggml.token_type")]
    never = [index for index, kind in enumerate(kinds) if kind in RESERVED]
    ranks = [-float(index) for index in range(len(tokens))]
    path = tmp_path_factory.mktemp("gemma4") / "x.gguf"
    writer = tiny.gguf_writer(path, "gemma4")
    writer.add_tokenizer_model("gemma4")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([f"{a} {b}" for a, b in merges(tokens, ranks, never)])
    writer.add_bos_token_id(2)
    writer.add_unk_token_id(3)
    writer.add_add_bos_token(value=True)
    writer.add_tensor("token_embd.weight", np.zeros((len(tokens), 1), np.float32))
    tiny.finish(writer)
    return gguf_tokenizer.tokenizer(gguf_header.read(path)), gemma[0]


@pytest.mark.parametrize("text", TEXTS)
def test_gemma_4_cuts_text_by_its_merges_as_gemma_3_by_its_pieces(
    text: str, gemma_4: tuple[Any, Any]
) -> None:
    ours, reference = gemma_4
    ids = ours.encode(text).ids
    assert ids == reference(text).input_ids
    assert ours.decode(ids) == reference.decode(ids, skip_special_tokens=True)


def test_of_tokens_of_one_spelling_gemma_4_uses_the_last(tmp_path: Path) -> None:
    made = merged_pieces(["#", "a", "#"], [], None)
    assert made.encode("#a").ids == [2, 1]


def sentencepiece(
    path: Path, *, architecture: str = "llama", control: tuple[str, ...] = ()
) -> GGUFHeader:
    """A vocabulary of the Llama 2 kind: scores, byte pieces, a space before the first word."""
    writer = tiny.gguf_writer(path, architecture)
    pieces = [SPACE, *"abcdehlnort", "he", "the", f"{SPACE}t", f"{SPACE}the", "ar", "thear", "ea"]
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    tokens = ["<unk>", "<s>", "</s>", *bytes_, *pieces, *control]
    kinds = [2, 3, 3, *[6] * 256, *[1] * len(pieces), *[3] * len(control)]
    scores = [0.0] * 259 + [-float(index) for index in range(len(pieces) + len(control))]
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


@pytest.fixture
def llama2(tmp_path: Path) -> GGUFHeader:
    return sentencepiece(tmp_path / "llama2.gguf")


@pytest.mark.parametrize(
    "text", ["the hearth", " the", "the  lord", "Zoë", "🔥", "hearth\nhearth", "the<0x41>"]
)
def test_llama_2_cuts_text_as_sentencepiece_does(text: str, llama2: GGUFHeader) -> None:
    ours = gguf_tokenizer.tokenizer(llama2)
    ids = ours.encode(text).ids
    assert ids == [1, *SentencePiece(llama2).encode(f" {text}")]
    assert ours.decode(ids) == text


def test_mistral_puts_no_space_after_its_control_tokens(tmp_path: Path) -> None:
    """Llama 2 does: there `[INST]` is text."""
    header = sentencepiece(tmp_path / "mistral.gguf", control=("[INST]", "[/INST]"))
    ours = gguf_tokenizer.tokenizer(header)
    encoded = ours.encode("the [INST] the[/INST]he", add_special_tokens=False)
    assert encoded.tokens == [f"{SPACE}the", SPACE, "[INST]", f"{SPACE}the", "[/INST]", "he"]
    assert ours.decode(encoded.ids) == "the  thehe"


@pytest.mark.parametrize(("architecture", "swallowed"), [("phi3", True), ("llama", False)])
def test_phi_3_swallows_the_space_after_a_control_token(
    architecture: str, swallowed: bool, tmp_path: Path
) -> None:
    path = tmp_path / "phi3.gguf"
    header = sentencepiece(path, architecture=architecture, control=("<|user|>",))
    ours = gguf_tokenizer.tokenizer(header)
    ids = ours.encode("<|user|>\nthe", add_special_tokens=False).ids
    newline = [] if swallowed else [SPACE, "<0x0A>"]
    the = f"{SPACE}the" if swallowed else "the"
    assert [ours.id_to_token(index) for index in ids] == ["<|user|>", *newline, the]


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
        ("tokens", ["only", "two"], "no tokens for letters such as '.u0120'"),
        ("tokens", [f"w{i}" for i in range(1000)], "1,000 tokens, and its embedding is made for"),
        ("tokens", [*tiny.VOCABULARY[:-1], "h"], "two tokens of one spelling, .*'h'"),
        ("tokens", [*tiny.VOCABULARY[:-1], "h" * 9999], "longer tokens than any model"),
    ],
)
def test_a_vocabulary_of_no_model_is_called_so(
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


@pytest.mark.parametrize(
    ("kind", "said"), [("t5", "Unigram"), ("bert", "WordPiece"), ("rwkv", "RWKV")]
)
def test_kinds_of_tokenizers_that_cannot_be_read_are_named(
    kind: str, said: str, tmp_path: Path
) -> None:
    header = vocabulary(tmp_path, lambda writer: put(writer, "model", kind))
    with pytest.raises(UnsupportedError, match=f"'{kind}', {said}"):
        gguf_tokenizer.tokenizer(header)


def test_no_vocabulary(tmp_path: Path) -> None:
    writer = tiny.gguf_writer(tmp_path / "x.gguf")
    tiny.finish(writer)
    with pytest.raises(CheckpointError, match="no vocabulary"):
        gguf_tokenizer.tokenizer(gguf_header.read(tmp_path / "x.gguf"))
