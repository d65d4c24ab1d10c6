"""Every family written as GGUF, loaded, against the model of transformers that it was made from."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch

from engine.catalog import model_card
from engine.errors import CheckpointError, UnsupportedError
from engine.loading import families
from engine.loading import load as loading
from engine.loading.checkpoint import Checkpoint
from engine.loading.gguf import config as gguf_config
from engine.loading.gguf import families as gguf_families
from engine.loading.gguf import header as gguf_header
from engine.loading.gguf import weights as gguf_weights
from engine.loading.gguf.families import GGUF
from engine.protocol import ModelInfo
from tests.engine import gguf_models, tiny
from tests.engine.family_models import (
    MODELS,
    SLIDING,
    WINDOW,
    YARN,
    Model,
    heads_of,
)
from tests.engine.gguf_models import Options

CPU = torch.device("cpu")
TOLERANCE = 1e-4
KEY = "exaone4.attention.sliding_window_pattern"
KINDS: dict[type, tuple[Any, ...]] = {
    int: (gguf.GGUFValueType.UINT32,),
    list: (gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.BOOL),
}
NEWER_NAMES = {"ffn_gate_up_exps"}
"""Of llama.cpp, which the installed gguf may not have."""
NOT_WRITTEN = {
    "helium": "no architecture in GGUF",
    "ministral": "no architecture in GGUF",
}
"""Families without GGUF, and why."""


@dataclass(frozen=True)
class Case:
    model: Model
    options: Options = field(default_factory=Options)
    family: str = ""
    """The row that loads it, where it is another's."""


LLAMA_31 = tiny.LLAMA_31 | {"original_max_position_embeddings": 64}
PLAIN = {"rope_type": "default", "rope_theta": 10_000.0}
OLMO_3_YARN = {"full_attention": YARN, "sliding_attention": PLAIN}
NO_WINDOW: dict[str, Any] = {"sliding_window": None}
LATE_MOE = MODELS["glm4_moe"].changes
TIED = {"tie_word_embeddings": True}
ALWAYS_TIED = {"gemma", "gemma2", "gemma3", "cohere", "cohere2"}
"""GGUF has no output of their own for these."""
CASES: dict[str, Case] = {
    **{
        name: Case(replace(model, changes=model.changes | TIED) if name in ALWAYS_TIED else model)
        for name, model in MODELS.items()
        if name not in NOT_WRITTEN
    },
    "llama-3.1": Case(Model("llama", {"head_dim": 64, "rope_parameters": LLAMA_31})),
    "llama-yarn-factor": Case(
        Model("llama", {"head_dim": 128, "rope_parameters": YARN | {"attention_factor": 1.3}})
    ),
    "mistral": Case(Model("mistral", {"head_dim": 128, **NO_WINDOW}), family="llama"),
    "mixtral-of-old": Case(MODELS["mixtral"], Options(stack_experts=False)),
    "deepseek_v2-of-old": Case(MODELS["deepseek_v2"], Options(split_latent=False)),
    "qwen2": Case(Model("qwen2", heads_of(64))),
    "qwen3_moe": Case(Model("qwen3_moe", MODELS["qwen3_moe"].changes | {"norm_topk_prob": True})),
    "cohere2": Case(Model("cohere2", heads_of(128, sliding_window=WINDOW, **TIED))),
    "glm": Case(Model("glm", heads_of(128, head_dim=128))),
    "phi": Case(Model("phi", heads_of(80, num_key_value_heads=4, intermediate_size=1280))),
    "phi-fused": Case(
        Model("phi", heads_of(80, num_key_value_heads=4, intermediate_size=1280)),
        Options(fuse_qkv=True),
    ),
    "olmo3-yarn": Case(
        Model(
            "olmo3",
            heads_of(128, sliding_window=WINDOW, layer_types=SLIDING, rope_parameters=OLMO_3_YARN),
        )
    ),
    "glm-fused": Case(Model("glm", heads_of(128, head_dim=128)), Options(fuse_qkv=True)),
    "glm4_moe-further-block": Case(MODELS["glm4_moe"], Options(further_block=True)),
    "glm4_moe-plain": Case(
        Model("glm4_moe", LATE_MOE | {"use_qk_norm": False, "attention_bias": True})
    ),
    "exaone4-small": Case(
        Model("exaone4", {"head_dim": 128, "layer_types": ["full_attention"] * 4, **NO_WINDOW})
    ),
    "starcoder2": Case(Model("starcoder2", heads_of(128, sliding_window=4096))),
    "hunyuan-alpha": Case(
        Model(
            "hunyuan_v1_dense",
            {
                "head_dim": 128,
                "rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "alpha": 50.0}
                | {"factor": 1.0},
            },
        )
    ),
}


