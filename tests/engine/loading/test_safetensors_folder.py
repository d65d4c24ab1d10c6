"""Folders as strangers publish them: data is read, code is never run, and errors are sentences."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import CheckpointError, HearthError, UnsupportedError
from engine.execution.sampling import SamplingOptions
from engine.loading import checkpoint
from engine.loading.safetensors import model_folder
from engine.loading.safetensors.model_folder import INDEX
from tests.engine import tiny
from tests.engine.tiny import edit_json, load, write_json

ROOT = Path(__file__).parents[3]


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    return tiny.write_folder(tmp_path / "tiny", tiny.model("llama"), max_shard_size="100KB")


def refusal(path: Path, kind: type[HearthError] = CheckpointError) -> str:
    with pytest.raises(HearthError) as caught:
        load(path)
    assert type(caught.value) is kind
    assert caught.value.hint.endswith(".")
    assert len(caught.value.detail) < 400
    assert "\n" not in caught.value.detail
    return caught.value.detail


# ---------------------------------------------------------------------------- code is never run


def test_pickled_weights_are_not_opened(folder: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(tmp_path / "was run"),))

    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    assert "pickle" in refusal(folder)
    assert not (tmp_path / "was run").exists()


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json"])
def test_pickled_weights_are_named_whatever_else_is_missing(folder: Path, missing: str) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    (folder / missing).unlink()
    assert "pickle" in refusal(folder)


def test_pickles_beside_safetensors_are_left_alone(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"no pickle")
    load(folder)


STRANGER = """
import pathlib
pathlib.Path(__file__).with_name("was run").touch()
class Config: pass
class Model: pass
"""


def test_code_that_a_folder_brings_is_not_run(folder: Path) -> None:
    (folder / "stranger.py").write_text(STRANGER)
    code = {"AutoConfig": "stranger.Config", "AutoModelForCausalLM": "stranger.Model"}
    names: dict[str, Any] = {
        "auto_map": code,
        "attn_implementation": "stranger/kernel",
        "_attn_implementation": "stranger/kernel",
        "_attn_implementation_internal": "stranger/kernel",
        "custom_pipelines": {"text-generation": {"impl": "stranger.Model"}},
        "trust_remote_code": True,
    }
    edit_json(folder / "config.json", **names)
    edit_json(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["stranger.Model"] * 2})
    edit_json(folder / "generation_config.json", **names)
    found = load(folder)
    tiny.assert_close(tiny.logits(found.model), tiny.logits(tiny.model("llama")))
    assert found.config._attn_implementation in tiny.TRANSFORMERS_OWN
    assert not getattr(found.config, "auto_map", None)
    assert not (folder / "was run").exists()
    assert "stranger" not in sys.modules


def test_names_of_code_are_dropped_at_every_depth() -> None:
    nested = {"text_config": {"auto_map": {}, "layers": [{"_attn_implementation_autoset": 1}]}}
    assert model_folder.clean(nested) == {"text_config": {"layers": [{}]}}


def test_a_kernel_named_in_the_text_config_is_dropped(tmp_path: Path) -> None:
    made = tiny.model("gemma3")
    path = tiny.write_multimodal(tmp_path / "tiny", made, "language_model.model.")
    text = model_folder.read_json(path / "config.json")["text_config"]
    edit_json(path / "config.json", text_config=text | {"_attn_implementation": "stranger/kernel"})
    assert load(path).config._attn_implementation in tiny.TRANSFORMERS_OWN


def test_loading_fetches_nothing(folder: Path) -> None:
    """In a process where every connection is an error."""
    program = (
        "import socket, sys\n"
        "def refuse(*_): raise AssertionError('a connection')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from pathlib import Path\n"
        "from tests.engine.tiny import load\n"
        "load(Path(sys.argv[1]))\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    subprocess.run(
        [sys.executable, "-c", program, str(folder)], check=True, cwd=ROOT, env=environment
    )


# ---------------------------------------------------------------------------- config.json


def test_no_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert refusal(folder) == "The folder tiny has no config.json."


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"\xff\xfe{}", b"[" * 100_000])
def test_config_that_is_no_object(content: bytes, folder: Path) -> None:
    (folder / "config.json").write_bytes(content)
    assert "config.json is damaged" in refusal(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_named_pipe_is_not_waited_on(name: str, folder: Path) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert "not a file" in refusal(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="needs the right to make links")
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "generation_config.json"])
def test_a_file_that_cannot_be_read(name: str, folder: Path) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(name)
    assert "cannot be read" in refusal(folder)


def test_a_config_of_gigabytes_is_not_read(folder: Path) -> None:
    os.truncate(folder / "config.json", 1 << 33)
    assert refusal(folder) == "config.json is too large."


@pytest.mark.parametrize("text", [b"[],", b"{},", b'"",', b"1e999,"])
def test_a_config_of_a_million_values_is_not_read(text: bytes, folder: Path) -> None:
    """As objects they take gigabytes, and every listing would wait."""
    (folder / "config.json").write_bytes(b'{"a":[' + text * 500_000 + b"0]}")
    assert refusal(folder) == "config.json has too much in it."


@pytest.mark.parametrize(
    "architectures", [["MambaForCausalLM"], "MambaForCausalLM", [["MambaForCausalLM"]], 7]
)
def test_architecture_that_is_not_known(architectures: object, folder: Path) -> None:
    edit_json(folder / "config.json", architectures=architectures)
    assert str(architectures).strip("[]'") in refusal(folder, UnsupportedError)


@pytest.mark.parametrize("model_type", ["mamba", None, 7, ["llama"], {"llama": 1}, "m" * 10_000])
def test_model_type_that_is_not_known(model_type: object, folder: Path) -> None:
    edit_json(folder / "config.json", model_type=model_type, architectures=None)
    assert "which Hearth cannot run" in refusal(folder, UnsupportedError)


def test_a_head_for_another_task_is_refused(folder: Path) -> None:
    edit_json(folder / "config.json", architectures=["LlamaForSequenceClassification"])
    assert "LlamaForSequenceClassification" in refusal(folder, UnsupportedError)


NO_SENSE = r"which cannot be|does not describe a model|make no sense together|is \[.*\], not"


def test_text_that_cannot_be_encoded_stays_a_sentence(folder: Path) -> None:
    edit_json(folder / "config.json", model_type="\ud800", architectures=None)
    said = refusal(folder, UnsupportedError)
    assert said == "Its architecture is \\ud800, which Hearth cannot run."


def test_quantised_folder(folder: Path) -> None:
    edit_json(folder / "config.json", quantization_config={"quant_method": "awq"})
    assert "quantised" in refusal(folder, UnsupportedError)


def test_quantised_text_model(tmp_path: Path) -> None:
    path = tiny.write_multimodal(tmp_path / "tiny", tiny.model("gemma3"), "language_model.model.")
    text = model_folder.read_json(path / "config.json")["text_config"]
    edit_json(path / "config.json", text_config=text | {"quantization_config": {"bits": 4}})
    assert "quantised" in refusal(path, UnsupportedError)


@pytest.mark.parametrize("layers", [5, 7, 0, -1, 10**12, "6", 6.5])
def test_layers_that_the_weights_have_not(layers: object, folder: Path) -> None:
    edit_json(folder / "config.json", num_hidden_layers=layers)
    assert "its weights have 6" in refusal(folder)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("hidden_size", 52), ("hidden_size", 10**15), ("hidden_size", "wide"),
        ("num_attention_heads", 0), ("num_attention_heads", 8), ("num_key_value_heads", 3),
        ("vocab_size", 100), ("head_dim", 10), ("hidden_act", "stranger"), ("pad_token_id", 9999),
        ("rope_parameters", {"rope_type": "stranger"}), ("intermediate_size", None),
    ],
)  # fmt: skip
def test_settings_that_the_weights_refute(setting: str, value: object, folder: Path) -> None:
    edit_json(folder / "config.json", **{setting: value})
    assert re.search(NO_SENSE, refusal(folder))


# ---------------------------------------------------------------------------- weights


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "has no weights" in refusal(folder)


def test_weights_cut_off(folder: Path) -> None:
    weights = folder / "model.safetensors"
    os.truncate(weights, weights.stat().st_size - 1)
    assert "model.safetensors is not complete" in refusal(folder)


def test_shard_that_is_missing(sharded: Path) -> None:
    gone = sorted(sharded.glob("*.safetensors"))[1]
    gone.unlink()
    assert f"lacks 1 of {len(list(sharded.glob('*.safetensors'))) + 1} files" in refusal(sharded)


@pytest.mark.parametrize(
    "name",
    ["../model.safetensors", "/etc/model.safetensors", "a\\b.safetensors", "c:d.safetensors",
     "..", "", "a\0b.safetensors", "pytorch_model.bin"],
)  # fmt: skip
def test_index_that_names_what_is_no_part_of_it(name: str, sharded: Path) -> None:
    """A file outside of the folder, or one that is no safetensors."""
    (sharded.parent / "model.safetensors").touch()
    write_json(sharded / INDEX, {"weight_map": {"model.norm.weight": name}})
    assert "no part of it" in refusal(sharded)


@pytest.mark.parametrize(
    "index", [{}, {"weight_map": {}}, {"weight_map": ["a"]}, {"weight_map": {"a": 7}}]
)
def test_index_that_names_nothing(index: object, sharded: Path) -> None:
    write_json(sharded / INDEX, index)
    assert "names no weights" in refusal(sharded)


def test_index_that_names_more_files_than_a_model_has(sharded: Path) -> None:
    named = {str(i): f"{i}.safetensors" for i in range(10_000)}
    write_json(sharded / INDEX, {"weight_map": named})
    assert "names 10,000 files" in refusal(sharded)


def test_index_that_is_no_json(sharded: Path) -> None:
    (sharded / INDEX).write_bytes(b"{")
    assert refusal(sharded) == f"{INDEX} is damaged: it is no JSON."


def rewritten(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def test_weight_that_is_missing(folder: Path) -> None:
    rewritten(folder, lambda tensors: tensors.pop("model.norm.weight"))
    assert "lacks 1 weights, such as model.norm.weight" in refusal(folder)


def test_weight_of_another_shape(folder: Path) -> None:
    rewritten(folder, lambda tensors: tensors.update({"model.norm.weight": torch.zeros(47)}))
    assert "model.norm.weight is [47], not [48]" in refusal(folder)


def test_rotary_frequencies_of_old_checkpoints_are_left_out(folder: Path) -> None:
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    rewritten(folder, lambda tensors: tensors.update({name: torch.ones(4)}))
    tiny.assert_close(tiny.logits(load(folder).model), tiny.logits(tiny.model("llama")))


# ---------------------------------------------------------------------------- what comes with them


def test_no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    assert "has no tokenizer.json" in refusal(folder)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"model": {"type": "Stranger"}}', b"\x00" * 99])
def test_tokenizer_that_is_damaged(content: bytes, folder: Path) -> None:
    (folder / "tokenizer.json").write_bytes(content)
    assert "tokenizer.json is damaged" in refusal(folder)


@pytest.mark.parametrize("name", ["generation_config.json", "tokenizer_config.json"])
def test_settings_that_are_damaged(name: str, folder: Path) -> None:
    """Not passed over: an end-of-turn token that only it names would never end a reply."""
    (folder / name).write_bytes(b"{")
    steps: list[str] = []
    with pytest.raises(CheckpointError, match=f"{name} is damaged"):
        load(folder, progress=lambda stage, *_: steps.append(stage))
    assert not steps, "refused before any weight is read"


def test_generation_settings_are_read_as_far_as_they_make_sense(folder: Path) -> None:
    said = {
        "temperature": 0.6, "top_k": 20.0, "top_p": 1.5, "min_p": "no", "repetition_penalty": True,
        "eos_token_id": [1, 2], "max_length": 20,
    }  # fmt: skip
    write_json(folder / "generation_config.json", said)
    found = load(folder).generation
    assert (found.temperature, found.top_k) == (0.6, 20)
    assert (found.top_p, found.min_p, found.repetition_penalty) == (None, None, None)
    assert found.eos_token_ids >= {1, 2}


@pytest.mark.parametrize("which", [0, 1])
def test_settings_that_are_let_through_can_be_sampled_with(which: int) -> None:
    limits = {name: values[which] for name, values in checkpoint.LIMITS.items()}
    SamplingOptions(**limits)  # type: ignore[arg-type]


def test_folder_without_generation_settings(folder: Path) -> None:
    (folder / "generation_config.json").unlink()
    assert load(folder).generation.temperature is None


def test_template_in_a_file_of_its_own_comes_first(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("of its own", "utf-8")
    assert load(folder).chat_template == "of its own"


def test_default_of_several_named_templates(folder: Path) -> None:
    named = [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]
    edit_json(folder / "tokenizer_config.json", chat_template=named)
    assert load(folder).chat_template == "D"
