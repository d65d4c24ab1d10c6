"""How GGUF files write each family: names of tensors and settings, a row each.

Sources: llama.cpp's conversion/*.py, which write the files, and src/models/*.cpp, which say what a
file means where it says nothing. Imports neither torch nor transformers: the catalog reads it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, TypeAlias

from engine.errors import CheckpointError, UnsupportedError
from engine.loading import families
from engine.loading.families import Config, Family
from engine.loading.gguf.header import GGUFHeader, LongArray

if TYPE_CHECKING:
    from torch import Tensor

Fill: TypeAlias = "Callable[[Tensor, Config], Tensor]"
"""A parameter and the settings -> the view of it that a tensor fills."""
Told: TypeAlias = Callable[[GGUFHeader], bool]
Sizes: TypeAlias = Callable[[GGUFHeader, Config], Config]
Shape: TypeAlias = tuple[int, ...]

BLOCK: Final = re.compile(r"blk\.(\d{1,9})\.")
"""The beginning of the name of a layer's tensor."""
FACTORS: Final = {
    "short_factor": "rope_factors_short.weight",
    "long_factor": "rope_factors_long.weight",
}
"""The tensors that hold LongRoPE's factors, by their settings in a config.json."""
HEAD_SIZE_OF_GEMMA: Final = 256
"""Gemma's GGUF files of the first conversions leave it unsaid."""
LAYERS_OF_GEMMA_27B: Final = (46, 62)
"""Gemma 2's and 3's; only these scale attention by hidden size / heads instead of head size."""
EXPERT_GROUPS: Final = {160: (8, 3), 256: (8, 4)}
"""Experts -> groups and groups used of DeepSeek V2 and V3, from their config.json: GGUF files made
before llama.cpp knew groups leave them unsaid."""
SOFTMAX: Final = (0, 1)
SIGMOID: Final = (0, 2)
"""Values of expert_gating_func; 0 is unsaid, which is the family's own."""


def first_half(parameter: Tensor, _: Config) -> Tensor:
    """The gates of experts [experts, 2 x size, hidden], or of one MLP [2 x size, hidden]."""
    return parameter.chunk(2, -2)[0]


def second_half(parameter: Tensor, _: Config) -> Tensor:
    return parameter.chunk(2, -2)[1]


def transposed(parameter: Tensor, _: Config) -> Tensor:
    return parameter.transpose(-1, -2)


def even_columns(parameter: Tensor, _: Config) -> Tensor:
    """gpt-oss has gate and up side by side, in experts [experts, hidden, 2 x size]."""
    return parameter[..., ::2].transpose(-1, -2)


def odd_columns(parameter: Tensor, _: Config) -> Tensor:
    return parameter[..., 1::2].transpose(-1, -2)


def even(parameter: Tensor, _: Config) -> Tensor:
    return parameter[..., ::2]


def odd(parameter: Tensor, _: Config) -> Tensor:
    return parameter[..., 1::2]


KEEPS_ROWS: Final = (first_half, second_half, transposed, even_columns, odd_columns)
"""Views of a weight whose rows, or columns if it is transposed, are whole rows of the tensor."""


def _by_head(kv_b: Tensor, config: Config) -> Tensor:
    """[heads, key and value sizes without rotation, latent size]."""
    rows = int(config["qk_nope_head_dim"]) + int(config["v_head_dim"])
    return kv_b.view(-1, rows, kv_b.shape[-1])


def keys_of_latent(kv_b: Tensor, config: Config) -> Tensor:
    return _by_head(kv_b, config)[:, : int(config["qk_nope_head_dim"])].transpose(1, 2)


def values_of_latent(kv_b: Tensor, config: Config) -> Tensor:
    return _by_head(kv_b, config)[:, int(config["qk_nope_head_dim"]) :]


@dataclass(frozen=True)
class Part:
    """The view of a parameter that a tensor fills."""

    name: str
    """Of the parameter in its layer, with its suffix."""
    into: Fill | None = None
    """None for all of it."""
    shape: Shape | None = None
    """The tensor's, where conversions have it differently."""


@dataclass(frozen=True)
class Rows:
    """A tensor whose rows are a parameter each."""

    name: str
    """With a place for the row's number."""


Names: TypeAlias = Mapping[str, str | Part | Rows]


def size(header: GGUFHeader, key: str) -> int:
    """Raises CheckpointError for one that is missing or no size."""
    value: object = header.number(key)
    if not isinstance(value, int) or not 0 < value < 2**31:
        raise without(header, key, value)
    return value