def logits(loaded: Checkpoint, tokens: list[int]) -> torch.Tensor:
    """[vocabulary] after the last token, as Hearth computes them."""
    ready = tiny.runner(loaded)
    ready.reuse(tokens)
    for _ in ready.prefill(tokens):
        pass
    return ready.logits


def load(path: Path, progress: Callable[..., None] = lambda *_: None) -> Checkpoint:
    return loading.load(
        path,
        device=CPU,
        dtype=torch.float32,
        progress=progress,
    )


def error(made: Any, loaded: Checkpoint) -> float:
    """The largest of logits at three places, relative to the largest logit.

    Before a window is full, behind it, and beyond the length at which LongRoPE changes.
    """
    everything = tiny.tokens_of(100)
    worst = 0.0
    for length in (20, 61, 100):
        tokens = everything[:length]
        with torch.inference_mode():
            wanted = made(torch.tensor([tokens]), use_cache=False).logits[0, -1]
        difference = (logits(loaded, tokens) - wanted).abs().max() / wanted.abs().max()
        worst = max(worst, float(difference))
    return worst


@pytest.mark.parametrize("name", CASES)
def test_gguf_has_the_logits_of_the_model_it_was_written_from(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    made = case.model.make()
    path = gguf_models.write(tmp_path / "tiny.gguf", made, case.options)
    progress: list[tuple[int, int]] = []
    found = load(path, lambda _, done, total: progress.append((done, total)))
    assert found.config.model_type == (case.family or case.model.family)
    assert progress[-1][0] == progress[-1][1] > 0
    assert error(made, found) <= TOLERANCE


def test_every_row_has_a_case() -> None:
    """But for Mistral, which llama's architecture stands for: see the tests that follow."""
    tested = {case.family or case.model.family for case in CASES.values()}
    assert tested | {"mistral"} == {row.name for row in gguf_families.GGUFS}


def test_every_family_has_a_row_or_a_reason() -> None:
    rows = {row.name for row in gguf_families.GGUFS}
    for family in families.FAMILIES:
        assert (family.text or family.name) in rows | NOT_WRITTEN.keys()
    assert not rows & NOT_WRITTEN.keys()


@pytest.mark.parametrize("row", gguf_families.GGUFS, ids=lambda row: row.name)
def test_names_are_ggufs_own(row: GGUF) -> None:
    architecture = next(a for a, n in gguf.MODEL_ARCH_NAMES.items() if n == row.architecture)
    tensors = {gguf.TENSOR_NAMES[tensor] for tensor in gguf.MODEL_TENSORS[architecture]}
    known = {name.removeprefix("blk.{bid}.") for name in tensors}
    known |= NEWER_NAMES | {"token_embd", "output_norm", "output"}
    written = {*row.names, *row.flags.values(), *row.sizes.values(), *row.top}
    assert {re.sub(r"\.(weight|bias|scale)$", "", name) for name in written} <= known


# ---------------------------------------------------------------------------- rows told apart


def changed(tmp_path: Path, model: Model, change: Callable[[Any], None]) -> Path:
    return gguf_models.write(tmp_path / "tiny.gguf", model.make(), change=change)


def without(key: str) -> Callable[[Any], None]:
    def change(writer: Any) -> None:
        del writer.kv_data[0][key]

    return change


def test_llama_with_a_window_is_mistral(tmp_path: Path) -> None:
    model = MODELS["mistral"]
    path = changed(tmp_path, model, lambda writer: writer.add_sliding_window(WINDOW))
    found = load(path)
    assert found.config.model_type == "mistral"
    assert error(model.make(), found) <= TOLERANCE


def test_mistral_3_without_temperature_is_mistral(tmp_path: Path) -> None:
    """Mistral Small 3.1 and 3.2."""
    model = Model("mistral", {"head_dim": 128, **NO_WINDOW})
    made = model.make()
    found = load(gguf_models.write(tmp_path / "x.gguf", made, Options(architecture="mistral3")))
    assert found.config.model_type == "mistral"
    assert error(made, found) <= TOLERANCE


@pytest.mark.parametrize("pattern", [2, [True, False, True, False, False]])
def test_layers_with_a_window_as_a_number_or_a_list(pattern: Any, tmp_path: Path) -> None:
    """A list may go on for blocks that are no layers."""
    model = CASES["exaone4"].model
    path = changed(
        tmp_path,
        model,
        lambda writer: writer.add_key_value(KEY, pattern, *KINDS[type(pattern)]),
    )
    assert error(model.make(), load(path)) <= TOLERANCE


def test_layers_with_a_window_are_said_for_too_few(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        CASES["exaone4"].model,
        lambda writer: writer.add_key_value(KEY, [True, False], *KINDS[list]),
    )
    with pytest.raises(CheckpointError, match="sliding_window_pattern is too short"):
        load(path)


@pytest.mark.parametrize(("experts", "groups"), [(160, (8, 3)), (256, (8, 4)), (64, (1, 1))])
def test_groups_of_experts_that_older_files_leave_unsaid(
    experts: int, groups: tuple[int, int], tmp_path: Path
) -> None:
    def change(writer: Any) -> None:
        writer.add_expert_count(experts)
        without("deepseek2.expert_group_count")(writer)
        without("deepseek2.expert_group_used_count")(writer)

    path = changed(tmp_path, MODELS["deepseek_v3"], change)
    header = gguf_header.read(path)
    found = gguf_config.settings(header, gguf_families.of(header))
    assert (found["n_group"], found["topk_group"]) == groups


def test_linear_scaling_may_go_without_saying(tmp_path: Path) -> None:
    made = Model("llama", {"head_dim": 64, "rope_parameters": tiny.LINEAR}).make()
    without_word = without("llama.rope.scaling.type")
    found = load(gguf_models.write(tmp_path / "x.gguf", made, change=without_word))
    assert error(made, found) <= TOLERANCE


def test_an_attention_factor_multiplies_yarns_own(tmp_path: Path) -> None:
    """As in llama.cpp; transformers takes it for the whole."""
    whole = 1.2 * (0.1 * math.log(YARN["factor"]) + 1)
    rope = YARN | {"attention_factor": whole}
    made = Model("llama", {"head_dim": 128, "rope_parameters": rope}).make()

    def change(writer: Any) -> None:
        without("llama.rope.scaling.yarn_attn_factor")(writer)
        writer.add_rope_scaling_attn_factors(1.2)

    assert (
        error(made, load(gguf_models.write(tmp_path / "x.gguf", made, change=change))) <= TOLERANCE
    )


def test_a_stack_of_experts_is_read_expert_by_expert(tmp_path: Path) -> None:
    """A stack of DeepSeek V3 would take 15 GB as float32, and three of them at once."""
    header = gguf_header.read(gguf_models.write(tmp_path / "x.gguf", MODELS["gpt_oss"].make()))
    row = gguf_families.of(header)
    stored = gguf_weights.stored(header, row, gguf_config.settings(header, row))
    experts = [one.info for one in stored if "mlp.experts" in one.places[0].name]
    assert len(experts) == 4 * (3 * 8 + 3)
    assert {len(info.shape) for info in experts} == {2}
    whole = sum(info.size for info in header.tensors.values())
    assert sum(one.info.size for one in stored) == whole


# ---------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("name", "key", "value", "said"),
    [
        ("llama", "attention.max_alibi_bias", 8.0, "max_alibi_bias to 8.0, .* for Llama"),
        ("llama", "attention.scale", 0.5, "attention.scale to 0.5"),
        ("llama", "logit_scale", 2.0, "logit_scale to 2.0"),
        ("llama", "rope.dimension_count", 32.0, "damaged: its rope.dimension_count is 32.0"),
        ("mixtral", "expert_gating_func", 2.0, "expert_gating_func to 2.0, .* for Mixtral"),
        ("deepseek_v2", "expert_weights_norm", 1.0, "expert_weights_norm, .* DeepSeek V2"),
        ("qwen3", "attention.causal", False, "attention.causal to False"),
        ("llama-yarn", "rope.scaling.yarn_ext_factor", 0.5, "yarn_ext_factor to 0.5"),
        ("granite", "rope.scaling.finetuned", False, "without rotary positions"),
        ("qwen3", "attention.layer_norm_rms_epsilon", 0.0, "rms_epsilon is 0.0"),
    ],
)
def test_settings_that_are_not_understood(
    name: str, key: str, value: float | bool, said: str, tmp_path: Path
) -> None:
    def change(writer: Any) -> None:
        add = writer.add_bool if isinstance(value, bool) else writer.add_float32
        add(f"{writer.arch}.{key}", value)

    path = changed(tmp_path, CASES[name].model, change)
    with pytest.raises((UnsupportedError, CheckpointError), match=said):
        load(path)


