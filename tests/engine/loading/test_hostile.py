"""Folders and files of strangers, each with one thing in it that would do harm.

What the headers of GGUF and safetensors may say is in test_gguf_header and test_safetensors_header.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import shutil
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.catalog import model_card
from engine.errors import REASON, CheckpointError, HearthError, PromptError, UnsupportedError
from engine.loading import config_gate, families
from engine.loading.gguf import header as gguf_header
from engine.loading.safetensors.model_folder import INDEX
from engine.loading.sandbox import prompts
from engine.loading.sandbox.chat_template import ChatTemplate, TemplateError
from engine.loading.sandbox.child import Child, ChildError
from engine.loading.weights import Extremes
from engine.protocol import ModelInfo
from tests.engine import tiny
from tests.engine.prompting import CONTEXT
from tests.engine.tiny import edit_json, load, write_json
from tests.hostile.templates import EXHAUSTING


def refusal(path: Path) -> str:
    with pytest.raises(HearthError) as caught:
        load(path)
    assert caught.value.hint
    assert len(caught.value.detail) < 400
    return caught.value.detail


NO_MODEL = re.compile(
    r"which cannot be|weights have \d+|too much in its|does not describe a model|"
    r"make no sense together|is \[.*\], not|lacks \d+ weights|is too large"
)
"""What is said of settings that are no model's, or another one's."""

# ---------------------------------------------------------------------------- config.json: code

KERNEL = "stranger/kernel"
CODE: dict[str, Any] = {
    "auto_map": {"AutoConfig": "stranger.Config", "AutoModelForCausalLM": "stranger.Model"},
    "attn_implementation": KERNEL,
    "_attn_implementation": KERNEL,
    "_attn_implementation_internal": KERNEL,
    "_attn_implementation_autoset": True,
    "experts_implementation": KERNEL,
    "_experts_implementation": KERNEL,
    "_experts_implementation_internal": KERNEL,
    "use_kernels": True,
    "kernel_config": {"kernel_mapping": {"RMSNorm": f"{KERNEL}:RMSNorm"}},
    "custom_pipelines": {"text-generation": {"impl": "stranger.Model"}},
    "trust_remote_code": True,
    "_name_or_path": KERNEL,
    "name_or_path": KERNEL,
    "_commit_hash": "main",
    "_auto_class": "AutoModel",
    "adapter_config": {"base_model_name_or_path": KERNEL},
    "transformers_weights": "../stranger.safetensors",
    "fusion_config": {"stranger": True},
    "distributed_config": {"tp_size": 2},
    "compression_config": {"quant_method": "compressed-tensors"},
    "gradient_checkpointing": True,
    "per_layer_config": {"0": {"attn_implementation": KERNEL}},
    "attribute_map": {"hidden_size": "vocab_size"},
    "base_model_tp_plan": {"layers.*": "stranger"},
    "sub_configs": {"text_config": "stranger"},
    "architectures_to_import": ["stranger"],
    "output_attentions": True,
    "output_hidden_states": True,
    "return_dict": False,
    "chunk_size_feed_forward": 1,
    "is_encoder_decoder": True,
    "num_labels": 10**12,
    "id2label": {"0": "a"},
    "problem_type": "stranger",
    "__class__": "stranger",
    "to_dict": None,
    "validate": None,
}
"""Keys by which transformers, of this version or another, runs, fetches or changes something."""


def is_untouched(folder: Path) -> None:
    found: Any = load(folder)
    made = tiny.model("llama")
    tiny.assert_close(tiny.logits(found.model), tiny.logits(made))
    config = found.config
    assert config._attn_implementation in tiny.TRANSFORMERS_OWN
    assert config.name_or_path == ""
    assert config.num_labels == 2
    assert "stranger" not in json.dumps(config.to_dict(), default=str)


@pytest.mark.parametrize("key", CODE)
def test_a_key_that_asks_for_code_does_nothing(key: str, folder: Path) -> None:
    edit_json(folder / "config.json", **{key: CODE[key]})
    is_untouched(folder)


def test_all_of_them_in_every_file_at_every_depth(folder: Path) -> None:
    nested = {**CODE, "text_config": CODE, "sub_configs": [{"a": CODE}]}
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        edit_json(folder / name, **nested)
    is_untouched(folder)


def test_all_of_them_in_the_text_config_of_a_multimodal_model(tmp_path: Path) -> None:
    made = tiny.model("gemma3")
    path = tiny.write_multimodal(tmp_path / "tiny", made, "language_model.model.")
    text = json.loads((path / "config.json").read_text("utf-8"))["text_config"]
    edit_json(path / "config.json", text_config=text | CODE)
    found = load(path)
    tiny.assert_close(tiny.logits(found.model), tiny.logits(made))
    assert found.config._attn_implementation in tiny.TRANSFORMERS_OWN


@pytest.mark.parametrize("family", families.FAMILIES, ids=lambda family: family.name)
def test_no_setting_that_is_let_through_names_code(family: families.Family) -> None:
    """Also of the families and the transformers of another day."""
    declared = config_gate._declared(family.config_type())
    asks = re.compile("_map$|implementation|kernel|^_|path|hub|remote|quant|labels?$|auto|url")
    assert not [name for name in declared - {"attribute_map"} if asks.search(name)]
    assert "rope_parameters" in declared


# ---------------------------------------------------------------------------- config.json: numbers

HUGE = (10**9, 10**12, 2**63, 10**400)
NO_NUMBER = (
    float("nan"),
    float("inf"),
    "many",
    "9" * 5000,
    -1,
    0,
    0.5,
    {"of": 3},
    [4],
    [[[[[1]]]]],
)
SIZED = (
    "num_hidden_layers", "hidden_size", "intermediate_size", "vocab_size", "head_dim",
    "num_attention_heads", "num_key_value_heads",
)  # fmt: skip


@pytest.mark.parametrize("value", [*HUGE, *NO_NUMBER], ids=lambda value: str(value)[:12])
@pytest.mark.parametrize("setting", SIZED)
def test_a_size_that_cannot_be(setting: str, value: object, folder: Path) -> None:
    edit_json(folder / "config.json", **{setting: value})
    assert NO_MODEL.search(refusal(folder))


NO_SENSE = (
    "The config.json of tiny",
    "settings make no sense",
    "config.json is too large",
    "config.json has too much in it",
)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_position_embeddings", 10**15),
        ("max_position_embeddings", -1),
        ("max_position_embeddings", {"a": 1}),
        ("rms_norm_eps", float("nan")),
        ("rms_norm_eps", -1.0),
        ("rope_parameters", {"rope_type": "default", "rope_theta": 0}),
        ("rope_parameters", {"rope_type": "default", "rope_theta": float("nan")}),
        ("rope_parameters", {"rope_type": "default", "rope_theta": "big"}),
        ("rope_parameters", {"rope_type": "linear", "rope_theta": 1e4, "factor": 1e300}),
        ("rope_parameters", {"rope_type": "longrope", "long_factor": [1.0] * 1_000_000}),
        ("rope_parameters", {str(index): 1 for index in range(100_000)}),
        ("rope_parameters", [1, 2]),
        ("rope_parameters", "x" * 1_000_000),
        ("rope_scaling", {"type": "dynamic", "factor": 1e400}),
        ("hidden_act", "x" * 1_000_000),
        ("hidden_act", {"a": "silu"}),
        ("pad_token_id", 10**30),
        ("eos_token_id", [1] * 1_000_000),
        ("tie_word_embeddings", {"a": 1}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_setting_that_makes_no_sense(setting: str, value: object, folder: Path) -> None:
    edit_json(folder / "config.json", **{setting: value})
    said = refusal(folder)
    assert any(sentence in said for sentence in NO_SENSE), said


@pytest.mark.parametrize("value", [-0.7, float("nan"), "wide"])
def test_what_is_for_training_alone_is_not_used(value: object, tmp_path: Path) -> None:
    """transformers computes Gemma's buffers where it makes weights of this range."""
    folder = tiny.write_folder(tmp_path / "tiny", tiny.model("gemma3"))
    edit_json(folder / "config.json", initializer_range=value)
    load(folder)


