"""Folders and files of strangers, each with one thing in it that would do harm.

What the headers of GGUF and safetensors may say is in test_gguf_header and test_safetensors_header.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import CheckpointError, HearthError
from engine.loading import config_gate, families
from engine.loading.weights import Extremes
from tests.engine import tiny
from tests.engine.tiny import edit_json, load


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_folder(tmp_path_factory.mktemp("model") / "tiny", tiny.model("llama"))


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "tiny"))


def refusal(path: Path) -> str:
    with pytest.raises(HearthError) as caught:
        load(path)
    assert caught.value.hint
    assert len(caught.value.detail) < 400
    return caught.value.detail


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
    torch.testing.assert_close(tiny.logits(found.model), tiny.logits(made))
    config = found.model.config
    assert config._attn_implementation == "eager"
    assert config.name_or_path == ""
    assert config.num_labels == 2
    assert "stranger" not in json.dumps(config.to_dict(), default=str)
    assert not found.model.model.gradient_checkpointing


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
    torch.testing.assert_close(tiny.logits(found.model), tiny.logits(made))
    assert found.config._attn_implementation == "eager"


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
    refusal(folder)


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
    assert "The config.json of tiny" in said or "settings make no sense" in said


@pytest.mark.parametrize(
    "kinds",
    [[], ["full_attention"] * 5, ["full_attention"] * 1_000_000, ["stranger"] * 6, [7] * 6, {}, 6],
    ids=lambda kinds: str(kinds)[:20],
)
def test_kinds_of_layers_that_are_not_the_layers(kinds: object, tmp_path: Path) -> None:
    folder = tiny.write_folder(tmp_path / "tiny", tiny.model("gemma2"))
    edit_json(folder / "config.json", layer_types=kinds)
    refusal(folder)


@pytest.mark.parametrize("depth", [5, 100, 300, 400, 500, 700, 900, 990, 10_000, 1_000_000])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_values_in_values_in_values(depth: int, brackets: str, folder: Path) -> None:
    opening = {"[]": "[", "{}": '{"a":'}[brackets]
    nested = opening * depth + "1" + brackets[1] * depth
    text = (folder / "config.json").read_text("utf-8").rstrip().removesuffix("}")
    (folder / "config.json").write_text(f'{text}, "rope_parameters": {nested}}}', "utf-8")
    refusal(folder)


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
