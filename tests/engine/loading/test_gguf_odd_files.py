"""What a GGUF file may lack or have odd, and opens all the same: the table in docs/models.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.catalog import model_card
from engine.errors import CheckpointError
from engine.loading import checkpoint, load
from engine.loading.checkpoint import Checkpoint
from engine.loading.gguf import config as gguf_config
from engine.loading.gguf import header as gguf_header
from engine.loading.gguf import pretokenizers as gguf_pretokenizers
from engine.loading.gguf import tokenizer as gguf_tokenizer
from engine.loading.gguf.header import GGUFHeader
from engine.loading.sandbox import vocabulary
from engine.loading.sandbox.pretokenizers import PRE_TOKENIZERS
from engine.protocol import ModelInfo
from tests.engine import tiny

Change = Callable[[Any], None]
SPACE = "\u2581"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
PIECES = [SPACE, *"abcdehlnort", "he", "the", f"{SPACE}t", f"{SPACE}the"]
FIRST = ["<unk>", "<s>", "</s>"]


def byte_level(path: Path, change: Change, architecture: str = "llama") -> GGUFHeader:
    writer = tiny.gguf_writer(path / "x.gguf", architecture)
    tiny.write_vocabulary(writer)
    change(writer)
    rows = len(writer.kv_data[0]["tokenizer.ggml.tokens"].value)
    writer.add_tensor("token_embd.weight", tiny.zeros(rows, 8))
    tiny.finish(writer)
    return gguf_header.read(path / "x.gguf")


def sentencepiece(
    path: Path, change: Change = lambda _: None, tokens: list[str] | None = None
) -> GGUFHeader:
    """With nothing but tokens, unless `change` says more."""
    tokens = tokens or [*FIRST, *BYTES, *PIECES]
    writer = tiny.gguf_writer(path / "x.gguf")
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    change(writer)
    writer.add_tensor("token_embd.weight", tiny.zeros(len(tokens), 8))
    tiny.finish(writer)
    return gguf_header.read(path / "x.gguf")


def without(*keys: str) -> Change:
    def change(writer: Any) -> None:
        for key in keys:
            del writer.kv_data[0][f"tokenizer.ggml.{key}"]

    return change


def put(key: str, value: object) -> Change:
    def change(writer: Any) -> None:
        writer.kv_data[0][f"tokenizer.ggml.{key}"].value = value

    return change


def special(header: GGUFHeader) -> set[str]:
    added = gguf_tokenizer.tokenizer(header).get_added_tokens_decoder().values()
    return {token.content for token in added if token.special}


def opened(path: Path) -> Checkpoint:
    return load.load(
        path,
        device=torch.device("cpu"),
        dtype=torch.float32,
        progress=lambda *_: None,
    )


# ---------------------------------------------------------------------------- merges


def test_a_vocabulary_without_merges_is_refused_and_listed_so(tmp_path: Path) -> None:
    path = tiny.write_gguf(tmp_path / "x.gguf", tiny.model("llama"), without("merges"))
    with pytest.raises(CheckpointError, match="vocabulary without its merges") as caught:
        gguf_tokenizer.tokenizer(gguf_header.read(path))
    assert caught.value.hint == "Choose another file of this model."
    card = ModelInfo(id="x", name="x", path=str(path), source="imported", format="unknown")
    assert model_card.read(card).problem == f"{caught.value.detail} {caught.value.hint}"


@pytest.mark.parametrize("odd", ["q zz", "zz q", "h q", "he", "", " he", "h e"], ids=repr)
def test_a_merge_that_makes_no_token_is_left_out(odd: str, tmp_path: Path) -> None:
    merges = [" ".join(pair) for pair in tiny.MERGES]
    plain = gguf_tokenizer.tokenizer(byte_level(tmp_path, lambda _: None))
    header = byte_level(tmp_path, put("merges", [merges[0], odd, *merges[1:]]))
    found = gguf_tokenizer.tokenizer(header)
    assert found.encode("hello there").ids == plain.encode("hello there").ids


def evil(letters: int) -> list[str]:
    """Of which every cut is a merge."""
    pieces = ["a" * a + "b" * b for a in range(letters) for b in range(letters - a) if a + b]
    return [*FIRST, *BYTES, *pieces]


def test_a_vocabulary_of_merges_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = sentencepiece(tmp_path, tokens=evil(50))  # 20,825 merges
    monkeypatch.setattr(vocabulary, "MAX_MERGES", 10_000)
    with pytest.raises(CheckpointError, match="merge in more ways than any model's"):
        gguf_tokenizer.tokenizer(header)
    monkeypatch.undo()
    monkeypatch.setattr(vocabulary, "MAX_MERGED", 100_000)
    with pytest.raises(CheckpointError, match="merge in more ways than any model's"):
        gguf_tokenizer.tokenizer(header)


def test_the_limits_of_merges_leave_gemma_room() -> None:
    """Gemma 2's vocabulary, the largest, has 580,604."""
    assert vocabulary.MAX_MERGES >= 1.5 * 580_604