@pytest.mark.parametrize(
    "kinds",
    [[], ["full_attention"] * 5, ["full_attention"] * 1_000_000, ["stranger"] * 6, [7] * 6, {}, 6],
    ids=lambda kinds: str(kinds)[:20],
)
def test_kinds_of_layers_that_are_not_the_layers(kinds: object, tmp_path: Path) -> None:
    folder = tiny.write_folder(tmp_path / "tiny", tiny.model("gemma2"))
    edit_json(folder / "config.json", layer_types=kinds)
    assert NO_MODEL.search(refusal(folder))


@pytest.mark.parametrize("depth", [5, 100, 300, 400, 500, 700, 900, 990, 10_000, 1_000_000])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_values_in_values_in_values(depth: int, brackets: str, folder: Path) -> None:
    opening = {"[]": "[", "{}": '{"a":'}[brackets]
    nested = opening * depth + "1" + brackets[1] * depth
    text = (folder / "config.json").read_text("utf-8").rstrip().removesuffix("}")
    (folder / "config.json").write_text(f'{text}, "rope_parameters": {nested}}}', "utf-8")
    why = refusal(folder)
    assert re.search(
        r"config.json( of tiny)? (has too much in it|is damaged: it is|is too large)", why
    )


# ---------------------------------------------------------------------------- tokenizer.json