def without(header: GGUFHeader, key: str, value: object) -> CheckpointError:
    """For a setting that must be there: `value` is what the file says, None for nothing."""
    name = f"{header.architecture}.{key}"
    if value is None:
        return CheckpointError(
            f"{header.path.name} does not say {name}, without which the model cannot be run.",
            "Choose another file of this model.",
        )
    return CheckpointError(f"{header.path.name} is damaged: its {key} is {value}.")


def head_size(header: GGUFHeader, found: Config) -> int:
    if header.number("attention.key_length"):
        return size(header, "attention.key_length")
    hidden, heads = int(found["hidden_size"]), int(found["num_attention_heads"])
    if heads > hidden:
        raise CheckpointError(
            f"{header.path.name} is damaged: it has {heads} heads of {hidden} dimensions."
        )
    return hidden // heads


def any_file(_: GGUFHeader) -> bool:
    return True


def said(key: str) -> Told:
    """A number other than 0, which is llama.cpp's for none."""
    return lambda header: bool(header.number(key))


def holds(tensor: str) -> Told:
    """A tensor in any block; the first ones may be of another kind."""
    return lambda header: any(name.endswith(f".{tensor}") for name in header.tensors)


def _heads(header: GGUFHeader, found: Config) -> Config:
    """Where all of a head is rotated, some conversions say how much of it only."""
    if not header.number("attention.key_length") and header.number("rope.dimension_count"):
        return {"head_dim": size(header, "rope.dimension_count")}
    return {"head_dim": head_size(header, found)}


def _heads_in_part(header: GGUFHeader, found: Config) -> Config:
    return {"head_dim": head_size(header, found)}


def _gemma(header: GGUFHeader, _: Config) -> Config:
    for key in ("attention.key_length", "rope.dimension_count"):
        if header.number(key):
            return {"head_dim": size(header, key)}
    return {"head_dim": HEAD_SIZE_OF_GEMMA}


def _gemma_2_and_3(header: GGUFHeader, found: Config) -> Config:
    sizes = _gemma(header, found)
    if found["num_hidden_layers"] in LAYERS_OF_GEMMA_27B:
        scale = int(found["hidden_size"]) // int(found["num_attention_heads"])
        return sizes | {"query_pre_attn_scalar": scale}
    return sizes | {"query_pre_attn_scalar": sizes["head_dim"]}


def _per_layer(header: GGUFHeader, _: Config) -> Config:
    """What Gemma 3n and the smaller Gemma 4 have for each layer. llama.cpp pads the table."""
    table = header.tensors.get("per_layer_token_embd.weight")
    if table is None:
        return {"hidden_size_per_layer_input": 0}
    return {
        "hidden_size_per_layer_input": size(header, "embedding_length_per_layer_input"),
        "vocab_size_per_layer_input": table.shape[0],
    }


def _gemma_3n(header: GGUFHeader, found: Config) -> Config:
    key = f"{header.architecture}.activation_sparsity_scale"
    deviations = [float(value) for value in header.items(key)]
    shares = [NormalDist().cdf(d) if math.isfinite(d) else 0.0 for d in deviations]
    sizes = _gemma(header, found) | _per_layer(header, found)
    return sizes | {"activation_sparsity_pattern": shares or None}


def _gemma_4(header: GGUFHeader, found: Config) -> Config:
    """Layers without a window have heads of their own, and no values of their own in some models;
    those that read another's keys may have a wider MLP."""
    of_all = size(header, "attention.key_length")
    windowed = header.number("attention.key_length_swa")
    widths = by_layer(header, "feed_forward_length")
    pattern = header.items(f"{header.architecture}.attention.sliding_window_pattern")
    counts = by_layer(header, "attention.head_count_kv")
    kinds = dict(zip(map(bool, pattern), counts, strict=False)) if len(counts) > 1 else {}
    keys = [name for name in header.tensors if name.endswith(".attn_k.weight")]
    return _per_layer(header, found) | {
        "head_dim": size(header, "attention.key_length_swa") if windowed else of_all,
        "global_head_dim": of_all,
        "intermediate_size": widths[0],
        "use_double_wide_mlp": widths[-1] == 2 * widths[0],
        "num_key_value_heads": kinds.get(True, counts[0]),
        "num_global_key_value_heads": kinds.get(False, counts[0]),
        "attention_k_eq_v": any(k.replace("_k.", "_v.") not in header.tensors for k in keys),
    }


