"""Folders that are old, odd or incomplete: each row of the table in docs/models.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import Glm4MoeConfig, Glm4MoeForCausalLM

from engine.catalog import model_card
from engine.errors import HearthError
from engine.loading import assembly, model_paths
from engine.loading.assembly import Assembled
from engine.loading.safetensors import added_tokens, folder_tokenizer, model_folder
from engine.loading.safetensors import folder as safetensors_folder
from engine.modeling.linear import Dense
from engine.protocol import ModelInfo
from tests.engine import tiny
from tests.engine.tiny import edit_json, write_json

Tensors = dict[str, torch.Tensor]


def opened(path: Path) -> tuple[Assembled, list[str]]:
    """The model and what is told of it; without its tokenizer, which needs a process."""
    folder = model_folder.open_folder(model_paths.meant(path))
    kept = safetensors_folder.names(folder)
    device, dtype = torch.device("cpu"), torch.float32
    made = assembly.assemble(
        folder.family,
        safetensors_folder.text_config(folder, kept.values(), dtype),
        safetensors_folder.weights(folder, kept, device),
        1,
        device=device,
        dtype=dtype,
        progress=lambda *_: None,
    )
    return made, list(safetensors_folder.notes(folder, made))


def refusal(path: Path) -> str:
    """As a list of models has it, too."""
    with pytest.raises(HearthError) as caught:
        opened(path)
    said = f"{caught.value.detail} {caught.value.hint}"
    card = ModelInfo(id="a", name="a", path=str(path), source="imported", format="unknown")
    if path.is_dir():
        assert model_card.read(card).problem in ("", said)
    return said


@pytest.fixture(scope="module")
def right() -> torch.Tensor:
    return tiny.logits(tiny.model("llama"))


def rewritten(folder: Path, change: Callable[[Tensors], Tensors]) -> None:
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, {"format": "pt"})


# ---------------------------------------------------------------------------- weights


@pytest.mark.parametrize("prefix", ["", "_orig_mod.model.", "module.model.", "base_model.model."])
def test_weights_are_found_under_another_prefix(
    prefix: str, folder: Path, right: torch.Tensor
) -> None:
    output = prefix.removesuffix("model.")
    rewritten(
        folder,
        lambda tensors: {
            prefix + name.removeprefix("model.") if name.startswith("model.") else output + name: w
            for name, w in tensors.items()
        },
    )
    made, notes = opened(folder)
    tiny.assert_close(tiny.logits(made.model), right)
    assert notes == []


def test_weights_too_many_are_left_out_with_a_note(folder: Path, right: torch.Tensor) -> None:
    names = ("v_head.summary.weight", "model.layers.0.self_attn.masked_bias")
    rewritten(folder, lambda tensors: tensors | {name: torch.zeros(2) for name in names})
    made, [note] = opened(folder)
    tiny.assert_close(tiny.logits(made.model), right)
    assert note.startswith("tiny holds 2 weights, such as ")
    assert note.endswith("which this kind of model has not: left out.")


def test_an_output_that_is_tied_by_name_only_is_used_with_a_note(
    folder: Path, right: torch.Tensor
) -> None:
    edit_json(folder / "config.json", tie_word_embeddings=True)
    made, [note] = opened(folder)
    tiny.assert_close(tiny.logits(made.model), right)
    assert "lm_head.weight is the input's embedding" in note


def test_an_output_that_is_tied_and_stored_too_is_one(folder: Path) -> None:
    edit_json(folder / "config.json", tie_word_embeddings=True)
    embedding = "model.embed_tokens.weight"
    rewritten(folder, lambda tensors: tensors | {"lm_head.weight": tensors[embedding].clone()})
    made, notes = opened(folder)
    assert made.model.head.weights is made.model.embedding.weights
    assert notes == []


def test_an_output_that_is_stored_in_place_of_the_input_is_used_for_both(folder: Path) -> None:
    edit_json(folder / "config.json", tie_word_embeddings=True)
    output = load_file(folder / "model.safetensors")["lm_head.weight"]
    rewritten(folder, lambda tensors: {n: w for n, w in tensors.items() if "embed" not in n})
    model = opened(folder)[0].model
    assert isinstance(model.embedding.weights, Dense)
    torch.testing.assert_close(model.embedding.weights.tensor, output)


def test_layers_that_predict_ahead_are_left_out(tmp_path: Path) -> None:
    """GLM-4.5 Air has such a layer behind its 46, GLM-4.5 behind its 92."""
    sizes = dict(
        tiny.SIZES, num_hidden_layers=2, first_k_dense_replace=2, moe_intermediate_size=16,
        n_routed_experts=4, num_experts_per_tok=2, n_shared_experts=1,
    )  # fmt: skip
    torch.manual_seed(0)
    glm: Any = Glm4MoeForCausalLM(Glm4MoeConfig(**sizes))
    glm.eval()
    path = tiny.write_folder(tmp_path / "tiny", glm)

    def with_one_more(tensors: Tensors) -> Tensors:
        last = {name: w for name, w in tensors.items() if ".layers.1." in name}
        ahead = {name.replace(".1.", ".2."): w.clone() for name, w in last.items()}
        marks = {f"model.layers.2.{name}.weight": torch.zeros(2) for name in ("eh_proj", "enorm")}
        return tensors | ahead | marks | {"model.layers.2.embed_tokens.weight": torch.zeros(2)}

    rewritten(path, with_one_more)
    made, notes = opened(path)
    tiny.assert_close(tiny.logits(made.model), tiny.logits(glm))
    assert notes == []


def test_layers_of_another_model_are_refused(folder: Path) -> None:
    edit_json(folder / "config.json", num_hidden_layers=5)
    said = refusal(folder)
    assert "names 5 layers, its weights have 6" in said
    assert "take all of them from one place" in said


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_weights_of_any_width_are_read(dtype: torch.dtype, folder: Path) -> None:
    rewritten(folder, lambda tensors: {name: w.to(dtype) for name, w in tensors.items()})
    tiny.assert_close(tiny.logits(opened(folder)[0].model), rounded_logits(dtype))


def rounded_logits(dtype: torch.dtype) -> torch.Tensor:
    made = tiny.model("llama")
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(parameter.to(dtype).float())
    return tiny.logits(made)


def test_weights_in_float8_without_scales_are_read(folder: Path) -> None:
    kind = torch.float8_e4m3fn
    rewritten(folder, lambda tensors: {name: w.to(kind) for name, w in tensors.items()})
    tiny.assert_close(tiny.logits(opened(folder)[0].model), rounded_logits(kind))


def test_weights_in_whole_numbers_are_refused(folder: Path) -> None:
    rewritten(folder, lambda tensors: {name: w.to(torch.int8) for name, w in tensors.items()})
    assert "quantised in a way that Hearth cannot read" in refusal(folder)


# ---------------------------------------------------------------------------- files


def numbered(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")


def in_parts(folder: Path) -> None:
    tensors = list(load_file(folder / "model.safetensors").items())
    for number, part in enumerate((tensors[:9], tensors[9:]), 1):
        save_file(dict(part), folder / f"model-0000{number}-of-00002.safetensors")
    (folder / "model.safetensors").unlink()


def with_a_stale_index(folder: Path) -> None:
    stale = {"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}}
    write_json(folder / "model.safetensors.index.json", stale)


def with_pickles(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"no pickle")


def with_the_makers_own_format(folder: Path) -> None:
    (folder / "consolidated.safetensors").write_bytes(b"")
    write_json(folder / "params.json", {})


def with_a_mark_of_byte_order(folder: Path) -> None:
    for file in folder.glob("*.json"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())


def with_keys_twice(folder: Path) -> None:
    text = (folder / "config.json").read_text("utf-8")
    (folder / "config.json").write_text('{"hidden_size": 1,' + text.removeprefix("{"), "utf-8")


def without_architectures(folder: Path) -> None:
    edit_json(folder / "config.json", architectures=None)


@pytest.mark.parametrize(
    "change",
    [
        numbered, in_parts, with_a_stale_index, with_pickles, with_the_makers_own_format,
        with_a_mark_of_byte_order, with_keys_twice, without_architectures,
    ],
)  # fmt: skip
def test_it_is_opened_all_the_same(
    change: Callable[[Path], None], folder: Path, right: torch.Tensor
) -> None:
    change(folder)
    tiny.assert_close(tiny.logits(opened(folder)[0].model), right)


def outer(folder: Path) -> Path:
    return folder.parent


def its_file(folder: Path) -> Path:
    return folder / "model.safetensors"


def of_the_hubs_cache(folder: Path) -> Path:
    cache = folder.parent / "models--maker--tiny"
    (cache / "snapshots" / "older").mkdir(parents=True)
    write_json(cache / "snapshots" / "older" / "config.json", {})
    folder.rename(cache / "snapshots" / "abc123")
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("abc123")
    return cache


@pytest.mark.parametrize("named", [outer, its_file, of_the_hubs_cache])
def test_it_is_opened_by_another_path(
    named: Callable[[Path], Path], folder: Path, right: torch.Tensor
) -> None:
    tiny.assert_close(tiny.logits(opened(named(folder))[0].model), right)


def adapter(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    write_json(folder / "adapter_config.json", {"base_model_name_or_path": "maker/base"})
    (folder / "adapter_model.safetensors").write_bytes(b"")


def adapter_with_a_config(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    write_json(folder / "adapter_config.json", {"base_model_name_or_path": "maker/base"})


def only(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "config.json").unlink()
        write_json(folder / name, {})

    return change


def quantised_by_mlx(folder: Path) -> None:
    edit_json(folder / "config.json", quantization={"group_size": 64, "bits": 4})


def without_a_part(folder: Path) -> None:
    in_parts(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()


def under_another_name(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "consolidated.safetensors")


def without_its_output(folder: Path) -> None:
    rewritten(folder, lambda tensors: {n: w for n, w in tensors.items() if "lm_head" not in n})


def encoder(folder: Path) -> None:
    edit_json(folder / "config.json", model_type="bert", architectures=["BertModel"])


REFUSED: dict[Callable[[Path], None], str] = {
    adapter: "tiny is an adapter for 'maker/base': it changes a model, and is none by itself.",
    adapter_with_a_config: "tiny is an adapter for 'maker/base'",
    only("model_index.json"): "a pipeline that makes images or sound (diffusers)",
    only("modules.json"): "a model that embeds sentences (sentence-transformers)",
    only("params.json"): "in its maker's own format (params.json)",
    quantised_by_mlx: "tiny is quantised by MLX in a way that Hearth cannot read",
    without_a_part: "lacks 1 of 2 files of weights, such as 'model-00002-of-00002.safetensors'",
    under_another_name: "'consolidated.safetensors' is none of its names for them",
    without_its_output: "This model lacks 1 weights, such as lm_head.weight",
    encoder: "Its architecture is BertModel, which Hearth cannot run",
}


@pytest.mark.parametrize("change", REFUSED)
def test_it_is_refused_by_what_it_is(change: Callable[[Path], None], folder: Path) -> None:
    change(folder)
    said = refusal(folder)
    assert REFUSED[change] in said
    assert "ownload the file again" not in said


# ---------------------------------------------------------------------------- tokens

TURN = {"content": "<|turn|>", "special": True, "normalized": False}
TOOL = {"content": "<tool>", "special": False, "normalized": False}


def tokenizer(folder: Path) -> Any:
    opened = model_folder.open_folder(folder)
    file = folder_tokenizer.of(opened, lambda: None)
    return safetensors_folder.fast_tokenizer(opened, file)


def theirs(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def decoder(folder: Path) -> None:
    last = len(tiny.VOCABULARY)
    added = {str(last): TURN, str(last + 1): TOOL}
    # transformers takes an object for a token only beside a list of added ones that has it.
    changes = {"added_tokens_decoder": added, "eos_token": "<|im_end|>"}
    edit_json(folder / "tokenizer_config.json", **changes)


def old_files(folder: Path) -> None:
    edit_json(folder / "tokenizer_config.json", eos_token=None, bos_token=None)
    last = len(tiny.VOCABULARY)
    write_json(folder / "added_tokens.json", {"<tool>": last + 1, "<|turn|>": last})
    named = {"eos_token": TURN, "bos_token": "<|endoftext|>", "pad_token": "<|im_end|>"}
    write_json(folder / "special_tokens_map.json", named)


@pytest.mark.parametrize("change", [decoder, old_files])
def test_tokens_beside_the_tokenizer_are_those_of_transformers(
    change: Callable[[Path], None], folder: Path
) -> None:
    change(folder)
    ours, reference = tokenizer(folder), theirs(folder)
    text = "he<|turn|>the<tool>the<|im_end|>"
    assert ours.encode(text, add_special_tokens=False) == reference.encode(
        text, add_special_tokens=False
    )
    assert len(ours) == len(reference)
    for name in added_tokens.NAMED:
        assert getattr(ours, name) == getattr(reference, name)
    special = {t.content for t in ours.added_tokens_decoder.values() if t.special}
    assert "<|turn|>" in special
    assert "<tool>" not in special


@pytest.mark.parametrize("listed", [7, {"x": TURN}, {"1": {"content": 7}}, {"1": "a"}, {"1": None}])
def test_an_added_token_that_is_none_is_said(listed: object, folder: Path) -> None:
    edit_json(folder / "tokenizer_config.json", added_tokens_decoder=listed)
    with pytest.raises(HearthError, match=re.escape("tokenizer_config.json is damaged")):
        added_tokens.add(Tokenizer.from_file(str(folder / "tokenizer.json")), folder)


# ---------------------------------------------------------------------------- chat templates

SAID = "{% for m in messages %}default {{ m.content }}{% endfor %}"
OTHER = "{{ raise_exception('for tools only') }}"


def in_a_list(folder: Path) -> None:
    listed = [{"name": "tool_use", "template": OTHER}, {"name": "default", "template": SAID}]
    edit_json(folder / "tokenizer_config.json", chat_template=listed)


def in_a_file_of_its_own(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text(SAID, "utf-8")


def in_the_folder_of_additional_ones(folder: Path) -> None:
    edit_json(folder / "tokenizer_config.json", chat_template=None)
    (folder / "additional_chat_templates").mkdir()
    for name, template in (("tool_use", OTHER), ("default", SAID)):
        (folder / "additional_chat_templates" / f"{name}.jinja").write_text(template, "utf-8")


@pytest.mark.parametrize("put", [in_a_list, in_a_file_of_its_own, in_the_folder_of_additional_ones])
def test_the_chat_template_is_the_default_one(put: Callable[[Path], None], folder: Path) -> None:
    edit_json(folder / "tokenizer_config.json", eos_token="<|im_end|>")  # noqa: S106
    put(folder)
    chat = [{"role": "user", "content": "Hi"}]
    assert theirs(folder).apply_chat_template(chat, tokenize=False) == "default Hi"
    assert safetensors_folder.chat_template(model_folder.open_folder(folder)) == SAID