def test_lists_without_end_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = byte_level(tmp_path, lambda _: None).path
    monkeypatch.setattr(gguf_header, "MAX_ITEMS", 200)
    with pytest.raises(CheckpointError, match="lists more than 200 texts"):
        gguf_header.read(path)


def test_a_long_text_is_stepped_over(tmp_path: Path) -> None:
    def change(writer: Any) -> None:
        writer.add_string("tokenizer.huggingface.json", "x" * (gguf_header.MAX_TEXT + 1))

    header = byte_level(tmp_path, change)
    assert header.metadata["tokenizer.huggingface.json"] == gguf_header.LongText(1_000_001)
    assert gguf_tokenizer.tokenizer(header).get_vocab_size() == len(tiny.VOCABULARY)


# ---------------------------------------------------------------------------- special tokens


@pytest.mark.parametrize("value", [4_294_967_295, len(tiny.VOCABULARY), -1])
@pytest.mark.parametrize("name", ["bos", "eos", "eot", "unknown", "padding"])
def test_an_id_beyond_the_vocabulary_is_left_out(name: str, value: int, tmp_path: Path) -> None:
    def change(writer: Any) -> None:
        writer.kv_data[0].pop(f"tokenizer.ggml.{name}_token_id", None)
        add = writer.add_int32 if value < 0 else writer.add_uint32
        add(f"tokenizer.ggml.{name}_token_id", value)

    header = byte_level(tmp_path, change)
    assert gguf_config.token_id(header, name) is None
    assert gguf_tokenizer.tokenizer(header).get_vocab_size() == len(tiny.VOCABULARY)


def test_an_id_that_is_no_number_is_told(tmp_path: Path) -> None:
    def change(writer: Any) -> None:
        without("bos_token_id")(writer)
        writer.add_string("tokenizer.ggml.bos_token_id", "first")

    with pytest.raises(CheckpointError, match="'first' where the bos token's number must be"):
        gguf_tokenizer.tokenizer(byte_level(tmp_path, change))


@pytest.mark.parametrize("bos", [None, 4_294_967_295])
def test_sentencepiece_has_special_tokens_though_none_is_named(
    bos: int | None, tmp_path: Path
) -> None:
    def change(writer: Any) -> None:
        if bos is not None:
            writer.add_bos_token_id(bos)

    header = sentencepiece(tmp_path, change)
    names = ("bos", "eos", "unknown", "padding", "eot")
    assert [gguf_config.token_id(header, name) for name in names] == [1, 2, 0, None, None]
    assert special(header) == set(FIRST)
    encoded = gguf_tokenizer.tokenizer(header).encode("the")
    assert encoded.tokens == ["<s>", f"{SPACE}the"]


def test_gemma_has_its_own_order_of_special_tokens(tmp_path: Path) -> None:
    writer = tiny.gguf_writer(tmp_path / "x.gguf", "gemma3")
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", *BYTES, *PIECES]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_tensor("token_embd.weight", tiny.zeros(len(tokens), 8))
    tiny.finish(writer)
    header = gguf_header.read(tmp_path / "x.gguf")
    names = ("bos", "eos", "unknown", "padding")
    assert [gguf_config.token_id(header, name) for name in names] == [2, 1, 3, 0]
    assert gguf_tokenizer.tokenizer(header).encode("he").tokens == ["<bos>", "he"]


def test_ordinary_first_tokens_are_not_taken_for_special_ones(tmp_path: Path) -> None:
    header = sentencepiece(tmp_path, tokens=[*BYTES, *PIECES])
    assert gguf_config.token_id(header, "bos") is None
    assert special(header) == set()


def with_token(token: str, template: str = tiny.TEMPLATE) -> Change:
    """One more, at the end, which has no type."""

    def change(writer: Any) -> None:
        put("tokens", [*tiny.VOCABULARY, token])(writer)
        writer.kv_data[0]["tokenizer.chat_template"].value = template

    return change