def by_layer(header: GGUFHeader, key: str) -> list[int]:
    """A size that may be said once or for each layer. Raises CheckpointError for what is none."""
    value = header.metadata.get(f"{header.architecture}.{key}")
    found: list[int] = []
    for one in value if isinstance(value, tuple) and value else (value,):
        if isinstance(one, bool) or not isinstance(one, int) or not 0 < one < 2**31:
            raise without(header, key, one)
        found.append(one)
    return found


def _granite(header: GGUFHeader, found: Config) -> Config:
    """Granite 4 has models without positions, which its conversions tell by this switch."""
    if header.metadata.get(f"{header.architecture}.rope.scaling.finetuned", True) is False:
        raise UnsupportedError(f"{header.path.name} is a Granite without rotary positions.")
    sizes = _heads(header, found)
    scale = header.number("attention.scale") or sizes["head_dim"] ** -0.5
    return sizes | {"attention_multiplier": scale}


def _glm4(header: GGUFHeader, found: Config) -> Config:
    """The vision models' text part: its conversion turns rotary pairs into halves."""
    sections = header.metadata.get(f"{header.architecture}.rope.dimension_sections", ())
    if isinstance(sections, LongArray) or (isinstance(sections, tuple) and any(sections)):
        raise UnsupportedError(f"{header.path.name} is the text part of a model that sees images.")
    return _heads_in_part(header, found)


def _stablelm(header: GGUFHeader, found: Config) -> Config:
    """llama.cpp goes by the norm too: `use_parallel_residual` was written wrongly for some."""
    parallel = "blk.0.ffn_norm.weight" not in header.tensors
    return _heads_in_part(header, found) | {"use_parallel_residual": parallel}


def _latent(header: GGUFHeader, found: Config) -> Config:
    """Newer conversions have the sizes of the one latent head, and those of real heads as *_mla."""
    mla = "_mla" if header.number("attention.key_length_mla") else ""
    rotated = size(header, "rope.dimension_count")
    experts = int(header.number("expert_count") or 0)
    groups, used = EXPERT_GROUPS.get(experts, (1, 1))
    return {
        "head_dim": rotated,
        "qk_rope_head_dim": rotated,
        "qk_nope_head_dim": size(header, f"attention.key_length{mla}") - rotated,
        "v_head_dim": size(header, f"attention.value_length{mla}"),
        "num_key_value_heads": found["num_attention_heads"],
        "n_group": header.number("expert_group_count") or groups,
        "topk_group": header.number("expert_group_used_count") or used,
    }


def _deepseek_2(header: GGUFHeader, found: Config) -> Config:
    """transformers' DeepSeek V2 does not make weights of experts sum up to 1."""
    if header.number("expert_weights_norm"):
        raise UnsupportedError(
            f"{header.path.name} sets expert_weights_norm, which Hearth does not know for "
            "DeepSeek V2."
        )
    sizes = _latent(header, found)
    limited = sizes["n_group"] > 1
    return sizes | {"topk_method": "group_limited_greedy" if limited else "greedy"}


def _deepseek_3(header: GGUFHeader, found: Config) -> Config:
    return _latent(header, found) | {"norm_topk_prob": bool(header.number("expert_weights_norm"))}


def _sum_of_experts(header: GGUFHeader, found: Config) -> Config:
    """Whether the weights of the experts that are used are made to sum up to 1."""
    norm = bool(header.number("expert_weights_norm"))
    return _heads_in_part(header, found) | {"norm_topk_prob": norm}


TOP: Final = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
"""GGUF's name of a tensor outside of blocks -> transformers'."""
RMS: Final = {"rms_norm_eps": "attention.layer_norm_rms_epsilon"}
WINDOW: Final = {"sliding_window": "attention.sliding_window"}