def test_a_head_that_is_rotated_in_part_is_refused_where_the_family_rotates_all(
    tmp_path: Path,
) -> None:
    path = changed(tmp_path, MODELS["llama"], lambda w: w.add_rope_dimension_count(32))
    with pytest.raises(UnsupportedError, match=r"rope\.dimension_count to 32"):
        load(path)


def test_blocks_less_than_none_for_further_tokens_are_none(tmp_path: Path) -> None:
    path = changed(
        tmp_path, MODELS["glm4_moe"], lambda w: w.add_int32("glm4moe.nextn_predict_layers", -5)
    )
    assert load(path).config.num_hidden_layers == MODELS["glm4_moe"].config().num_hidden_layers


@pytest.mark.parametrize("name", ["phi3", "granite"])
def test_more_heads_than_dimensions(name: str, tmp_path: Path) -> None:
    def more(writer: Any) -> None:
        writer.add_head_count(4096)
        for key in ("attention.key_length", "rope.dimension_count"):
            writer.kv_data[0].pop(f"{name}.{key}", None)

    with pytest.raises(CheckpointError, match="4096 heads"):
        load(changed(tmp_path, MODELS[name], more))


def test_more_experts_than_any_model_has(tmp_path: Path) -> None:
    made = Model("mixtral", {"head_dim": 128, "num_local_experts": 2}).make()
    path = gguf_models.write(tmp_path / "x.gguf", made, change=a_stack_of_many)
    with pytest.raises(CheckpointError, match="5000 experts"):
        load(path)


def a_stack_of_many(writer: Any) -> None:
    writer.add_tensor("blk.3.ffn_gate_up_exps.weight", tiny.zeros(5000, 1, 1))


def test_vision_models_text_part_is_refused(tmp_path: Path) -> None:
    path = changed(
        tmp_path, MODELS["glm4"], lambda w: w.add_rope_dimension_sections([8, 12, 12, 0])
    )
    with pytest.raises(UnsupportedError, match="sees images"):
        load(path)


def test_longrope_without_its_tensors(tmp_path: Path) -> None:
    path = changed(
        tmp_path, MODELS["phi3"], lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)
    )
    with pytest.raises(CheckpointError, match="lacks rope_factors"):
        load(path)


def test_the_catalog_says_what_will_not_be_loaded(tmp_path: Path) -> None:
    path = changed(tmp_path, MODELS["llama"], lambda w: w.add_max_alibi_bias(8.0))
    empty = ModelInfo(id="x", name="x", path=str(path), source="imported", format="unknown")
    card = model_card.read(empty)
    assert "max_alibi_bias" in card.problem
