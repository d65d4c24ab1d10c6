"""Random models written as GGUF and as safetensors load back to the same logits, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import CheckpointError, UnsupportedError
from engine.loading.checkpoint import NO_TEMPLATE
from tests.engine import tiny
from tests.engine.family_models import MODELS
from tests.engine.tiny import load


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_gguf_has_the_logits_of_the_model_it_was_written_from(family: str, tmp_path: Path) -> None:
    made = tiny.model(family)
    found = load(tiny.write_gguf(tmp_path / "tiny.gguf", made))
    tiny.assert_close(tiny.logits(found.model), tiny.logits(made))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_folder_has_the_logits_of_the_model_it_was_written_from(
    family: str, tmp_path: Path
) -> None:
    made = tiny.model(family)
    found = load(tiny.write_folder(tmp_path / "tiny", made))
    tiny.assert_close(tiny.logits(found.model), tiny.logits(made))
    assert found.architecture == made.config.model_type


def test_sharded_folder_has_the_same_logits(tmp_path: Path) -> None:
    made = tiny.model("llama")
    folder = tiny.write_folder(tmp_path / "tiny", made, max_shard_size="100KB")
    assert len(list(folder.glob("*.safetensors"))) > 2
    tiny.assert_close(tiny.logits(load(folder).model), tiny.logits(made))


@pytest.mark.parametrize("names", ["language_model.model.", "model.language_model."])
def test_gemma_3_inside_a_multimodal_folder(names: str, tmp_path: Path) -> None:
    made = tiny.model("gemma3")
    folder = tiny.write_multimodal(tmp_path / "tiny", made, names)
    found = load(folder)
    tiny.assert_close(tiny.logits(found.model), tiny.logits(made))
    assert found.architecture == "gemma3"


PUBLISHED = {"gemma3n": "gemma3n", "gemma4-e2b": "gemma4", "gemma4-26b": "gemma4"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_gemma_inside_a_multimodal_folder_as_it_is_published(name: str, tmp_path: Path) -> None:
    """Keys and values of layers that read another's are in the files, and not used; sizes of layers
    without a window stand beside the others."""
    made = MODELS[name].make()
    folder = tiny.write_multimodal(tmp_path / "tiny", made, "model.language_model.")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    of_layers = config["text_config"].pop("per_layer_config", {"1": {}})["1"]
    published = {"head_dim": "global_head_dim", "num_key_value_heads": "num_global_key_value_heads"}
    config["text_config"] |= {published[name]: value for name, value in of_layers.items()}
    kind = PUBLISHED[name]
    config |= {"model_type": kind}
    config |= {"architectures": [f"{kind.capitalize()}ForConditionalGeneration"]}
    tiny.write_json(folder / "config.json", config)
    if made.config.num_kv_shared_layers:
        tensors = load_file(folder / "model.safetensors")
        for part in ("k_proj", "v_proj", "k_norm"):
            tensors[f"model.language_model.layers.3.self_attn.{part}.weight"] = torch.ones(8, 8)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    found = load(folder)
    tiny.assert_close(tiny.logits(found.model), tiny.logits(made))
    assert found.notes == ()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_parameters_are_in_the_dtype_asked_for(dtype: torch.dtype, tmp_path: Path) -> None:
    made = tiny.model("gemma3")
    for path in (
        tiny.write_gguf(tmp_path / "tiny.gguf", made),
        tiny.write_folder(tmp_path / "tiny", made),
    ):
        found = load(path, dtype)
        assert {weight.dtype for weight in found.model.tensors()} == {dtype}
        rotaries = found.model.rotaries.values()
        assert {rotary.frequencies.dtype for rotary in rotaries} == {torch.float32}
        assert torch.isfinite(tiny.logits(found.model)).all()


@pytest.mark.parametrize("write", [tiny.write_gguf, tiny.write_folder])
def test_progress_counts_bytes_to_the_whole(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write(tmp_path / "tiny.gguf", tiny.model("llama"))
    steps: list[tuple[str, int, int]] = []
    load(path, progress=lambda *step: steps.append(step))
    weights = [step[1:] for step in steps if step[0] == "weights"]
    total = 4 * sum(p.numel() for p in tiny.model("llama").parameters())
    assert weights[-1] == (total, total)
    assert weights == sorted(weights)


@pytest.mark.parametrize("write", [tiny.write_gguf, tiny.write_folder])
def test_what_comes_with_a_model(write: Callable[..., Path], tmp_path: Path) -> None:
    found = load(write(tmp_path / "tiny.gguf", tiny.model("llama")))
    assert found.chat_template == tiny.TEMPLATE
    assert found.notes == ()
    assert found.control_tokens == {t: tiny.VOCABULARY.index(t) for t in tiny.CONTROL}
    ends = {tiny.VOCABULARY.index(t) for t in ("<|im_end|>", "<|endoftext|>")}
    assert found.generation.eos_token_ids == ends
    assert found.tokenizer.eos_token == "<|im_end|>"  # noqa: S105
    text = "the hearth\n  in 2024 🔥 是"
    assert found.tokenizer.decode(found.tokenizer(text).input_ids) == text


@pytest.mark.parametrize("write", [tiny.write_gguf, tiny.write_folder])
def test_model_without_a_template_says_so(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write(tmp_path / "tiny.gguf", tiny.model("llama"), template="")
    found = load(path)
    assert found.chat_template is None
    assert found.notes == (NO_TEMPLATE,)


def test_missing_path(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no file or folder"):
        load(tmp_path / "none")


# ---------------------------------------------------------------------------- GGUF that is wrong


def changed(tmp_path: Path, key: str, value: int, family: str = "llama") -> Path:
    """A file whose metadata says something else than its weights."""

    def change(writer: Any) -> None:
        for data in writer.kv_data:
            if key in data:
                data[key].value = value

    return tiny.write_gguf(tmp_path / "changed.gguf", tiny.model(family), change)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("llama.block_count", 0, "block_count is 0"),
        ("llama.block_count", 5, "names 5 layers, its weights have 6"),
        ("llama.block_count", 2_000_000_000, "names 2000000000 layers"),
        ("llama.embedding_length", 2**32 - 1, "embedding_length is 4294967295"),
        ("llama.embedding_length", 2**31 - 1, "says 2147483647 for 'hidden_size'"),
        ("llama.attention.head_count", 5, "does not describe a model: .* not a multiple"),
        ("llama.attention.head_count_kv", 0, "head_count_kv is 0"),
        ("llama.attention.head_count_kv", 7, "7 heads"),
        ("llama.attention.key_length", 24, "is .*, not"),
    ],
)
def test_gguf_whose_sizes_are_not_its_weights(
    key: str, value: int, said: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=said):
        load(changed(tmp_path, key, value))


def test_gguf_of_an_unknown_architecture(tmp_path: Path) -> None:
    writer = tiny.gguf_writer(tmp_path / "x.gguf", "mamba")
    writer.add_tensor("token_embd.weight", np.zeros((4, 32), np.float32))
    tiny.finish(writer)
    with pytest.raises(UnsupportedError, match="mamba") as caught:
        load(tmp_path / "x.gguf")
    assert "Llama 1-3.3, Gemma 1" in caught.value.hint


def test_gguf_that_scales_positions_in_an_unknown_way(tmp_path: Path) -> None:
    made = tiny.model("llama")
    path = tiny.write_gguf(
        tmp_path / "x.gguf", made, lambda w: w.add_string("llama.rope.scaling.type", "su")
    )
    with pytest.raises(UnsupportedError, match="'su'"):
        load(path)


def test_gguf_with_a_weight_that_is_not_known(tmp_path: Path) -> None:
    def change(writer: Any) -> None:
        writer.add_tensor("blk.0.ssm_a", torch.zeros(8).numpy())

    path = tiny.write_gguf(tmp_path / "x.gguf", tiny.model("llama"), change)
    with pytest.raises(UnsupportedError, match=r"blk\.0\.ssm_a"):
        load(path)


def test_gguf_that_lacks_a_weight(tmp_path: Path) -> None:
    path = tiny.write_gguf(tmp_path / "x.gguf", tiny.model("llama"), leave_out="attn_norm")
    with pytest.raises(CheckpointError, match="lacks 6 weights"):
        load(path)