@dataclass(frozen=True)
class GGUF:
    architecture: str
    name: str
    """The family's, as transformers' `model_type`."""
    names: Names
    """GGUF's name of a tensor in a block -> transformers' in a layer; one with a suffix goes before
    one without, which is for weight and bias."""
    told_by: Told = any_file
    """Of the rows of an architecture the first whose sign is there."""
    top: Names = field(default_factory=lambda: TOP)
    norm_offset: float = 0.0
    """GGUF stores norms with 1 added, transformers without."""
    rotary_pairs: bool = False
    """GGUF stores queries and keys with rotary pairs side by side, transformers in halves:
    LlamaModel.permute of the conversion. Some families have them side by side in both."""
    heads: Sizes = _heads
    """Size of a head, and what else is not one key to one setting."""
    partial_rotary: bool = False
    """Whether a part of a head may be rotated only."""
    needs: Mapping[str, str] = field(default_factory=lambda: RMS)
    """Setting -> GGUF's key, which must be there."""
    takes: Config = field(default_factory=dict)
    """Setting -> GGUF's key, where it is said."""
    also: Mapping[str, str] = field(default_factory=dict)
    """Setting -> GGUF's key of a count; 0 if it is unsaid."""
    flags: Mapping[str, str] = field(default_factory=dict)
    """Setting -> the tensor in the first block that makes it true."""
    sizes: Mapping[str, str] = field(default_factory=dict)
    """Setting -> the tensor, in the first block that has one, whose last dimension it is."""
    gating: tuple[int, ...] = SOFTMAX
    """Values of expert_gating_func that this family has."""
    understands: tuple[str, ...] = ()
    """GGUF's keys that `heads` reads."""
    layers_differ: bool = False
    """Sizes may be lists, of which `heads` makes settings."""
    proportional: bool = False
    """Layers without a window rotate the first part of a head's frequencies alone, which the
    factors of rope_freqs tell."""
    windows: bool = False
    """Which layers have a window may be said by layer."""
    two_ropes: bool = False
    """Layers with a window have positions of their own, which are never scaled."""
    window_theta: float | None = None
    """Theirs, where it is unsaid; None is that of the other layers."""
    mscale: float | None = 1.0
    """YaRN's, which GGUF leaves unsaid; None is as mscale_all_dim."""
    log_multiplier: float = 1.0
    """yarn_log_multiplier / mscale_all_dim. llama.cpp, TAG_DEEPSEEK2_YARN_LOG_MUL_FIX."""
    rope: Config = field(default_factory=dict)
    """What this family's rotary settings always say."""
    rope_takes: Mapping[str, str] = field(default_factory=dict)
    """Rotary setting -> GGUF's key, where it is said."""
    defaults: Config = field(default_factory=dict)
    """Settings that GGUF leaves unsaid."""

    @property
    def family(self) -> Family:
        return families.of_name(self.name)

    def reads(self) -> set[str]:
        """GGUF's keys that this row understands, beside those that all do."""
        said = (self.needs, self.takes, self.rope_takes, self.also)
        return {*self.understands, *(key for keys in said for key in keys.values())}