MARKS = (
    "<|turn_of|>",
    "<\uff5cUser\uff5c>",
    "<end_of_turn>",
    "<EOT>",
    "[EOT]",
    "<turn|>",
)


@pytest.mark.parametrize("typed", ["ordinary", "not at all", "too few"])
@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_of_turns_is_a_control_token_whatever_its_type(
    mark: str, typed: str, tmp_path: Path
) -> None:
    def change(writer: Any) -> None:
        with_token(mark)(writer)
        kinds = {"ordinary": [1] * (len(tiny.VOCABULARY) + 1), "too few": [1, 1]}.get(typed)
        (put("token_type", kinds) if kinds else without("token_type"))(writer)

    header = byte_level(tmp_path, change)
    assert mark in special(header)
    ids = gguf_tokenizer.tokenizer(header).encode(f"he{mark}he", add_special_tokens=False).ids
    assert ids.count(len(tiny.VOCABULARY)) == 1


@pytest.mark.parametrize("ordinary", ["<||>", "<|-|>", "<b>", "</s>", "[0]", "he>"])
def test_what_a_program_may_spell_is_no_control_token(ordinary: str, tmp_path: Path) -> None:
    template = "{{ messages[0].content }}<b>"
    assert ordinary not in special(byte_level(tmp_path, with_token(ordinary, template)))


@pytest.mark.parametrize("tag", ["<start_of_role>", "[INST]"])
def test_a_tag_that_the_template_writes_is_a_control_token(tag: str, tmp_path: Path) -> None:
    assert tag in special(byte_level(tmp_path, with_token(tag, f"{tag}{{{{ bos_token }}}}")))
    assert tag not in special(byte_level(tmp_path, with_token(tag, "{{ bos_token }}")))


@pytest.mark.parametrize(
    "mark", ["<|eot_id|>", "[EOT]", "[EOS]", "<EOT>", "<end_of_utterance>", "<|file_sep|>"]
)
def test_a_mark_ends_a_reply_though_the_file_names_another(mark: str) -> None:
    tokenizer = SimpleNamespace(eos_token_id=7)
    assert checkpoint.end_tokens((None, [3]), tokenizer, {mark: 5}) == {3, 5, 7}


def test_an_unknown_token_is_a_special_one(tmp_path: Path) -> None:
    kinds = [2, 3, 3, *[6] * 256, *[1] * len(PIECES)]
    header = sentencepiece(tmp_path, lambda writer: writer.add_token_types(kinds))
    assert special(header) == set(FIRST)


# ---------------------------------------------------------------------------- tokens and scores


def test_empty_tokens_get_names(tmp_path: Path) -> None:
    tokens = [*FIRST, *BYTES, *PIECES, "", ""]
    found = gguf_tokenizer.tokenizer(sentencepiece(tmp_path, tokens=tokens))
    assert found.get_vocab_size() == len(tokens)
    assert found.id_to_token(len(tokens) - 1) == f"[EMPTY_{len(tokens) - 1}]"


def test_without_scores_pieces_are_ranked_as_they_stand(tmp_path: Path) -> None:
    scores = [0.0] * 259 + [-float(index) for index in range(len(PIECES))]
    plain = gguf_tokenizer.tokenizer(
        sentencepiece(tmp_path, lambda writer: writer.add_token_scores(scores))
    )
    found = gguf_tokenizer.tokenizer(sentencepiece(tmp_path))
    assert found.encode("the other hearth").ids == plain.encode("the other hearth").ids


def test_too_few_scores_are_told(tmp_path: Path) -> None:
    header = sentencepiece(tmp_path, lambda writer: writer.add_token_scores([0.0, 1.0]))
    with pytest.raises(CheckpointError, match="275 tokens and 2 scores for them"):
        gguf_tokenizer.tokenizer(header)


def test_a_score_that_is_no_number_ranks_last(tmp_path: Path) -> None:
    scores = [0.0] * 259 + [float("nan")] * len(PIECES)
    header = sentencepiece(tmp_path, lambda writer: writer.add_token_scores(scores))
    assert gguf_tokenizer.tokenizer(header).decode([1, 274]) == "the"


# ---------------------------------------------------------------------------- pre-tokeniser


@pytest.mark.parametrize("said", ["", "default", None])
@pytest.mark.parametrize(
    ("architecture", "row"), [("qwen2", "qwen2"), ("command-r", "command-r"), ("phi2", "phi-2")]
)
def test_an_architecture_tells_how_text_is_cut(
    architecture: str, row: str, said: str | None, tmp_path: Path
) -> None:
    change = without("pre") if said is None else put("pre", said)
    header = byte_level(tmp_path, change, architecture)
    assert gguf_pretokenizers.of(header) == PRE_TOKENIZERS[row]
    assert gguf_pretokenizers.notes(header) == ()