def edited(folder: Path, **parts: Any) -> Path:
    """Its tokenizer.json with other parts."""
    edit_json(folder / "tokenizer.json", **parts)
    return folder


def added(content: str, index: int) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": index, "content": content, "special": True, **flags}


def replace(old: str, new: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": old}, "content": new}


def sequence(kind: str, steps: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "Sequence", kind: steps}


def split(pattern: str) -> dict[str, Any]:
    cut = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    spell = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return sequence("pretokenizers", [cut, spell])


GROWING = sequence("normalizers", [replace("o", "o" * 10)] * 9)
"""A thousand million letters for each."""


@pytest.mark.parametrize(
    "parts",
    [
        {"normalizer": GROWING},
        {"normalizer": replace("o", "x" * 1_000_000)},
        {"normalizer": {"type": "Prepend", "prepend": "x" * 1_000_000}},
        {"decoder": sequence("decoders", [replace("o", "o" * 100)])},
        {"decoder": replace("", "x")},
        {"decoder": {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": ""}},
        {"decoder": sequence("decoders", [{"type": "Fuse"}] * 1000)},
        {"added_tokens": [added(f"<{index}>", 1000 + index) for index in range(100_000)]},
        {"added_tokens": [added("x" * 100_000, 1000)]},
        {"model": {"type": "BPE", "vocab": {"x" * 1_000_000: 0}, "merges": []}},
        {"model": {"type": "BPE", "vocab": {"a": 0, "b": 2**32 - 2}, "merges": []}},
        {"normalizer": {"type": "Stranger"}},
        {"pre_tokenizer": split("(")},
    ],
    ids=lambda parts: str(parts)[:60],
)
def test_a_tokenizer_that_does_harm_is_refused(parts: dict[str, Any], folder: Path) -> None:
    begin = time.perf_counter()
    assert "tokenizer.json" in refusal(edited(folder, **parts))
    assert time.perf_counter() - begin < 20


def test_a_tokenizer_nested_too_deep_is_refused(folder: Path) -> None:
    text = (folder / "tokenizer.json").read_text("utf-8")
    deep = '{"type":"Sequence","normalizers":[' * 100_000 + "]}" * 100_000
    nested = re.sub(r'"normalizer": *null', f'"normalizer": {deep}', text)
    assert nested != text
    (folder / "tokenizer.json").write_text(nested, "utf-8")
    assert "tokenizer.json is damaged" in refusal(folder)


@pytest.mark.parametrize("content", ["", "xyz"])
def test_a_token_of_nothing_cuts_no_text(content: str, folder: Path) -> None:
    tokens = json.loads((folder / "tokenizer.json").read_text("utf-8"))["added_tokens"]
    found = load(edited(folder, added_tokens=[*tokens, added(content, 5000)]))
    assert "" not in found.control_tokens
    ids = found.prompts.ids([("user", "Hello")], CONTEXT)
    assert found.tokenizer.decode(ids) == (
        "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_regular_expression_that_backtracks_for_minutes_is_ended(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Harmless for the probe, so that loading does not tell; and the next text is encoded again.

    One that backtracks exponentially is ended by the library itself, which panics: see below.
    """
    monkeypatch.setattr(prompts, "TIME_LIMIT", 1.0)
    found = load(edited(folder, pre_tokenizer=split(r"[a-y]+\d")))
    begin = time.perf_counter()
    with pytest.raises(PromptError, match="did not come to an end with this conversation within 1"):
        found.prompts.ids([("user", "a" * 200_000)], CONTEXT)
    assert time.perf_counter() - begin < 10
    monkeypatch.undo()
    assert found.prompts.ids([("user", "Hello")], CONTEXT)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits address space")
def test_a_tokenizer_that_takes_too_much_memory_is_called_that(folder: Path) -> None:
    parts = {"normalizer": replace("", "x" * 1_000_000), "pre_tokenizer": split(r"(.*)*\1z")}
    assert "takes too much memory" in refusal(edited(folder, **parts))


def test_a_tokenizer_that_panics_writes_nothing_on_the_terminal(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged = {"type": "Precompiled", "precompiled_charsmap": "BQAAAEVD2x9ev1B4YV2ZZCfJ"}
    said = refusal(edited(folder, normalizer=damaged))
    assert "Cannot parse precompiled_charsmap" in said
    assert capfd.readouterr().err == ""


def test_a_tokenizer_that_panics_is_a_sentence(folder: Path) -> None:
    found = load(edited(folder, pre_tokenizer=split(r"(a+)+$")))
    with pytest.raises(PromptError, match="retry-limit"):
        found.prompts.ids([("user", "a" * 40 + "!")], CONTEXT)


def test_text_is_neither_cut_nor_filled_up(folder: Path) -> None:
    cut = {"max_length": 3, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    fill = {
        "strategy": {"Fixed": 10**9}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "a",
    }  # fmt: skip
    hello = [("user", "Hello, world")]
    plain = load(folder).prompts.ids(hello, CONTEXT)
    assert load(edited(folder, truncation=cut)).prompts.ids(hello, CONTEXT) == plain
    filled = load(edited(folder, truncation=None, padding=fill))
    assert filled.prompts.ids(hello, CONTEXT) == plain


def test_a_vocabulary_of_60_megabytes_is_refused(folder: Path) -> None:
    vocabulary = {f"token{index:07d}{'_' * 16}": index for index in range(1_500_000)}
    model = {"type": "BPE", "vocab": vocabulary, "merges": []}
    edited(folder, model=model)
    assert (folder / "tokenizer.json").stat().st_size > 58_000_000
    assert "it has 1,500,000 tokens" in refusal(folder)


def test_the_child_ends_with_its_checkpoint(folder: Path) -> None:
    found = load(folder)
    process = found.prompts._child._process
    assert process is not None
    assert process.poll() is None
    del found
    gc.collect()
    assert process.poll() is not None


# ---------------------------------------------------------------------------- chat templates

REACHING = (
    "{{ cycler.__init__.__globals__.os.mkdir('was run') }}",
    "{{ joiner.__init__.__globals__ }}{{ lipsum.__globals__ }}{{ self.__init__.__globals__ }}",
    "{{ lipsum | attr('__glo' ~ 'bals__') }}{{ lipsum | attr('\\x5f_globals\\x5f_') }}",
    "{{ messages | map(attribute='__class__') | list }}",
    "{{ messages | map('attr', '__class__') | list }}",
    "{{ messages | groupby('__class__') }}{{ messages | sum(attribute='0.__class__') }}",
    "{{ [messages] | map(attribute='append.__self__.__class__') | list }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(raise_exception) }}",
    "{{ '{a.__class__}'.format_map({'a': messages}) }}",
    "{% set f = '{0.__globals__}'.format %}{{ f(raise_exception) }}",
    "{{ '%s' | format(messages.__class__) }}",
    "{{ self._TemplateReference__context.environment }}",
    "{% set ns = namespace() %}{{ ns._Namespace__attrs }}{{ ns.__class__ }}",
    "{{ namespace(**{'__class__': 1}) }}",
    "{{ dict.fromkeys.__func__.__globals__ }}{{ dict.__call__.__globals__ }}",
    "{{ raise_exception.__code__ }}{{ strftime_now.__wrapped__ }}{{ tojson.__globals__ }}",
    "{% for m in messages %}{{ loop._iterator.__reduce__() }}{% endfor %}",
    "{% generation %}{{ caller.__globals__ }}{% endgeneration %}",
    "{% extends '/etc/passwd' %}",
    "{% from 'os' import path %}",
    "{% debug %}",
    "{{ get_flashed_messages.__globals__ }}{{ url_for.__globals__ }}{{ request }}{{ config }}",
)


@pytest.mark.parametrize("text", REACHING)
def test_a_template_that_reaches_for_the_program_gets_nothing(text: str) -> None:
    with contextlib.suppress(TemplateError):
        found = ChatTemplate(text, {}).render([{"role": "user", "content": "Hello"}])
        assert not re.search(r"class|function|module|builtin|environ|/|<", found), found


@pytest.fixture(scope="module")
def renderer() -> Child:
    return Child("tests.engine.loading.template_program", start_limit=30.0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits address space")
@pytest.mark.parametrize("text", EXHAUSTING, ids=lambda text: text[:40])
def test_a_template_that_takes_time_or_memory_is_ended(text: str, renderer: Child) -> None:
    request = {"template": text, "messages": [{"role": "user", "content": "Hello"}]}
    begin = time.perf_counter()
    with pytest.raises(ChildError) as caught:
        renderer.ask(request, 2.0)
    assert time.perf_counter() - begin < 10
    assert len(str(caught.value)) <= REASON


@pytest.mark.parametrize(
    "text", ["{{ '\\ud800' }}", "{{ raise_exception('\\ud800\\n' ~ 'x' * 10**6) }}"]
)
def test_what_a_template_says_can_cross_the_pipe(text: str, renderer: Child) -> None:
    with pytest.raises(ChildError) as caught:
        renderer.ask({"template": text, "messages": []}, 10.0)
    assert str(caught.value).encode()
    assert len(str(caught.value)) <= REASON


# ---------------------------------------------------------------------------- GGUF


def text_of(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def gguf(path: Path, pairs: list[bytes], tensors: list[bytes] | None = None) -> Path:
    """A header by hand, and a kilobyte of data."""
    tensors = tensors or []
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs))
    head += b"".join([*pairs, *tensors])
    path.write_bytes(head + bytes(-len(head) % 32 + 1024))
    return path


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text_of(key) + struct.pack("<I", kind) + value


@pytest.mark.parametrize("alignment", [0, 2**31, 2**32 - 1])
def test_an_alignment_beyond_the_file(alignment: int, tmp_path: Path) -> None:
    aligned = pair("general.alignment", 4, struct.pack("<I", alignment))
    tensor = text_of("one") + struct.pack("<IQIQ", 1, 8, 0, 0)
    with pytest.raises(CheckpointError):
        gguf_header.read(gguf(tmp_path / "x.gguf", [aligned], [tensor]))


def test_an_alignment_of_64_bits(tmp_path: Path) -> None:
    aligned = pair("general.alignment", 10, struct.pack("<Q", 2**63))
    tensor = text_of("one") + struct.pack("<IQIQ", 1, 8, 0, 0)
    with pytest.raises(CheckpointError, match="lies outside"):
        gguf_header.read(gguf(tmp_path / "x.gguf", [aligned], [tensor]))


@pytest.mark.parametrize(
    "shape", [(2**32, 2**32), (2**33, 2**31), (2**16,) * 4, (2**63, 2), (2**64 - 1,)]
)
def test_dimensions_whose_product_overflows_64_bits(shape: tuple[int, ...], tmp_path: Path) -> None:
    """A product that wraps to 0 would be an offset past the end (CVE-2026-7482) by a detour."""
    tensor = text_of("one") + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, 0)
    with pytest.raises(CheckpointError, match="lies outside"):
        gguf_header.read(gguf(tmp_path / "x.gguf", [], [tensor]))


@pytest.mark.parametrize("offset", [2048, 2**40, 2**63, 2**64 - 32])
def test_an_offset_beyond_the_file(offset: int, tmp_path: Path) -> None:
    tensor = text_of("one") + struct.pack("<IQIQ", 1, 8, 0, offset)
    with pytest.raises(CheckpointError, match="lies outside"):
        gguf_header.read(gguf(tmp_path / "x.gguf", [], [tensor]))


def test_lists_in_lists_in_lists(tmp_path: Path) -> None:
    nested = struct.pack("<IQ", 9, 1) * 100_000
    with pytest.raises(UnsupportedError, match="a list of lists"):
        gguf_header.read(gguf(tmp_path / "x.gguf", [pair("list", 9, nested)]))


def test_a_header_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    """A file with a hole takes no room on the disk, and would all of memory."""
    path = gguf(tmp_path / "x.gguf", [pair("text", 8, struct.pack("<Q", 1 << 40))])
    os.truncate(path, 1 << 41)
    with pytest.raises(CheckpointError, match="header is too long"):
        gguf_header.read(path)


@pytest.mark.parametrize("counts", [(1 << 30, 0), (0, 1 << 30)])
def test_a_header_of_a_thousand_million_entries(counts: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, *counts))
    os.truncate(tmp_path / "x.gguf", 1 << 41)
    with pytest.raises(CheckpointError, match="too many entries"):
        gguf_header.read(tmp_path / "x.gguf")


def test_a_token_whose_merges_would_take_hours(tmp_path: Path) -> None:
    def change(writer: Any) -> None:
        tokens = [*tiny.VOCABULARY[:-1], "x" * 100_000]
        for data in writer.kv_data:
            if "tokenizer.ggml.tokens" in data:
                data["tokenizer.ggml.tokens"].value = tokens

    path = tiny.write_gguf(tmp_path / "x.gguf", tiny.model("llama"), change)
    assert "longer tokens than any model" in refusal(path)


@pytest.mark.parametrize("letter", ["x", "\x1b", "\u202e"])
def test_a_weight_with_a_long_or_unprintable_name_is_shown_in_short(
    letter: str, tmp_path: Path
) -> None:
    def change(writer: Any) -> None:
        writer.add_tensor(f"blk.0.{letter * 10_000}.weight", tiny.zeros(8))

    said = refusal(tiny.write_gguf(tmp_path / "x.gguf", tiny.model("llama"), change))
    assert "has a part that Hearth does not know" in said
    assert said.isascii()
    assert said.isprintable()


# ---------------------------------------------------------------------------- safetensors


def test_names_that_occur_twice_are_refused_as_the_library_does(folder: Path) -> None:
    entry = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    text = f'{{"one":{entry},"one":{entry}}}'.encode()
    file = folder / "model.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text + bytes(4))
    assert "'one' occurs twice" in refusal(folder)


def test_a_header_of_nothing_but_lists(folder: Path) -> None:
    text = b"[" + b"[]," * 33_000_000 + b"[]]"
    file = folder / "model.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text)
    assert "header is too long" in refusal(folder)


# ---------------------------------------------------------------------------- links

LINKS = pytest.mark.skipif(sys.platform == "win32", reason="needs the right to make links")
FILES = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json",
    "model.safetensors",
)  # fmt: skip


@LINKS
@pytest.mark.parametrize("name", FILES)
def test_a_link_out_of_the_folder_is_refused(name: str, folder: Path) -> None:
    (folder / name).rename(folder.parent / name)
    (folder / name).symlink_to(Path("..") / name)
    assert refusal(folder) == f"{name} is a link to a file outside of the model's folder."


@LINKS
def test_the_catalog_says_so_too(folder: Path) -> None:
    (folder / "config.json").rename(folder.parent / "config.json")
    (folder / "config.json").symlink_to(folder.parent / "config.json")
    card = ModelInfo(id="x", name="x", path=str(folder), source="folder", format="unknown")
    assert "outside of the model's folder" in model_card.read(card).problem


@LINKS
@pytest.mark.parametrize("name", FILES)
def test_a_link_to_a_folder_on_the_way_is_a_link_out_too(name: str, folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    (folder / "sub").symlink_to(folder.parent / "elsewhere")
    (folder / name).rename(folder / "sub" / name)
    (folder / name).symlink_to(Path("sub") / name)
    assert "outside of the model's folder" in refusal(folder)


@LINKS
def test_a_template_or_an_index_that_is_a_link_out(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    for name in (INDEX, "chat_template.jinja"):
        (folder.parent / name).write_text("{}", "utf-8")
        (folder / name).symlink_to(folder.parent / name)
        assert name in refusal(folder)
        (folder / name).unlink()


@LINKS
def test_links_inside_the_folder_and_to_the_folder_are_followed(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    (folder / "model.safetensors").symlink_to("weights.safetensors")
    (folder.parent / "shortcut").symlink_to(folder)
    load(folder.parent / "shortcut")


def in_the_hubs_cache(folder: Path, cache: Path) -> Path:
    """As huggingface_hub stores a download: the snapshot links to blobs named by their digest."""
    snapshot = cache / "models--someone--tiny" / "snapshots" / "0a1b2c"
    blobs = snapshot.parents[1] / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, file in enumerate(sorted(folder.iterdir())):
        shutil.copy(file, blobs / f"{number:040x}")
        (snapshot / file.name).symlink_to(Path("../../blobs") / f"{number:040x}")
    return snapshot


@LINKS
def test_the_links_of_the_hubs_cache_are_followed(folder: Path, tmp_path: Path) -> None:
    load(in_the_hubs_cache(folder, tmp_path / "hub"))


@LINKS
def test_a_snapshot_that_links_to_another_models_blobs_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    snapshot = in_the_hubs_cache(folder, tmp_path / "hub")
    other = tmp_path / "hub" / "models--someone--other" / "blobs"
    other.mkdir(parents=True)
    shutil.move((snapshot / "config.json").resolve(), other / "0")
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(other / "0")
    assert "outside of the model's folder" in refusal(snapshot)


# ---------------------------------------------------------------------------- shards


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    folder = tiny.write_folder(tmp_path / "tiny", tiny.model("llama"), max_shard_size="100KB")
    return sorted(folder.glob("*.safetensors"))


def test_shards_that_are_swapped_are_harmless(shards: list[Path]) -> None:
    """Weights are found by name in the files' own headers; the index only says which files."""
    first, second = shards[0].read_bytes(), shards[1].read_bytes()
    shards[0].write_bytes(second)
    shards[1].write_bytes(first)
    made = tiny.model("llama")
    tiny.assert_close(tiny.logits(load(shards[0].parent).model), tiny.logits(made))


def test_an_index_that_names_weights_that_are_not_there_is_harmless(shards: list[Path]) -> None:
    """What a model needs is what transformers builds, not what the index says."""
    index = json.loads((shards[0].parent / INDEX).read_text("utf-8"))
    index["weight_map"] |= {"model.layers.99.mlp.up_proj.weight": shards[0].name}
    write_json(shards[0].parent / INDEX, index)
    load(shards[0].parent)


def test_a_shard_that_the_index_does_not_name_is_missed(shards: list[Path]) -> None:
    index = json.loads((shards[0].parent / INDEX).read_text("utf-8"))
    kept = {k: v for k, v in index["weight_map"].items() if v != shards[0].name}
    write_json(shards[0].parent / INDEX, {"weight_map": kept})
    assert re.search(
        r"lacks \d+ weights|weights have \d+|names \d+ layers", refusal(shards[0].parent)
    )


def test_a_shard_that_is_another_models(shards: list[Path], original: Path) -> None:
    shutil.copy(original / "model.safetensors", shards[0])
    assert "This model has a weight twice: model.layers" in refusal(shards[0].parent)


def test_a_shard_that_is_cut_off(shards: list[Path]) -> None:
    os.truncate(shards[1], shards[1].stat().st_size - 1)
    assert "is not complete" in refusal(shards[1].parent)


def test_a_weight_in_two_shards(shards: list[Path]) -> None:
    tensors = load_file(shards[1])
    name, tensor = next(iter(load_file(shards[0]).items()))
    save_file({**tensors, name: tensor + 1}, shards[1], {"format": "pt"})
    assert name in refusal(shards[1].parent)


# ---------------------------------------------------------------------------- weights


def rewritten(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_one_value_that_is_no_number_is_said(
    value: float, dtype: torch.dtype, folder: Path
) -> None:
    name = "model.layers.3.mlp.up_proj.weight"

    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[name][5, 7] = value

    with pytest.raises(CheckpointError, match=f"1 of its weights, such as {name}, hold"):
        load(rewritten(folder, change), dtype)


def test_a_value_that_is_no_number_in_a_gguf_file_is_said(tmp_path: Path) -> None:
    made = tiny.model("llama")
    with torch.no_grad():
        made.model.norm.weight[3] = float("nan")
    assert "model.norm.weight" in refusal(tiny.write_gguf(tmp_path / "x.gguf", made))


def test_weights_too_large_for_the_dtype_are_said(folder: Path) -> None:
    rewritten(folder, lambda tensors: tensors["model.norm.weight"].fill_(1e6))
    load(folder, torch.bfloat16)
    with pytest.raises(CheckpointError, match=r"model\.norm\.weight") as caught:
        load(folder, torch.float16)
    assert "another dtype" in caught.value.hint


def test_looking_for_numbers_takes_little_time() -> None:
    """135 million parameters in bfloat16: measured 10 ms on two cores, 20 ms on one.

    On one, as threads that wait for each other take milliseconds on a computer that is busy.
    """
    extremes = Extremes()
    layers = [torch.ones(1536, 576, dtype=torch.bfloat16) for _ in range(153)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    begin = time.perf_counter()
    for layer in layers:
        extremes.add("weight", layer)
    extremes.check()
    torch.set_num_threads(threads)
    assert time.perf_counter() - begin < 0.3