_QKV: Final = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
}
_MLP: Final = {
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_UNGATED_MLP: Final = {"ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
_FUSED_MLP: Final = {"ffn_up": "mlp.gate_up_proj", "ffn_down": "mlp.down_proj"}
_BODY: Final = {"attn_norm": "input_layernorm", **_QKV, **_MLP}
_NORMS: Final = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
_TWO_NORMS: Final = _NORMS | _QKV | _MLP
_POST_NORM: Final = _BODY | {"post_attention_norm": "post_attention_layernorm"}
_FOUR_NORMS: Final = _POST_NORM | {
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
_PER_LAYER: Final = {
    "inp_gate": "per_layer_input_gate",
    "proj": "per_layer_projection",
    "post_norm": "post_per_layer_input_norm",
}
_PER_LAYER_TOP: Final = TOP | {
    "per_layer_token_embd": "model.embed_tokens_per_layer",
    "per_layer_model_proj": "model.per_layer_model_projection",
    "per_layer_proj_norm": "model.per_layer_projection_norm",
}
_QK: Final = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
_NORMS_AFTER: Final[Names] = {
    **_QKV,
    **_MLP,
    **_QK,
    "post_attention_norm": "post_attention_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}


def _experts(inside: str, router: str) -> dict[str, str | Part]:
    return {
        "ffn_gate_inp": f"{inside}.{router}",
        "ffn_gate_exps.weight": Part(f"{inside}.experts.gate_up_proj", first_half),
        "ffn_up_exps.weight": Part(f"{inside}.experts.gate_up_proj", second_half),
        "ffn_gate_up_exps.weight": Part(f"{inside}.experts.gate_up_proj"),
        "ffn_down_exps.weight": Part(f"{inside}.experts.down_proj"),
    }


def _shared(inside: str) -> dict[str, str]:
    return {
        "ffn_gate_shexp": f"{inside}.gate_proj",
        "ffn_up_shexp": f"{inside}.up_proj",
        "ffn_down_shexp": f"{inside}.down_proj",
    }


_EXPERTS: Final[Names] = {**_NORMS, **_QKV, **_experts("mlp", "gate")}
_SHARED_EXPERTS: Final[Names] = {
    **_experts("mlp", "gate"),
    **_shared("mlp.shared_experts"),
    "exp_probs_b.bias": Part("mlp.gate.e_score_correction_bias"),
}
_LATENT: Final[Names] = {
    **_TWO_NORMS,
    **_SHARED_EXPERTS,
    "attn_q_a": "self_attn.q_a_proj",
    "attn_q_a_norm": "self_attn.q_a_layernorm",
    "attn_q_b": "self_attn.q_b_proj",
    "attn_kv_a_mqa": "self_attn.kv_a_proj_with_mqa",
    "attn_kv_a_norm": "self_attn.kv_a_layernorm",
    "attn_kv_b": "self_attn.kv_b_proj",
    "attn_k_b.weight": Part("self_attn.kv_b_proj.weight", keys_of_latent),
    "attn_v_b.weight": Part("self_attn.kv_b_proj.weight", values_of_latent),
}
_GRANITE_EXPERTS: Final[Names] = {
    **_NORMS,
    **_QKV,
    **_experts("block_sparse_moe", "router"),
}
_GPT_OSS: Final[Names] = {
    "attn_norm": "input_layernorm",
    **_QKV,
    "attn_sinks.weight": Part("self_attn.sinks"),
    "post_attention_norm": "post_attention_layernorm",
    "ffn_gate_inp": "mlp.router",
    "ffn_gate_exps.weight": Part("mlp.experts.gate_up_proj", even_columns),
    "ffn_gate_exps.bias": Part("mlp.experts.gate_up_proj_bias", even),
    "ffn_up_exps.weight": Part("mlp.experts.gate_up_proj", odd_columns),
    "ffn_up_exps.bias": Part("mlp.experts.gate_up_proj_bias", odd),
    "ffn_down_exps.weight": Part("mlp.experts.down_proj", transposed),
    "ffn_down_exps.bias": Part("mlp.experts.down_proj_bias"),
}

_GEMMA_3N: Final[Names] = {
    **_FOUR_NORMS,
    **_QK,
    **_PER_LAYER,
    "altup_correct_coef": "altup.correction_coefs",
    "altup_correct_scale.weight": Part("altup.correct_output_scale"),
    "altup_predict_coef": "altup.prediction_coefs",
    "altup_router": "altup.modality_router",
    "altup_router_norm": "altup.router_norm",
    "laurel_l": "laurel.linear_left",
    "laurel_r": "laurel.linear_right",
    "laurel_post_norm": "laurel.post_laurel_norm",
}
_GEMMA_4: Final[Names] = {
    **_FOUR_NORMS,
    **_QK,
    **_PER_LAYER,
    "layer_output_scale.weight": Part("layer_scalar"),
    "ffn_gate_inp.scale": Part("router.scale"),
    "ffn_gate_inp": "router.proj",
    "ffn_gate_up_exps.weight": Part("experts.gate_up_proj"),
    "ffn_down_exps.weight": Part("experts.down_proj"),
    "ffn_down_exps.scale": Part("router.per_expert_scale"),
    "post_ffw_norm_1": "post_feedforward_layernorm_1",
    "pre_ffw_norm_2": "pre_feedforward_layernorm_2",
    "post_ffw_norm_2": "post_feedforward_layernorm_2",
}

_GEMMA: Final = {"hidden_activation": "gelu_pytorch_tanh"}
_SOFTCAPS: Final = {
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
}
_LAYER_NORM: Final = {"layer_norm_eps": "attention.layer_norm_epsilon"}
_QKV_BIAS: Final = {"attention_bias": "attn_q.bias"}
_BIASES: Final = {"attention_bias": "attn_q.bias", "mlp_bias": "ffn_up.bias"}
_EXPERT_SIZE: Final = {"moe_intermediate_size": "ffn_down_exps.weight"}
_GRANITE_SCALES: Final = {
    "attention_multiplier": "attention.scale",
    "embedding_multiplier": "embedding_scale",
    "residual_multiplier": "residual_scale",
    "logits_scaling": "logit_scale",
}
_USED: Final = {"num_experts_per_tok": "expert_used_count"}
_LOCAL_EXPERTS: Final = {"num_local_experts": "expert_count", **_USED}
_EXPERT_COUNTS: Final = {"num_experts": "expert_count", **_USED}
_ROUTED_EXPERTS: Final = {
    "n_routed_experts": "expert_count",
    "n_shared_experts": "expert_shared_count",
    "first_k_dense_replace": "leading_dense_block_count",
    "routed_scaling_factor": "expert_weights_scale",
    "n_group": "expert_group_count",
    "topk_group": "expert_group_used_count",
    **_USED,
}
_LATENT_RANKS: Final = {"q_lora_rank": "attention.q_lora_rank"}
_LATENT_NEEDS: Final = RMS | {"kv_lora_rank": "attention.kv_lora_rank"}

GGUFS: Final = (
    GGUF(
        "llama",
        "mixtral",
        _EXPERTS,
        holds("ffn_gate_inp.weight"),
        rotary_pairs=True,
        needs=RMS | _LOCAL_EXPERTS,
    ),
    GGUF(
        "llama",
        "mistral",
        _TWO_NORMS,
        said("attention.sliding_window"),
        rotary_pairs=True,
        takes=WINDOW,
    ),
    GGUF(
        "llama",
        "llama",
        _TWO_NORMS,
        rotary_pairs=True,
        flags={"attention_bias": "attn_q.bias", "mlp_bias": "ffn_gate.bias"},
        defaults={"hidden_act": "silu"},
    ),
    GGUF(
        "mistral3",
        "ministral3",
        _TWO_NORMS,
        said("attention.temperature_scale"),
        rotary_pairs=True,
        rope_takes={"llama_4_scaling_beta": "attention.temperature_scale"},
    ),
    GGUF("mistral3", "mistral", _TWO_NORMS, rotary_pairs=True, defaults={"sliding_window": None}),
    GGUF("gemma", "gemma", _TWO_NORMS, norm_offset=1.0, heads=_gemma, defaults=_GEMMA),
    GGUF(
        "gemma2",
        "gemma2",
        _FOUR_NORMS,
        norm_offset=1.0,
        heads=_gemma_2_and_3,
        takes=WINDOW | _SOFTCAPS,
        defaults=_GEMMA,
    ),
    GGUF(
        "gemma3",
        "gemma3_text",
        _FOUR_NORMS | _QK,
        norm_offset=1.0,
        heads=_gemma_2_and_3,
        takes=WINDOW | _SOFTCAPS,
        windows=True,
        two_ropes=True,
        window_theta=1e4,
        defaults=_GEMMA,
    ),
    GGUF(
        "gemma3n",
        "gemma3n_text",
        _GEMMA_3N,
        top=_PER_LAYER_TOP
        | {
            "altup_proj": Rows("model.altup_projections.{}.weight"),
            "altup_unembd_proj": Rows("model.altup_unembed_projections.{}.weight"),
        },
        heads=_gemma_3n,
        takes=WINDOW
        | {
            "altup_num_inputs": "altup.num_inputs",
            "altup_active_idx": "altup.active_idx",
            "final_logit_softcapping": "final_logit_softcapping",
        },
        also={"num_kv_shared_layers": "attention.shared_kv_layers"},
        sizes={"laurel_rank": "laurel_r.weight"},
        windows=True,
        two_ropes=True,
        window_theta=1e4,
        defaults=_GEMMA,
    ),
    GGUF(
        "gemma4",
        "gemma4_text",
        _GEMMA_4,
        top=_PER_LAYER_TOP,
        heads=_gemma_4,
        understands=("attention.key_length_swa", "rope.dimension_count_swa"),
        layers_differ=True,
        proportional=True,
        takes=WINDOW
        | {
            "final_logit_softcapping": "final_logit_softcapping",
            "num_experts": "expert_count",
            "top_k_experts": "expert_used_count",
        },
        also={"num_kv_shared_layers": "attention.shared_kv_layers"},
        flags={"enable_moe_block": "ffn_gate_inp.weight"},
        sizes=_EXPERT_SIZE,
        windows=True,
        two_ropes=True,
        window_theta=1e4,
        defaults=_GEMMA,
    ),
    GGUF("qwen2", "qwen2", _TWO_NORMS),
    GGUF(
        "qwen2moe",
        "qwen2_moe",
        {
            **_EXPERTS,
            **_shared("mlp.shared_expert"),
            "ffn_gate_inp_shexp.weight": Part("mlp.shared_expert_gate.weight", shape=(1, -1)),
        },
        needs=RMS | _EXPERT_COUNTS,
        sizes=_EXPERT_SIZE | {"shared_expert_intermediate_size": "ffn_down_shexp.weight"},
        defaults={"norm_topk_prob": False},
    ),
    GGUF("qwen3", "qwen3", _TWO_NORMS | _QK, flags=_QKV_BIAS),
    GGUF(
        "qwen3moe",
        "qwen3_moe",
        {**_EXPERTS, **_QK},
        needs=RMS | _EXPERT_COUNTS,
        flags=_QKV_BIAS,
        sizes=_EXPERT_SIZE,
        defaults={"norm_topk_prob": True},
    ),
    GGUF(
        "phi2",
        "phi",
        _QKV
        | {"attn_norm": "input_layernorm", "attn_output": "self_attn.dense"}
        | {"ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2"},
        top=TOP | {"output_norm": "model.final_layernorm"},
        heads=_heads_in_part,
        partial_rotary=True,
        needs=_LAYER_NORM,
    ),
    GGUF(
        "phi3",
        "phi3",
        _NORMS | _FUSED_MLP | {"attn_qkv": "self_attn.qkv_proj", "attn_output": "self_attn.o_proj"},
        heads=_heads_in_part,
        partial_rotary=True,
        takes=WINDOW | {"original_max_position_embeddings": "rope.scaling.original_context_length"},
        defaults={"sliding_window": None},
    ),
    GGUF(
        "stablelm",
        "stablelm",
        _TWO_NORMS
        | {
            "attn_q_norm.weight": Rows("self_attn.q_layernorm.norms.{}.weight"),
            "attn_k_norm.weight": Rows("self_attn.k_layernorm.norms.{}.weight"),
        },
        heads=_stablelm,
        partial_rotary=True,
        needs=_LAYER_NORM,
        flags={"use_qkv_bias": "attn_q.bias", "qk_layernorm": "attn_q_norm.weight"},
    ),
    GGUF(
        "granite",
        "granite",
        _TWO_NORMS,
        rotary_pairs=True,
        heads=_granite,
        takes=_GRANITE_SCALES,
        flags=_BIASES,
    ),
    GGUF(
        "granitemoe",
        "granitemoeshared",
        {
            **_GRANITE_EXPERTS,
            "ffn_gate_shexp.weight": Part("shared_mlp.input_linear.weight", first_half),
            "ffn_up_shexp.weight": Part("shared_mlp.input_linear.weight", second_half),
            "ffn_down_shexp": "shared_mlp.output_linear",
        },
        holds("ffn_down_shexp.weight"),
        rotary_pairs=True,
        heads=_granite,
        needs=RMS | _LOCAL_EXPERTS,
        takes=_GRANITE_SCALES,
        flags=_QKV_BIAS,
        sizes={"shared_intermediate_size": "ffn_down_shexp.weight"},
    ),
    GGUF(
        "granitemoe",
        "granitemoe",
        _GRANITE_EXPERTS,
        rotary_pairs=True,
        heads=_granite,
        needs=RMS | _LOCAL_EXPERTS,
        takes=_GRANITE_SCALES,
        flags=_QKV_BIAS,
    ),
    GGUF(
        "deepseek2",
        "deepseek_v3",
        _LATENT,
        holds("exp_probs_b.bias"),
        heads=_deepseek_3,
        needs=_LATENT_NEEDS,
        takes=_ROUTED_EXPERTS | _LATENT_RANKS,
        gating=SIGMOID,
        sizes=_EXPERT_SIZE,
        mscale=None,
        log_multiplier=0.1,
        defaults={"q_lora_rank": None, "routed_scaling_factor": 1.0},
    ),
    GGUF(
        "deepseek2",
        "deepseek_v2",
        _LATENT,
        heads=_deepseek_2,
        needs=_LATENT_NEEDS,
        takes=_ROUTED_EXPERTS | _LATENT_RANKS,
        sizes=_EXPERT_SIZE,
        mscale=None,
        log_multiplier=0.1,
        defaults={"q_lora_rank": None},
    ),
    GGUF(
        "dots1",
        "dots1",
        {**_TWO_NORMS, **_QK, **_SHARED_EXPERTS},
        heads=_sum_of_experts,
        needs=RMS | {"n_routed_experts": "expert_count"},
        takes=_ROUTED_EXPERTS,
        gating=SIGMOID,
        sizes=_EXPERT_SIZE,
        defaults={"sliding_window": None},
    ),
    GGUF("smollm3", "smollm3", _TWO_NORMS, rotary_pairs=True, flags=_BIASES),
    GGUF(
        "olmo",
        "olmo",
        _QKV | _MLP,
        rotary_pairs=True,
        needs={},
        takes={"clip_qkv": "attention.clamp_kqv"},
    ),
    GGUF(
        "olmo2",
        "olmo3",
        _NORMS_AFTER,
        said("attention.sliding_window"),
        takes=WINDOW,
        windows=True,
        two_ropes=True,
    ),
    GGUF("olmo2", "olmo2", _NORMS_AFTER),
    GGUF(
        "olmoe",
        "olmoe",
        {**_EXPERTS, **_QK},
        needs=RMS | _EXPERT_COUNTS,
        defaults={"norm_topk_prob": False},
    ),
    GGUF(
        "command-r",
        "cohere",
        _BODY | _QK,
        needs=_LAYER_NORM | {"logit_scale": "logit_scale"},
        flags=_QKV_BIAS | {"use_qk_norm": "attn_q_norm.weight"},
    ),
    GGUF(
        "cohere2",
        "cohere2",
        _BODY,
        needs=_LAYER_NORM | WINDOW | {"logit_scale": "logit_scale"},
        windows=True,
    ),
    GGUF(
        "chatglm",
        "glm",
        _NORMS | _QKV | _FUSED_MLP,
        heads=_heads_in_part,
        partial_rotary=True,
        flags=_QKV_BIAS,
    ),
    GGUF(
        "glm4",
        "glm4",
        _NORMS
        | _QKV
        | _FUSED_MLP
        | {"post_attention_norm": "post_self_attn_layernorm"}
        | {"post_ffw_norm": "post_mlp_layernorm"},
        heads=_glm4,
        partial_rotary=True,
        flags=_QKV_BIAS,
    ),
    GGUF(
        "glm4moe",
        "glm4_moe",
        {**_POST_NORM, **_QK, **_SHARED_EXPERTS},
        heads=_sum_of_experts,
        partial_rotary=True,
        needs=RMS | {"n_routed_experts": "expert_count"},
        takes=_ROUTED_EXPERTS,
        flags=_QKV_BIAS | {"use_qk_norm": "attn_q_norm.weight"},
        gating=SIGMOID,
        sizes=_EXPERT_SIZE,
        defaults={"first_k_dense_replace": 0},
    ),
    GGUF(
        "gpt-oss",
        "gpt_oss",
        _GPT_OSS,
        needs=RMS | WINDOW | _LOCAL_EXPERTS,
        windows=True,
        # As in the config.json of both sizes; YaRN's range is not rounded to whole dimensions.
        rope={"truncate": False},
    ),
    GGUF(
        "exaone4",
        "exaone4",
        _NORMS_AFTER,
        takes=WINDOW,
        windows=True,
        defaults={"sliding_window": None},
    ),
    GGUF(
        "starcoder2",
        "starcoder2",
        _NORMS | _QKV | {"ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"},
        needs={"norm_epsilon": "attention.layer_norm_epsilon"},
        takes=WINDOW,
        flags={"use_bias": "attn_q.bias"},
        # In the config.json of all three sizes, 3B, 7B and 15B.
        defaults={"sliding_window": 4096},
    ),
    GGUF(
        "nemotron",
        "nemotron",
        _NORMS | _QKV | _UNGATED_MLP,
        norm_offset=1.0,
        heads=_heads_in_part,
        partial_rotary=True,
        needs={"norm_eps": "attention.layer_norm_epsilon"},
        flags=_BIASES,
    ),
    GGUF(
        "seed_oss",
        "seed_oss",
        _POST_NORM,
        flags=_BIASES | {"attention_out_bias": "attn_output.bias"},
    ),
    GGUF(
        "hunyuan-dense",
        "hunyuan_v1_dense",
        _TWO_NORMS
        | {"attn_q_norm": "self_attn.query_layernorm", "attn_k_norm": "self_attn.key_layernorm"},
        flags=_QKV_BIAS,
    ),
    GGUF("ernie4_5", "ernie4_5", _TWO_NORMS, flags={"use_bias": "attn_q.bias"}),
    GGUF("arcee", "arcee", _NORMS | _QKV | _UNGATED_MLP, rotary_pairs=True, flags=_BIASES),
)


def of(header: GGUFHeader) -> GGUF:
    """Raises UnsupportedError for an architecture without a row."""
    for row in GGUFS:
        if row.architecture == header.architecture and row.told_by(header):
            return row
    raise families.unsupported(header.architecture)