def test_llama_3_is_told_by_its_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(writer: Any) -> None:
        with_token("<|begin_of_text|>")(writer)
        without("pre")(writer)

    header = byte_level(tmp_path, change)
    assert gguf_pretokenizers.name_of(header) == "default"
    begin = (len(tiny.VOCABULARY), "<|begin_of_text|>")  # Llama 3's stands at 128,000
    monkeypatch.setattr(gguf_pretokenizers, "_LLAMA3_BEGIN", begin)
    assert gguf_pretokenizers.name_of(header) == "llama-bpe"


def test_a_guess_is_told(tmp_path: Path) -> None:
    made = tiny.model("llama")
    whole = opened(tiny.write_gguf(tmp_path / "whole.gguf", made))
    guessed = opened(tiny.write_gguf(tmp_path / "guessed.gguf", made, without("pre")))
    assert whole.notes == ()
    assert guessed.notes == (gguf_pretokenizers.GUESSED,)


# ---------------------------------------------------------------------------- templates, sampling


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        (("tool_use", "default", ""), ""),
        (("tool_use", "default"), "default"),
        (("rag", "tool_use"), "tool_use"),
        (("rag",), None),
    ],
)
def test_which_template_is_taken(keys: tuple[str, ...], chosen: str | None, tmp_path: Path) -> None:
    def change(writer: Any) -> None:
        writer.kv_data[0].pop("tokenizer.chat_template")
        for key in keys:
            name = f"tokenizer.chat_template.{key}".removesuffix(".")
            writer.add_string(name, f"template {key}")

    found = gguf_config.chat_template(byte_level(tmp_path, change))
    assert found == (None if chosen is None else f"template {chosen}")


def test_a_template_of_megabytes_is_refused(tmp_path: Path) -> None:
    def change(writer: Any) -> None:
        writer.kv_data[0]["tokenizer.chat_template"].value = "x" * 1_000_001

    with pytest.raises(CheckpointError, match="chat template of more than 1,000,000 characters"):
        gguf_config.chat_template(byte_level(tmp_path, change))


def test_what_the_maker_recommends_becomes_the_default(tmp_path: Path) -> None:
    def change(writer: Any) -> None:
        writer.add_float32("general.sampling.temp", 0.7)
        writer.add_int32("general.sampling.top_k", 20)
        writer.add_string("general.sampling.top_p", "0.8")
        writer.add_float32("general.sampling.min_p", 0.05)
        writer.add_float32("general.sampling.penalty_repeat", 1.05)

    found = opened(tiny.write_gguf(tmp_path / "x.gguf", tiny.model("llama"), change)).generation
    assert (found.temperature, found.top_k, found.top_p) == (0.7, 20, 0.8)
    assert (found.min_p, found.repetition_penalty) == (0.05, 1.05)


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("temp", -1.0, {}),
        ("temp", float("nan"), {}),
        ("top_p", 7.0, {}),
        ("top_k", -1, {"top_k": 0}),
        ("temp", "hot", {}),
        ("temp", [0.5, 0.5], {}),
    ],
)
def test_nonsense_is_not_recommended(
    key: str, value: Any, kept: dict[str, object], tmp_path: Path
) -> None:
    def change(writer: Any) -> None:
        kind = {float: "float32", int: "int32", str: "string", list: "array"}[type(value)]
        getattr(writer, f"add_{kind}")(f"general.sampling.{key}", value)

    assert checkpoint.sensible(gguf_config.sampling(byte_level(tmp_path, change))) == kept


# ---------------------------------------------------------------------------- settings


@pytest.mark.parametrize("key", ["context_length", "block_count", "attention.head_count"])
def test_a_missing_setting_is_named_and_the_file_not_called_damaged(
    key: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.gguf"

    def change(writer: Any) -> None:
        del writer.kv_data[0][f"llama.{key}"]

    tiny.write_gguf(path, tiny.model("llama"), change)
    with pytest.raises(CheckpointError, match=f"does not say llama.{key}, without which") as caught:
        opened(path)
    assert caught.value.hint == "Choose another file of this model."


def test_an_empty_list_is_as_if_nothing_were_said(tmp_path: Path) -> None:
    header = byte_level(tmp_path, lambda _: None)
    header.metadata["llama.attention.head_count_kv"] = ()
    assert header.number("attention.head_count_kv") is None
